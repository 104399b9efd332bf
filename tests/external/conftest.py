"""Benchmarks as modules, so that a test and the published table cannot measure differently."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def load_benchmark() -> Callable[[str], ModuleType]:
    """``load_benchmark("dial")`` is ``benchmarks/dial.py``, loaded once; it may import its neighbours."""
    loaded: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in loaded:
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend(str(BENCHMARKS))
                spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
                assert spec is not None
                assert spec.loader is not None
                loaded[name] = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(loaded[name])
        return loaded[name]

    return load


@pytest.fixture(scope="session")
def require_sets(data_dir: Path) -> Callable[..., None]:
    """``require_sets("pacs-photo", ...)`` skips the test where one of these sets is not here."""

    def require(*names: str) -> None:
        missing = [name for name in names if not (data_dir / name).is_dir()]
        if missing:
            pytest.skip(f"sets that are not here: {', '.join(missing)}")

    return require

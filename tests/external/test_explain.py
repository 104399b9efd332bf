"""Explanations point at pasted pictures as often as docs/explain.md promises, with the benchmark's own code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.external

REPOSITORY = Path(__file__).resolve().parents[2]
SCENES = "vpr-corridor"  # small files, so soon indexed
PICTURES = 80


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """``benchmarks/explain.py``, so that the test and the published table cannot measure differently."""
    spec = importlib.util.spec_from_file_location("benchmarks_explain", REPOSITORY / "benchmarks" / "explain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_map_on_the_match_points_at_the_pasted_picture(benchmark: ModuleType, data_dir: Path) -> None:
    for name in (SCENES, benchmark.PASTED):
        if not (data_dir / name).is_dir():
            pytest.skip(f"the set {name} is not here")
    verdict = benchmark.measure(SCENES, PICTURES, benchmark.AREA, ["match"])["match"]
    assert verdict.maximum >= 0.90, verdict
    assert verdict.covered >= 0.85, verdict
    assert verdict.off <= 1e-4, verdict

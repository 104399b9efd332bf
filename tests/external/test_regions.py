"""Pasted pictures are found as parts of scenes, far more often than by the whole image, and a box finds them back."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.external

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
QUERIES, OTHERS = 100, 150  # fewer than the benchmark has, so that this takes seconds


@pytest.fixture(scope="module")
def benchmark(data_dir: Path) -> ModuleType:
    """``benchmarks/regions.py``, so that the test and the published table cannot measure differently."""
    for name in ("photos-200", "pacs-photo", "clothing-test"):
        if not (data_dir / name).is_dir():
            pytest.skip(f"the set {name} is not here")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        spec = importlib.util.spec_from_file_location("benchmarks_regions", BENCHMARKS / "regions.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return module


def test_regions_find_pasted_pictures(benchmark: ModuleType) -> None:
    found = benchmark.measure_paste(
        "pacs-photo", benchmark.AREA, benchmark.SEED, ["auto"], limit=QUERIES, n_others=OTHERS
    )
    before, after = found["auto", False], found["auto", True]
    assert benchmark.target_holds(before, after), (before, after)
    assert after.in_box > 0.85  # the region that is named lies on the picture


def test_a_box_finds_the_picture_in_it(benchmark: ModuleType) -> None:
    whole, boxed, _, _ = benchmark.measure_box("pacs-photo", benchmark.SEED, limit=60, n_others=OTHERS)
    assert boxed > 0.95
    assert boxed > whole + 0.15

"""Pasted pictures are found as parts of scenes, far more often than by the whole image, and a box finds them back."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

pytestmark = pytest.mark.external

QUERIES, OTHERS = 100, 150  # fewer than the benchmark has, so that this takes seconds


@pytest.fixture(scope="module")
def benchmark(load_benchmark: Callable[[str], ModuleType], require_sets: Callable[..., None]) -> ModuleType:
    require_sets("photos-200", "pacs-photo", "clothing-test")
    return load_benchmark("regions")


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

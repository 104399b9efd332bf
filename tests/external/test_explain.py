"""Explanations point at pasted pictures as often as docs/explain.md promises, with the benchmark's own code."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

pytestmark = pytest.mark.external

SCENES = "vpr-corridor"  # small files, so soon indexed
PICTURES = 80


def test_the_map_on_the_match_points_at_the_pasted_picture(
    load_benchmark: Callable[[str], ModuleType], require_sets: Callable[..., None]
) -> None:
    benchmark = load_benchmark("explain")
    require_sets(SCENES, benchmark.PASTED)
    verdict = benchmark.measure(SCENES, PICTURES, benchmark.AREA, ["match"])["match"]
    assert verdict.maximum >= 0.90, verdict
    assert verdict.covered >= 0.85, verdict
    assert verdict.off <= 1e-4, verdict

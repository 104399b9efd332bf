"""Bounds on wrong labels, held against an independent implementation and against chance itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from lookalike import label
from lookalike.errors import SettingError
from lookalike.label import Stratum


@st.composite
def samples(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.integers(1, 150))
    inspected = draw(st.integers(0, size))
    return size, inspected, draw(st.integers(0, inspected))


@given(samples())
def test_the_bound_is_the_largest_number_that_the_sample_does_not_rule_out(sample: tuple[int, int, int]) -> None:
    size, inspected, wrong = sample
    possible = range(wrong, size - (inspected - wrong) + 1)
    expected = max(bad for bad in possible if hypergeom.cdf(wrong, size, bad, inspected) > 0.05)
    assert label.most_wrong(size, inspected, wrong) == expected


def test_the_figures_that_everybody_knows() -> None:
    assert label.error_bound(10**6, 30, 0) == pytest.approx(0.095, abs=1e-3)
    assert label.error_bound(10**6, 59, 0) == pytest.approx(0.0495, abs=1e-3)
    assert label.looks_needed(10**6, 0, 0) == 59
    assert label.error_bound(40, 40, 3) == 0  # everything was looked at, and the wrong ones are out
    assert label.error_bound(40, 0, 0) == 1  # nobody looked


@given(samples())
def test_the_looks_that_are_asked_for_reach_the_target_and_fewer_do_not(sample: tuple[int, int, int]) -> None:
    size, inspected, wrong = sample
    more = label.looks_needed(size, inspected, wrong, 0.05)
    assert label.error_bound(size, inspected + more, wrong) <= 0.05
    if more:
        assert label.error_bound(size, inspected + more - 1, wrong) > 0.05


@pytest.mark.parametrize("bad", [0, 1, 7, 14, 60, 200])
def test_at_least_95_of_100_bounds_are_right(bad: int) -> None:
    size, inspected = 200, 40
    right = 0.0
    for wrong in range(inspected + 1):
        if label.most_wrong(size, inspected, wrong) >= bad:
            right += hypergeom.pmf(wrong, size, bad, inspected)
    assert right >= 0.95


def test_at_least_95_of_100_pooled_bounds_are_right_and_none_is_from_uneven_looks() -> None:
    random = np.random.default_rng(1)
    sizes, bad, looks, right = (300, 100, 60), (18, 0, 6), (39, 13, 40), 0
    for _ in range(2000):
        strata, left_bad = [], 0
        for size, b, n in zip(sizes, bad, looks, strict=True):
            order = random.permutation(size) < b
            at = tuple(np.flatnonzero(order[:n]).tolist())
            left_bad += b - len(at)
            strata.append(Stratum(size, n, at))
        pooled = label.pooled(strata)
        assert pooled.looks == 39 + 13 + 8  # of the third only as many as are in proportion
        right += pooled.bound >= left_bad / pooled.size
    assert right >= 0.935 * 2000  # 0.95 less three standard deviations of 2,000 draws


def test_about_60_looks_are_enough_for_a_whole_set() -> None:
    strata = [Stratum(400, 5), Stratum(100, 20), Stratum(1000, 0)]
    looks = label.pooled_looks(strata, 0.05)
    more = label.allocate(strata, looks)
    assert looks <= 59
    after = [Stratum(s.size, s.inspected + n) for s, n in zip(strata, more, strict=True)]
    assert label.pooled(after).bound <= 0.05
    assert more[1] == 0  # it was looked at enough
    assert sum(more) < 60


def test_nothing_labelled_is_no_error_and_no_work() -> None:
    assert label.pooled([]).bound == 0
    assert label.pooled_looks([]) == 0
    assert label.allocate([], 10) == []


@pytest.mark.parametrize("numbers", [(5, 6, 0), (5, 3, 4), (5, -1, -1)])
def test_impossible_counts_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(SettingError, match="inspected of 5"):
        label.most_wrong(*numbers)

"""Splits: what belongs together is never divided, all is assigned, fractions are met as well as groups allow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lookalike import split
from lookalike.errors import SettingError, ShapeError

FRACTIONS = st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5), (0.7, 0.3), (0.6, 0.2, 0.2), (0.98, 0.01, 0.01)])


def numbers(least: int, most: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.int64, st.shared(st.integers(1, 60), key="n"), elements=st.integers(least, most))


def together(grouping: np.ndarray) -> np.ndarray:
    """Which pairs of rows (n, n) a grouping keeps together."""
    return (grouping[:, None] == grouping) & (grouping[:, None] >= 0)


# -- groups --------------------------------------------------------------------------------------------------------


@given(st.lists(numbers(-1, 12), min_size=1, max_size=3))
def test_joined_groups_are_the_transitive_closure(groupings: list[np.ndarray]) -> None:
    n = len(groupings[0])
    reached = np.eye(n, dtype=bool)
    for grouping in groupings:
        reached |= together(grouping)
    for _ in range(n.bit_length()):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    joined = split.join(groupings)
    np.testing.assert_array_equal(together(joined), reached)
    assert list(dict.fromkeys(joined.tolist())) == list(range(joined.max() + 1))  # numbered as they come


def test_a_long_chain_is_one_group() -> None:
    n = 5000
    rows = np.random.default_rng(0).permutation(n)
    one, other = np.empty(n, np.int64), np.empty(n, np.int64)
    one[rows], other[rows] = np.arange(n) // 2, (np.arange(n) + 1) // 2
    assert split.join([one, other]).max() == 0


def test_groupings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="equal length"):
        split.join([np.zeros(2, np.int64), np.zeros(3, np.int64)])
    with pytest.raises(ShapeError, match="groupings"):
        split.join([])


# -- assigning -----------------------------------------------------------------------------------------------------


@given(numbers(0, 30), numbers(-1, 4), FRACTIONS, st.integers(0, 3))
def test_no_group_is_divided_and_all_are_assigned(groups, labels, fractions, seed) -> None:
    parts = split.assign(groups, labels, fractions, seed=seed)
    assert parts.shape == groups.shape
    assert set(parts.tolist()) <= set(range(len(fractions)))
    for group in np.unique(groups):
        assert len(set(parts[groups == group].tolist())) == 1
    assert not split.torn(groups, parts).any()
    np.testing.assert_array_equal(parts, split.assign(groups, labels, fractions, seed=seed))


@given(numbers(-1, 4), FRACTIONS, st.integers(0, 3))
def test_single_images_meet_the_fractions_within_a_few(labels, fractions, seed) -> None:
    parts = split.assign(np.arange(len(labels)), labels, fractions, seed=seed)
    for part, fraction in enumerate(fractions):
        assert abs(np.count_nonzero(parts == part) - fraction * len(labels)) <= 1 + len(np.unique(labels))


@pytest.mark.parametrize("seed", range(5))
def test_sizes_and_labels_of_small_groups_come_near_the_fractions(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 600, 3000)
    labels = random.choice(5, 3000, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    parts = split.assign(groups, labels, (0.8, 0.1, 0.1), seed=seed)
    for part, fraction in enumerate((0.8, 0.1, 0.1)):
        assert np.mean(parts == part) == pytest.approx(fraction, abs=0.005)
        for label in range(5):
            assert np.mean(parts[labels == label] == part) == pytest.approx(fraction, abs=0.06 if label == 4 else 0.03)


@pytest.mark.parametrize("each", [1, 2, 3])
def test_rare_labels_do_not_all_go_to_the_largest_part(each: int) -> None:
    labels = np.repeat(np.arange(900 // each), each)
    parts = split.assign(np.arange(900), labels, (0.8, 0.1, 0.1))
    assert [int(np.count_nonzero(parts == part)) for part in range(3)] == pytest.approx([720, 90, 90], abs=20)


def test_a_giant_group_goes_to_the_largest_part_and_the_rest_fills_the_others() -> None:
    groups = np.concatenate([np.zeros(95, np.int64), np.arange(1, 6)])
    parts = split.assign(groups, np.zeros(100, np.int64), (0.8, 0.1, 0.1))
    assert set(parts[:95].tolist()) == {0}
    assert sorted(np.bincount(parts[95:], minlength=3).tolist()) == [0, 2, 3]


def test_another_seed_makes_another_split() -> None:
    groups, labels = np.arange(200), np.zeros(200, np.int64)
    first, second = (split.assign(groups, labels, (0.5, 0.5), seed=seed) for seed in (0, 1))
    assert (first != second).any()
    assert np.bincount(first).tolist() == np.bincount(second).tolist() == [100, 100]


def test_nothing_is_divided_into_nothing() -> None:
    assert len(split.assign(np.zeros(0, np.int64), np.zeros(0, np.int64), (0.5, 0.5))) == 0


# -- leaks ---------------------------------------------------------------------------------------------------------


@given(numbers(-1, 8), numbers(0, 2))
def test_torn_rows_are_those_with_one_of_their_group_elsewhere(grouping, parts) -> None:
    expected = (together(grouping) & (parts[:, None] != parts)).any(axis=1)
    np.testing.assert_array_equal(split.torn(grouping, parts), expected)


@given(st.integers(1, 300), FRACTIONS, st.integers(0, 3))
def test_the_naive_split_meets_the_fractions_and_knows_no_groups(n, fractions, seed) -> None:
    parts = split.naive(n, fractions, seed=seed)
    counts = np.bincount(parts, minlength=len(fractions))
    assert counts.sum() == n
    assert np.abs(counts - np.array(fractions) * n).max() <= 1


# -- fractions -----------------------------------------------------------------------------------------------------


def test_fractions_are_read() -> None:
    assert split.parse_fractions("0.8, 0.1,.1") == (0.8, 0.1, 0.1)
    assert split.parse_fractions("0.75,0.25") == (0.75, 0.25)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.8,0.1,0.2", "adds up to 1.1"),
        ("80,10,10", "adds up to 100"),
        ("1,0", "above 0"),
        ("1.5,-0.5", "above 0"),
        ("nan,0.5", "above 0"),
        ("1", "1 parts"),
        ("0.25,0.25,0.25,0.25", "4 parts"),
        ("a,b", "no list of numbers"),
        ("", "no list of numbers"),
    ],
)
def test_useless_fractions_are_refused(text: str, why: str) -> None:
    with pytest.raises(SettingError, match=why) as error:
        split.parse_fractions(text)
    assert "0.8,0.1,0.1" in error.value.hint


@pytest.mark.parametrize("seed", range(5))
def test_no_part_is_empty_where_there_are_groups_enough(seed: int) -> None:
    groups = np.repeat(np.arange(3), 5)
    parts = split.assign(groups, np.zeros(15, np.int64), (0.6, 0.2, 0.2), seed=seed)
    assert np.bincount(parts, minlength=3).tolist() == [5, 5, 5]
    two = split.assign(groups[:10], np.zeros(10, np.int64), (0.6, 0.2, 0.2), seed=seed)
    assert sorted(np.bincount(two, minlength=3).tolist()) == [0, 5, 5]

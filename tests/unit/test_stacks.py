"""Near-duplicates and bursts are folded into stacks; nothing is dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lookalike.stacks import fold


def at_angles(*degrees: float) -> np.ndarray:
    """Unit vectors whose cosines are those of the angles between them."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


UNKNOWN = np.nan


def at(*seconds: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: np.array(seconds)[rows]


def never(rows: np.ndarray) -> np.ndarray:
    return np.full(len(rows), UNKNOWN)


def test_near_duplicates_join_the_first_of_them() -> None:
    vectors = at_angles(0, 60, 5, 120, 62)
    assert fold(vectors, never, 10, near_score=0.99) == [[0, 2], [1, 4], [3]]


def test_stacks_do_not_chain() -> None:
    vectors = at_angles(0, 8, 16, 24)  # each is like the next, the last is unlike the first
    stacks = fold(vectors, never, 10, near_score=float(np.cos(np.deg2rad(9))))
    assert stacks == [[0, 1], [2, 3]]


def test_only_as_many_stacks_as_wanted_but_each_complete() -> None:
    vectors = at_angles(0, 90, 180, 1)
    assert fold(vectors, never, 2, near_score=0.99) == [[0, 3], [1]]


def test_every_image_is_in_exactly_one_stack() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stacks = fold(vectors, at(*random.uniform(0, 20, 50)), 50)
    assert sorted(row for stack in stacks for row in stack) == list(range(50))


@pytest.mark.parametrize(("seconds", "together"), [(2.0, True), (60.0, False), (UNKNOWN, False)])
def test_what_was_taken_within_moments_may_differ_more(seconds: float, together: bool) -> None:
    vectors = at_angles(0, 25)  # cosine .906: alike, but no near-duplicate
    assert (fold(vectors, at(0.0, seconds), 10) == [[0, 1]]) is together


def test_a_burst_of_different_pictures_stays_apart() -> None:
    assert fold(at_angles(0, 50), at(0.0, 1.0), 10) == [[0], [1]]


def test_nothing_gives_no_stacks() -> None:
    assert fold(np.zeros((0, 4), np.float32), never, 10) == []

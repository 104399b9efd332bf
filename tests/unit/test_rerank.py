"""Orders by kind and by object, against naive implementations and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import rerank
from lookalike.engines.graph import nearest
from lookalike.rerank import BLENDS, NOBODY, Circles


def rows_of(n: int, d: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_weights_of_each_dial_add_up_to_one() -> None:
    assert set(BLENDS) == {"kind", "object", "auto"}
    for blend in BLENDS.values():
        assert blend.even + blend.smoothed + blend.fused + blend.reciprocal == pytest.approx(1.0)


def test_smoothing_is_the_weighted_sum_of_the_neighbourhood_again_and_again() -> None:
    rows = rows_of(40, 6)
    neighbours, scores = nearest(rows, 5)
    expected = rows.astype(np.float64)
    weights = np.eye(40)
    for i in range(40):
        for j, score in zip(neighbours[i], scores[i], strict=True):
            weights[i, j] += max(score, 0) ** 2
    for _ in range(3):
        expected = weights @ expected
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rerank.smooth(rows, neighbours, scores, rounds=3), expected, atol=1e-5)


def test_no_rounds_change_nothing_and_friends_grow_alike() -> None:
    rows = rows_of(60, 8, seed=1)
    neighbours, scores = nearest(rows, 8)
    np.testing.assert_array_equal(rerank.smooth(rows, neighbours, scores, rounds=0), rows)
    smoothed = rerank.smooth(rows, neighbours, scores)
    before = np.einsum("nkd,nd->nk", rows[neighbours], rows).mean()
    after = np.einsum("nkd,nd->nk", smoothed[neighbours], smoothed).mean()
    assert after > before + 0.1
    np.testing.assert_allclose(np.linalg.norm(smoothed, axis=1), 1, atol=1e-5)


def test_a_row_of_the_graph_that_comes_from_outside_is_smoothed_nearly_alike() -> None:
    random = np.random.default_rng(2)
    centres = rows_of(6, 32, seed=3)
    rows = rerank.unit(np.repeat(centres, 20, axis=0) + 0.1 * random.normal(size=(120, 32)))
    smoothed = rerank.smooth(rows, *nearest(rows, rerank.KIND_NEIGHBOURS))
    others = np.setdiff1d(np.arange(120), [7])
    again = rerank.smooth_outside(rows[7:8], rows[7:8] @ rows[others].T, smoothed[others])
    assert float(again[0] @ smoothed[7]) > 0.95


def naive_overlap(one: dict[int, float], other: dict[int, float]) -> float:
    common = sum(min(one.get(row, 0), other.get(row, 0)) for row in set(one) | set(other))
    return common / (2 - common)


def as_dict(members: np.ndarray, shares: np.ndarray) -> dict[int, float]:
    return {int(row): float(share) for row, share in zip(members, shares, strict=True) if row != NOBODY}


def test_circles_hold_mutual_neighbours_and_join_that_of_the_nearest() -> None:
    rows = rows_of(50, 5, seed=4)
    neighbours, scores = nearest(rows, 6)
    first: list[dict[int, float]] = []
    for i in range(50):
        circle = {i: 1.0}
        for j, score in zip(neighbours[i], scores[i], strict=True):
            if i in neighbours[j]:
                circle[int(j)] = float(np.exp(3.0 * (score - 1)))
        total = sum(circle.values())
        first.append({row: share / total for row, share in circle.items()})
    found = rerank.circles(neighbours, scores)
    for i in range(50):
        near = first[neighbours[i, 0]]
        expected = {row: (first[i].get(row, 0) + near.get(row, 0)) / 2 for row in set(first[i]) | set(near)}
        got = as_dict(found.members[i], found.shares[i])
        assert got.keys() == expected.keys()
        assert all(got[row] == pytest.approx(expected[row], abs=1e-5) for row in expected)
    assert found.shares.sum(axis=1) == pytest.approx(np.ones(50), abs=1e-5)


def test_overlap_is_what_is_shared_over_what_there_is() -> None:
    one = Circles(np.array([[4, 7, NOBODY]], np.int32), np.array([[0.75, 0.25, 0]], np.float32))
    many = Circles(
        np.array([[7, 4, 9], [1, 2, NOBODY], [4, 7, NOBODY]], np.int32),
        np.array([[0.5, 0.25, 0.25], [0.5, 0.5, 0], [0.75, 0.25, 0]], np.float32),
    )
    expected = [naive_overlap({4: 0.75, 7: 0.25}, other) for other in ({7: 0.5, 4: 0.25, 9: 0.25}, {1: 0.5, 2: 0.5})]
    np.testing.assert_allclose(rerank.overlap(one, many), [*expected, 1.0], atol=1e-6)
    assert expected == [pytest.approx(0.5 / 1.5), 0.0]


def test_a_stranger_has_no_circle_in_the_gallery_and_a_copy_has_its_originals() -> None:
    rows = rows_of(60, 16, seed=5)
    neighbours, scores = nearest(rows, rerank.OBJECT_NEIGHBOURS)
    known = rerank.circles(neighbours, scores)
    reached = rerank.reach(scores)
    places = np.arange(60, dtype=np.int32)
    far = -rows.mean(axis=0, keepdims=True)
    stranger = rerank.circles_outside((far @ rows.T) - 1, places, reached, known)
    copy = rerank.circles_outside(rows[3:4] @ rows.T, places, reached, known)
    assert rerank.overlap(stranger, known).max() < 0.5
    assert rerank.overlap(copy, known).argmax() == 3


def test_without_taps_the_object_space_is_that_of_vectors() -> None:
    rows, weights = rows_of(5, 4), np.array([1, 2, 3, 4], np.float32)
    alone = rerank.fused(rows, weights, np.zeros((5, 0), np.float32), np.zeros(0, np.float32))
    np.testing.assert_array_equal(alone, rerank.even(rows, weights))
    taps = rows_of(5, 3, seed=9)
    both = rerank.fused(rows, weights, taps, np.ones(3, np.float32))
    expected = (rerank.even(rows, weights) @ rerank.even(rows, weights).T + taps @ taps.T) / 2
    np.testing.assert_allclose(both @ both.T, expected, atol=1e-5)

"""Exact neighbours: the reference is held against a sort in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.engines.base import NO_KEY
from lookalike.errors import SettingError, ShapeError
from lookalike.neighbours import agreement_at_k, best, merge, top_k


def unit(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    vectors = rng.standard_normal((n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plainly(query: np.ndarray, vectors: np.ndarray, keys: np.ndarray, k: int) -> list[tuple[int, float]]:
    scores = [round(sum(float(a) * float(b) for a, b in zip(query, v, strict=True)), 6) for v in vectors]
    ranked = sorted(zip(keys.tolist(), scores, strict=True), key=lambda match: (-match[1], match[0]))
    return ranked[:k]


@pytest.mark.parametrize("k", [1, 7, 50])
def test_top_k_is_what_sorting_everything_gives(k):
    rng = np.random.default_rng(1)
    vectors, queries, keys = unit(rng, 50, 6), unit(rng, 4, 6), rng.permutation(1000)[:50]
    found, scores = top_k(queries, vectors, keys, k)
    for i, query in enumerate(queries):
        expected = plainly(query, vectors, keys, k)
        assert found[i].tolist() == [key for key, _ in expected]
        assert scores[i] == pytest.approx([score for _, score in expected], abs=1e-6)


def test_blocks_do_not_show():
    rng = np.random.default_rng(2)
    vectors, queries = unit(rng, 10_000, 8), unit(rng, 3, 8)
    keys = np.arange(10_000)
    whole = top_k(queries, vectors, keys, 20)
    for query, found, scores in zip(queries, *whole, strict=True):
        every = np.lexsort((keys, -np.round(vectors.astype(np.float64) @ query.astype(np.float64), 6)))[:20]
        assert found.tolist() == every.tolist()
        assert (np.diff(scores) <= 0).all()


def test_ties_go_to_the_lower_key_also_at_the_last_place():
    vectors = np.array([[0, 1], [1, 0], [1, 0], [1, 0], [1, 0]], np.float32)
    keys = np.array([5, 40, 10, 30, 20])
    found, _ = top_k(np.array([[1, 0]], np.float32), vectors, keys, 2)
    assert found.tolist() == [[10, 20]]


def test_scores_closer_than_a_millionth_are_a_tie():
    assert best(np.array([9, 3]), np.array([0.5000001, 0.5]), 1)[0].tolist() == [3]
    assert best(np.array([9, 3]), np.array([0.500002, 0.5]), 1)[0].tolist() == [9]


def test_the_order_of_the_rows_does_not_show():
    rng = np.random.default_rng(3)
    vectors, queries = np.repeat(unit(rng, 40, 5), 5, axis=0), unit(rng, 6, 5)
    keys = rng.permutation(200)
    shuffled = rng.permutation(200)
    one, other = top_k(queries, vectors, keys, 33), top_k(queries, vectors[shuffled], keys[shuffled], 33)
    assert (one[0] == other[0]).all()
    assert (one[1] == other[1]).all()


@pytest.mark.parametrize("n", [0, 3])
def test_fewer_rows_than_asked_for_are_padded(n):
    vectors = unit(np.random.default_rng(4), n, 4)
    found, scores = top_k(np.eye(2, 4, dtype=np.float32), vectors, np.arange(n), 5)
    assert found.shape == scores.shape == (2, 5)
    assert (found[:, n:] == NO_KEY).all()
    assert (scores[:, n:] == -np.inf).all()
    assert (np.sort(found[:, :n]) == np.arange(n)).all()


def test_float16_rows_are_searched_as_they_are():
    rng = np.random.default_rng(5)
    vectors, keys = unit(rng, 300, 16).astype(np.float16), np.arange(300)
    found, scores = top_k(vectors[:10], vectors, keys, 1)
    assert found[:, 0].tolist() == list(range(10))
    assert scores[:, 0] == pytest.approx(np.ones(10), abs=2e-3)


@pytest.mark.parametrize(
    ("queries", "vectors", "keys"),
    [((2, 3), (4, 5), (4,)), ((3,), (4, 3), (4,)), ((1, 3), (4, 3), (5,)), ((1, 3), (4, 3), (4, 1))],
)
def test_arrays_that_do_not_fit_are_refused(queries, vectors, keys):
    with pytest.raises(ShapeError):
        top_k(np.ones(queries, np.float32), np.ones(vectors, np.float32), np.ones(keys, np.int64), 1)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k):
    one = np.ones((1, 1), np.float32)
    with pytest.raises(SettingError, match="below 1"):
        top_k(one, one, np.array([0]), k)
    with pytest.raises(SettingError, match="below 1"):
        merge([(np.array([[0]]), one)], k)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5))
def test_merging_the_results_of_parts_gives_the_result_of_the_whole(seed, k, pieces):
    rng = np.random.default_rng(seed)
    # A few distinct vectors only, so that there are ties everywhere.
    vectors, queries = unit(rng, 6, 3)[rng.integers(0, 6, 40)], unit(rng, 2, 3)
    keys = rng.permutation(500)[:40]
    parts = [
        top_k(queries, part_vectors, part_keys, k)
        for part_vectors, part_keys in zip(np.array_split(vectors, pieces), np.array_split(keys, pieces), strict=True)
    ]
    whole, merged = top_k(queries, vectors, keys, k), merge(parts, k)
    assert (merged[0] == whole[0]).all()
    assert (merged[1] == whole[1]).all()


def test_a_key_in_two_parts_counts_once_with_its_best_score():
    parts = [
        (np.array([[1, 2]]), np.array([[0.9, 0.5]], np.float32)),
        (np.array([[2, 3]]), np.array([[0.8, 0.1]], np.float32)),
    ]
    keys, scores = merge(parts, 4)
    assert keys.tolist() == [[1, 2, 3, NO_KEY]]
    assert scores[0, :3] == pytest.approx([0.9, 0.8, 0.1])


def test_parts_of_different_searches_are_refused():
    one, two = (np.zeros((n, 2), np.int64) for n in (1, 2))
    with pytest.raises(ShapeError):
        merge([(one, one.astype(float)), (two, two.astype(float))], 2)
    with pytest.raises(ShapeError):
        merge([], 2)


def test_agreement_is_the_share_of_the_exact_result_that_was_found():
    exact = np.array([[1, 2, 3, 4], [5, 6, NO_KEY, NO_KEY]])
    assert agreement_at_k(exact, exact) == 1.0
    assert agreement_at_k(exact[:, ::-1], exact) == 1.0
    assert agreement_at_k(np.array([[1, 2, 9, 9], [5, NO_KEY, NO_KEY, NO_KEY]]), exact) == 0.5
    assert agreement_at_k(np.full((2, 4), NO_KEY), exact) == 0.0


def test_agreement_of_nothing_with_nothing_is_whole():
    assert agreement_at_k(np.full((2, 3), NO_KEY), np.full((2, 3), NO_KEY)) == 1.0


def test_agreement_of_results_of_different_shapes_is_refused():
    with pytest.raises(ShapeError):
        agreement_at_k(np.zeros((1, 2), np.int64), np.zeros((2, 2), np.int64))

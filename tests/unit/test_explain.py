"""Contributions add up to the score, whatever the pooling and the reducer, and follow what is in the picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lookalike import reduce
from lookalike.errors import ModelError, ShapeError
from lookalike.explain import contributions, own_shares, place_shares
from lookalike.models.graph import POOLINGS, Pooling
from lookalike.types import Reducer

DIM = 24


def random_map(seed: int, shape: tuple[int, int] = (5, 7)) -> np.ndarray:
    """A map with negative values, rows of nothing, and one channel that is never active."""
    final = np.random.default_rng(seed).normal(0.3, 1, (*shape, DIM)).astype(np.float32)
    final[..., 3] = -1
    final[0] = 0
    return final


def pooled(final: np.ndarray, pooling: Pooling) -> np.ndarray:
    weights = pooling.weights(*final.shape[:2])[..., None]
    base = np.maximum(final, 0) if pooling.power > 1 else final
    return ((base**pooling.power * weights).sum((0, 1)) ** (1 / pooling.power)).astype(np.float32)


def fitted(pooling: Pooling, kind: str) -> Reducer:
    moments = reduce.Moments(DIM)
    moments.add(np.stack([pooled(random_map(seed), pooling) for seed in range(40 if kind != "untrained" else 2)]))
    return reduce.fit(moments, dim=9) if kind == "fitted" else reduce.centre_only(moments)


@pytest.mark.parametrize("pooling", POOLINGS.values(), ids=POOLINGS)
@pytest.mark.parametrize("kind", ["fitted", "centred", "untrained"])
def test_contributions_add_up_to_the_cosine_on_both_sides(pooling: Pooling, kind: str) -> None:
    reducer = fitted(pooling, kind)
    maps = random_map(100), random_map(101, (4, 9))
    embeddings = [pooled(final, pooling) for final in maps]
    vectors = reduce.transform(reducer, np.stack(embeddings))
    score = float(vectors[0] @ vectors[1])
    for own, other in ((0, 1), (1, 0)):
        found = contributions(maps[own], pooling, embeddings[own], reducer, vectors[other])
        assert found.shape == maps[own].shape[:2]
        assert found.dtype == np.float32
        assert found.sum() == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS.values(), ids=POOLINGS)
def test_only_the_gallerys_mean_is_spread_all_else_belongs_to_a_place(pooling: Pooling) -> None:
    """What ``contributions`` adds by the weights is -<g, mean> and nothing that would hide an error."""
    reducer, final = fitted(pooling, "fitted"), random_map(7)
    embedding = pooled(final, pooling)
    other = reduce.transform(reducer, pooled(random_map(8), pooling)[None])[0]
    assert reducer.components is not None
    centred = embedding / np.linalg.norm(embedding) - reducer.mean
    back = other @ reducer.components / np.linalg.norm(reducer.components @ centred)
    weights = pooling.weights(*final.shape[:2])
    shares = place_shares(final, weights, pooling.power) / np.linalg.norm(embedding)
    expected = shares @ back - (back @ reducer.mean) * weights
    assert np.allclose(contributions(final, pooling, embedding, reducer, other), expected, atol=1e-5)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_shares_are_values_times_slopes_and_add_up_to_the_embedding(power: int) -> None:
    pooling, final, step = Pooling(power, 0.3), np.abs(random_map(5)) + 0.1, 1e-3
    weights = pooling.weights(*final.shape[:2])
    shares = place_shares(final, weights, power)
    assert np.allclose(shares.sum((0, 1)), pooled(final, pooling), atol=1e-5)
    for y, x in ((0, 0), (2, 3), (4, 6)):
        more, less = final.astype(np.float64), final.astype(np.float64)
        more[y, x], less[y, x] = more[y, x] + step, less[y, x] - step
        slope = (_power_mean(more, weights, power) - _power_mean(less, weights, power)) / (2 * step)
        assert np.allclose(shares[y, x], final[y, x] * slope, atol=1e-6)


def _power_mean(final: np.ndarray, weights: np.ndarray, power: int) -> np.ndarray:
    return (weights[..., None] * final**power).sum((0, 1)) ** (1 / power)


@pytest.mark.parametrize("pooling", POOLINGS.values(), ids=POOLINGS)
def test_the_place_that_shows_what_the_other_shows_adds_most(pooling: Pooling) -> None:
    reducer = fitted(pooling, "fitted")
    pattern = np.abs(random_map(50))[2, 2]
    final = np.abs(random_map(51)) * 0.3
    final[1, 5] = 3 * pattern
    other = reduce.transform(reducer, pattern[None])[0]
    found = contributions(final, pooling, pooled(final, pooling), reducer, other)
    assert np.unravel_index(found.argmax(), found.shape) == (1, 5)


def test_float16_embeddings_add_up_to_the_score_of_what_is_stored() -> None:
    pooling = POOLINGS["gem2-centre"]
    reducer, final = fitted(pooling, "fitted"), random_map(3)
    stored = pooled(final, pooling).astype(np.float16).astype(np.float32)
    other = reduce.transform(reducer, pooled(random_map(4), pooling)[None])[0]
    score = reduce.transform(reducer, stored[None])[0] @ other
    assert contributions(final, pooling, stored, reducer, other).sum() == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("pool", [np.max, np.mean, np.median])
def test_a_network_that_pools_in_its_own_way_is_explained_to_first_order_and_adds_up(pool: Callable[..., Any]) -> None:
    moments = reduce.Moments(DIM)
    moments.add(np.stack([pool(random_map(seed), axis=(0, 1)) for seed in range(30)]))
    reducer, final = reduce.fit(moments, dim=9), random_map(20)
    embedding = pool(final, axis=(0, 1))
    other = reduce.transform(reducer, pool(random_map(21), axis=(0, 1))[None])[0]
    found = contributions(final, None, embedding, reducer, other)
    assert found.sum() == pytest.approx(reduce.transform(reducer, embedding[None])[0] @ other, abs=1e-5)
    if pool is np.mean:
        assert np.allclose(found, contributions(final, POOLINGS["mean"], embedding, reducer, other), atol=1e-6)


def test_the_largest_values_are_shared_out_to_where_they_are() -> None:
    final = np.full((4, 4, 3), 0.01, np.float32)
    final[1, 2, 0], final[3, 0, 1] = 5, 7
    shares = own_shares(final, np.array([5, 7, 0.01], np.float32))
    assert np.allclose(shares.sum((0, 1)), [5, 7, 0.01], atol=1e-6)
    assert shares[1, 2, 0] > 4.5
    assert shares[3, 0, 1] > 6.5


def test_a_picture_without_direction_is_spread_over_all_places() -> None:
    pooling = POOLINGS["gem2-centre"]
    reducer, final = fitted(pooling, "fitted"), np.zeros((5, 7, DIM), np.float32)
    other = reduce.transform(reducer, pooled(random_map(4), pooling)[None])[0]
    found = contributions(final, pooling, np.zeros(DIM, np.float32), reducer, other)
    score = reduce.transform(reducer, np.zeros((1, DIM), np.float32))[0] @ other
    assert np.allclose(found, score * pooling.weights(5, 7), atol=1e-6)


def test_what_cannot_be_told_is_refused() -> None:
    pooling = POOLINGS["mean"]
    reducer, final = fitted(pooling, "fitted"), random_map(1)
    embedding = pooled(final, pooling)
    other = reduce.transform(reducer, embedding[None])[0]
    with pytest.raises(ModelError, match="23 channels"):
        contributions(final[..., 1:], pooling, embedding, reducer, other)
    with pytest.raises(ModelError, match="not pooled from its map"):
        contributions(final, None, 50 * embedding, reducer, other)
    for wrong in (final[0], final[:0]):
        with pytest.raises(ShapeError, match="contributions"):
            contributions(wrong, pooling, embedding, reducer, other)
    with pytest.raises(ShapeError, match="contributions"):
        contributions(final, pooling, embedding, reducer, other[1:])

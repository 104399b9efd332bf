"""How unusual images are, on points whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import outliers, reduce
from lookalike.engines import graph
from lookalike.gallery.knn import NEIGHBOURS
from lookalike.outliers import AROUND, Lengths
from lookalike.types import Float32


def clouds(sizes: tuple[int, ...], dim: int = 24, seed: int = 0, spread: float = 0.3) -> Float32:
    """Embeddings (n, dim) around as many directions as there are sizes."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(len(sizes), dim))
    rows = [centre + spread * random.normal(size=(size, dim)) for centre, size in zip(centres, sizes, strict=True)]
    return np.concatenate(rows).astype(np.float32)


def fitted(embeddings: Float32) -> tuple[reduce.Reducer, Float32, Lengths]:
    moments = reduce.Moments(embeddings.shape[1])
    moments.add(embeddings)
    reducer = reduce.fit(moments)
    return reducer, reduce.transform(reducer, embeddings), outliers.lengths(reducer, embeddings)


def unit(rows: Float32) -> Float32:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


# ---------------------------------------------------------------- similarity


def test_similarity_is_the_mean_of_both_cosines_where_the_space_loses_nothing() -> None:
    embeddings = clouds((10, 10, 10)) * np.linspace(0.5, 3, 30, dtype=np.float32)[:, None]
    reducer, vectors, lengths = fitted(embeddings)
    assert vectors.shape[1] == embeddings.shape[1]
    rows = unit(embeddings)
    centred = unit(rows - reducer.mean)
    expected = (rows @ rows.T + centred @ centred.T) / 2
    found = outliers.similarities(vectors @ vectors.T, lengths, lengths)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    some = np.array([[3, 7], [20, 1]])
    picked = outliers.similarities(
        np.take_along_axis(vectors[:2] @ vectors.T, some, axis=1), lengths.take(slice(2)), lengths.take(some)
    )
    np.testing.assert_allclose(picked, np.take_along_axis(expected[:2], some, axis=1), atol=1e-5)


def test_an_image_that_the_space_was_not_learned_on_gets_the_same_similarity() -> None:
    """With fewer images than dimensions each lies in the space wholly, and no other image does."""
    embeddings = clouds((7, 7), dim=200)
    known, held_out = embeddings[:12], embeddings[12:]
    reducer, vectors, lengths = fitted(known)
    asked = reduce.transform(reducer, held_out)
    own = outliers.lengths(reducer, held_out)
    assert (own.inside < 0.99 * own.whole).all()
    rows, queries = unit(known), unit(held_out)
    expected = (queries @ rows.T + unit(queries - reducer.mean) @ unit(rows - reducer.mean).T) / 2
    np.testing.assert_allclose(outliers.similarities(asked @ vectors.T, own, lengths), expected, atol=1e-5)


def test_without_a_fitted_space_similarity_is_the_cosine() -> None:
    embeddings = clouds((2,))
    _, vectors, lengths = fitted(embeddings)
    scores = vectors @ vectors.T
    np.testing.assert_allclose(outliers.similarities(scores, lengths, lengths), scores, atol=1e-6)


# ---------------------------------------------------------------- distances


def test_distances_pass_over_the_nearest_and_look_no_further_than_told() -> None:
    similar = np.random.default_rng(0).permutation(np.linspace(0.99, 0.0, 100))[None]
    counts = np.ones_like(similar, bool)
    ordered = np.sort(1 - similar[0])
    assert outliers.distances(similar, counts)[0] == pytest.approx(ordered[AROUND[0] : AROUND[1]].mean(), abs=1e-6)
    assert outliers.distances(similar, counts, (0, 1))[0] == pytest.approx(ordered[0], abs=1e-6)


def test_what_does_not_count_is_as_if_it_were_not_there() -> None:
    similar = np.array([[0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]])
    counts = np.array([[False, True, True, True], [False, False, False, True], [False] * 4])
    found = outliers.distances(similar, counts, (1, 2))
    assert found == pytest.approx([0.3, 0.4, 0.0])  # of a single one, none is passed over; of none, nothing is said
    few = outliers.distances(similar, np.ones_like(counts), (10, 20))
    assert few == pytest.approx([0.35] * 3)  # no more than half is passed over


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("strangers", [1, 5, 10])
def test_strangers_are_on_top_in_groups_and_with_copies_too(strangers: int, copies: int) -> None:
    rows = clouds((60, 60, strangers))
    rows = np.concatenate([rows[:120], np.repeat(rows[120:], copies, axis=0)])
    _, vectors, lengths = fitted(rows)
    near, scores = graph.nearest(vectors, NEIGHBOURS)
    counts = (scores < outliers.TOO_ALIKE) & outliers.firsts(near, scores)[near]
    found = outliers.distances(outliers.similarities(scores, lengths, lengths.take(near)), counts)
    assert set(np.argsort(-found)[: strangers * copies]) == set(range(120, len(rows)))


# ---------------------------------------------------------------- percentiles


def test_percentiles_say_what_share_is_lower() -> None:
    reference = np.array([0.1, 0.2, 0.2, 0.4])
    assert outliers.percentiles(np.array([0.0, 0.1, 0.2, 0.3, 0.5]), reference).tolist() == [0, 12.5, 50, 75, 100]
    assert outliers.percentiles_among(np.array([3.0, 1.0, 2.0, 2.0, 5.0])).tolist() == [75, 0, 25, 25, 100]
    assert outliers.percentiles_among(np.array([3.0])).tolist() == [0]


def test_ordinary_new_images_spread_evenly_over_the_percentiles_and_strangers_do_not() -> None:
    """In many more dimensions than images, where scores in a fitted space would say that everything new is near."""
    found, strange = [], []
    for seed in range(6):
        rows = clouds((60, 60, 10), dim=400, seed=seed, spread=0.6)
        ordinary = np.random.default_rng(seed).permutation(rows[:120])
        old, new = ordinary[:60], np.concatenate([ordinary[60:], rows[120:]])
        reducer, vectors, lengths = fitted(old)
        scores = vectors @ vectors.T
        counts = ~np.eye(60, dtype=bool)
        usual = outliers.distances(outliers.similarities(scores, lengths, lengths), counts, outliers.NEAREST)
        asked = reduce.transform(reducer, new) @ vectors.T
        similar = outliers.similarities(asked, outliers.lengths(reducer, new), lengths)
        percentiles = outliers.percentiles(
            outliers.distances(similar, np.ones_like(similar, bool), outliers.NEAREST), usual
        )
        found.append(percentiles[:60])
        strange.append(percentiles[60:])
    ordinary = np.sort(np.concatenate(found))
    assert np.abs(ordinary / 100 - np.linspace(0, 1, len(ordinary))).max() < 0.12
    assert np.concatenate(strange).min() == 100

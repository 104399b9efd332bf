from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from lookalike.errors import ShapeError
from lookalike.reduce import Moments, centre_only, fit, rescore, transform, whitening_weights
from lookalike.types import Float32, Reducer


def embeddings(n: int, dim: int = 40, seed: int = 0) -> Float32:
    """Positive, unequal and correlated, as a network's are."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, dim)) * (np.arange(dim, 0, -1) / dim) @ rng.normal(size=(dim, dim))
    return np.asarray(np.abs(mixed) * rng.uniform(0.1, 50, (n, 1)) + 0.01, np.float32)


def moments_of(rows: np.ndarray) -> Moments:
    moments = Moments(rows.shape[1])
    moments.add(rows)
    return moments


def fitted(rows: np.ndarray, dim: int = 256) -> Reducer:
    return fit(moments_of(rows), dim)


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_moments_are_those_of_the_normalised_rows() -> None:
    rows = embeddings(2500)  # more than one block
    moments = moments_of(rows)
    assert moments.n == 2500
    np.testing.assert_allclose(moments.sum, unit(rows).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.outer, unit(rows).T @ unit(rows), rtol=1e-12)


def test_merged_moments_equal_moments_of_everything() -> None:
    rows = embeddings(300)
    left, right = moments_of(rows[:100]), moments_of(rows[100:])
    left.merge(right)
    whole = moments_of(rows)
    assert left.n == whole.n
    np.testing.assert_allclose(left.sum, whole.sum, rtol=1e-12)
    np.testing.assert_allclose(left.outer, whole.outer, rtol=1e-12)


def test_float16_and_float32_embeddings_give_nearly_the_same_moments() -> None:
    rows = embeddings(200).astype(np.float16)
    np.testing.assert_array_equal(moments_of(rows).outer, moments_of(rows.astype(np.float32)).outer)


def test_fit_equals_scikit_learn_pca_up_to_sign() -> None:
    rows = embeddings(500)
    reducer = fitted(rows, 10)
    reference = PCA(10, svd_solver="full").fit(unit(rows))
    assert reducer.components is not None
    np.testing.assert_allclose(reducer.variances, reference.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(np.abs((reducer.components * reference.components_).sum(axis=1)), 1.0, atol=1e-4)
    expected = reference.transform(unit(rows))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    got = transform(reducer, rows)
    np.testing.assert_allclose(got @ got.T, expected @ expected.T, atol=1e-5)


def test_components_are_orthonormal_ordered_and_have_their_largest_entry_positive() -> None:
    reducer = fitted(embeddings(500), 12)
    components = reducer.components
    assert components is not None
    np.testing.assert_allclose(components @ components.T, np.eye(12), atol=1e-5)
    assert (np.diff(reducer.variances) <= 0).all()
    assert (components[np.arange(12), np.abs(components).argmax(axis=1)] > 0).all()


def test_the_same_sums_give_the_same_space() -> None:
    rows = embeddings(100)
    assert fitted(rows).fingerprint == fitted(rows.copy()).fingerprint


@pytest.mark.parametrize(("n", "dim", "expected"), [(500, 256, 40), (500, 16, 16), (20, 256, 19), (3, 256, 2)])
def test_dimension_is_the_least_of_wanted_images_minus_one_and_embedding(n: int, dim: int, expected: int) -> None:
    assert fitted(embeddings(n), dim).dim == expected


def test_reducing_to_n_minus_one_loses_nothing_between_images_of_the_gallery() -> None:
    rows = embeddings(15)
    full = transform(centre_only(moments_of(rows)), rows)
    reduced = transform(fitted(rows), rows)
    np.testing.assert_allclose(reduced @ reduced.T, full @ full.T, atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_below_three_images_nothing_is_learned(n: int) -> None:
    rows = embeddings(2)
    for reducer in (fitted(rows[:n]), centre_only(moments_of(rows[:n]))):
        assert reducer.components is None
        assert not reducer.mean.any()
        np.testing.assert_allclose(transform(reducer, rows), unit(rows), atol=1e-6)


def test_directions_without_variance_are_dropped() -> None:
    few = embeddings(5)
    reducer = fitted(np.repeat(few, 30, axis=0))
    assert reducer.dim == 4
    assert reducer.fitted_on == 150


def test_images_that_are_all_the_same_score_one() -> None:
    rows = np.repeat(embeddings(1), 50, axis=0).astype(np.float16)
    vectors = transform(fitted(rows), rows)
    assert vectors.shape == (50, 40)
    np.testing.assert_allclose(vectors @ vectors.T, 1.0, atol=1e-6)


def test_centre_only_keeps_all_dimensions_and_takes_the_mean_off() -> None:
    rows = embeddings(100)
    reducer = centre_only(moments_of(rows))
    assert reducer.components is None
    np.testing.assert_allclose(reducer.mean, unit(rows).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(reducer.variances, unit(rows).var(axis=0, ddof=1), rtol=1e-4, atol=1e-9)
    centred = unit(rows) - unit(rows).mean(axis=0)
    np.testing.assert_allclose(transform(reducer, rows), unit(centred), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_are_float32_of_unit_length(dtype: type) -> None:
    rows = embeddings(2100).astype(dtype)
    vectors = transform(fitted(rows, 8), rows)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_a_row_does_not_depend_on_its_batch() -> None:
    rows = embeddings(1500)
    reducer = fitted(rows, 16)
    together = transform(reducer, rows)
    alone = np.concatenate([transform(reducer, row[None]) for row in rows[::100]])
    assert (together[::100] * alone).sum(axis=1).min() >= 0.9999999


def test_the_length_of_an_embedding_does_not_matter() -> None:
    rows = embeddings(50)
    reducer = fitted(rows)
    np.testing.assert_allclose(transform(reducer, rows * 1000), transform(reducer, rows), atol=1e-5)


def test_rows_without_direction_become_the_first_axis() -> None:
    rows = embeddings(50)
    reducer = fitted(rows, 8)
    at_the_mean = transform(reducer, reducer.mean[None] / np.float32(np.linalg.norm(reducer.mean)))
    zero = transform(reducer, np.zeros((1, 40), np.float32))
    for vectors in (at_the_mean, zero):
        assert np.isfinite(vectors).all()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    exactly = Reducer(np.eye(1, 40, dtype=np.float32)[0], reducer.components, reducer.variances, fitted_on=50)
    np.testing.assert_array_equal(transform(exactly, np.zeros((1, 40), np.float32)), np.eye(1, 8))


def test_no_rows_give_no_vectors() -> None:
    reducer = fitted(embeddings(50), 8)
    assert transform(reducer, np.zeros((0, 40), np.float32)).shape == (0, 8)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 41), np.float32), np.zeros(40, np.float32), np.zeros((2, 40), int), np.full((2, 40), np.nan)]
)
def test_embeddings_that_cannot_be_used_are_refused(bad: np.ndarray) -> None:
    reducer = fitted(embeddings(50))
    with pytest.raises(ShapeError, match="embeddings"):
        transform(reducer, bad)
    with pytest.raises(ShapeError, match="embeddings"):
        Moments(40).add(bad)


def test_moments_of_different_networks_do_not_merge() -> None:
    with pytest.raises(ShapeError, match="40 into 41"):
        Moments(41).merge(Moments(40))


def test_power_zero_weighs_all_dimensions_alike() -> None:
    np.testing.assert_array_equal(whitening_weights(fitted(embeddings(50), 8), 0.0), np.ones(8))


def test_a_reducer_without_components_has_nothing_to_weigh() -> None:
    np.testing.assert_array_equal(whitening_weights(centre_only(moments_of(embeddings(50))), 0.5), np.ones(40))


def test_full_power_evens_out_the_variances() -> None:
    reducer = fitted(embeddings(500), 10)
    weights = whitening_weights(reducer, 1.0)
    np.testing.assert_allclose(weights**2 * reducer.variances, reducer.variances[0], rtol=1e-4)


def test_power_lies_between_plain_and_full() -> None:
    reducer = fitted(embeddings(500), 10)
    half, full = whitening_weights(reducer, 0.5), whitening_weights(reducer, 1.0)
    np.testing.assert_allclose(half**2, full, rtol=1e-5)


def test_dimensions_beyond_a_quarter_of_the_images_keep_their_plain_weight() -> None:
    weights = whitening_weights(fitted(embeddings(40)), 0.5)
    assert weights[0] == 1.0
    assert (np.diff(weights[:10]) > 0).all()
    np.testing.assert_array_equal(weights[10:], np.ones(len(weights) - 10))


def test_rescore_is_the_cosine_of_the_weighted_vectors() -> None:
    rows = embeddings(60)
    reducer = fitted(rows, 8)
    vectors, weights = transform(reducer, rows), whitening_weights(reducer, 0.5)
    weighted = unit(vectors * weights)
    scores = rescore(vectors[3], vectors, weights)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, weighted @ weighted[3], atol=1e-6)
    assert scores.argmax() == 3
    assert scores.max() <= 1.0


def test_rescore_with_weights_of_one_is_the_plain_score() -> None:
    rows = embeddings(60)
    vectors = transform(fitted(rows, 8), rows)
    np.testing.assert_allclose(rescore(vectors[0], vectors, np.ones(8, np.float32)), vectors @ vectors[0], atol=1e-6)

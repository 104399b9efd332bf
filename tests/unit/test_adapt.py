from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lookalike import adapt
from lookalike.adapt import adapted_scores, fit, folds, gain, kind_folds
from lookalike.errors import ShapeError
from lookalike.types import Float32, Int64

D = 24


def unit(rows: np.ndarray) -> Float32:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def drawn(kinds: int, each: int, seed: int = 0) -> tuple[Float32, Int64]:
    """Kinds differ in the last dimensions, a little; images differ in the first ones, a lot."""
    random = np.random.default_rng(seed)
    centres = np.zeros((kinds, D))
    centres[:, D // 2 :] = np.random.default_rng(5).normal(size=(kinds, D // 2))
    nuisance = np.r_[np.full(D // 2, 2.0), np.full(D // 2, 0.7)]
    codes = np.repeat(np.arange(kinds), each)
    return unit(centres[codes] + nuisance * random.normal(size=(kinds * each, D))), codes.astype(np.int64)


def agreement(vectors: np.ndarray, codes: Int64) -> float:
    """How often the nearest other image is of the same kind."""
    cosines = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(cosines, -2)
    return float((codes[cosines.argmax(axis=1)] == codes).mean())


@pytest.mark.parametrize("each", [3, 10, 40])
def test_images_of_a_label_come_nearer_in_what_was_not_seen(each: int) -> None:
    matrix = fit(*drawn(8, each))
    vectors, codes = drawn(8, 30, seed=1)
    assert agreement(vectors @ matrix, codes) > agreement(vectors, codes) + 0.05


def test_the_map_is_symmetric_finite_and_repeatable() -> None:
    rows = drawn(4, 5)
    matrix = fit(*rows)
    assert matrix.shape == (D, D)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_array_equal(matrix, fit(*rows))


def test_the_names_of_labels_and_labels_of_one_image_do_not_matter() -> None:
    vectors, codes = drawn(4, 5)
    more, lone = np.concatenate([vectors, unit(np.ones((1, D)))]), np.append(codes, 77)
    np.testing.assert_allclose(fit(vectors, 10 - codes), fit(vectors, codes), atol=1e-5)
    np.testing.assert_allclose(fit(more, lone.astype(np.int64)), fit(vectors, codes), atol=1e-5)


def test_two_labels_of_two_images_are_the_least() -> None:
    vectors, codes = drawn(2, 2)
    assert np.isfinite(fit(vectors, codes)).all()
    for fewer in (slice(0, 2), slice(0, 3)):
        with pytest.raises(ShapeError, match="at least 2 labels"):
            fit(vectors[fewer], codes[fewer])


def test_labels_of_equal_images_are_survived() -> None:
    vectors = np.repeat(drawn(3, 1)[0], 4, axis=0)
    codes = np.repeat(np.arange(3), 4).astype(np.int64)
    assert np.isfinite(fit(vectors, codes)).all()
    same = np.repeat(vectors[:1], 12, axis=0)  # and where the labels do not differ either
    assert np.isfinite(adapted_scores(fit(same, codes), same[0], vectors)).all()


def test_shrinkage_equals_scikit_learn() -> None:
    residuals = np.random.default_rng(0).normal(size=(30, D)) * np.linspace(2, 0.2, D)
    expected, _ = ledoit_wolf(residuals, assume_centered=True)
    np.testing.assert_allclose(adapt._shrunk(residuals, len(residuals)), expected, rtol=1e-9)


def test_discriminants_span_what_scikit_learn_finds() -> None:
    vectors, codes = drawn(4, 200)
    rows = vectors.astype(np.float64)
    means = np.stack([rows[codes == kind].mean(axis=0) for kind in range(4)])
    residuals = rows - means[codes]
    found = adapt._discriminants(means, adapt._inverse_root(residuals.T @ residuals / len(rows)))
    reference = LinearDiscriminantAnalysis(solver="eigen").fit(rows, codes).scalings_[:, :3]
    cosines = np.linalg.svd(np.linalg.qr(found.T)[0].T @ np.linalg.qr(reference)[0])[1]
    np.testing.assert_allclose(cosines, 1, atol=1e-6)


# -- ordering ------------------------------------------------------------------------------------------------------


def test_scores_lie_in_range_and_a_copy_of_the_query_scores_highest() -> None:
    vectors, _ = drawn(6, 30, seed=2)
    scores = adapted_scores(fit(*drawn(6, 10)), vectors[0], vectors)
    assert scores.dtype == np.float32
    assert scores.shape == (len(vectors),)
    assert scores.min() >= -1
    assert scores.argmax() == 0
    assert scores[0] == pytest.approx(1, abs=1e-4)


def test_scores_do_not_depend_on_the_order_of_candidates() -> None:
    vectors, _ = drawn(6, 30, seed=2)
    matrix, shuffled = fit(*drawn(6, 10)), np.random.default_rng(0).permutation(len(vectors))
    expected = adapted_scores(matrix, vectors[3], vectors)
    np.testing.assert_allclose(adapted_scores(matrix, vectors[3], vectors[shuffled]), expected[shuffled], atol=1e-5)


def test_an_adapted_order_finds_more_than_a_plain_one() -> None:
    vectors, codes = drawn(8, 30, seed=1)
    matrix = fit(*drawn(8, 10))

    def right(scores: np.ndarray, row: int) -> float:
        order = np.argsort(-scores, kind="stable")
        return float((codes[order[order != row]][:29] == codes[row]).mean())

    rows = range(0, len(vectors), 7)
    plain = np.mean([right(vectors @ vectors[row], row) for row in rows])
    adapted = np.mean([right(adapted_scores(matrix, vectors[row], vectors), row) for row in rows])
    assert adapted > plain + 0.1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_candidates_are_fine(count: int) -> None:
    vectors, _ = drawn(2, 5)
    assert adapted_scores(fit(*drawn(2, 5)), vectors[0], vectors[:count]).shape == (count,)


# -- does it help? -------------------------------------------------------------------------------------------------


def test_every_image_is_held_back_once_and_no_label_is_left_without_two() -> None:
    codes = np.repeat(np.arange(5), [4, 5, 8, 20, 9]).astype(np.int64)
    held = list(folds(codes, seed=3))
    assert sorted(np.concatenate(held).tolist()) == list(range(len(codes)))
    for rows in held:
        rest = np.setdiff1d(np.arange(len(codes)), rows)
        assert np.bincount(codes[rest]).min() >= 2
    assert [rows.tolist() for rows in folds(codes, seed=3)] == [rows.tolist() for rows in held]
    assert [rows.tolist() for rows in folds(codes, seed=4)] != [rows.tolist() for rows in held]


def test_labels_of_four_are_halved() -> None:
    codes = np.repeat(np.arange(3), 4).astype(np.int64)
    assert [np.bincount(codes[rows]).tolist() for rows in folds(codes)] == [[2, 2, 2], [2, 2, 2]]


@pytest.mark.parametrize(("kinds", "expected"), [(3, 0), (4, 2), (7, 3), (30, 5)])
def test_whole_labels_are_held_back_and_two_remain(kinds: int, expected: int) -> None:
    codes = np.repeat(np.arange(kinds), 3).astype(np.int64)
    held = list(kind_folds(codes))
    assert len(held) == expected
    for rows in held:
        assert not np.intersect1d(codes[rows], np.delete(codes, rows)).size
        assert len(np.unique(np.delete(codes, rows))) >= 2
    if held:
        assert sorted(np.concatenate(held).tolist()) == list(range(len(codes)))


def test_a_gain_that_is_there_is_seen_and_chance_is_not() -> None:
    random = np.random.default_rng(0)
    kinds = np.repeat(np.arange(20), 10)
    before = random.uniform(0.2, 0.8, 200)
    certain = gain(before, before + 0.05 + random.normal(0, 0.05, 200), kinds)
    assert certain.helps
    assert certain.low < certain.gain < certain.high
    assert certain.gain == pytest.approx(0.05, abs=0.01)
    assert certain.n_queries == 200
    chance = gain(before, before + random.normal(0, 0.05, 200), kinds)
    assert not chance.helps
    assert chance.low < 0 < chance.high
    assert not gain(before, before, kinds).helps
    assert certain.to_dict()["gain"] == round(certain.gain, 4)


def test_queries_of_one_label_stand_or_fall_together() -> None:
    kinds = np.repeat(np.arange(4), 25)
    by_label = np.where(kinds < 3, 0.05, -0.06)  # certain by query, not by label
    before = np.full(100, 0.5)
    assert not gain(before, before + by_label, kinds).helps
    assert gain(before, before + by_label, np.arange(100)).helps

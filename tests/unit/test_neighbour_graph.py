"""The graph of nearest neighbours: exact for small galleries, near enough for large ones."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.engines.graph import nearest
from lookalike.errors import SettingError, ShapeError


def clustered(n: int, d: int, kinds: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(kinds, d))[random.integers(0, kinds, n)] + 0.5 * random.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_others_come_best_first_with_their_cosines() -> None:
    rows = clustered(200, 12, 5)
    found, scores = nearest(rows, 7)
    cosines = rows.astype(np.float64) @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    expected = np.argsort(-cosines, axis=1, kind="stable")[:, :7]
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, expected, axis=1), atol=1e-4)
    assert (found == expected).mean() > 0.99
    assert (found != np.arange(200)[:, None]).all()


def test_ties_are_in_order_of_row() -> None:
    rows = np.tile(np.eye(2, dtype=np.float32), (3, 1))  # three copies of each of two
    found, scores = nearest(rows, 2)
    assert found.tolist() == [[2, 4], [3, 5], [0, 4], [1, 5], [0, 2], [1, 3]]
    assert scores == pytest.approx(1.0)


@pytest.mark.parametrize(("n", "columns"), [(1, 0), (2, 1), (3, 2)])
def test_few_rows_have_as_many_neighbours_as_there_are(n: int, columns: int) -> None:
    found, scores = nearest(clustered(n, 4, 2), 10)
    assert found.shape == scores.shape == (n, columns)


def test_through_faiss_nearly_all_are_found_and_the_scores_are_true() -> None:
    rows = clustered(6000, 32, 60)
    exact, _ = nearest(rows, 10)
    found, scores = nearest(rows, 10, exact_rows=100)
    agreement = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, exact, strict=True)])
    assert agreement >= 0.95
    true = np.einsum("nkd,nd->nk", rows[found], rows)
    assert np.abs(scores - np.where(found == np.arange(6000)[:, None], 0, true)).max() < 5e-3
    again, _ = nearest(rows, 10, threads=2, exact_rows=100)
    np.testing.assert_array_equal(found, again)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ShapeError, match="rows"):
        nearest(np.zeros(4, np.float32), 2)
    with pytest.raises(SettingError, match="k: 0"):
        nearest(clustered(5, 4, 2), 0)

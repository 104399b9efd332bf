from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
from sklearn import manifold
from sklearn.neighbors import NearestNeighbors

from lookalike import map2d
from lookalike.engines import graph
from lookalike.errors import MissingExtraError, ShapeError
from lookalike.types import Float32


def drawn(n: int = 120, kinds: int = 4, d: int = 16, seed: int = 0) -> tuple[Float32, np.ndarray]:
    """Rows of unit length in clusters, and the cluster of each."""
    random = np.random.default_rng(seed)
    codes = np.arange(n) % kinds
    rows = 2 * np.random.default_rng(9).normal(size=(kinds, d))[codes] + random.normal(size=(n, d))
    rows *= np.linspace(2, 1, d)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32), codes


def told_nobody(_done: int, _total: int) -> None:
    pass


def laid_out(vectors: Float32, seed: int = 0) -> Float32:
    neighbours, _ = graph.nearest(vectors, 32)
    return map2d.tsne_layout(map2d.pca_layout(vectors), neighbours, seed=seed, threads=2, told=told_nobody)


def same_kind(layout: Float32, codes: np.ndarray) -> float:
    nearest = NearestNeighbors(n_neighbors=5).fit(layout).kneighbors(return_distance=False)
    return float((codes[nearest] == codes[:, None]).mean())


# -- layouts -------------------------------------------------------------------------------------------------------


def test_the_pca_picture_is_the_first_two_dimensions_scaled_alike() -> None:
    vectors, _ = drawn()
    layout = map2d.pca_layout(vectors.astype(np.float16))
    assert layout.dtype == np.float32
    assert layout.min() == 0
    assert layout.max() == 1
    ratio = np.ptp(layout, axis=0) / np.ptp(vectors[:, :2].astype(np.float16).astype(float), axis=0)
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-3)
    centre = (layout.max(axis=0) + layout.min(axis=0)) / 2
    np.testing.assert_allclose(centre, 0.5, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (1, 1), (3, 1), (2, 0)])
def test_hardly_anything_can_be_laid_out_too(shape: tuple[int, int]) -> None:
    layout = map2d.pca_layout(np.ones(shape, np.float32))
    np.testing.assert_array_equal(layout, np.full((shape[0], 2), 0.5, np.float32))


def test_tsne_puts_kinds_together_and_keeps_more_than_pca() -> None:
    vectors, codes = drawn()
    layout = laid_out(vectors)
    assert layout.shape == (len(vectors), 2)
    assert layout.dtype == np.float32
    assert 0 <= layout.min() < layout.max() <= 1
    assert same_kind(layout, codes) > 0.98
    first = map2d.pca_layout(vectors)
    assert map2d.neighbour_preservation(vectors, layout) > map2d.neighbour_preservation(vectors, first) + 0.1


def test_the_same_seed_gives_the_same_layout_and_another_another() -> None:
    vectors, _ = drawn()
    np.testing.assert_array_equal(laid_out(vectors), laid_out(vectors))
    assert np.abs(laid_out(vectors, seed=1) - laid_out(vectors)).max() > 1e-3


def test_equal_vectors_lie_together_and_empty_neighbours_are_passed_over() -> None:
    vectors = np.repeat(drawn(20)[0], 3, axis=0)
    layout = laid_out(vectors)
    assert np.isfinite(layout).all()
    assert same_kind(layout, np.repeat(np.arange(20), 3)) >= 0.4  # two of five: there are no more of them
    assert np.isfinite(laid_out(np.repeat(vectors[:1], 30, axis=0))).all()
    neighbours, _ = graph.nearest(vectors, 8)
    neighbours[:, 5:] = np.arange(len(vectors))[:, None]
    neighbours[3] = 3  # nothing was found for it at all
    start = map2d.pca_layout(vectors)
    assert np.isfinite(map2d.tsne_layout(start, neighbours, seed=0, threads=1, told=told_nobody)).all()


def test_a_few_points_stay_where_pca_puts_them() -> None:
    vectors, _ = drawn(map2d.LEAST_ROWS - 1)
    np.testing.assert_array_equal(laid_out(vectors), map2d.pca_layout(vectors))
    assert np.isfinite(laid_out(drawn(map2d.LEAST_ROWS)[0])).all()


def test_progress_reaches_its_end_and_what_it_raises_ends_the_work() -> None:
    vectors, _ = drawn()
    neighbours, _ = graph.nearest(vectors, 15)
    said: list[tuple[int, int]] = []
    lay_out = partial(map2d.tsne_layout, map2d.pca_layout(vectors), neighbours, seed=0, threads=1)
    lay_out(told=lambda done, total: said.append((done, total)))
    dones = [done for done, _ in said]
    assert dones == sorted(set(dones))
    assert said[-1] == (1250, 1250)

    def stop(done: int, _total: int) -> None:
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lay_out(told=stop)


def test_without_opentsne_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(MissingExtraError, match="pca") as error:
        laid_out(drawn()[0])
    assert error.value.hint == "pip install 'lookalike[map]'"


# -- placing -------------------------------------------------------------------------------------------------------


def test_a_new_point_goes_where_most_of_its_nearest_are() -> None:
    layout = np.array([[0, 0], [0.1, 0], [0, 0.1], [1, 1]], np.float32)
    placed = map2d.place(layout, np.array([[0, 1, 2, 3]]), np.array([[0.8, 0.8, 0.8, 0.8]]))
    assert placed[0].max() <= 0.1  # the median, not the mean: one far away does not drag it into the void
    np.testing.assert_array_equal(
        map2d.place(layout, np.array([[3, 1, -1, -1]]), np.array([[0.99, 0.2, -np.inf, -np.inf]])), layout[[3]]
    )
    np.testing.assert_array_equal(map2d.place(layout, np.array([[1]]), np.array([[-0.3]])), layout[[1]])
    assert map2d.place(layout, np.zeros((0, 5), int), np.zeros((0, 5))).shape == (0, 2)


def test_placed_points_join_their_kind() -> None:
    vectors, codes = drawn(200)
    old, new = np.arange(150), np.arange(150, 200)
    layout = np.zeros((200, 2), np.float32)
    layout[old] = laid_out(vectors[old])
    before = layout[old].copy()
    scores = vectors[new] @ vectors[old].T
    nearest = np.argsort(-scores, axis=1)[:, : map2d.PLACED_BY]
    layout[new] = map2d.place(layout[old], nearest, np.take_along_axis(scores, nearest, 1))
    np.testing.assert_array_equal(layout[old], before)
    centres = np.stack([np.median(layout[old][codes[old] == kind], axis=0) for kind in range(4)])
    away = np.linalg.norm(layout[new, None] - centres, axis=2)
    assert (away.argmin(axis=1) == codes[new]).mean() > 0.95


# -- how good a layout is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 5, 20])
def test_trustworthiness_and_kept_neighbours_equal_scikit_learn(k: int) -> None:
    vectors, _ = drawn(150)
    for layout in (map2d.pca_layout(vectors), np.random.default_rng(0).random((150, 2), np.float32)):
        expected = manifold.trustworthiness(vectors, layout, n_neighbors=k)
        assert map2d.trustworthiness(vectors, layout, k) == pytest.approx(expected, abs=1e-9)
        truly, shown = (
            NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
            for points in (vectors, layout)
        )
        kept = np.mean([np.isin(a, b).mean() for a, b in zip(truly, shown, strict=True)])
        assert map2d.neighbour_preservation(vectors, layout, k) == pytest.approx(kept, abs=1e-9)


def test_a_perfect_map_is_perfect() -> None:
    points = np.random.default_rng(0).random((1500, 2), np.float32)  # more than one block of rows
    assert map2d.trustworthiness(points, points) == 1
    assert map2d.neighbour_preservation(points, points) == 1


@pytest.mark.parametrize(("rows", "k"), [(10, 5), (10, 0), (9, 3)])
def test_what_does_not_go_together_is_refused(rows: int, k: int) -> None:
    points = np.zeros((10, 2), np.float32)
    with pytest.raises(ShapeError, match="do not go together"):
        map2d.trustworthiness(points[:rows], points, k)

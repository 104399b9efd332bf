"""The tree of clusters: exactly Ward's, cut anywhere, and its best cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from lookalike import cluster
from lookalike.cluster import Tree
from lookalike.engines import graph
from lookalike.errors import ShapeError


def blobs(kinds: int, each: int, dim: int = 8, spread: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(kinds, dim))
    rows = np.repeat(centres, each, axis=0) + spread * random.normal(size=(kinds * each, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), np.repeat(np.arange(kinds), each)


def clusters_at(tree: Tree, count: int) -> np.ndarray:
    return tree.holders(tree.cut(count))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 60])
def test_it_is_the_tree_of_an_independent_implementation(count: int) -> None:
    rows, _ = blobs(6, 10, spread=0.5)
    expected = AgglomerativeClustering(count, linkage="ward").fit_predict(rows.astype(np.float64))
    assert adjusted_rand_score(expected, clusters_at(cluster.ward(rows), count)) == pytest.approx(1)


def test_a_row_that_stands_for_many_counts_as_many() -> None:
    rows, _ = blobs(4, 8, spread=0.6, seed=3)
    sizes = np.random.default_rng(0).integers(1, 5, len(rows))
    repeated = np.repeat(rows, sizes, axis=0)
    of_all = AgglomerativeClustering(5, linkage="ward").fit_predict(repeated.astype(np.float64))
    weighted = np.repeat(clusters_at(cluster.ward(rows, sizes), 5), sizes)
    assert adjusted_rand_score(of_all, weighted) == pytest.approx(1)


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_every_cut_has_as_many_clusters_as_asked_and_refines_the_coarser_one(n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    tree = cluster.ward(rows)
    assert tree.n_rows == n
    assert (np.diff(tree.costs) >= 0).all()
    before = np.zeros(n, int)
    for count in range(1, n + 1):
        now = clusters_at(tree, count)
        assert len(np.unique(now)) == count
        assert (now >= 0).all()
        assert len({*zip(now.tolist(), before.tolist(), strict=True)}) == count  # nobody of two old ones in a new one
        before = now


def test_along_a_graph_well_separated_kinds_come_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, kinds = blobs(12, 30, spread=0.08)
    neighbours, _ = graph.nearest(rows, 10)
    exact = cluster.ward(rows)
    monkeypatch.setattr(cluster, "EXACT_ROWS", 60)
    along = cluster.ward(rows, None, neighbours)
    assert adjusted_rand_score(kinds, clusters_at(along, 12)) == pytest.approx(1)
    assert adjusted_rand_score(clusters_at(exact, 40), clusters_at(along, 40)) > 0.9
    assert (np.diff(along.costs) >= 0).all()


def test_many_rows_need_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "EXACT_ROWS", 3)
    with pytest.raises(ShapeError, match="4 rows are more than 3"):
        cluster.ward(np.eye(4, dtype=np.float32))


def test_a_graph_in_pieces_is_joined_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, kinds = blobs(5, 4)
    alone = np.repeat(np.arange(20, dtype=np.int32)[:, None], 2, axis=1)  # everybody is only its own neighbour
    monkeypatch.setattr(cluster, "EXACT_ROWS", 6)
    assert adjusted_rand_score(kinds, clusters_at(cluster.ward(rows, None, alone), 5)) == pytest.approx(1)


def test_equal_rows_and_single_rows_make_trees() -> None:
    assert cluster.ward(np.ones((1, 3), np.float32)).root == 0
    tree = cluster.ward(np.ones((9, 3), np.float32))
    assert tree.costs.tolist() == [0] * 8
    assert np.array_equal(tree.joins, cluster.ward(np.ones((9, 3), np.float32)).joins)


def test_parts_of_a_node_hold_what_it_holds() -> None:
    tree = cluster.ward(blobs(3, 5)[0])
    first, second = tree.parts(tree.root)
    held = tree.holders(np.array([first, second]))
    assert set(held.tolist()) == {0, 1}
    assert tree.parts(3) is None
    assert (tree.holders(np.array([first])) >= 0).sum() == (held == 0).sum()


def test_modularity_is_that_of_its_definition_and_best_at_the_true_number() -> None:
    rows, _ = blobs(7, 15)
    tree = cluster.ward(rows)
    neighbours, scores = graph.nearest(rows, 8)
    found = cluster.modularity(tree, neighbours, scores)
    weights = np.maximum(scores, 0) ** 2
    ends = np.repeat(np.arange(len(rows)), 8), neighbours.ravel()
    total = weights.sum()
    degree = np.bincount(ends[0], weights.ravel()) + np.bincount(ends[1], weights.ravel(), len(rows))
    for count in (1, 2, 7, 20, 105):
        place = clusters_at(tree, count)
        inside = weights.ravel()[place[ends[0]] == place[ends[1]]].sum() / total
        share = np.bincount(place, degree) / (2 * total)
        assert found[count - 1] == pytest.approx(inside - (share**2).sum(), abs=1e-6)
    assert found.argmax() + 1 == cluster.natural_cut(found) == 7


def test_many_small_kinds_are_told_apart_where_the_best_modularity_is_too_coarse() -> None:
    rows, _ = blobs(700, 15, dim=16, spread=0.35)
    neighbours, scores = graph.nearest(rows, 10)
    kept = cluster.modularity(cluster.ward(rows), neighbours, scores)
    assert kept.argmax() + 1 < 500
    assert abs(cluster.natural_cut(kept) - 700) < abs(kept.argmax() + 1 - 700) / 2
    assert kept[cluster.natural_cut(kept) - 1] > 0.99 * kept.max()


def test_the_natural_cut_of_few_images_is_the_best_one() -> None:
    kept = np.zeros(900)
    kept[4], kept[5] = 0.8, 0.799
    assert cluster.natural_cut(kept) == 5
    assert cluster.natural_cut(np.concatenate([kept, np.zeros(99_100)])) == 6


def test_modularity_of_strangers_is_nothing() -> None:
    tree = cluster.ward(np.eye(3, dtype=np.float32))
    assert not cluster.modularity(tree, np.array([[1], [2], [0]], np.int32), np.zeros((3, 1), np.float32)).any()


def test_followers_join_their_leader_first() -> None:
    rows, _ = blobs(3, 3)
    tree = cluster.ward(rows)
    leader_rows = np.array([0, 1, 2, 4, 5, 6, 8, 9, 11])
    leaders = np.array([0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 7, 8], np.int32)
    whole = cluster.with_followers(tree, leader_rows, leaders)
    assert whole.n_rows == 12
    for count in (1, 3, 9):
        assert adjusted_rand_score(clusters_at(tree, count)[leaders], clusters_at(whole, count)) == pytest.approx(1)
    assert len(np.unique(clusters_at(whole, 12))) == 12

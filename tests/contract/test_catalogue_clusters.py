"""What every catalogue must do with clusters: keep the tree, the cut, and where each content belongs."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.catalogue.data import Cluster, ClusterRun
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.filters import parse
from tests.contract.catalogues import run


@pytest.fixture
def numbers(catalogue: SqliteCatalogue) -> np.ndarray:
    """Of five contents."""
    run(catalogue, {f"{name}.jpg": name.upper() for name in "abcde"})
    return np.unique(catalogue.content_numbers()[1])


def tree_of(numbers: np.ndarray) -> ClusterRun:
    joins = np.array([[0, 1], [2, 3], [5, 6], [7, 4]], np.int32)
    return ClusterRun(numbers, joins, np.array([1, 2, 3, 4], np.float32), {"method": "ward", "automatic": 2})


def made(*nodes: int, number: int = 0) -> Cluster:
    return Cluster(number, np.array(nodes, np.int32))


def members_of(catalogue: SqliteCatalogue) -> list[int]:
    return catalogue.clusters.members()[1].tolist()


def test_an_unsorted_gallery_has_nothing(catalogue: SqliteCatalogue, numbers: np.ndarray) -> None:
    assert catalogue.clusters.run() is None
    assert catalogue.clusters.all() == []
    assert len(catalogue.clusters.members()[0]) == 0
    assert len(catalogue.keys(parse("cluster = none"))) == 5


def test_a_cut_comes_back_as_it_was(catalogue: SqliteCatalogue, numbers: np.ndarray) -> None:
    store = catalogue.clusters
    ids = store.replace([made(5), made(6)], numbers, np.array([0, 0, 1, 1, -1]), run=tree_of(numbers))
    kept = store.run()
    assert kept is not None
    np.testing.assert_array_equal(kept.leaves, numbers)
    np.testing.assert_array_equal(kept.joins, tree_of(numbers).joins)
    np.testing.assert_array_equal(kept.costs, tree_of(numbers).costs)
    assert kept.facts == {"method": "ward", "automatic": 2}
    assert kept.number > 0
    assert kept.at
    assert [(c.id, c.nodes.tolist()) for c in store.all()] == [(ids[0], [5]), (ids[1], [6])]
    np.testing.assert_array_equal(store.members()[0], numbers)
    assert members_of(catalogue) == [ids[0], ids[0], ids[1], ids[1], 0]
    assert len(catalogue.keys(parse(f"cluster = {ids[0]}"))) == 2
    assert len(catalogue.keys(parse("cluster = none"))) == 1
    store.set_facts({"asked": 7})
    assert store.run().facts == {"asked": 7}


def test_a_new_cut_keeps_the_ids_it_names_and_never_gives_one_away_again(
    catalogue: SqliteCatalogue, numbers: np.ndarray
) -> None:
    store = catalogue.clusters
    first = store.replace([made(5), made(6)], numbers, np.array([0, 0, 1, 1, -1]), run=tree_of(numbers))
    second = store.replace([made(7, number=first[1]), made(4)], numbers, np.array([0, 0, 0, 0, 1]))
    assert second[0] == first[1]
    assert second[1] not in first
    assert [c.id for c in store.all()] == sorted(second)
    third = store.replace([made(8)], numbers, np.zeros(5, np.int64))
    assert third[0] > max(first + second)
    assert members_of(catalogue) == third * 5


def test_replacing_some_leaves_the_others_alone(catalogue: SqliteCatalogue, numbers: np.ndarray) -> None:
    store = catalogue.clusters
    first = store.replace([made(5), made(6)], numbers, np.array([0, 0, 1, 1, -1]), run=tree_of(numbers))
    parts = store.replace([made(0, number=first[0]), made(1)], numbers[:2], np.array([0, 1]), instead_of=[first[0]])
    assert members_of(catalogue) == [parts[0], parts[1], first[1], first[1], 0]
    # Those that are shared out no more wait as unassigned.
    store.replace([made(6, number=first[1])], numbers[3:4], np.array([0]), instead_of=[first[1]])
    assert members_of(catalogue) == [parts[0], parts[1], 0, first[1], 0]


def test_a_cut_that_fails_changes_nothing(catalogue: SqliteCatalogue, numbers: np.ndarray) -> None:
    store = catalogue.clusters
    ids = store.replace([made(5), made(6)], numbers, np.array([0, 0, 1, 1, -1]), run=tree_of(numbers))
    with pytest.raises(Exception, match="FOREIGN KEY"):
        store.replace([made(8)], np.array([999_999]), np.array([0]))
    assert [c.id for c in store.all()] == ids
    assert members_of(catalogue) == [ids[0], ids[0], ids[1], ids[1], 0]


def test_new_contents_are_sorted_beside_the_others(catalogue: SqliteCatalogue, numbers: np.ndarray) -> None:
    store = catalogue.clusters
    ids = store.replace([made(5)], numbers[:3], np.array([0, 0, -1]), run=tree_of(numbers))
    store.assign(numbers[3:], np.array([ids[0], 0]))
    assert members_of(catalogue) == [ids[0], ids[0], 0, ids[0], 0]

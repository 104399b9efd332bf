"""Sorting a gallery into clusters: growing the tree, cutting it, and what people change about the cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike import cluster, reduce, rerank
from lookalike.catalogue.data import Cluster, ClusterRun
from lookalike.cluster import Tree
from lookalike.errors import GalleryError, SettingError
from lookalike.gallery import knn, sorting
from lookalike.gallery.bursts import find_bursts
from lookalike.gallery.follow import synced
from lookalike.gallery.joining import join_new
from lookalike.gallery.parts import Parts, Progress
from lookalike.gallery.sorting import Sorted
from lookalike.types import Int64

LEAST_CONTENTS = 4
AUTO = "auto"
METHOD = "ward"
_ROUNDS = 2  # of smoothing: more wash small kinds away, see docs/clusters.md


def make(parts: Parts, granularity: int | None, progress: Progress, *, again: bool) -> None:
    """Sort the gallery; where it is sorted already, cut its tree anew, or grow a new one with ``again``.

    Args:
        parts: Of the gallery.
        granularity: How many clusters to cut the tree into; None for as many as the gallery suggests.
        progress: Told (stage, done, total).
        again: Grow the tree anew in any case.
    """
    if granularity is not None and granularity < 1:
        raise SettingError(f"granularity {granularity} is below 1", hint="give a number of clusters, or auto")
    with parts.writer_lock("cluster"):
        run = None if again else parts.catalogue.clusters.run()
        _cut(parts, _grow(parts, progress) if run is None else run, granularity, is_new=run is None)
        join_new(parts)


def _grow(parts: Parts, progress: Progress) -> ClusterRun:
    """The tree of all contents, not kept yet."""
    with parts.lock, parts.catalogue.snapshot():
        rows = knn.contents(parts)
        _, reducer = synced(parts)
    if len(rows) < LEAST_CONTENTS:
        raise GalleryError(
            f"{parts.path} holds {len(rows)} different images: too few to sort", hint=f"{LEAST_CONTENTS} are needed"
        )
    progress("sort into clusters", 0, len(rows))
    weights = reduce.whitening_weights(reducer, rerank.KIND_POWER)
    bursts = find_bursts(rows.vectors, weights, rerank.KIND_NEIGHBOURS, threads=parts.settings.thread_count)
    smoothed = rerank.smooth(bursts.rows, bursts.neighbours, bursts.scores, _ROUNDS)
    tree = cluster.ward(smoothed, neighbours=bursts.neighbours)
    kept = cluster.modularity(tree, bursts.neighbours, bursts.scores)
    tree = cluster.with_followers(tree, bursts.leader_rows, bursts.leaders)
    progress("sort into clusters", len(rows), len(rows))
    automatic = cluster.natural_cut(kept)
    facts = {"method": METHOD, "automatic": automatic, "modularity": round(float(kept[automatic - 1]), 4)}
    return ClusterRun(rows.numbers, tree.joins, tree.costs, facts)


def _cut(parts: Parts, run: ClusterRun, granularity: int | None, *, is_new: bool) -> None:
    """Replace all clusters by a cut of the tree; those that hold much the same keep their id."""
    tree = Tree(run.joins, run.costs)
    nodes = tree.cut(granularity or run.facts["automatic"])
    place = tree.holders(nodes)
    sizes = np.bincount(place, minlength=len(nodes))
    # A content without an image now is a leaf still, in case it comes back; it makes no cluster large.
    large = np.flatnonzero(sizes >= _least_size(tree.n_rows))
    if not len(large):
        large = np.array([int(sizes.argmax())])
    large = large[np.argsort(-sizes[large], kind="stable")]  # so that the largest gets the lowest new id
    new_place = np.full(len(nodes), -1)
    new_place[large] = np.arange(len(large))
    place = new_place[place]
    contents, before = parts.catalogue.clusters.members()
    ids = _carried(place, sorting.ids_of(run.leaves, contents, before), len(large))
    made = [Cluster(number, nodes[[node]].astype(np.int32)) for number, node in zip(ids, large, strict=True)]
    facts = {**run.facts, "asked": granularity}
    store = parts.catalogue.clusters
    if is_new:
        run = ClusterRun(run.leaves, run.joins, run.costs, facts)
        store.replace(made, run.leaves, place, run=run)
    else:
        store.replace(made, run.leaves, place)
        store.set_facts(facts)


def _least_size(n: int) -> int:
    """Fewer contents than this are no cluster but left over: 2 to 10, one in a thousand."""
    return max(2, min(10, n // 1000))


def _carried(place: Int64, before: Int64, count: int) -> list[int]:
    """For each new cluster the id of the old one that it goes on as, 0 for none.

    Old and new go together, the largest overlaps first, where they share more than half of either.
    """
    both = (place >= 0) & (before > 0)
    pairs, shared = np.unique(np.stack([place[both], before[both]]), axis=1, return_counts=True)
    new_sizes = np.bincount(place[place >= 0], minlength=count)
    old_ids, old_sizes = np.unique(before[before > 0], return_counts=True)
    size_of = dict(zip(old_ids.tolist(), old_sizes.tolist(), strict=True))
    ids, used = [0] * count, set()
    for index in np.argsort(-shared, kind="stable").tolist():
        new, old = int(pairs[0, index]), int(pairs[1, index])
        if not ids[new] and old not in used and 2 * shared[index] > min(new_sizes[new], size_of[old]):
            ids[new] = old
            used.add(old)
    return ids


# -- changing it ---------------------------------------------------------------------------------------------------


def split(parts: Parts, number: int) -> list[int]:
    """Split a cluster in two along the tree; returns the ids of the parts, the one that keeps its id first.

    Raises:
        SettingError: there is no such cluster, or nothing in it to split.
    """
    state = sorting.opened(parts)
    old = state.cluster(number)
    groups = _two_groups(state, old)
    members = state.members(number)
    if groups is None or len(members) < 2:
        raise SettingError(f"cluster {number} is a single image: there is nothing to split")
    place = _shared_out(state, members, groups)
    order = sorted((0, 1), key=lambda group: (-np.count_nonzero(place == group), group))
    made = [Cluster(number if group == order[0] else 0, groups[group].astype(np.int32)) for group in order]
    place = np.array([order.index(0), order.index(1)])[place]
    return parts.catalogue.clusters.replace(made, state.rows.numbers[members], place, instead_of=[number])


def merge(parts: Parts, numbers: Sequence[int]) -> int:
    """Make one cluster of several; returns its id, that of the largest.

    Raises:
        SettingError: fewer than two, or an id without a cluster.
    """
    if len(set(numbers)) < 2:
        raise SettingError("merging needs two different clusters", hint="lookalike cluster merge 3 8")
    state = sorting.opened(parts)
    clusters = sorted(
        (state.cluster(number) for number in set(numbers)), key=lambda c: (-len(state.members(c.id)), c.id)
    )
    members = np.flatnonzero(np.isin(state.ids, [c.id for c in clusters]))
    whole = Cluster(clusters[0].id, np.concatenate([c.nodes for c in clusters]))
    numbers = [c.id for c in clusters]
    place = np.zeros(len(members), np.int64)
    parts.catalogue.clusters.replace([whole], state.rows.numbers[members], place, instead_of=numbers)
    return whole.id


def _two_groups(state: Sorted, old: Cluster) -> list[Int64] | None:
    """The nodes of the two parts of a cluster; None where it is a single content."""
    tree = state.tree
    if len(old.nodes) == 1:
        parts = tree.parts(int(old.nodes[0]))
        return None if parts is None else [np.array([part]) for part in parts]
    # What people merged comes apart where Ward's method would join last.
    place = tree.holders(old.nodes.astype(np.int64))
    of_rows = sorting.ids_of(state.rows.numbers, state.run.leaves, place)
    held = np.flatnonzero(of_rows >= 0)
    sizes = np.maximum(np.bincount(of_rows[held], minlength=len(old.nodes)), 1)
    sums = np.zeros((len(old.nodes), state.rows.vectors.shape[1]), np.float32)
    np.add.at(sums, of_rows[held], state.rows.vectors[held].astype(np.float32))
    over = cluster.ward(sums / sizes[:, None], sizes)
    side = over.holders(over.cut(2))
    return [old.nodes[side == group].astype(np.int64) for group in (0, 1)]


def _shared_out(state: Sorted, members: Int64, groups: list[Int64]) -> Int64:
    """Which of two groups of nodes each member belongs to; those that joined later go to the nearer one."""
    side = np.full(state.tree.root + 1, -1)
    nodes = np.concatenate(groups)
    side[nodes] = np.repeat([0, 1], [len(group) for group in groups])
    held = state.tree.holders(nodes)
    leaf_side = np.where(held >= 0, side[nodes[held]], -1)
    place = sorting.ids_of(state.rows.numbers[members], state.run.leaves, leaf_side)
    vectors = state.rows.vectors[members].astype(np.float32)
    centres = np.stack([vectors[place == group].sum(axis=0) for group in (0, 1)])
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    nearer = (vectors @ (centres / np.where(lengths > 0, lengths, 1)).T).argmax(axis=1)
    return np.where(place >= 0, place, nearer)

"""New images join the clusters that are there, or wait as unassigned; nothing that was sorted before moves."""

from __future__ import annotations

import numpy as np

from lookalike.engines.base import NO_KEY
from lookalike.gallery import sorting
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.gallery.sorting import NEW, UNASSIGNED, Sorted
from lookalike.types import Float32, Int64

_NEIGHBOURS = 10
_AGREEMENT = 0.6  # share of the neighbours, by weight, that must be in one cluster
_TAIL = 0.05  # of what is sorted already: whoever is further off than that waits
_SAMPLE = 500
_BATCH = 256


def join_new(parts: Parts) -> int:
    """Sort the contents that came since; returns how many there were. Nothing to do where there are no clusters.

    A new one joins the cluster of its neighbours where these agree, and where it is as near to them and to the
    cluster's centre as 95 in 100 of those that are sorted already.
    """
    if parts.catalogue.clusters.run() is None or parts.catalogue.is_empty():
        return 0
    with parts.lock, parts.catalogue.snapshot():
        state = sorting.opened(parts)
        new = np.flatnonzero(state.ids == NEW)
        chosen = _chosen(parts, state, new) if len(new) else new
    if len(new):
        parts.catalogue.clusters.assign(state.rows.numbers[new], chosen)
    return len(new)


def _chosen(parts: Parts, state: Sorted, new: Int64) -> Int64:
    """The cluster (k,) that each new row (k,) joins."""
    occupied = state.occupied()
    if not len(occupied):
        return np.full(len(new), UNASSIGNED)
    members, standing = state.standing(occupied)
    place = np.searchsorted(occupied, state.ids[members])
    least_own = np.array([np.quantile(standing.own[place == c], _TAIL) for c in range(len(occupied))])
    sample = members[:: max(1, len(members) // _SAMPLE)]
    least_near = np.quantile(_votes(parts, state, sample)[2], _TAIL)

    cluster, agreement, nearest = _votes(parts, state, new)
    at = np.minimum(np.searchsorted(occupied, cluster), len(occupied) - 1)
    vectors = state.rows.vectors[new].astype(np.float32)
    own = np.einsum("nd,nd->n", vectors, standing.centres[at])
    joins = (cluster > 0) & (agreement >= _AGREEMENT) & (nearest >= least_near) & (own >= least_own[at])
    return np.where(joins, cluster, UNASSIGNED)


def _votes(parts: Parts, state: Sorted, some: Int64) -> tuple[Int64, Float32, Float32]:
    """Of each row: the cluster of most of its sorted neighbours, their share by weight, and the nearest one's score."""
    engine, _ = synced(parts)
    row_of_key = np.argsort(state.rows.keys)
    keys = state.rows.keys[row_of_key]
    is_sorted = state.ids > 0
    cluster = np.zeros(len(some), np.int64)
    share, nearest = np.zeros(len(some), np.float32), np.zeros(len(some), np.float32)
    for start in range(0, len(some), _BATCH):
        batch = some[start : start + _BATCH]
        found, scores = engine.search(state.rows.vectors[batch].astype(np.float32), 2 * _NEIGHBOURS)
        place = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
        rows = row_of_key[place]
        # Copies and new ones have no say, and nobody is a neighbour of itself.
        counts = (found != NO_KEY) & (keys[place] == found) & is_sorted[rows] & (rows != batch[:, None])
        for i in range(len(batch)):
            near = np.flatnonzero(counts[i])[:_NEIGHBOURS]
            if len(near):
                weights = np.square(np.maximum(scores[i, near], 0)) + 1e-9
                ids, where = np.unique(state.ids[rows[i, near]], return_inverse=True)
                votes = np.bincount(where, weights)
                best = int(votes.argmax())
                cluster[start + i], share[start + i] = ids[best], votes[best] / votes.sum()
                nearest[start + i] = scores[i, near[0]]
    return cluster, share, nearest

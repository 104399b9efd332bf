"""What to look at in a cluster: its centre, its variety, its edge, and who may not belong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Float32, Int64

_TUKEY = 1.5  # interquartile ranges below the lower quartile: unusual


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How m rows stand in the clusters that they are in; c clusters.

    Attributes:
        centres: (c, d) float32 of unit length, the direction of the mean of each cluster.
        own: (m,) float32, cosine of each row with its own cluster's centre.
        other: (m,) float32, the highest cosine with another cluster's; -1 where there is no other.
    """

    centres: Float32
    own: Float32
    other: Float32

    @property
    def margin(self) -> Float32:
        """(m,) how much nearer each row is to its own centre than to any other; negative: it is not."""
        return self.own - self.other


def standing(vectors: NDArray[np.floating], place: Int64, count: int) -> Standing:
    """How rows stand in their clusters.

    Args:
        vectors: (m, d) of unit length.
        place: (m,) int64, the cluster of each, 0 to count - 1.
        count: c.
    """
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(count))
    for cluster, (start, end) in enumerate(zip(starts, [*starts[1:], len(order)], strict=True)):
        sums[cluster] = vectors[order[start:end]].astype(np.float32).sum(axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    centres: Float32 = (sums / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    own, other = np.empty(len(vectors), np.float32), np.full(len(vectors), -1, np.float32)
    for start in range(0, len(vectors), 2**14):
        block = slice(start, start + 2**14)
        scores = vectors[block].astype(np.float32) @ centres.T
        each = np.arange(len(scores))
        own[block] = scores[each, place[block]]
        if count > 1:
            scores[each, place[block]] = -np.inf
            other[block] = scores.max(axis=1)
    return Standing(centres, own, other)


def central(own: Float32, count: int) -> Int64:
    """Rows nearest to the centre, best first."""
    return np.argsort(-own, kind="stable")[:count]


def diverse(vectors: NDArray[np.floating], own: Float32, count: int) -> Int64:
    """Rows that show the variety of a cluster: from the most central on, always the one furthest from those chosen.

    A tenth that is furthest from the centre is left out: variety, not strangers.

    *Source*: farthest-first traversal (Gonzalez 1985).
    """
    rows = np.flatnonzero(own >= np.quantile(own, 0.1))
    among = vectors[rows].astype(np.float32)
    chosen = [int(own[rows].argmax())]
    nearest = among @ among[chosen[0]]
    while len(chosen) < min(count, len(rows)):
        furthest = int(nearest.argmin())
        chosen.append(furthest)
        nearest = np.maximum(nearest, among @ among[furthest])
        nearest[chosen] = np.inf
    picked: Int64 = rows[chosen]
    return picked


def border(margin: Float32, count: int) -> Int64:
    """Rows that are nearest to belonging to another cluster."""
    return np.argsort(margin, kind="stable")[:count]


def strangers(own: Float32, margin: Float32) -> Int64:
    """Rows that may not belong: nearer to another centre, or unusually far from their own; the furthest first.

    *Source*: the fences of Tukey's box plot (1977).
    """
    low, high = np.quantile(own, [0.25, 0.75])
    suspect = np.flatnonzero((margin < 0) | (own < low - _TUKEY * (high - low)))
    return suspect[np.argsort(own[suspect], kind="stable")]

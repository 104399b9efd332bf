"""Bursts: contents so alike that they would be each other's only neighbours, and hide what else is of their kind.

One content of a burst leads it; neighbourhoods are found among leaders, and the others share what is learned of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import rerank
from lookalike.engines import graph
from lookalike.types import Float16, Float32, Int32, Int64

SAME = 0.95  # plain cosine from which on two contents are of one burst
_BLOCK_ROWS = 2**12


@dataclass(frozen=True, slots=True, eq=False)
class Bursts:
    """The leaders of n contents and their neighbourhoods.

    Attributes:
        leader_rows: (m,) int64, which contents lead, ascending.
        leaders: (n,) int32, which of the m each content follows.
        rows: (m, d) float16 of unit length: the vectors of the leaders, evened out.
        neighbours: (m, k) int32, the nearest other leaders.
        scores: (m, k) float32, cosines of ``rows``.
    """

    leader_rows: Int64
    leaders: Int32
    rows: Float16
    neighbours: Int32
    scores: Float32


def find_bursts(vectors: NDArray[Any], weights: Float32, k: int, *, threads: int = 1) -> Bursts:
    """Bursts among contents, and the neighbourhoods of what leads them.

    Whoever is near a leader joins it, in order of row. Of a burst larger than a neighbourhood several leaders remain,
    which then join each other, until nobody is near anybody.

    Args:
        vectors: (n, d) float16 or float32 of unit length, in the plain space.
        weights: (d,) float32, which even out the dimensions, see ``reduce.whitening_weights``.
        k: How many neighbours.
        threads: Of faiss.
    """
    leader_rows = np.arange(len(vectors))
    leaders = np.arange(len(vectors), dtype=np.int32)
    while True:
        rows = _even(vectors, leader_rows, weights)
        neighbours, scores = graph.nearest(rows, k, threads=threads)
        kept, place = np.unique(_joins(vectors, leader_rows, neighbours), return_inverse=True)
        if len(kept) == len(leader_rows):
            return Bursts(leader_rows, leaders, rows, neighbours, scores)
        leader_rows, leaders = leader_rows[kept], place.astype(np.int32)[leaders]


def in_blocks(n: int, make: Callable[[slice], NDArray[Any]]) -> Float16:
    """Rows made block by block, as float16: half the memory, and 2e-8 from the cosine."""
    return np.concatenate(
        [make(slice(start, start + _BLOCK_ROWS)).astype(np.float16) for start in range(0, n, _BLOCK_ROWS)]
    )


def _even(vectors: NDArray[Any], some: Int64, weights: Float32) -> Float16:
    return in_blocks(len(some), lambda block: rerank.even(vectors[some[block]].astype(np.float32), weights))


def _joins(vectors: NDArray[Any], some: Int64, neighbours: Int32) -> Int64:
    """Which of some rows (m,) each of them joins: the first that leads and has it as a near-duplicate, or itself."""
    joins = np.full(len(some), -1, np.int64)
    for start in range(0, len(some), _BLOCK_ROWS):
        block = np.arange(start, min(start + _BLOCK_ROWS, len(some)))
        around, own = (vectors[some[rows]].astype(np.float32) for rows in (neighbours[block], block))
        near = (np.einsum("nkd,nd->nk", around, own) >= SAME) & (neighbours[block] != block[:, None])
        for row in block[near.any(axis=1)]:
            if joins[row] < 0:
                others = neighbours[row][near[row - start]]
                joins[row] = row
                joins[others[joins[others] < 0]] = row
    return np.where(joins < 0, np.arange(len(some)), joins)

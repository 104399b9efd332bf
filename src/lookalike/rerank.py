"""Orders other than that of the plain cosine: by kind, by object, or by both. Arrays in, arrays out.

Four similarities of a query and a candidate, each in -1..1, are mixed with the weights of ``BLENDS``:

    even        cosine with the strongest dimensions weighed down: plain vectors to the power KIND_POWER
    smoothed    cosine after every row has become the mean of its neighbourhood in that space: what kind of thing
    fused       cosine of vectors (to the power OBJECT_POWER) beside taps: the very thing
    reciprocal  how many neighbours in that space two rows share which are neighbours of each other

A row that was not there when neighbourhoods were worked out, a query above all, joins them by its nearest rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Float32

Int32 = NDArray[np.int32]

KIND_POWER, KIND_NEIGHBOURS, KIND_ROUNDS = 0.4, 10, 6
OBJECT_POWER, OBJECT_NEIGHBOURS = 0.5, 7
LEAST_ROWS = 30  # with fewer there are no neighbourhoods to speak of
_FALL = 3.0  # how fast a neighbour loses weight with 1 - cosine
_BLOCK_ROWS = 2**12
NOBODY = -1  # fills lists


@dataclass(frozen=True, slots=True)
class Blend:
    """How much each similarity counts; the weights add up to 1."""

    even: float = 0.0
    smoothed: float = 0.0
    fused: float = 0.0
    reciprocal: float = 0.0


BLENDS = {
    "kind": Blend(even=0.2, smoothed=0.8),
    "object": Blend(fused=0.3, reciprocal=0.7),
    "auto": Blend(smoothed=0.4, fused=0.4, reciprocal=0.2),
}


@dataclass(frozen=True, slots=True, eq=False)
class Circles:
    """For each row the rows that it shares neighbourhoods with: its circle, and how much each of them counts.

    Attributes:
        members: (n, m) int32 row numbers, NOBODY where there are fewer.
        shares: (n, m) float32, 0 for NOBODY; a row adds up to at most 1.
    """

    members: Int32
    shares: Float32


# -- vectors -------------------------------------------------------------------------------------------------------


def even(vectors: Float32, weights: Float32) -> Float32:
    """Unit vectors (n, d) after their dimensions were weighed with (d,), see ``reduce.whitening_weights``."""
    return unit(vectors * weights)


def fused(vectors: Float32, weights: Float32, taps: Float32, tap_weights: Float32) -> Float32:
    """Vectors (n, d) and taps (n, t) side by side, both evened out and of equal influence: unit vectors (n, d + t).

    Taps of no dimensions leave the vectors alone.
    """
    rows = even(vectors, weights)
    return unit(np.hstack([rows, even(taps, tap_weights)])) if taps.shape[1] else rows


def unit(rows: NDArray[Any]) -> Float32:
    """Rows (n, d) scaled to unit length; one of zeros stays as it is."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))[:, None]
    scaled: Float32 = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


# -- by kind -------------------------------------------------------------------------------------------------------


def smooth(rows: NDArray[Any], neighbours: Int32, scores: Float32, rounds: int = KIND_ROUNDS) -> NDArray[Any]:
    """Every row becomes the direction of the weighted sum of itself and its neighbours, several times over.

    Args:
        rows: (n, d) unit vectors, float16 or float32.
        neighbours: (n, k) int32, the nearest others of each row.
        scores: (n, k) cosines with them; a neighbour's weight is its square, 0 where negative. A row's own is 1.
        rounds: How often; neighbours and weights stay what they were.

    Returns:
        (n, d) unit vectors of the dtype of ``rows``.

    *Source*: diffusion over a neighbourhood graph (Zhou et al. 2004; for images Iscen et al. 2017), cut off after a
    few steps instead of run to its limit.
    """
    for _ in range(rounds):
        after = np.empty_like(rows)
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            after[block] = unit(_gathered(rows, block, neighbours[block], _pull(scores[block])))
        rows = after
    return rows


def smooth_among(rows: Float32) -> Float32:
    """Rows (n, d) of unit length, smoothed among themselves: for a few hundred, whose neighbours nobody has listed.

    *Source*: as ``smooth``; 2 n^2 d flop and 4 n^2 bytes.
    """
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    near = _best(scores, min(KIND_NEIGHBOURS, len(rows) - 1))
    smoothed: Float32 = smooth(rows, near.astype(np.int32), np.take_along_axis(scores, near, axis=1))
    return smoothed


def smooth_outside(rows: Float32, scores: Float32, smoothed: Float32) -> Float32:
    """Smoothed versions of rows that are not in the graph: the last round of ``smooth`` alone.

    Args:
        rows: (q, d) unit vectors.
        scores: (q, c) their cosines with candidates, before smoothing.
        smoothed: (c, d) the candidates after smoothing.

    Returns:
        (q, d) unit vectors; a row of the graph comes out nearly as the graph has it.
    """
    k = min(KIND_NEIGHBOURS, scores.shape[1])
    near = _best(scores, k)
    weights = _pull(np.take_along_axis(scores, near, axis=1))
    return unit(rows + np.einsum("qk,qkd->qd", weights, smoothed[near]))


def _gathered(rows: NDArray[Any], block: slice, neighbours: Int32, weights: Float32) -> Float32:
    total = rows[block].astype(np.float32)
    for column in range(neighbours.shape[1]):
        total += weights[:, column, None] * rows[neighbours[:, column]]
    return total


def _pull(scores: Float32) -> Float32:
    return np.square(np.maximum(scores, 0))


# -- by object -----------------------------------------------------------------------------------------------------


def circles(neighbours: Int32, scores: Float32) -> Circles:
    """The circle of each row: itself and those neighbours whose neighbour it is, joined by the nearest one's circle.

    Args:
        neighbours: (n, k) int32, the nearest others of each row, best first; a row itself stands for nobody.
        scores: (n, k) cosines with them.

    *Source*: Zhong et al. 2017, "Re-ranking person re-identification with k-reciprocal encoding", without its
    expansion of the sets and with k2 = 2.
    """
    own = np.arange(len(neighbours), dtype=np.int32)[:, None]
    members = np.hstack([own, neighbours])
    shares = np.hstack([np.ones_like(own, np.float32), _closeness(scores)])
    for start in range(0, len(neighbours), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        mutual = (neighbours[neighbours[block]] == own[block, :, None]).any(axis=2)
        shares[block, 1:] *= mutual & (neighbours[block] != own[block])
    shares /= shares.sum(axis=1, keepdims=True)
    if not neighbours.shape[1]:
        return Circles(members, shares)
    nearest = neighbours[:, 0]
    return _merged(np.hstack([members, members[nearest]]), np.hstack([shares, shares[nearest]]) / 2)


def reach(scores: Float32) -> Float32:
    """How near (n,) a row from outside must be to one of the graph, by (n, k) scores of its neighbours, to be one."""
    return scores[:, -1] if scores.shape[1] else np.full(len(scores), -1, np.float32)


def circles_outside(scores: Float32, rows: Int32, reached: Float32, known: Circles) -> Circles:
    """Circles of rows that are not in the graph.

    Args:
        scores: (q, c) cosines with candidates.
        rows: (c,) row numbers of the candidates in the graph.
        reached: (c,) ``reach`` of the candidates.
        known: (c, m) circles of the candidates.
    """
    k = min(OBJECT_NEIGHBOURS, scores.shape[1])
    near = _best(scores, k)
    found = np.take_along_axis(scores, near, axis=1)
    shares = _closeness(found) * (found >= reached[near])
    shares /= 1 + shares.sum(axis=1, keepdims=True)  # its own place, which no other row's circle has
    if not k:
        return Circles(rows[near], shares)
    nearest = near[:, 0]
    members = np.hstack([rows[near], known.members[nearest]])
    return _merged(members, np.hstack([shares, known.shares[nearest]]) / 2)


def overlap(one: Circles, many: Circles) -> Float32:
    """What the circle of one row (1, m) shares with each of many (c, m'): (c,) in 0..1, shared over joint weight."""
    members, shares = one.members[0], one.shares[0]
    order = np.argsort(members)
    members, shares = members[order], shares[order]
    place = np.minimum(np.searchsorted(members, many.members), len(members) - 1)
    common = np.where(members[place] == many.members, np.minimum(shares[place], many.shares), 0).sum(axis=1)
    joint: Float32 = (common / (2 - common)).astype(np.float32)
    return joint


def _closeness(scores: Float32) -> Float32:
    closeness: Float32 = np.exp(_FALL * (scores - 1)).astype(np.float32)
    return closeness


def _merged(members: Int32, shares: NDArray[Any]) -> Circles:
    """Every member once, the largest shares first; those without a share become NOBODY."""
    members = np.where(shares > 0, members, NOBODY).astype(np.int32)
    order = np.argsort(members, axis=1, kind="stable")
    members, shares = np.take_along_axis(members, order, axis=1), np.take_along_axis(shares, order, axis=1)
    twice = members[:, 1:] == members[:, :-1]  # two lists of distinct members: nobody comes three times
    shares[:, 1:] += np.where(twice, shares[:, :-1], 0)
    shares[:, :-1][twice] = 0
    members[:, :-1][twice] = NOBODY
    order = np.argsort(-shares, axis=1, kind="stable")
    members, shares = np.take_along_axis(members, order, axis=1), np.take_along_axis(shares, order, axis=1)
    return Circles(members, shares.astype(np.float32))


def _best(scores: Float32, k: int) -> NDArray[np.intp]:
    """Columns (q, k) of the best scores of each row, best first, ties by column."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]

"""Which images to label next: those that decide the most. Arrays in, arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import rerank
from lookalike.types import Float16, Float32, Int64

MOST_REFERENCES = 4000  # images that stand for all others
_FALL = 6  # power of the cosine: how fast an image says less of another one
_NEAR_DUPLICATE = 0.9  # cosine of unsmoothed vectors from which on two images are not both chosen
_BLOCK_ROWS = 2**12


def most_decisive(
    smoothed: Float16, even: Float16, doubts: Float32, labelled: Int64, count: int, seed: int = 0
) -> tuple[Int64, Float32]:
    """Images whose label would settle the most, one after another.

    A label settles an image as far as the two are alike (cosine of their smoothed vectors to the power 6); what a
    labelled image or an earlier choice settles, a later one does not settle again. So the choice is typical of many
    images, doubtful ones count more, and no two choices are near-duplicates.

    Args:
        smoothed: (n, d) float16 of unit length, see ``propagate.Description``.
        even: (n, d) float16, likewise: tells near-duplicates.
        doubts: (n,) float32, how likely the label that each would get is wrong, 0..1; 1 where nothing is known.
        labelled: (m,) int64, the rows that bear a label.
        count: How many to choose.
        seed: Of the ``MOST_REFERENCES`` images that stand for all, drawn by their doubt, where there are more.

    Returns:
        Rows (k,) int64, the most decisive first, and how many images each settles (k,) float32; fewer than ``count``
        where all others are labelled or near-duplicates of these.

    *Source*: greedy facility location (Nemhauser et al. 1978: within 1 - 1/e of the best choice).
    """
    free = np.setdiff1d(np.flatnonzero(doubts > 0), labelled)
    references, weights = _references(free, doubts, np.random.default_rng(seed))
    rows = rerank.unit(smoothed[references].astype(np.float32))
    alike = _alike(rows, rows)
    settled = np.zeros(len(rows), np.float32)
    for start in range(0, len(labelled), _BLOCK_ROWS):
        known = smoothed[labelled[start : start + _BLOCK_ROWS]].astype(np.float32)
        np.maximum(settled, _alike(rows, known).max(axis=1), out=settled)
    unsmoothed, allowed = even[references].astype(np.float32), np.full(len(rows), True)
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < count and allowed.any():
        gain = np.where(allowed, np.maximum(alike - settled, 0) @ weights, -1)
        best = int(gain.argmax())
        chosen.append(best)
        gains.append(float(gain[best]))
        np.maximum(settled, alike[best], out=settled)
        allowed &= unsmoothed @ unsmoothed[best] < _NEAR_DUPLICATE
        allowed[best] = False
    return references[chosen].astype(np.int64), np.array(gains, np.float32)


def _references(free: Int64, doubts: Float32, random: np.random.Generator) -> tuple[NDArray[Any], Float32]:
    """Rows (r,) that stand for all free ones, ascending, and how many doubtful images each stands for (r,)."""
    of_free = doubts[free].astype(np.float64)
    if len(free) <= MOST_REFERENCES:
        return free, of_free.astype(np.float32)
    drawn = random.choice(len(free), MOST_REFERENCES, replace=False, p=of_free / of_free.sum())
    return free[np.sort(drawn)], np.full(MOST_REFERENCES, of_free.sum() / MOST_REFERENCES, np.float32)


def _alike(rows: Float32, others: Float32) -> Float32:
    alike: Float32 = np.maximum(rows @ others.T, 0) ** _FALL
    return alike

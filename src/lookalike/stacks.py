"""Bursts and near-duplicates folded into stacks, so that they take one place in a list; nothing is dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Float32

Rows = NDArray[np.intp]

NEAR_SCORE = 0.95  # until a gallery's own edits say from where on two pictures show the same
BURST_SCORE = 0.85  # what was taken within moments may differ more
BURST_SECONDS = 3.0


def fold(
    vectors: Float32, taken: Callable[[Rows], NDArray[np.float64]], count: int, near_score: float = NEAR_SCORE
) -> list[list[int]]:
    """Stacks of a ranking: each takes in what is nearly the same as its first image, so that they never chain.

    Args:
        vectors: (c, d) float32 of unit length in the plain space, best first.
        taken: When the pictures in some rows (r,) were taken, (r,) in seconds, NaN where nobody knows; only asked
            about those that could be a burst.
        count: How many stacks are wanted.
        near_score: Plain cosine from which on two images are near-duplicates.

    Returns:
        At most ``count`` lists of row numbers, ascending; the first of a list stands for it.

    *Source*: ours; 2 count c d flop.
    """
    free = np.ones(len(vectors), bool)
    stacks: list[list[int]] = []
    while len(stacks) < count and free.any():
        first = int(free.argmax())
        scores = vectors @ vectors[first]
        joins = free & (scores >= near_score)
        doubtful = np.flatnonzero(free & ~joins & (scores >= BURST_SCORE))
        if len(doubtful):
            times = taken(np.append(doubtful, first))
            with np.errstate(invalid="ignore"):
                joins[doubtful[np.abs(times[:-1] - times[-1]) <= BURST_SECONDS]] = True
        joins[first] = True
        free &= ~joins
        stacks.append([int(row) for row in np.flatnonzero(joins)])
    return stacks

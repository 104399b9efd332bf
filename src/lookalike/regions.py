"""Parts of an image: windows on the network's final map, each pooled to an embedding of its own.

Nine windows of half the sides and four of two thirds, evenly spread, and the middle half: 14 in all.
"""

from __future__ import annotations

import numpy as np

from lookalike.types import Float32

GRIDS = ((3, 1 / 2), (2, 2 / 3), (1, 1 / 2))  # windows along each side, and their length as a fraction of it


def windows(height: int, width: int) -> list[tuple[slice, slice]]:
    """Rows and columns of a map (height, width) that each region covers; at least one of each."""
    return [
        (_places(height, count, y, share), _places(width, count, x, share))
        for count, share in GRIDS
        for y in range(count)
        for x in range(count)
    ]


def pool_regions(final: Float32) -> Float32:
    """Embeddings (R, D) of the regions of a final map (D, h, w): the power mean with p = 2 over each window.

    *Source*: Tolias, Sicre, Jegou, "Particular object retrieval with integral max-pooling of CNN activations", 2016,
    with the power mean of Radenovic et al. 2018 for the maximum.
    """
    squares = np.square(np.maximum(final, 0))
    pooled = [squares[:, rows, columns].mean(axis=(1, 2)) for rows, columns in windows(*final.shape[1:])]
    embeddings: Float32 = np.sqrt(np.stack(pooled))
    return embeddings


def _places(side: int, count: int, place: int, share: float) -> slice:
    length = max(1, round(side * share))
    start = round((side - length) * (place / (count - 1) if count > 1 else 0.5))
    return slice(start, start + length)

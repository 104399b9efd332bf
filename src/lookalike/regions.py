"""Parts of images: windows on the map that the network pooled, and how a query is made to fit them.

A gallery with regions keeps ``COUNT`` more vectors per image, each pooled from one window of the final map. A query
is looked for in them as it would look inside another picture: half its size on plain ground, because a network sees the
same thing at another size, and beside other things, differently.

Region vectors have a space of their own: L2 -> minus mean -> PCA -> whitening power ``POWER`` -> L2. Their score counts
against the plain score of whole images after ``standing``, which a chance likeness of one window among many does not
survive.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import reduce
from lookalike.errors import ShapeError
from lookalike.types import Float32, Int8, Pixels, Reducer

Box = tuple[float, float, float, float]

POWER = 0.5  # the very same thing is looked for, not the same kind
DIM = 256
SURE = 0.45  # a region's score from which on it counts in full
CROWD, CONTRAST = 20, 0.2  # and how far above the regions of all but so many images
_TOP = 127


def _grid(side: float, n: int) -> list[Box]:
    """The n x n windows of this side, evenly spread over the image; a single one lies in the middle."""
    starts = [(1 - side) / 2] if n == 1 else [i * (1 - side) / (n - 1) for i in range(n)]
    return [(x, y, x + side, y + side) for y in starts for x in starts]


# x0, y0, x1, y1 as fractions of the upright image.
BOXES: tuple[Box, ...] = tuple(_grid(0.4, 3) + _grid(0.55, 2) + _grid(0.55, 1))
COUNT = len(BOXES)
_MIDDLE: tuple[Box, ...] = ((0.25, 0.25, 0.75, 0.75),)


def pool_regions(final: Float32) -> Float32:
    """One embedding per window of ``BOXES``.

    Args:
        final: (D, h, w) float32, the network's final map.

    Returns:
        (R, D) float32, the power mean (p = 2) of the places in each window; places that a window cuts count in part.

    *Source*: R-MAC, Tolias, Sicre and Jégou 2016, with the power mean for the maximum, and windows chosen by
    measurement (docs/regions.md).
    """
    return _pool(final, BOXES)


def pool_box(final: Float32, box: Box) -> Float32:
    """The embedding (D,) of any part of an image whose map (D, h, w) is there: no further pass, less exact.

    Raises:
        ShapeError: a box that is empty or outside 0..1.
    """
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise ShapeError(f"box {box!r} is empty or does not lie inside the image")
    embedding: Float32 = _pool(final, (box,))[0]
    return embedding


def shrunk(pixels: Pixels, ground: tuple[int, int, int]) -> Pixels:
    """The picture at half its size in the middle of plain ground: how it would look as a part of another.

    Args:
        pixels: (h, w, 3) uint8.
        ground: The colour around it, which the network takes for nothing.

    Returns:
        (h, w, 3) uint8; ``pool_shrunk`` pools the map of it.
    """
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width].astype(np.uint16)
    small = (even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2] + 2) // 4
    top, left = height // 2, width // 2
    framed = np.empty_like(pixels)
    framed[:] = ground
    framed[top : top + height, left : left + width] = small
    return framed


def pool_shrunk(final: Float32) -> Float32:
    """The embedding (D,) of a picture from the map (D, h, w) of what ``shrunk`` made of it."""
    embedding: Float32 = _pool(final, _MIDDLE)[0]
    return embedding


def transform(reducer: Reducer, embeddings: NDArray[Any]) -> Float32:
    """Region vectors (n, d) float32 of unit length, of region embeddings (n, D) of any float dtype and length."""
    return _unit(reduce.transform(reducer, embeddings) * reduce.whitening_weights(reducer, POWER))


def to_codes(vectors: Float32) -> Int8:
    """Vectors (n, d) of unit length in 8 bits per number; what is lost changes no ranking (docs/regions.md)."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    codes: Int8 = np.rint(vectors * (_TOP / largest)).astype(np.int8)
    return codes


def from_codes(codes: Int8) -> Float32:
    """Vectors (n, d) float32 of unit length."""
    return _unit(codes.astype(np.float32))


def standing(scores: Float32) -> Float32:
    """What the best regions of images are worth as scores of whole images.

    The best of many windows is often somewhat alike by chance. A region counts in full from ``SURE`` on, and where many
    images have such regions, only if it stands out from those; below, it is held back by as much again as it lacks.

    Args:
        scores: (n,) float32, the best region of each image that may be worth something.
    """
    sure = SURE
    if len(scores) > CROWD:
        sure = max(sure, float(np.partition(scores, -CROWD - 1)[-CROWD - 1]) + CONTRAST)
    worth: Float32 = (scores - np.maximum(sure - scores, 0)).astype(np.float32)
    return worth


def lift(scores: Float32, rank_scores: Float32, wanted: Float32) -> Float32:
    """New rank scores for images whose best region is worth more than the whole.

    Such an image comes to stand where one of that plain score has its place whatever the order is by: behind all with a
    higher plain score, ahead of everything where no plain score is higher. An order that knows better keeps its say.

    Args:
        scores: (n,) float32, plain scores.
        rank_scores: (n,) float32, what the order is by so far.
        wanted: (n,) float32, what ``standing`` gives; -inf where there is no region.

    Returns:
        (n,) float32, never below ``rank_scores``; equal to them where ``wanted`` is not above ``scores``.
    """
    order = np.argsort(scores, kind="stable")
    least_above = np.minimum.accumulate(rank_scores[order][::-1])[::-1]
    lifted = np.interp(wanted, scores[order], least_above)
    highest = scores[order[-1]]
    lifted = np.where(wanted > highest, rank_scores.max() + (wanted - highest), lifted)
    risen: Float32 = np.where(wanted > scores, np.maximum(rank_scores, lifted), rank_scores).astype(np.float32)
    return risen


def _pool(final: Float32, boxes: tuple[Box, ...]) -> Float32:
    depth, height, width = final.shape
    places = np.maximum(final.reshape(depth, height * width), 0)
    pooled: Float32 = np.sqrt(_weights(boxes, height, width) @ np.square(places).T)
    return pooled


def _unit(rows: Float32) -> Float32:
    unit: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@lru_cache(maxsize=64)
def _weights(boxes: tuple[Box, ...], height: int, width: int) -> Float32:
    """How much each place counts in each window, (R, h * w); a row sums to 1."""
    rows = []
    for x0, y0, x1, y1 in boxes:
        window = _covered(y0, y1, height)[:, None] * _covered(x0, x1, width)
        rows.append(window.ravel() / window.sum())
    return np.array(rows, np.float32)


def _covered(start: float, end: float, n: int) -> NDArray[np.float64]:
    """How much of each of n places along an axis lies between two fractions of it."""
    places = np.arange(n)
    covered: NDArray[np.float64] = np.clip(np.minimum(places + 1, end * n) - np.maximum(places, start * n), 0, 1)
    return covered

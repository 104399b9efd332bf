"""Laying one small grey picture over another: which turn, scale, shift and slant shows the same in both.

Pictures are squeezed into squares, so a transform is affine: it takes a place in the second picture to the place in the
first that shows the same, both in -1..1 from the left or upper edge to the other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Float32, Int64

Pictures = NDArray[Any]

COARSE_PX = 32  # enough to find how two pictures lie to each other
TURNS = 8  # four quarter turns, and their mirror images
UPRIGHT = 0

# How much smaller what one shows may be in the other (a cut-out of half the area is .71), and by how many degrees it
# may be turned; finer steps are left to ``refined``.
_SCALES = (0.9, 0.8, 0.71)
_DEGREES = (7, -7, 14, -14)
_STEP = 0.15  # most that one step of ``refined`` may change a number
_EPS = 1e-6


def turned(pictures: Pictures, turn: int) -> Pictures:
    """Pictures (..., h, h) in one of the eight ways in which a square can lie; 0 leaves them, from 4 on mirrored."""
    mirrored = pictures[..., ::-1] if turn >= TURNS // 2 else pictures
    found: Pictures = np.rot90(mirrored, turn % (TURNS // 2), axes=(-2, -1))
    return found


def identity(count: int) -> Float32:
    """Transforms (count, 2, 3) that move nothing."""
    return np.repeat(np.eye(2, 3, dtype=np.float32)[None], count, axis=0)


def inverse(transforms: Float32) -> Float32:
    """The way back: transforms (m, 2, 3) from the first picture to the second."""
    linear = np.linalg.inv(transforms[:, :, :2])
    return np.concatenate([linear, -linear @ transforms[:, :, 2:]], axis=2).astype(np.float32)


def shrink(pictures: Pictures, times: int) -> Float32:
    """Means of blocks of pixels: (m, h, h) -> (m, h / times, h / times) float32."""
    m, h, w = pictures.shape
    blocks = pictures.reshape(m, h // times, times, w // times, times)
    found: Float32 = blocks.mean(axis=(2, 4), dtype=np.float32)
    return found


def warped(pictures: Float32, transforms: Float32) -> tuple[Float32, NDArray[np.bool_]]:
    """What the first pictures show at the pixels of the second: values (m, h, h) and which lie inside."""
    sampling = _Sampling.of(transforms, pictures.shape[1])
    return sampling.values(pictures), sampling.inside


@dataclass(frozen=True, slots=True, eq=False)
class _Sampling:
    """From where pixels (m, h, h) are taken: the flat place of the upper left of four, and how far on to the others."""

    place: NDArray[np.int32]
    right: Float32
    down: Float32
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, transforms: Float32, size: int, stride: int = 1) -> _Sampling:
        a = transforms.astype(np.float32)[:, :, :, None, None] * np.float32(size / 2)
        across = _places(size)[None, None, ::stride]
        along = _places(size)[None, ::stride, None]
        middle = np.float32((size - 1) / 2)
        column = a[:, 0, 0] * across + (a[:, 0, 1] * along + (a[:, 0, 2] + middle))
        row = a[:, 1, 0] * across + (a[:, 1, 1] * along + (a[:, 1, 2] + middle))
        margin = np.float32(0.01)  # a picture lies inside itself, whatever rounding does
        within = (column > -margin) & (column < size - 1 + margin) & (row > -margin) & (row < size - 1 + margin)
        last = np.float32(size - 1.001)
        np.clip(column, 0, last, out=column)
        np.clip(row, 0, last, out=row)
        left, top = column.astype(np.int32), row.astype(np.int32)
        column -= left
        row -= top
        start = np.arange(len(transforms), dtype=np.int32)[:, None, None] * np.int32(size * size)
        return cls(start + top * np.int32(size) + left, column, row, within)

    def values(self, pictures: Float32) -> Float32:
        """What pictures (m, h, h) show there."""
        flat, size = pictures.reshape(-1), pictures.shape[2]
        upper, lower = flat.take(self.place), flat[size:].take(self.place)
        upper += (flat[1:].take(self.place) - upper) * self.right
        lower += (flat[size + 1 :].take(self.place) - lower) * self.right
        lower -= upper
        lower *= self.down
        lower += upper
        return lower


@functools.cache
def _places(size: int) -> Float32:
    """The middles of ``size`` pixels, in -1..1."""
    return np.linspace(1 / size - 1, 1 - 1 / size, size, dtype=np.float32)


def correlation(first: Float32, second: Float32, inside: NDArray[np.bool_]) -> Float32:
    """Pearson correlation (m,) of two pictures each over the pixels that count; 0 where there is nothing to compare."""
    count = np.maximum(inside.sum(axis=(1, 2)), 1)[:, None, None]
    a, b = ((side - (side * inside).sum(axis=(1, 2))[:, None, None] / count) * inside for side in (first, second))
    power = (a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2))
    found: Float32 = ((a * b).sum(axis=(1, 2)) / np.sqrt(np.maximum(power, _EPS))).astype(np.float32)
    return found


# -- in place ------------------------------------------------------------------------------------------------------


def best_turns(
    signatures: Float32, first: Int64, second: Int64, block: int = 2**16
) -> tuple[NDArray[np.int8], Float32]:
    """In which of the eight turns the second pictures are most like the first, where nothing else was moved.

    Args:
        signatures: (n, p) float32, from ``signatures``.
        first: (m,) rows.
        second: (m,) rows.
        block: Pairs at once.

    Returns:
        Turns (m,) int8 of the second, and the correlations (m,).
    """
    size = math.isqrt(signatures.shape[1])
    own = np.arange(size * size).reshape(size, size)
    orders = [turned(own, turn).ravel() for turn in range(TURNS)]
    turns, best = np.zeros(len(first), np.int8), np.full(len(first), -1.0, np.float32)
    for start in range(0, len(first), block):
        part = slice(start, start + block)
        left, right = signatures[first[part]], signatures[second[part]]
        scores = np.stack([np.einsum("mp,mp->m", left, right[:, order]) for order in orders], axis=1)
        turns[part] = scores.argmax(axis=1)
        best[part] = scores.max(axis=1)
    return turns, best


def signatures(pictures: NDArray[np.uint8], size: int = 8) -> Float32:
    """Tiny copies (n, size * size) of square pictures (n, h, h), of mean 0 and length 1."""
    flat = shrink(pictures, pictures.shape[1] // size).reshape(len(pictures), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    found: Float32 = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), _EPS)
    return found


# -- moved ---------------------------------------------------------------------------------------------------------


def searched(first: Float32, second: Float32) -> tuple[Float32, Float32]:
    """The transforms (m, 2, 3) with the highest peak of correlation over scales, turns and all shifts, and the peaks.

    Args:
        first: (m, h, h) float32.
        second: The same.

    *Source*: ours; cross-correlation through the Fourier transform, once for each of 11 scales and turns.
    """
    size = first.shape[1]
    peaks, transforms = np.full(len(first), -1.0, np.float32), identity(len(first))
    cache: dict[tuple[int, float, float], NDArray[np.complex64]] = {}

    def spectrum(side: int, scale: float, degrees: float) -> NDArray[np.complex64]:
        key = (side, scale, degrees)
        if key not in cache:
            cache[key] = _spectra((first, second)[side], _linear(scale, degrees))
        return cache[key]

    every = np.arange(len(first))
    for of_first, of_second in _hypotheses():
        product = spectrum(0, *of_first) * np.conj(spectrum(1, *of_second))
        surface = np.fft.irfft2(product, s=(size, size)).reshape(len(first), -1)
        place = surface.argmax(axis=1)
        peak = surface[every, place]
        better = peak > peaks
        shift = np.stack([place % size, place // size], axis=1)[better]
        shift = np.where(shift > size // 2, shift - size, shift) * (2 / size)
        linear, back = _linear(*of_first), np.linalg.inv(_linear(*of_second))
        peaks[better] = peak[better]
        transforms[better, :, :2] = linear @ back
        transforms[better, :, 2] = shift @ linear.T
    return transforms, peaks


def _hypotheses() -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Pairs of (scale, degrees) that the two pictures are drawn in."""
    as_it_is = (1.0, 0.0)
    yield as_it_is, as_it_is
    for scale in _SCALES:
        yield as_it_is, (scale, 0.0)
        yield (scale, 0.0), as_it_is
    for degrees in _DEGREES:
        yield as_it_is, (1.0, float(degrees))


def _linear(scale: float, degrees: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]]) / scale


def _spectra(pictures: Float32, linear: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Fourier transforms of pictures drawn smaller or turned, without their coarsest and finest waves, of norm 1."""
    size = pictures.shape[1]
    drawn = _drawn(pictures, linear)
    waves = np.fft.rfft2(drawn) * _band(size)
    twice = np.where(np.arange(size // 2 + 1) % (size // 2) == 0, 1, 2).astype(np.float32)  # half of the waves are kept
    power = np.einsum("mij,j->m", waves.real**2 + waves.imag**2, twice)[:, None, None]
    found: NDArray[np.complex64] = waves * (size / np.sqrt(np.maximum(power, _EPS)))
    return found


def _drawn(pictures: Float32, linear: NDArray[np.float64]) -> Float32:
    """Pictures (m, h, h) moved alike, with mean 0; 0 where nothing comes to lie."""
    size = pictures.shape[1]
    if (linear == np.eye(2)).all():
        centred: Float32 = pictures - pictures.mean(axis=(1, 2), keepdims=True)
        return centred
    transform = np.concatenate([linear, np.zeros((2, 1))], axis=1)[None].astype(np.float32)
    place = np.arange(size * size, dtype=np.float32).reshape(1, size, size)
    # Where each pixel comes from is the same for all, so it is looked up once: from the nearest pixel.
    rows, inside = warped(np.broadcast_to(np.floor(place / size), place.shape).astype(np.float32), transform)
    columns, _ = warped((place % size).astype(np.float32), transform)
    source = (np.rint(rows) * size + np.rint(columns)).astype(np.intp).ravel()
    counts = inside.ravel()
    drawn = pictures.reshape(len(pictures), -1)[:, source] * counts
    drawn -= drawn.sum(axis=1, keepdims=True) / counts.sum() * counts
    found: Float32 = drawn.reshape(pictures.shape).astype(np.float32, copy=False)
    return found


def _band(size: int) -> Float32:
    square = np.fft.fftfreq(size)[:, None] ** 2 + np.fft.rfftfreq(size)[None] ** 2
    band: Float32 = (np.exp(-8 * square) * (1 - np.exp(-200 * square))).astype(np.float32)
    return band


def refined(first: Float32, second: Float32, transforms: Float32, steps: int, stride: int = 1) -> Float32:
    """Transforms (m, 2, 3) moved to where the pictures differ least, after fitting brightness and contrast.

    Args:
        first: (m, h, h) float32.
        second: The same.
        transforms: Where to start; within about a pixel of the goal.
        steps: Of Gauss and Newton.
        stride: Only every so many pixels are asked, which is as good where pictures are large.

    *Source*: Lucas and Kanade 1981, affine, with gain and offset solved along (Bartoli 2008).
    """
    size = second.shape[1]
    along_x, along_y = np.zeros_like(first), np.zeros_like(first)
    along_x[:, :, 1:-1] = (first[:, :, 2:] - first[:, :, :-2]) * (size / 4)
    along_y[:, 1:-1] = (first[:, 2:] - first[:, :-2]) * (size / 4)
    x, y = np.broadcast_arrays(_places(size)[None, None, ::stride], _places(size)[None, ::stride, None])
    second = second[:, ::stride, ::stride]
    ones, pixels = np.ones_like(second), second.shape[1] * second.shape[2]
    own = np.arange(8)
    for _ in range(steps):
        sampling = _Sampling.of(transforms, size, stride)
        values, inside = sampling.values(first), sampling.inside
        dx, dy = sampling.values(along_x), sampling.values(along_y)
        columns = np.stack([-dx * x, -dx * y, -dx, -dy * x, -dy * y, -dy, second, ones], axis=1)
        columns = (columns * inside[:, None]).reshape(len(first), 8, pixels)
        # No library of linear algebra: its threads would wait for each other longer than such small sums take.
        normal = np.einsum("mip,mjp->mij", columns, columns)
        normal[:, own, own] = normal[:, own, own] * np.float32(1.0001) + np.float32(1e-3)
        right = np.einsum("mip,mp->mi", columns, values.reshape(len(first), pixels))
        step = np.linalg.solve(normal, right[:, :, None])[:, :6, 0].reshape(-1, 2, 3)
        transforms = transforms + np.clip(step, -_STEP, _STEP).astype(np.float32)
    return transforms

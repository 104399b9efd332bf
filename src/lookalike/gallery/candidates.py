"""Pairs of pictures that may be the same: neighbours by vector of which very small pictures lie over each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lookalike import alignment, duplicates
from lookalike.gallery.knn import NEIGHBOURS, NeighbourGraph
from lookalike.gallery.parts import Progress
from lookalike.types import Float32, Int64, Pixels

MOVED_SCORE = 0.8  # a cut-out or a turn by some degrees takes less from a score than a blur does
MOVED_ALWAYS = 20_000  # so many of the nearest pairs are searched whatever they score: in small galleries that is low
_WINDOWS = (0, 4, 12, NEIGHBOURS)  # neighbours are searched in turn, further where the last ones were like it
_IN_PLACE = 0.85  # correlation of 8 x 8 pixels
_LEAST_PEAK = 0.36
_LEAST_COARSE = 0.88  # correlation of 32 x 32 pixels, laid over each other
_LEAST_INSIDE = 0.4
_CELLS, _LEAST_CELLS = 8, 0.6
_BLOCK_PAIRS, _BLOCK_CELLS = 512, 2**14
_STEPS = 4

Mask = NDArray[np.bool_]
_Lay = Callable[[Float32, Float32], tuple[Float32, Mask]]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Pairs of rows that look alike at 32 x 32 pixels.

    Attributes:
        first: (m,) int64 rows, each below its ``second``.
        second: (m,) int64 rows.
        scores: (m,) float32, cosines.
        turns: (m,) int8, how the second lies, see ``alignment.turned``.
        transforms: (m, 2, 3) float32 of the turned second to the first.
    """

    first: Int64
    second: Int64
    scores: Float32
    turns: NDArray[np.int8]
    transforms: Float32

    def __len__(self) -> int:
        return len(self.first)

    def at(self, rows: Mask | Int64 | slice) -> Candidates:
        """Some of them."""
        parts = (self.first, self.second, self.scores, self.turns, self.transforms)
        return Candidates(*(part[rows] for part in parts))  # type: ignore[arg-type]


def search(pictures: Pixels, readable: Mask, graph: NeighbourGraph, threads: int, progress: Progress) -> Candidates:
    """Pairs of neighbours that look alike.

    In place, or after whole turns and mirroring, all neighbours are compared: that takes next to no time. For cut-outs
    and small turns, the nearest, and further ones where those were alike: who has no copy near has none far.

    Args:
        pictures: (n, 32, 32) uint8.
        readable: (n,) which of them there are.
        graph: Of the same n rows.
        threads: How many to use.
        progress: Told (stage, done, total).

    Returns:
        In order of first and second.
    """
    first, second, scores, ranks = _neighbours(graph, readable)
    turns, alike = alignment.best_turns(alignment.signatures(pictures), first, second)
    likely = np.flatnonzero(alike >= _IN_PLACE)
    lay = _Laying(pictures, threads, progress)
    in_place = lay("compare pictures", _in_place, first[likely], second[likely], scores[likely], turns[likely])
    others = np.flatnonzero(~_known(in_place, first, second, len(pictures)))
    others = others[_unchanged_cells(pictures, first[others], second[others]) >= _LEAST_CELLS]
    upright = np.zeros(len(others), np.int8)
    covered = lay("look for overlays", _covered, first[others], second[others], scores[others], upright)
    found = [in_place, covered]
    known = _joined(found)
    waiting = (scores >= _least_score(scores)) & ~_known(known, first, second, len(pictures))
    lively = np.ones(len(pictures), bool)
    for low, high in pairwise(_WINDOWS):
        window = waiting & (ranks >= low) & (ranks < high) & (lively[first] | lively[second])
        upright = np.zeros(int(window.sum()), np.int8)
        moved = lay("compare cut-outs", _moved, first[window], second[window], scores[window], upright)
        found.append(moved)
        lively = np.zeros(len(pictures), bool)
        for some in found:
            lively[some.first] = lively[some.second] = True
    return _joined(found)


def _least_score(scores: Float32) -> float:
    if len(scores) <= MOVED_ALWAYS:
        return -1.0
    return min(MOVED_SCORE, float(np.partition(scores, -MOVED_ALWAYS)[-MOVED_ALWAYS]))


def _neighbours(graph: NeighbourGraph, readable: Mask) -> tuple[Int64, Int64, Float32, Int64]:
    """Each pair of neighbours once: rows, score, and its place in whichever list of neighbours has it higher."""
    n, k = graph.neighbours.shape
    own = np.repeat(np.arange(n), k)
    other = graph.neighbours.ravel().astype(np.int64)
    scores = graph.scores.ravel()
    usable = (own != other) & readable[own] & readable[other]
    own, other, scores = own[usable], other[usable], scores[usable]
    ranks = np.tile(np.arange(k), n)[usable]
    keys = np.minimum(own, other) * n + np.maximum(own, other)
    order = np.lexsort((ranks, keys))
    once = order[np.append(True, np.diff(keys[order]) > 0)] if len(order) else order
    return keys[once] // n, keys[once] % n, scores[once], ranks[once]


def _known(some: Candidates, first: Int64, second: Int64, count: int) -> Mask:
    return np.isin(first * count + second, some.first * count + some.second)


def _joined(found: list[Candidates]) -> Candidates:
    fields = ("first", "second", "scores", "turns", "transforms")
    joined = Candidates(*(np.concatenate([getattr(some, name) for some in found]) for name in fields))
    return joined.at(np.lexsort((joined.second, joined.first)))


@dataclass(frozen=True, slots=True, eq=False)
class _Laying:
    """Lays pairs over each other, block by block in threads, and gives back those that look alike then."""

    pictures: Pixels
    threads: int
    progress: Progress

    def __call__(
        self, stage: str, lay: _Lay, first: Int64, second: Int64, scores: Float32, turns: NDArray[np.int8]
    ) -> Candidates:
        transforms, good = np.zeros((len(first), 2, 3), np.float32), np.zeros(len(first), bool)
        starts = range(0, len(first), _BLOCK_PAIRS)

        def one(start: int) -> tuple[Float32, Mask]:
            part = slice(start, start + _BLOCK_PAIRS)
            right = turned_each(self.pictures[second[part]], turns[part])
            return lay(self.pictures[first[part]].astype(np.float32), right.astype(np.float32))

        with ThreadPoolExecutor(self.threads, thread_name_prefix="lay") as threads:
            for start, (laid, alike) in zip(starts, threads.map(one, starts), strict=True):
                self.progress(stage, start, len(first))
                transforms[start : start + len(laid)], good[start : start + len(laid)] = laid, alike
        return Candidates(first, second, scores, turns, transforms).at(good)


def turned_each(pictures: Pixels, turns: NDArray[np.int8]) -> Pixels:
    """Pictures (m, h, h), each in its own turn."""
    found = pictures.copy()
    for turn in np.unique(turns[turns != alignment.UPRIGHT]).tolist():
        found[turns == turn] = alignment.turned(pictures[turns == turn], turn)
    return found


def _in_place(first: Float32, second: Float32) -> tuple[Float32, Mask]:
    transforms = alignment.refined(first, second, alignment.identity(len(first)), _STEPS)
    return transforms, _alike(first, second, transforms)


def _unchanged_cells(pictures: Pixels, first: Int64, second: Int64) -> Float32:
    """How many (m,) of 8 x 8 cells have the same brightness: a cheap look before ``duplicates.unchanged``."""
    cells = alignment.shrink(pictures, pictures.shape[1] // _CELLS).reshape(len(pictures), 1, -1)
    share = np.zeros(len(first), np.float32)
    for start in range(0, len(first), _BLOCK_CELLS):
        part = slice(start, start + _BLOCK_CELLS)
        share[part] = duplicates.unchanged(cells[first[part]], cells[second[part]])
    return share


def _covered(first: Float32, second: Float32) -> tuple[Float32, Mask]:
    return alignment.identity(len(first)), duplicates.unchanged(first, second) >= duplicates.LEAST_UNCHANGED


def _moved(first: Float32, second: Float32) -> tuple[Float32, Mask]:
    transforms, peaks = alignment.searched(first, second)
    good = peaks >= _LEAST_PEAK
    transforms[good] = alignment.refined(first[good], second[good], transforms[good], _STEPS)
    good[good] = _alike(first[good], second[good], transforms[good])
    return transforms, good


def _alike(first: Float32, second: Float32, transforms: Float32) -> Mask:
    values, inside = alignment.warped(first, transforms)
    enough = inside.mean(axis=(1, 2)) >= _LEAST_INSIDE
    alike: Mask = enough & (alignment.correlation(values, second, inside) >= _LEAST_COARSE)
    return alike

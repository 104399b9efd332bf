"""The most unusual images of a gallery, and how unusual new ones are against those that were there before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import outliers, stacks
from lookalike.errors import EmptyGalleryError, GalleryError, SettingError
from lookalike.filters import parse
from lookalike.gallery import knn
from lookalike.gallery.follow import synced
from lookalike.gallery.knn import ContentVectors
from lookalike.gallery.parts import Parts, Progress
from lookalike.outliers import LEAST_IMAGES, NEAREST, TOO_ALIKE, Lengths
from lookalike.results import Outlier, OutlierReport
from lookalike.types import Float32, Int64, format_id

REFERENCE = 1000  # older images, chosen by seed, that tell how far from the others an image usually is
_STAGE = "compare new images"
_LAST_RUN = "last run"
_BLOCK_SCORES = 2**23  # 32 MB of float32
_MORE = 4  # times as many candidates as are wanted, where stacks swallow some
_SEED = 0

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    """All contents, and how far each lies from the middle."""

    rows: ContentVectors
    lengths: Lengths


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """How unusual some contents are.

    Attributes:
        rows: (m,) which.
        distances: (m,) float32.
        percentiles: (m,) 0..100.
        nearest: (m,) row of the most alike content that is not a near-duplicate; -1 where there is none.
        scores: (m,) the plain score with it.
        among: How many contents they were compared with.
    """

    rows: NDArray[np.intp]
    distances: Float32
    percentiles: NDArray[np.float64]
    nearest: NDArray[np.intp]
    scores: Float32
    among: int


def note_run(parts: Parts) -> None:
    """Remember which contents are there before a run adds some; under the writer lock."""
    _, numbers = parts.catalogue.content_numbers()
    last = int(numbers.max()) if len(numbers) else 0
    parts.catalogue.set_derived(_LAST_RUN, "", str(last).encode())


def find(
    parts: Parts, n: int, *, where: str | None, since: str | None, last_run: bool, progress: Progress
) -> OutlierReport:
    """See ``Gallery.outliers``."""
    if n < 1:
        raise SettingError(f"n: {n!r} is below 1", hint="ask for at least one image")
    if since is not None and last_run:
        raise SettingError("either a date or the last run says which images are new, not both")
    conditions = parse(where) if where else ()
    with parts.lock, parts.catalogue.snapshot():
        space = _space(parts)
        is_new = None if since is None and not last_run else _new(parts, space.rows.numbers, since)
        keys = _shown(parts, space.rows, parts.catalogue.keys(conditions)) if conditions else space.rows.keys
    judged = _among_all(parts, space, progress) if is_new is None else _against_older(space, is_new, progress)
    return _report(parts, space, judged, keys, n)


def _space(parts: Parts) -> _Space:
    if parts.catalogue.is_empty():
        raise EmptyGalleryError(f"{parts.path} holds no images yet", hint="lookalike index FOLDER")
    rows, (_, reducer) = knn.contents(parts), synced(parts)
    found = [outliers.lengths(reducer, block.embeddings) for block in parts.catalogue.contents()]
    whole, inside = (np.concatenate([getattr(some, name) for some in found]) for name in ("whole", "inside"))
    return _Space(rows, Lengths(whole, inside))


def _shown(parts: Parts, rows: ContentVectors, allowed: Int64) -> Int64:
    """The first allowed image (n,) of each content; -1 where there is none."""
    known, first = np.unique(parts.catalogue.contents_of(allowed), return_index=True)
    keys = np.full(len(rows), -1, np.int64)
    keys[np.searchsorted(rows.numbers, known)] = allowed[first]
    return keys


def _new(parts: Parts, numbers: Int64, since: str | None) -> Bools:
    """Which contents (n,) nobody had seen before a time, or before the last run that read files."""
    if since is None:
        noted = parts.catalogue.derived(_LAST_RUN)
        newest: Bools = numbers > (0 if noted is None else int(noted[1]))
        return newest
    older = parts.catalogue.keys(parse(f"added < '{since}'"))
    return ~np.isin(numbers, parts.catalogue.contents_of(older))


def _refuse_few(count: int, which: str) -> None:
    if count < LEAST_IMAGES:
        raise GalleryError(
            f"there are {count} {which}; {LEAST_IMAGES} are needed to compare with",
            hint="what is unusual shows only among images: index more of them, or take a later date",
        )


def _among_all(parts: Parts, space: _Space, progress: Progress) -> _Judged:
    """Every content among all others, by the graph of neighbours."""
    _refuse_few(len(space.rows), f"different images in {parts.path}")
    graph = knn.neighbour_graph(parts, space.rows, progress)
    own = np.arange(len(space.rows))
    counts = (graph.scores < TOO_ALIKE) & (graph.neighbours != own[:, None])
    counts &= outliers.firsts(graph.neighbours, graph.scores)[graph.neighbours]
    similar = outliers.similarities(graph.scores, space.lengths, space.lengths.take(graph.neighbours))
    distances = outliers.distances(similar, counts)
    first = counts.argmax(axis=1)  # neighbours are in order: the first that counts
    nearest = np.where(counts.any(axis=1), graph.neighbours[own, first], -1)
    percentiles = outliers.percentiles_among(distances)
    return _Judged(own, distances, percentiles, nearest, graph.scores[own, first], len(own) - 1)


def _against_older(space: _Space, is_new: Bools, progress: Progress) -> _Judged:
    """New contents among the older ones, held against what those are among each other."""
    old, new = np.flatnonzero(~is_new), np.flatnonzero(is_new)
    _refuse_few(len(old), "different images from before that")
    chosen = np.sort(np.random.default_rng(_SEED).permutation(old)[:REFERENCE])
    total = len(chosen) + len(new)
    usual, _, _ = _compared(space, chosen, old, lambda done: progress(_STAGE, done, total))
    found = _compared(space, new, old, lambda done: progress(_STAGE, len(chosen) + done, total))
    return _Judged(new, found[0], outliers.percentiles(found[0], usual), *found[1:], len(old))


def _compared(
    space: _Space, asked: NDArray[np.intp], old: NDArray[np.intp], told: Any
) -> tuple[Float32, NDArray[np.intp], Float32]:
    """Distances, nearest rows and scores of contents among the old ones; each without itself."""
    others, lengths = space.rows.vectors[old].astype(np.float32), space.lengths.take(old)
    distances, scores = np.zeros(len(asked), np.float32), np.zeros(len(asked), np.float32)
    nearest = np.full(len(asked), -1)
    step = max(1, _BLOCK_SCORES // len(old))
    for start in range(0, len(asked), step):
        block = slice(start, start + step)
        found = space.rows.vectors[asked[block]].astype(np.float32) @ others.T
        counts = (found < TOO_ALIKE) & (old != asked[block, None])
        similar = outliers.similarities(found, space.lengths.take(asked[block]), lengths)
        distances[block] = outliers.distances(similar, counts, NEAREST)
        best = np.where(counts, found, -np.inf).argmax(axis=1)
        nearest[block] = np.where(counts.any(axis=1), old[best], -1)
        scores[block] = found[np.arange(len(best)), best]
        told(min(start + step, len(asked)))
    return distances, nearest, scores


# -- what is listed ------------------------------------------------------------------------------------------------


def _report(parts: Parts, space: _Space, judged: _Judged, keys: Int64, n: int) -> OutlierReport:
    """The n most unusual that are still there, near-duplicates folded."""
    order = np.lexsort((judged.rows, -judged.distances))
    order = order[keys[judged.rows[order]] >= 0]
    groups = [order[places] for places in _folded(space, judged.rows[order], n)]
    records = parts.catalogue.records([int(keys[judged.rows[group[0]]]) for group in groups])
    found: list[Outlier] = []
    for first, *folded in groups:
        record = records.get(int(keys[judged.rows[first]]))
        if record is None:
            continue
        near = int(judged.nearest[first])
        outlier = Outlier(
            rank=len(found) + 1,
            id=record.id,
            path=record.path,
            score=float(judged.distances[first]),
            percentile=float(judged.percentiles[first]),
            nearest=None if near < 0 else (format_id(int(space.rows.keys[near])), float(judged.scores[first])),
            stack=tuple(format_id(int(keys[judged.rows[place]])) for place in folded),
        )
        found.append(outlier)
    return OutlierReport(parts.path, tuple(found), len(order), judged.among)


def _folded(space: _Space, rows: NDArray[np.intp], n: int) -> list[list[int]]:
    """Places in an order of rows that make one result each."""
    count = _MORE * n
    while True:
        vectors = space.rows.vectors[rows[:count]].astype(np.float32)
        groups = stacks.fold(vectors, lambda places: np.full(len(places), np.nan), n, TOO_ALIKE)
        if len(groups) >= n or count >= len(rows):
            return groups
        count *= _MORE

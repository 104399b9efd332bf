"""The nearest neighbours of every content in the plain space: what clusters, duplicates, the map and others rest on.

Kept as a cache; rebuilt when the gallery or its space has changed.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.engines import graph
from lookalike.engines.cachefile import CacheFile, write
from lookalike.errors import GalleryFormatError
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import Float16, Float32, Int32, Int64

NEIGHBOURS = 32
_KIND = "lookalike neighbours 1"  # the number goes up when the layout changes
_BLOCK_ROWS = 2**14
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ContentVectors:
    """Every distinct content that the gallery shows, in order of arrival.

    Attributes:
        numbers: (n,) int64, ascending: each content's number.
        keys: (n,) int64, of the first of the images that show it.
        vectors: (n, d) float16 of unit length, in the plain space.
        space: Of the vectors.
    """

    numbers: Int64
    keys: Int64
    vectors: Float16
    space: str

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourGraph:
    """The nearest other contents of each content, best first, ties by row.

    Attributes:
        neighbours: (n, k) int32 rows, k = min(NEIGHBOURS, n - 1). A place that approximate search could not fill holds
            the row itself, with score 0.
        scores: (n, k) float32, cosines.
    """

    neighbours: Int32
    scores: Float32


def contents(parts: Parts) -> ContentVectors:
    """All contents and their vectors; float16, 512 bytes for each at d = 256."""
    with parts.lock, parts.catalogue.snapshot():
        engine, _ = synced(parts)
        keys, of_keys = parts.catalogue.content_numbers()
        numbers, first = np.unique(of_keys, return_index=True)
        keys = keys[first]
        blocks = [
            engine.vectors(keys[start : start + _BLOCK_ROWS]).astype(np.float16)
            for start in range(0, len(keys), _BLOCK_ROWS)
        ]
        vectors = np.concatenate(blocks) if blocks else np.zeros((0, 0), np.float16)
        return ContentVectors(numbers, keys, vectors, engine.state.space)


def neighbour_graph(parts: Parts, rows: ContentVectors, progress: Progress) -> NeighbourGraph:
    """The neighbours of all contents: from the cache where it holds exactly these, else found now and kept.

    Args:
        parts: Of the gallery.
        rows: From ``contents``.
        progress: Told ("find neighbours", 0 or n, n).
    """
    file, mark = parts.cache / "graph" / "neighbours.bin", mark_of(rows)
    kept = _load(file, mark)
    if kept is not None:
        return kept
    progress("find neighbours", 0, len(rows))
    found = NeighbourGraph(*graph.nearest(rows.vectors, NEIGHBOURS, threads=parts.settings.thread_count))
    progress("find neighbours", len(rows), len(rows))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, _KIND, {"of": mark}, {"neighbours": [found.neighbours], "scores": [found.scores]})
    except OSError as error:
        _log.info("neighbours could not be kept: %s", error)
    return found


def mark_of(rows: ContentVectors) -> str:
    """Names exactly these contents in exactly this space."""
    return hashlib.sha256(rows.space.encode() + rows.numbers.astype("<i8").tobytes()).hexdigest()


def _load(file: Path, mark: str) -> NeighbourGraph | None:
    try:
        with CacheFile(file, _KIND) as cache:
            if cache.facts["of"] != mark:
                return None
            return NeighbourGraph(cache.array("neighbours", "<i4"), cache.array("scores", "<f4"))
    except FileNotFoundError:
        return None
    except (OSError, GalleryFormatError) as error:
        _log.info("neighbours not used: %s", error)
        return None

"""Which pairs of contents show the same picture: proposed by vectors and very small pictures, decided on larger ones.

Kept as a cache; found again when the gallery or its space has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import alignment, duplicates
from lookalike.duplicates import FINE_PX, Verdicts
from lookalike.engines.cachefile import CacheFile, write
from lookalike.errors import GalleryFormatError
from lookalike.gallery import candidates, grey, knn
from lookalike.gallery.candidates import Candidates
from lookalike.gallery.knn import ContentVectors
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import Float32, Int64, Pixels

_KIND = "lookalike pairs 1"  # the number goes up when the layout or the decision changes
_BLOCK_PICTURES = 2048
_BLOCK_PAIRS = 512
_BATCH_PAIRS = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of contents that show the same picture, or so nearly that one gives the other away.

    Attributes:
        rows: All contents that were looked at.
        first: (m,) int64 rows, each below its ``second``.
        second: (m,) int64 rows.
        scores: (m,) float32, cosines.
        differences: (m,) float32, the strongest difference of any place, see ``duplicates.Verdicts``.
        covered: (m,) float32, the part that one has something laid over, likewise.
        same: (m,) bool, whether they are the same picture; the others are only linked.
        unread: How many contents had no picture to look at.
    """

    rows: ContentVectors
    first: Int64
    second: Int64
    scores: Float32
    differences: Float32
    covered: Float32
    same: NDArray[np.bool_]
    unread: int


def find(parts: Parts, progress: Progress) -> Pairs:
    """All such pairs; memory grows with the contents (about 7 kB for each), never with their number of pairs.

    Args:
        parts: Of the gallery.
        progress: Told (stage, done, total).
    """
    rows = knn.contents(parts)
    file, mark = parts.cache / "graph" / "pairs.bin", knn.mark_of(rows)
    kept = _load(file, mark, rows)
    if kept is not None:
        return kept
    if len(rows) < 2:
        return _no_pairs(rows)
    graph = knn.neighbour_graph(parts, rows, progress)
    pictures, readable = _coarse_pictures(parts, rows, progress)
    proposed = candidates.search(pictures, readable, graph, parts.settings.thread_count, progress)
    found = _decided(parts, rows, proposed, int((~readable).sum()), progress)
    if not found.unread:  # what could not be read today may be there tomorrow
        _keep(file, mark, found)
    return found


def _coarse_pictures(parts: Parts, rows: ContentVectors, progress: Progress) -> tuple[Pixels, NDArray[np.bool_]]:
    size = alignment.COARSE_PX
    pictures, readable = np.zeros((len(rows), size, size), np.uint8), np.zeros(len(rows), bool)
    for start in range(0, len(rows), _BLOCK_PICTURES):
        progress("look at pictures", start, len(rows))
        part = slice(start, start + _BLOCK_PICTURES)
        pictures[part], readable[part] = grey.read(parts, rows.keys[part], size)
    progress("look at pictures", len(rows), len(rows))
    return pictures, readable


def _decided(parts: Parts, rows: ContentVectors, proposed: Candidates, unread: int, progress: Progress) -> Pairs:
    """The candidates that stand up to a closer look."""
    # Pairs of one cluster side by side, so that a picture is read once or twice, not for each of its pairs.
    clusters = duplicates.components(len(rows), np.stack([proposed.first, proposed.second], axis=1))
    proposed = proposed.at(np.lexsort((proposed.second, proposed.first, clusters[proposed.first])))
    same, linked = np.zeros(len(proposed), bool), np.zeros(len(proposed), bool)
    differences, covered = np.zeros(len(proposed), np.float32), np.zeros(len(proposed), np.float32)
    starts = range(0, len(proposed), _BLOCK_PAIRS)
    blocks = [proposed.at(slice(start, start + _BLOCK_PAIRS)) for start in starts]
    for start, some, pictures in zip(starts, blocks, _read_ahead(parts, rows, blocks), strict=True):
        progress("decide on pairs", start, len(proposed))
        verdicts = _looked_at(some, *pictures)
        part = slice(start, start + len(some))
        same[part], linked[part] = verdicts.same, verdicts.linked
        differences[part], covered[part] = verdicts.difference, verdicts.covered
    progress("decide on pairs", len(proposed), len(proposed))
    order = np.lexsort((proposed.second, proposed.first))
    order = order[linked[order]]
    some = proposed.at(order)
    measured = differences[order], covered[order]
    return Pairs(rows, some.first, some.second, some.scores, *measured, same[order], unread)


def _read_ahead(parts: Parts, rows: ContentVectors, blocks: Sequence[Candidates]) -> Iterator[tuple[Pixels, Pixels]]:
    """The pictures of the first and of the second of each block's pairs, read while the block before is looked at."""

    def read(some: Candidates) -> tuple[Pixels, Pixels]:
        wanted, places = np.unique(np.concatenate([some.first, some.second]), return_inverse=True)
        pictures, _ = grey.read(parts, rows.keys[wanted], FINE_PX)
        return pictures[places[: len(some)]], pictures[places[len(some) :]]

    with ThreadPoolExecutor(1, thread_name_prefix="read") as ahead:
        coming = [ahead.submit(read, some) for some in blocks[:1]]
        for number in range(len(blocks)):
            pictures = coming.pop().result()
            coming += [ahead.submit(read, some) for some in blocks[number + 1 : number + 2]]
            yield pictures


def _looked_at(some: Candidates, first: Pixels, second: Pixels) -> Verdicts:
    right = candidates.turned_each(second, some.turns)
    parts = [slice(start, start + _BATCH_PAIRS) for start in range(0, len(some), _BATCH_PAIRS)]
    found = [duplicates.compare(first[part], right[part], some.transforms[part]) for part in parts]
    fields = ("same", "linked", "difference", "covered")
    return Verdicts(*(np.concatenate([getattr(batch, name) for batch in found]) for name in fields))


# -- the cache -----------------------------------------------------------------------------------------------------


def _no_pairs(rows: ContentVectors) -> Pairs:
    none, nothing = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return Pairs(rows, none, none, nothing, nothing, nothing, np.zeros(0, bool), 0)


def _keep(file: Path, mark: str, pairs: Pairs) -> None:
    arrays: dict[str, list[NDArray[Any]]] = {
        "first": [pairs.first],
        "second": [pairs.second],
        "scores": [pairs.scores],
        "differences": [pairs.differences],
        "covered": [pairs.covered],
        "same": [pairs.same.astype(np.uint8)],
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, _KIND, {"of": mark}, arrays)
    except OSError as error:
        _log.info("pairs could not be kept: %s", error)


def _load(file: Path, mark: str, rows: ContentVectors) -> Pairs | None:
    try:
        with CacheFile(file, _KIND) as cache:
            if cache.facts["of"] != mark:
                return None
            first, second = cache.array("first", "<i8"), cache.array("second", "<i8")
            scores, differences = cache.array("scores", "<f4"), cache.array("differences", "<f4")
            covered, same = cache.array("covered", "<f4"), cache.array("same", "|u1").astype(bool)
            return Pairs(rows, first, second, scores, differences, covered, same, 0)
    except FileNotFoundError:
        return None
    except (OSError, GalleryFormatError) as error:
        _log.info("pairs not used: %s", error)
        return None

"""The dial of a gallery: neighbourhoods that are learned after indexing and kept as a cache.

They may be stale or gone: what came since joins them search by search, what left is passed over, and without any for
the current space the order is plain.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike import reduce, rerank
from lookalike.errors import GalleryFormatError
from lookalike.gallery import neighbourhoods
from lookalike.gallery.follow import synced
from lookalike.gallery.neighbourhoods import Neighbourhoods, Query
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import Float16, Float32, Int64, Reducer

if TYPE_CHECKING:
    from lookalike.gallery.ranking import Subject

_STALE_SHARE = 0.1  # of the contents: more that are new or gone since, and they are learned again
_log = logging.getLogger(__name__)


def build(parts: Parts, progress: Progress, *, force: bool = False) -> bool:
    """Learn the neighbourhoods where there are none for the current space, or too much has changed since.

    Belongs behind the fit of the reducer, under the writer lock.

    Args:
        parts: Of the gallery.
        progress: Told ("learn neighbourhoods", contents read, all contents).
        force: Learn them in any case.

    Returns:
        Whether they were learned.
    """
    with parts.catalogue.snapshot():
        count, reducer = parts.catalogue.count_contents(), parts.catalogue.reducer()
        if count < rerank.LEAST_ROWS or reducer is None:
            _file(parts).unlink(missing_ok=True)
            return False
        if not (force or _is_stale(parts)):
            return False
        space = synced(parts)[0].state.space
        numbers, vectors, taps = _read(parts, reducer, count, progress)
    learned = neighbourhoods.learn(reducer, numbers, vectors, taps, threads=parts.settings.thread_count)
    try:
        _file(parts).parent.mkdir(parents=True, exist_ok=True)
        neighbourhoods.save(_file(parts), learned, space)
    except OSError as error:
        _log.warning("neighbourhoods could not be kept, so the order will be plain: %s", error)
        return False
    return True


def opened(parts: Parts) -> Neighbourhoods | None:
    """The neighbourhoods of the current space, read once; None where there are none. Safe from several threads."""
    with parts.lock:
        file, space = _file(parts), synced(parts)[0].state.space
        try:
            status = file.stat()
        except OSError:
            return None
        mark = space, (status.st_ino, status.st_mtime_ns)  # another process may have learned them again
        if parts.neighbourhoods is None or parts.neighbourhoods[0] != mark:
            parts.neighbourhoods = mark, _load(file, space)
        return parts.neighbourhoods[1]


def rank_scores(parts: Parts, match: str, subject: Subject, keys: Int64, vectors: Float32) -> Float32 | None:
    """What a dial orders candidates by; read it inside a snapshot.

    Args:
        parts: Of the gallery.
        match: A key of ``rerank.BLENDS``.
        subject: What is searched for.
        keys: (c,) int64, the candidates.
        vectors: (c, d) float32, theirs in the plain space.

    Returns:
        (c,) float32 in -1..1, comparable within the gallery; None where the order must stay plain, see ``why_plain``.
    """
    hoods = opened(parts)
    if hoods is None:
        return None
    rows = hoods.find(parts.catalogue.contents_of(keys))
    own = -1 if subject.content is None else int(hoods.find(np.array([subject.content]))[0])
    query = Query(subject.vector, subject.tap, own)
    return hoods.rank_scores(match, query, vectors, rows, _taps(parts, keys[rows < 0]))


def why_plain(parts: Parts) -> str:
    """In words, why the order is plain; empty where it need not be."""
    count = parts.catalogue.count_contents()
    if count < rerank.LEAST_ROWS:
        return f"the order is plain: {count} different images are too few to learn from, {rerank.LEAST_ROWS} are needed"
    if opened(parts) is None:
        return "the order is plain: neighbourhoods are not learned yet; `lookalike index` or `doctor --repair` does it"
    return ""


def _file(parts: Parts) -> Path:
    return parts.cache / "dial" / "neighbourhoods.bin"


def _load(file: Path, space: str) -> Neighbourhoods | None:
    try:
        return neighbourhoods.load(file, space)
    except (OSError, GalleryFormatError) as error:
        _log.info("neighbourhoods not used: %s", error)
        return None


def _is_stale(parts: Parts) -> bool:
    hoods = opened(parts)
    if hoods is None:
        return True
    _, numbers = parts.catalogue.content_numbers()
    return len(np.setxor1d(numbers, hoods.numbers)) > _STALE_SHARE * len(hoods)


def _read(parts: Parts, reducer: Reducer, count: int, progress: Progress) -> tuple[Int64, Float16, Float16]:
    """Numbers, vectors and taps of all contents."""
    numbers, vectors, taps = [], [], []
    done = 0
    for block in parts.catalogue.contents():
        numbers.append(block.numbers)
        vectors.append(reduce.transform(reducer, block.embeddings).astype(np.float16))
        taps.append(block.taps)
        done += len(block.numbers)
        progress("learn neighbourhoods", done, count)
    return np.concatenate(numbers), np.concatenate(vectors), np.concatenate(taps)


def _taps(parts: Parts, keys: Int64) -> Float16:
    """Taps (n, T) of images that came after the neighbourhoods were learned."""
    found = [parts.catalogue.features(int(key)) for key in keys]
    taps = [features[1] for features in found if features is not None]
    return np.stack(taps) if taps else np.zeros((0, 0), np.float16)

"""Edited copies of the gallery's own images: queries of which the right answer is known."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from lookalike import edits
from lookalike.errors import ImageError
from lookalike.extract import EMBED_BATCH
from lookalike.gallery import picture
from lookalike.gallery.parts import Parts
from lookalike.types import DecodeSpec, Float32, ImageRecord, Pixels

MOST_PX = 2**18  # edits work on copies of at most this area, as pictures go round; larger files are scaled down to it
MOST_SIDE_PX = 4096
_AHEAD = 8  # files read and edited before the network wants them


@dataclass(frozen=True, slots=True, eq=False)
class EditedCopy:
    """What the network sees in an edited copy.

    Attributes:
        record: The image that it is a copy of.
        edit: Name of the edit.
        embedding: (D,) float32, as the gallery would store it.
        tap: (T,) float32, likewise.
    """

    record: ImageRecord
    edit: str
    embedding: Float32
    tap: Float32


def sample(parts: Parts, count: int, seed: int) -> list[ImageRecord]:
    """At most ``count`` images of different content, chosen by seed and content alone, so the same in any gallery."""
    seen: set[str] = set()

    def is_new(record: ImageRecord) -> bool:
        known = record.content in seen
        seen.add(record.content)
        return not known

    def luck(record: ImageRecord) -> bytes:
        return hashlib.sha256(f"{seed} {record.content}".encode()).digest()

    return heapq.nsmallest(count, filter(is_new, parts.catalogue.all_records()), key=luck)


def edited_copies(
    parts: Parts, records: Sequence[ImageRecord], names: Sequence[str], seed: int
) -> Iterator[EditedCopy]:
    """Edit images in all the named ways and embed the copies, on the very path that a query takes.

    Files are read and decoded in the decoder processes, ahead of the network. Files that are gone, changed or no
    longer readable are passed over.

    Args:
        parts: Of the gallery.
        records: Which images.
        names: Which edits, of ``edits.EDITS``.
        seed: Decides places and colours, together with the content of each image.

    Yields:
        One copy per image and edit, in order of the images, then of the names.
    """
    embedder = parts.embedder(throughput=True)
    with ThreadPoolExecutor(parts.settings.worker_count, thread_name_prefix="edit") as threads:
        ready = _prepared(threads, parts, records, names, seed)
        while batch := list(islice(ready, EMBED_BATCH)):
            found = embedder.features([pixels for _, _, pixels in batch])
            # Stored as float16, so what is compared with the gallery must be rounded alike.
            embeddings, taps = (rows.astype("f2").astype("f4") for rows in (found.embeddings, found.taps))
            for (record, name, _), embedding, tap in zip(batch, embeddings, taps, strict=True):
                yield EditedCopy(record, name, embedding, tap)


def _prepared(
    threads: ThreadPoolExecutor, parts: Parts, records: Sequence[ImageRecord], names: Sequence[str], seed: int
) -> Iterator[tuple[ImageRecord, str, Pixels]]:
    waiting: deque[tuple[ImageRecord, Future[list[Pixels]]]] = deque()
    rest = iter(records)
    try:
        while True:
            for record in islice(rest, _AHEAD - len(waiting)):
                waiting.append((record, threads.submit(_copies, parts, record, names, seed)))
            if not waiting:
                return
            record, future = waiting.popleft()
            for name, pixels in zip(names, future.result(), strict=False):
                yield record, name, pixels
    finally:
        for _, future in waiting:
            future.cancel()


def _copies(parts: Parts, record: ImageRecord, names: Sequence[str], seed: int) -> list[Pixels]:
    """Pixels for the network, one picture per edit; none where the file is no longer what it was."""
    spec = parts.catalogue.model().decode_spec
    width, height = record.width_px, record.height_px
    shrink = min(1.0, math.sqrt(MOST_PX / (width * height)), MOST_SIDE_PX / max(width, height))
    size = max(1, round(height * shrink)), max(1, round(width * shrink))
    try:
        data = record.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != record.content:
            return []
        original = parts.decoders.decode(data, DecodeSpec((size,), spec.interpolation), thumbnail=False).pixels
        own_seed = seed + int(record.content[:8], 16)
        return [_as_query(parts, edits.apply(name, original, own_seed), spec) for name in names]
    except (OSError, ImageError):
        return []


def _as_query(parts: Parts, pixels: Pixels, spec: DecodeSpec) -> Pixels:
    """What a search makes of a picture that it is given as an array."""
    _, data = picture.read(pixels, 0)
    return parts.decoders.decode(data, spec, thumbnail=False).pixels

"""Files to embeddings: read and decode ahead, embed in batches, report failures.

``embed_shard`` is the unit of work: the same on one machine and on a cluster.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from lookalike.catalogue.data import Extracted
from lookalike.decode import DecoderPool
from lookalike.errors import ImageDecodeError, ImageError, ModelError
from lookalike.models.base import Embedder
from lookalike.sources.base import ImageSource, SourceEntry
from lookalike.types import DecodedImage, Pixels

EMBED_BATCH = 32
_BATCHES_AHEAD = 3  # decoded pictures wait for the network, not the other way round


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A file after reading and decoding: either finished, or waiting for its embedding."""

    result: Extracted
    pixels: Pixels | None = None


def embed_shard(
    source: ImageSource,
    entries: Iterable[SourceEntry],
    *,
    embedder: Embedder,
    decoders: DecoderPool,
    is_known: Callable[[bytes], bool],
    max_file_bytes: int,
    readers: int,
    thumbnails: bool = True,
    regions: bool = False,
) -> Iterator[Extracted]:
    """Read, decode and embed files; one result per entry, in their order.

    Reading and decoding run ahead in threads (each drives a decoder process) while the network works on the batch
    before; at most a few batches are in memory. A file that fails becomes a result with a failure.

    Args:
        source: Where the files are.
        entries: Which of them.
        embedder: The network.
        decoders: Where untrusted bytes are decoded.
        is_known: Whether content of this SHA-256 (32 bytes) has an embedding already; it is then neither decoded nor
            embedded. Called from several threads.
        max_file_bytes: Larger files fail.
        readers: Threads that read files and drive decoders; a few more than there are decoders hide slow disks.
        thumbnails: Whether to hand them on; quality is measured on them in any case.
        regions: Whether to pool parts of the pictures too, from the same pass.
    """

    def prepare(entry: SourceEntry) -> _Prepared:
        return _prepare(source, entry, embedder, decoders, is_known, max_file_bytes, thumbnails)

    with ThreadPoolExecutor(readers, thread_name_prefix="decode") as threads:
        ahead = _in_order(threads, prepare, entries, EMBED_BATCH * _BATCHES_AHEAD)
        while batch := list(islice(ahead, EMBED_BATCH)):
            yield from _embed_batch(embedder, batch, regions)


def _in_order(
    threads: ThreadPoolExecutor,
    work: Callable[[SourceEntry], _Prepared],
    entries: Iterable[SourceEntry],
    window: int,
) -> Iterator[_Prepared]:
    """Results of work in the order of the entries, at most ``window`` of them ahead."""
    waiting: deque[Future[_Prepared]] = deque()
    iterator = iter(entries)
    try:
        waiting.extend(threads.submit(work, entry) for entry in islice(iterator, window))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(threads.submit(work, entry) for entry in islice(iterator, 1))
            yield done
    finally:
        for future in waiting:
            future.cancel()


def _prepare(
    source: ImageSource,
    entry: SourceEntry,
    embedder: Embedder,
    decoders: DecoderPool,
    is_known: Callable[[bytes], bool],
    max_file_bytes: int,
    thumbnails: bool,
) -> _Prepared:
    content = b""
    try:
        data, entry = source.read(entry, max_file_bytes)
        content = hashlib.sha256(data).digest()
        if is_known(content):
            return _Prepared(Extracted(entry, content))
        decoded = decoders.decode(data, embedder.info.decode_spec)
    except ImageError as failure:
        return _Prepared(Extracted(entry, content, failure=failure))
    return _Prepared(_waiting(entry, content, decoded, embedder.precision, thumbnails), decoded.pixels)


def _waiting(entry: SourceEntry, content: bytes, decoded: DecodedImage, precision: str, thumbnails: bool) -> Extracted:
    return Extracted(
        entry,
        content,
        precision=precision,
        width_px=decoded.width_px,
        height_px=decoded.height_px,
        format=decoded.format,
        taken_at=decoded.taken_at,
        thumbnail=decoded.thumbnail if thumbnails else b"",
        quality=decoded.quality,
    )


def _embed_batch(embedder: Embedder, batch: Sequence[_Prepared], regions: bool) -> Iterator[Extracted]:
    pixels = [item.pixels for item in batch if item.pixels is not None]
    embedded = iter(_embed_each(embedder, pixels, regions))
    for item in batch:
        if item.pixels is None:
            yield item.result
            continue
        outcome = next(embedded)
        if isinstance(outcome, ModelError):
            failure = ImageDecodeError(f"the network could not embed it: {outcome}")
            failure.stage = "embed"
            yield Extracted(item.result.entry, item.result.content, failure=failure)
        else:
            yield replace(item.result, **outcome)


def _embed_each(embedder: Embedder, pixels: Sequence[Pixels], regions: bool) -> list[dict[str, Any] | ModelError]:
    """What an Extracted holds of each picture, or an error: one that the network chokes on does not cost its batch."""
    if not pixels:
        return []
    try:
        found = embedder.features(pixels, regions=regions)
    except ModelError as error:
        if len(pixels) == 1:
            return [error]
        return [outcome for one in pixels for outcome in _embed_each(embedder, [one], regions)]
    parts = [None] * len(pixels) if found.regions is None else list(found.regions)
    return [
        {"embedding": embedding.astype(np.float16), "tap": tap.astype(np.float16), "regions": part}
        for embedding, tap, part in zip(found.embeddings, found.taps, parts, strict=True)
    ]

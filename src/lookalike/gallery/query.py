"""Searching: the same decode, embed and reduce as indexing, then the engine, then the dial and the order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import reduce
from lookalike.engines.base import NO_KEY
from lookalike.errors import EmptyGalleryError, ImageError, ImageNotFoundError, ImageReadError, SettingError, ShapeError
from lookalike.filters import Condition, parse
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.results import Match, SearchResult
from lookalike.types import DecodedImage, Float32, ImageRecord, Int64, format_id, parse_id

SHORTLIST = 500  # how many the engine hands over for the dial to put in order
_SCORE_DECIMALS = 6  # what differs less is a tie, decided by id, so that the order is the same everywhere


@dataclass
class _Timer:
    seconds: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "embed": 0.0, "search": 0.0})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted of a search.

    Attributes:
        k: How many results.
        where: Conditions that all of them fulfil.
        power: Whitening power; None takes the gallery's own.
        min_score: Results below this score are left out; None keeps all.
    """

    k: int = 10
    where: tuple[Condition, ...] = ()
    power: float | None = None
    min_score: float | None = None

    @classmethod
    def of(cls, k: int, where: str | None, power: float | None, min_score: float | None) -> Ask:
        """Checked values.

        Raises:
            SettingError: k below 1, a power outside 0..1, a score outside -1..1, or a filter not understood.
        """
        if k < 1:
            raise SettingError(f"k is {k}, it must be at least 1")
        if power is not None and not 0.0 <= power <= 1.0:
            raise SettingError(f"power is {power}, it must lie between 0 and 1")
        if min_score is not None and not -1.0 <= min_score <= 1.0:
            raise SettingError(f"min_score is {min_score}, scores lie between -1 and 1")
        return cls(k, parse(where) if where else (), power, min_score)


def search(parts: Parts, image: Any, ask: Ask) -> SearchResult:
    """Find the images most like a picture; see ``Gallery.search``."""
    timer = _Timer()
    if parts.catalogue.is_empty():
        raise EmptyGalleryError(f"{parts.path} holds no images yet", hint="lookalike index FOLDER")
    parts.decoders.start(1)
    with ThreadPoolExecutor(1) as other:  # a cold process loads the network while a decoder starts and works
        loading = other.submit(parts.embedder, throughput=False)
        with timer.stage("decode"):
            name, data = _read(image, parts.settings.max_file_bytes)
            decoded = _decode(parts, name, data)
        with timer.stage("embed"):
            embedding = _embed(loading.result(), decoded)
    with timer.stage("search"):
        content = hashlib.sha256(data).digest()
        own = parts.catalogue.keys_of_content(content)
        matches = _rank(parts, embedding, ask, own=own)
    return _result(parts, name, matches, timer, decoded.thumbnail, content.hex())


def similar(parts: Parts, image_id: str, ask: Ask) -> SearchResult:
    """Find the images most like one of the gallery, itself left out; see ``Gallery.similar``."""
    timer = _Timer()
    record = record_of(parts, image_id)
    key = parse_id(record.id)
    assert key is not None
    with timer.stage("search"):
        features = parts.catalogue.features(key)
        assert features is not None
        embedding = features[0]
        own = parts.catalogue.keys_of_content(bytes.fromhex(record.content))
        matches = _rank(parts, embedding.astype(np.float32), ask, own=own[own != key], without=key)
    thumbnail = parts.thumbnails.get(bytes.fromhex(record.content)) or b""
    return _result(parts, str(record.path), matches, timer, thumbnail, record.content)


def record_of(parts: Parts, image_id: str) -> ImageRecord:
    """The record behind an id.

    Raises:
        ImageNotFoundError: no present image has it.
    """
    key = parse_id(image_id)
    record = None if key is None else parts.catalogue.record(key)
    if record is None:
        raise ImageNotFoundError(
            f"there is no image {image_id!r} in {parts.path}", hint="search --json and similar --json give ids"
        )
    return record


def vectors(parts: Parts) -> tuple[list[str], Float32]:
    """All ids in order, and their vectors (n, d) in the plain space."""
    with parts.lock, parts.catalogue.snapshot():
        keys = parts.catalogue.keys()
        if not len(keys):
            return [], np.zeros((0, 0), np.float32)
        engine, _ = synced(parts)
        return [format_id(int(key)) for key in keys], engine.vectors(keys)


# -- ranking ----------------------------------------------------------------------------------------------------


def _rank(parts: Parts, embedding: Float32, ask: Ask, *, own: Int64, without: int = NO_KEY) -> list[Match]:
    """Matches in order: the query's own content first, then by rank score, ties by id."""
    with parts.lock, parts.catalogue.snapshot():
        engine, reducer = synced(parts)
        vector = reduce.transform(reducer, embedding[None, :])[0]
        power = reducer.power if ask.power is None else ask.power
        allowed = parts.catalogue.keys(ask.where) if ask.where else None
        wanted = ask.k + len(own) + 1  # the query's own content and the image itself may take places
        keys = engine.search(vector[None, :], max(wanted, SHORTLIST if power else 0), allowed)[0][0]
        keys = np.union1d(keys[keys != NO_KEY], own if allowed is None else np.intersect1d(own, allowed))
        keys = keys[keys != without]
        if not len(keys):
            return []
        found = engine.vectors(keys)
        scores = np.clip(found @ vector, -1.0, 1.0)
        rank_scores = scores
        if power:
            rank_scores = reduce.rescore(vector, found, reduce.whitening_weights(reducer, power))
        order = np.lexsort((keys, -np.round(rank_scores, _SCORE_DECIMALS), ~np.isin(keys, own)))
        if ask.min_score is not None:
            order = order[scores[order] >= ask.min_score]
        order = order[: ask.k]
        records = parts.catalogue.records([int(key) for key in keys[order]])
    return [
        Match(rank, format_id(int(keys[i])), records[int(keys[i])].path, float(scores[i]), float(rank_scores[i]))
        for rank, i in enumerate(order, 1)
    ]


def _result(
    parts: Parts, name: str, matches: Sequence[Match], timer: _Timer, thumbnail: bytes, content: str
) -> SearchResult:
    def thumbnail_of(image_id: str) -> bytes | None:
        return parts.thumbnails.get(bytes.fromhex(record_of(parts, image_id).content))

    return SearchResult(name, tuple(matches), len(parts.engine), timer.seconds, thumbnail_of, thumbnail, content)


# -- the query picture ------------------------------------------------------------------------------------------


def _decode(parts: Parts, name: str, data: bytes) -> DecodedImage:
    try:
        return parts.decoders.decode(data, parts.catalogue.model().decode_spec, thumbnail=True)
    except ImageError as error:
        raise type(error)(f"{name}: {error}", hint=error.hint) from error


def _embed(embedder: Any, decoded: DecodedImage) -> Float32:
    row: Float32 = embedder.embed([decoded.pixels])[0]
    # Stored embeddings are float16; the same picture must get the same numbers.
    return row.astype(np.float16).astype(np.float32)


def _read(image: Any, max_bytes: int) -> tuple[str, bytes]:
    """A name for the query, and its bytes."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        return "image", bytes(image)
    if isinstance(image, (str, Path)):
        return str(image), _read_file(Path(image), max_bytes)
    if isinstance(image, np.ndarray):
        return "image", _as_ppm(image)
    if hasattr(image, "convert"):  # a Pillow image
        return "image", _as_ppm(np.asarray(image.convert("RGB")))
    raise SettingError(
        f"cannot search with a {type(image).__name__}",
        hint="give a path, bytes, a Pillow image or an array (h, w, 3) of uint8",
    )


def _read_file(path: Path, max_bytes: int) -> bytes:
    try:
        with path.expanduser().open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageReadError(f"cannot read {path}: {reason}", hint="check the path of the query image") from error
    if len(data) > max_bytes:
        raise ImageReadError(f"{path} has more than {max_bytes:,} bytes", hint="raise LOOKALIKE_MAX_FILE_BYTES")
    return data


def _as_ppm(pixels: Any) -> bytes:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ShapeError(f"query image: expected (h, w, 3) of uint8, got {pixels.shape} of {pixels.dtype}")
    return b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + np.ascontiguousarray(pixels).tobytes()

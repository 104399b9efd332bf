"""Searching: the same decode, embed and reduce as indexing, then the order, what it means, and stacks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.engines.base import NO_KEY
from lookalike.errors import EmptyGalleryError, ImageNotFoundError, SettingError
from lookalike.filters import SORT_FIELDS, Condition, parse
from lookalike.gallery import examples, picture, regions
from lookalike.gallery.examples import Example
from lookalike.gallery.follow import synced
from lookalike.gallery.matching import Found, matches
from lookalike.gallery.parts import Parts
from lookalike.results import SearchResult
from lookalike.types import DecodedImage, Float32, ImageRecord, format_id, parse_id

MATCHES = ("auto", "kind", "object", "plain", "adapted")
AUTO = "auto"
_NO_KEYS = np.zeros(0, np.int64)
_PAGE_ROWS = 1000


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
        match: What the order is by; one of MATCHES.
        power: Whitening power of a plain order; None leaves the order to ``match``.
        min_score: Results below this score are left out; None keeps all.
        cut_chance: Leave out what looks like chance.
        stacks: Whether near-duplicates are folded into one result.
        box: The part of the query picture that is meant, x0, y0, x1, y1 as fractions; None for all of it.
        like: What else is right: (id or path, weight).
        unlike: What is wrong, likewise.
        regions: Whether the picture is looked for as a part of others too, where the gallery keeps regions.
    """

    k: int = 10
    where: tuple[Condition, ...] = ()
    match: str = AUTO
    power: float | None = None
    min_score: float | None = None
    cut_chance: bool = False
    stacks: bool = True
    box: picture.Box | None = None
    like: tuple[Example, ...] = ()
    unlike: tuple[Example, ...] = ()
    regions: bool = True

    @classmethod
    def of(
        cls,
        k: int,
        where: str | None,
        *,
        match: str = AUTO,
        power: float | None = None,
        min_score: float | str | None = None,
        stacks: bool = True,
        box: Sequence[float] | None = None,
        like: Sequence[Any] = (),
        unlike: Sequence[Any] = (),
        regions: bool = True,
    ) -> Ask:
        """Checked values.

        Raises:
            SettingError: k below 1, an unknown match, a power outside 0..1, a score outside -1..1, or a filter not
                understood.
        """
        if k < 1:
            raise SettingError(f"k is {k}, it must be at least 1")
        if match not in MATCHES:
            raise SettingError(f"match is {match!r}, it must be one of {', '.join(MATCHES)}")
        if power is not None and not 0.0 <= power <= 1.0:
            raise SettingError(f"power is {power}, it must lie between 0 and 1")
        least = None if min_score is None or min_score == AUTO else _score(min_score)
        conditions = parse(where) if where else ()
        part = None if box is None else picture.check_box(box)
        right, wrong = examples.check(like), examples.check(unlike)
        return cls(k, conditions, match, power, least, min_score == AUTO, stacks, part, right, wrong, regions)


def _score(value: float | str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = np.nan
    if not -1.0 <= number <= 1.0:
        raise SettingError(f"min_score is {value}, scores lie between -1 and 1", hint="or give auto")
    return number


def search(parts: Parts, image: Any, ask: Ask) -> SearchResult:
    """Find the images most like a picture, or most like the examples alone; see ``Gallery.search``."""
    timer = _Timer()
    if parts.catalogue.is_empty():
        raise EmptyGalleryError(f"{parts.path} holds no images yet", hint="lookalike index FOLDER")
    if image is None:
        return _by_examples(parts, ask, timer)
    parts.decoders.start(1)
    with ThreadPoolExecutor(1) as other:  # a cold process loads the network while a decoder starts and works
        loading = other.submit(parts.embedder, throughput=False)
        with timer.stage("decode"):
            name, data = picture.read(image, parts.settings.max_file_bytes)
            decoded = picture.decode(parts, name, data, ask.box)
        with timer.stage("embed"):
            seen = picture.embed(loading.result(), decoded)
            like, unlike = _look(parts, ask)
            part = regions.look(parts, decoded) if ask.regions and not (like or unlike) else None
    content = hashlib.sha256(data).digest()
    with timer.stage("search"), parts.lock, parts.catalogue.snapshot():
        own = parts.catalogue.keys_of_content(content) if ask.box is None else _NO_KEYS
        subject = examples.subject_of(parts, seen, like, unlike, own=own, without=_NO_KEYS)
        found = matches(parts, replace(subject, itself=_key_of(parts, image), part=part), ask)
    asked = _Asked(name, decoded.thumbnail, content.hex(), subject.vector)
    if not (like or unlike):
        asked = replace(asked, image=decoded, box=ask.box)
    return _result(parts, asked, found, timer)


def similar(parts: Parts, image_id: str, ask: Ask) -> SearchResult:
    """Find the images most like one of the gallery, itself left out; see ``Gallery.similar``."""
    timer = _Timer()
    record = record_of(parts, image_id)
    key = parse_id(record.id)
    assert key is not None
    with timer.stage("embed"):
        like, unlike = _look(parts, ask)
    with timer.stage("search"), parts.lock, parts.catalogue.snapshot():
        seen = examples.look(parts, [(record.id, 1.0)])[0]
        own = parts.catalogue.keys_of_content(bytes.fromhex(record.content))
        subject = examples.subject_of(parts, seen, like, unlike, own=own[own != key], without=own[own == key])
        found = matches(parts, subject, ask)
    thumbnail = parts.thumbnails.get(bytes.fromhex(record.content)) or b""
    asked = _Asked(str(record.path), thumbnail, record.content, subject.vector)
    if not (like or unlike):
        asked = replace(asked, id=record.id)
    return _result(parts, asked, found, timer)


def _key_of(parts: Parts, image: Any) -> int:
    """Key of the gallery's image that a path names; NO_KEY where it names none."""
    if not isinstance(image, (str, Path)):
        return NO_KEY
    path = Path(image).expanduser().resolve()
    return parts.catalogue.find_paths([path]).get(path, NO_KEY)


def _by_examples(parts: Parts, ask: Ask, timer: _Timer) -> SearchResult:
    if not ask.like:
        raise SettingError("there is nothing to be like", hint="give an image, or an example with like")
    if ask.box is not None:
        raise SettingError("a box needs the picture that it lies in", hint="give an image")
    with timer.stage("embed"):
        like, unlike = _look(parts, ask)
    with timer.stage("search"), parts.lock, parts.catalogue.snapshot():
        subject = examples.subject_of(parts, None, like, unlike, own=_NO_KEYS, without=_NO_KEYS)
        found = matches(parts, subject, ask)
    return _result(parts, _Asked(" and ".join(what for what, _ in ask.like), b"", "", subject.vector), found, timer)


def _look(parts: Parts, ask: Ask) -> list[list[tuple[examples.Seen, float]]]:
    """What the network sees in the examples, with their weights: the right ones, the wrong ones."""
    given = (ask.like, ask.unlike)
    return [[(seen, w) for seen, (_, w) in zip(examples.look(parts, some), some, strict=True)] for some in given]


def images(parts: Parts, where: str | None, sort: str, descending: bool) -> Iterator[ImageRecord]:
    """Records in order; see ``Gallery.images``."""
    if sort not in SORT_FIELDS:
        raise SettingError(f"there is no field {sort!r} to sort by", hint=f"fields are {', '.join(SORT_FIELDS)}")
    conditions = parse(where) if where else ()
    if sort == "path" and not descending:
        return parts.catalogue.all_records(conditions)
    return _in_order(parts, parts.catalogue.sorted_keys(conditions, sort, descending=descending).tolist())


def _in_order(parts: Parts, keys: list[int]) -> Iterator[ImageRecord]:
    for start in range(0, len(keys), _PAGE_ROWS):
        page = keys[start : start + _PAGE_ROWS]
        records = parts.catalogue.records(page)
        yield from (records[key] for key in page if key in records)


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


# -- the result ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What was asked, as a SearchResult keeps it."""

    name: str
    thumbnail: bytes
    content: str
    vector: Float32
    image: DecodedImage | None = None
    box: picture.Box | None = None
    id: str | None = None


def _result(parts: Parts, asked: _Asked, found: Found, timer: _Timer) -> SearchResult:
    def thumbnail_of(image_id: str) -> bytes | None:
        return parts.thumbnails.get(bytes.fromhex(record_of(parts, image_id).content))

    return SearchResult(
        query=asked.name,
        matches=found.matches,
        searched=len(parts.engine),
        seconds=timer.seconds,
        thumbnail_of=thumbnail_of,
        query_thumbnail=asked.thumbnail,
        query_content=asked.content,
        match=found.match,
        nothing_alike=found.nothing_alike,
        why_plain=found.why_plain,
        query_vector=asked.vector,
        query_image=asked.image,
        query_box=asked.box,
        query_id=asked.id,
    )

"""What a catalogue must be able to do. It is the only truth about a gallery; everything else can be rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lookalike.errors import ImageError
from lookalike.filters import Condition
from lookalike.sources.base import SourceEntry
from lookalike.types import (
    Decision,
    Failure,
    Float16,
    Float32,
    ImageRecord,
    Int8,
    Int64,
    LabelEvent,
    ModelInfo,
    Reducer,
)


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """What became of one file: an embedding, known content, or a failure.

    Attributes:
        entry: The file, with its size and times as they were when it was read.
        content: SHA-256 of the file (32 bytes); empty where it could not be read.
        embedding: (D,) float16; None where the content is known already, or on failure.
        tap: (T,) float16, see ``models.base.Features``; empty where the network has none.
        regions: (R, d) int8 codes, or (R, D) float32 while there is no space for codes, see ``lookalike.regions``; None
            where they are not kept.
        precision: Of the embedding; "" where there is none.
        width_px: Width of the upright picture; 0 where there is no embedding.
        height_px: Height likewise.
        format: Pillow's name of the format.
        taken_at: ISO 8601, or None.
        thumbnail: A small JPEG; may be empty.
        failure: Why the file cannot be used; None where it can.
    """

    entry: SourceEntry
    content: bytes
    embedding: Float16 | None = None
    precision: str = ""
    width_px: int = 0
    height_px: int = 0
    format: str = ""
    taken_at: str | None = None
    thumbnail: bytes = b""
    failure: ImageError | None = None
    tap: Float16 = field(default_factory=lambda: np.zeros(0, np.float16))
    regions: Float32 | Int8 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Distinct contents and what the network saw in them.

    Attributes:
        numbers: (n,) int64, ascending: each content's number, for ever.
        embeddings: (n, D) float16.
        taps: (n, T) float16; T is 0 where the network has no finer map.
    """

    numbers: Int64
    embeddings: Float16
    taps: Float16


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Images that a search engine must add or replace, and keys that it must take out.

    Attributes:
        keys: (n,) int64.
        embeddings: (n, D) float16.
        removed: (r,) int64.
    """

    keys: Int64
    embeddings: Float16
    removed: Int64


@dataclass(frozen=True, slots=True, eq=False)
class RegionDrafts:
    """Region embeddings that a space for codes is learned from.

    Attributes:
        numbers: (n,) int64, of contents.
        embeddings: (n, R * D) float16.
    """

    numbers: Int64
    embeddings: Float16


@dataclass(frozen=True, slots=True, eq=False)
class RegionChanges:
    """Regions that a search engine must add or replace, and contents whose regions it must take out.

    Attributes:
        numbers: (n,) int64, of contents.
        codes: (n, R * d) int8.
        removed: (r,) int64, of contents.
    """

    numbers: Int64
    codes: Int8
    removed: Int64


@dataclass(frozen=True, slots=True)
class LabelChange:
    """What one image is called from now on.

    Attributes:
        key: Of the image.
        label: Its label; None takes it away.
        confidence: Of a propagated label, 0..1.
    """

    key: int
    label: str | None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """A folder (or bucket) that images come from.

    Attributes:
        name: Short, unique, stays the same when the folder moves.
        location: Where it is now.
        excludes: Glob patterns left out of it.
    """

    name: str
    location: str
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """How many files met which fate; the fields of IndexReport."""

    added: int = 0
    updated: int = 0
    reused: int = 0
    unchanged: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.added + other.added,
            self.updated + other.updated,
            self.reused + other.reused,
            self.unchanged + other.unchanged,
            self.failed + other.failed,
        )


class Scan(Protocol):
    """A listing of roots held against the records; belongs to one index run."""

    def add(self, root: str, entries: Iterable[SourceEntry]) -> None:
        """Note files that the listing found."""

    def keep_below(self, root: str, folder: str) -> None:
        """A folder could not be listed: what is known of it stays as it is."""

    def compare(self, *, retry_failed: bool = False, regions: bool = False) -> Tally:
        """Hold the listing against the records: what is unchanged or known to be bad needs no more work.

        Where regions are wanted, an unchanged file without them does.
        """

    def count_todo(self) -> int:
        """How many files must be read."""

    def todo(self) -> Iterator[tuple[str, SourceEntry]]:
        """(root, file) of what must be read, in order of root and path."""

    def apply(self, root: str, results: Sequence[Extracted]) -> Tally:
        """Write what became of files, in one transaction that is on disk when this returns."""

    def finish(self) -> int:
        """Take out the records whose file is gone; returns how many."""


class Regions(Protocol):
    """The regions of a gallery's contents: first embeddings, then codes in a space that is learned from those."""

    def count(self) -> int:
        """How many contents have regions."""

    def count_drafts(self) -> tuple[int, int]:
        """How many contents have embeddings, and how many of those have no codes yet."""

    def drafts(self, batch: int = 64) -> Iterator[RegionDrafts]:
        """Embeddings, in order of content; read them inside ``Catalogue.snapshot``."""

    def settle(self, numbers: Int64, codes: Int8, *, is_final: bool, space: tuple[str, bytes] | None = None) -> None:
        """Give contents their codes (n, R * d) in one transaction; engines must follow.

        Args:
            numbers: (n,) int64, of contents.
            codes: Theirs.
            is_final: Whether the space stays as it is: the embeddings are let go.
            space: The space, kept as ``derived("region space")``, where it is a new one.
        """

    def clear(self) -> None:
        """Forget all regions and their space."""

    def changes(self, since: int, batch: int = 1024) -> Iterator[RegionChanges]:
        """What engines must follow after generation ``since``; read it inside ``Catalogue.snapshot``."""

    def keys_of_contents(self, numbers: Int64) -> tuple[Int64, Int64]:
        """Keys (k,) of the present images of contents (n,), ascending, and the number (k,) of each one's content."""


class Decisions(Protocol):
    """What people said of pictures that look alike; owned by contents, so it survives moves, removal and return."""

    def add(self, keys: Sequence[int], *, by: str) -> int:
        """Remember that what these images show are different pictures, each from each; returns the decision's number.

        Raises:
            ImageNotFoundError: a key without an image; nothing is written then.
            SettingError: they all have one content.
        """

    def undo(self, number: int | None = None) -> tuple[int, int]:
        """Take back a decision (None: the last in force); returns its number and how many contents it told apart.

        Raises:
            GalleryError: there is nothing to undo, or that decision is undone already.
        """

    def apart(self) -> list[frozenset[int]]:
        """Sets of contents' numbers of which no two are the same picture: one for each decision in force."""

    def all(self) -> list[Decision]:
        """All decisions, latest first, with the images that show their contents now."""


class Catalogue(Protocol):
    """Records, embeddings, reducer, labels and failures of one gallery.

    A reader sees one consistent state within ``snapshot()``. Every change that a search engine must follow gets a
    higher ``generation``.
    """

    def snapshot(self) -> AbstractContextManager[None]:
        """All reads inside see the same state, whatever others write."""

    def identity(self) -> str:
        """Names this history of changes; a restored copy gets a new one."""

    def generation(self) -> int:
        """Number of the last change that engines must follow."""

    def model(self) -> ModelInfo:
        """The network that made the embeddings."""

    def model_source(self) -> str:
        """How to find that network again: its name or the path of its file."""

    def count(self) -> int:
        """How many images there are."""

    def is_empty(self) -> bool:
        """Whether there is none; unlike ``count`` at no cost."""

    def facts(self) -> dict[str, Any]:
        """Counts for ``info``: contents, precisions, removed, failures, labels, sizes."""

    def roots(self) -> list[Root]:
        """All roots, by name."""

    def add_root(self, location: str, excludes: Sequence[str] | None) -> Root:
        """The root at this location, made where there is none; excludes None keeps those it has."""

    def move_root(self, name: str, location: str) -> None:
        """The root's folder is at another place now."""

    def widen_root(self, inside: Sequence[Root], location: str) -> None:
        """Make one root at ``location`` of roots that lie inside it; images keep their ids."""

    @property
    def regions(self) -> Regions:
        """Parts of images."""

    @property
    def decisions(self) -> Decisions:
        """Which pictures people have said are different."""

    def is_known(self, content: bytes, *, regions: bool = False) -> bool:
        """Whether there is an embedding of this content, and regions if wanted. Safe to call from any thread."""

    def record(self, key: int) -> ImageRecord | None:
        """The image of that key, where it is present."""

    def records(self, keys: Sequence[int]) -> dict[int, ImageRecord]:
        """The present images among these keys."""

    def all_records(self, where: Sequence[Condition] = ()) -> Iterator[ImageRecord]:
        """Present images that fulfil all conditions, by root and path."""

    def keys(self, where: Sequence[Condition] = ()) -> Int64:
        """Keys of present images that fulfil all conditions, ascending."""

    def keys_of_content(self, content: bytes) -> Int64:
        """Keys of present images with this content, ascending."""

    def features(self, key: int) -> tuple[Float16, Float16] | None:
        """Embedding (D,) and tap (T,) of a present image."""

    def changes(self, since: int, batch: int = 4096) -> Iterator[Changes]:
        """What engines must follow after generation ``since``."""

    def contents(self, batch: int = 4096) -> Iterator[Contents]:
        """Blocks with one row per content that a present image has, in order of arrival."""

    def count_contents(self) -> int:
        """How many rows ``contents`` has."""

    def contents_of(self, keys: Int64) -> Int64:
        """Number (n,) of the content of each image (n,), -1 for keys without a present image."""

    def taken(self, keys: Int64) -> dict[int, str]:
        """When pictures were taken (ISO 8601), of those present images among the keys whose file says so."""

    def content_numbers(self) -> tuple[Int64, Int64]:
        """Keys (n,) of all present images, ascending, and the number (n,) of each one's content."""

    def derived(self, name: str) -> tuple[str, bytes] | None:
        """What was worked out about the gallery under this name: the space that it holds for, and its bytes."""

    def set_derived(self, name: str, space: str, data: bytes | None) -> None:
        """Replace what was worked out under this name; None drops it. Not a change that engines follow."""

    def reducer(self) -> Reducer | None:
        """The current reducer; None before the first fit."""

    def set_reducer(self, reducer: Reducer) -> None:
        """Replace it; engines must follow."""

    def failures(self) -> list[Failure]:
        """Files that could not be used, by path."""

    def scan(self, roots: Sequence[tuple[Root, str]]) -> AbstractContextManager[Scan]:
        """Start to hold a listing of (root, what within it) against the records."""

    def add_folder_failure(self, root: str, folder: str, message: str) -> None:
        """Remember that a folder could not be listed."""

    def add_labels(
        self, changes: Sequence[LabelChange], *, by: str, source: str, facts: Mapping[str, Any] | None = None
    ) -> int:
        """Append label events as one batch, with how it came about; returns the batch's number."""

    def undo_labels(self, batch: int | None = None) -> tuple[int, int]:
        """Take back a batch (None: the last one that is in force); returns its number and how many labels it held."""

    def label_counts(self) -> dict[str, int]:
        """Number of present images by current label, the most frequent first."""

    def label_events(self) -> list[LabelEvent]:
        """All batches of label events, latest first."""

    def find_paths(self, paths: Sequence[Path]) -> dict[Path, int]:
        """Keys of the present images at these absolute paths."""

    def check(self) -> list[str]:
        """Complaints about the store itself; empty when it is sound."""

    def close(self) -> None:
        """Give back the connection."""

"""What goes in and out of a catalogue, beside the types that everybody knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lookalike.errors import ImageError
from lookalike.quality import Quality
from lookalike.sources.base import SourceEntry
from lookalike.types import Float16, Float32, Int8, Int32, Int64


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
        quality: How the picture came out; None where there is no embedding.
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
    quality: Quality | None = None
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


@dataclass(frozen=True, slots=True, eq=False)
class ClusterRun:
    """A tree that clusters are cut from.

    Attributes:
        leaves: (n,) int64, the content of each row of the tree.
        joins: (n - 1, 2) int32, see ``cluster.Tree``.
        costs: (n - 1,) float32, likewise.
        facts: How it was made and how it is cut, as plain data.
        number: Of the run; 0 before it is stored.
        at: When it was made, ISO 8601, UTC.
    """

    leaves: Int64
    joins: Int32
    costs: Float32
    facts: dict[str, Any]
    number: int = 0
    at: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """A cluster as it is kept.

    Attributes:
        id: Its number, which no other cluster gets later; 0 asks for a new one.
        nodes: (m,) int32, the nodes of the tree that it is made of.
    """

    id: int
    nodes: Int32


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


@dataclass(frozen=True, slots=True)
class PropagatedLabel:
    """A label that an image bears because others do.

    Attributes:
        key: Of the image.
        label: Its label.
        confidence: How likely it is right, 0..1.
    """

    key: int
    label: str
    confidence: float

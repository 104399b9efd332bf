"""One image as it is exported, what a writer is told, and what a writer must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lookalike.tables import utf8
from lookalike.types import Float32, ImageRecord, LabelDetail

if TYPE_CHECKING:
    from lookalike.export.photos import Photos

NO_LABEL = "no label"
TEXT, WHOLE, REAL, TRUTH = "text", "whole number", "number", "yes or no"
COLUMNS = {
    **dict.fromkeys(("id", "path", "root", "relative_path", "label", "source", "by", "at"), TEXT),
    "confidence": REAL,
    "changed_since_labelled": TRUTH,
    "split": TEXT,
    "group": WHOLE,
    **dict.fromkeys(("width_px", "height_px"), WHOLE),
    "format": TEXT,
    "size_bytes": WHOLE,
    **dict.fromkeys(("taken_at", "added_at", "sha256"), TEXT),
}


class LeftOut(Exception):  # noqa: N818 -- no error: the export goes on
    """An image is not exported; the text says why, in words that serve as the name of a count."""


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One image as it is exported.

    Attributes:
        record: What the gallery knows of it.
        detail: Its label and where that comes from; None without one.
        split: "train", "val" or "test"; "" where nothing is divided.
        group: Number of what stays together with it; None where nothing is divided.
        fields: What the template of ``--group-by`` read from its path; empty texts where it did not match.
    """

    record: ImageRecord
    detail: LabelDetail | None
    split: str = ""
    group: int | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a writer is told.

    Attributes:
        draft: The folder that it writes into.
        name: Of the file that it makes, for formats that are one file.
        splits: Names of the parts, or one "" where nothing is divided.
        labels: All labels, in order.
        field_names: Of the fields of the rows.
        photos: Brings photos along.
        base: The folder that holds all photos; paths of photos that stay where they are begin there.
        url_prefix: Of a photo's address, for Label Studio.
        vectors: Gives the vectors (n, d) of image ids.
        space: Of the vectors.
    """

    draft: Path
    name: str
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    field_names: tuple[str, ...]
    photos: Photos
    base: Path
    url_prefix: str
    vectors: Callable[[Sequence[str]], Float32]
    space: str


class Writer(Protocol):
    """Writes one format, made from a Job; ``close`` follows in any case, ``finish`` only where all went well."""

    def add(self, row: ExportRow) -> str:
        """Export an image; returns its file's place in the export, "" where no file comes along.

        Raises:
            LeftOut: it is not exported.
        """

    def finish(self) -> None:
        """Write what comes last."""

    def close(self) -> None:
        """Give back files."""


def columns(field_names: Sequence[str]) -> dict[str, str]:
    """Kind of value by name of column."""
    return {**COLUMNS, **{f"field_{name}": TEXT for name in field_names}}


def values(row: ExportRow, field_names: Sequence[str]) -> dict[str, Any]:
    """The columns of an image; None where there is nothing to say. All texts can be written as UTF-8."""
    record, detail = row.record, row.detail
    found = {
        "id": record.id,
        "path": str(record.path),
        "root": record.root,
        "relative_path": record.relative_path,
        "label": detail and detail.label,
        "source": detail and detail.source,
        "by": detail and detail.by,
        "at": detail and detail.at,
        "confidence": detail and detail.confidence,
        "changed_since_labelled": detail and detail.is_changed,
        "split": row.split or None,
        "group": row.group,
        "width_px": record.width_px,
        "height_px": record.height_px,
        "format": record.format,
        "size_bytes": record.size_bytes,
        "taken_at": record.taken_at,
        "added_at": record.added_at,
        "sha256": record.content,
        **{f"field_{name}": value or None for name, value in zip(field_names, row.fields, strict=True)},
    }
    return {name: utf8(value) if isinstance(value, str) else value for name, value in found.items()}


def said(row: ExportRow) -> LabelDetail:
    """The label of an image.

    Raises:
        LeftOut: it has none.
    """
    if row.detail is None:
        raise LeftOut(NO_LABEL)
    return row.detail

"""Duplicates as a page to look at and as a table to work with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from lookalike.gallery.duplicate_report import DuplicateGroup, DuplicateImage, DuplicateReport
from lookalike.gallery.parts import Parts
from lookalike.gallery.writing import write_file
from lookalike.report import DuplicateFile, DuplicateSet, duplicates_report
from lookalike.tables import inert, utf8

MOST_PICTURED, MOST_OF_A_GROUP = 500, 24  # groups, and images of each; the page says what it leaves out
_COLUMNS = (
    "group",
    "kind",
    "keep",
    "score",
    "difference",
    "covered",
    "width_px",
    "height_px",
    "size_bytes",
    "date",
    "id",
    "path",
)


def write_page(parts: Parts, report: DuplicateReport, file: Path) -> None:
    """See ``Gallery.write_duplicates``."""
    shown = report.groups[:MOST_PICTURED]
    facts = [
        ("gallery", str(parts.path)),
        ("images", f"{report.searched:,}"),
        ("groups", f"{len(report.groups):,}"),
        ("beside those to keep", f"{report.spare:,} images, {_megabytes(report.spare_bytes)}"),
    ]
    notes = []
    if len(shown) < len(report.groups):
        notes.append(f"The first {len(shown):,} of {len(report.groups):,} groups are shown; --csv lists them all.")
    if report.unread:
        notes.append(f"{report.unread:,} images had no picture to look at.")
    page = duplicates_report(f"Duplicates in {parts.path.name}", [_set(parts, group) for group in shown], facts, notes)
    write_file(parts, file, page)


def write_table(parts: Parts, report: DuplicateReport, file: Path) -> None:
    """See ``Gallery.write_duplicates``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_rows(report))
    write_file(parts, file, text.getvalue())


def _rows(report: DuplicateReport) -> Iterator[list[str]]:
    for number, group in enumerate(report.groups, 1):
        for image in group.images:
            yield [
                str(number),
                group.kind,
                "keep" if image is group.keep else "",
                f"{image.score:.3f}",
                f"{image.difference:.3f}",
                f"{image.covered:.3f}",
                str(image.width_px),
                str(image.height_px),
                str(image.size_bytes),
                image.date,
                image.id,
                inert(utf8(str(image.path))),
            ]


def _set(parts: Parts, group: DuplicateGroup) -> DuplicateSet:
    files = [
        DuplicateFile(
            path=image.path,
            id=image.id,
            thumbnail=parts.thumbnails.get(bytes.fromhex(image.content)) or b"",
            score=image.score,
            keep=group.why if image is group.keep else "",
            detail=f"{image.width_px} x {image.height_px} px, {_megabytes(image.size_bytes)}, {image.date[:10]}",
            differs=", ".join(_differences(group.keep, image)),
        )
        for image in group.images[:MOST_OF_A_GROUP]
    ]
    return DuplicateSet(group.kind, files, len(group.images) - len(files))


def _differences(keep: DuplicateImage, image: DuplicateImage) -> Iterator[str]:
    """In words, how an image differs from the one to keep."""
    if image is keep:
        return
    if image.content == keep.content:
        yield "the same bytes"
        return
    pixels = image.width_px * image.height_px / (keep.width_px * keep.height_px)
    if pixels < 1:
        yield f"{100 * pixels:.0f} % of the pixels"
    aspects = [each.width_px / each.height_px for each in (image, keep)]
    if abs(aspects[0] / aspects[1] - 1) > 0.02:
        yield "another shape"
    if image.covered != keep.covered:
        yield f"one has something over {100 * max(image.covered, keep.covered):.0f} % of it"
    if image.size_bytes < keep.size_bytes:
        yield f"{100 * image.size_bytes / keep.size_bytes:.0f} % of the file size"
    if image.path.suffix.lower() != keep.path.suffix.lower():
        yield f"{image.path.suffix.lower() or 'no suffix'} instead of {keep.path.suffix.lower() or 'no suffix'}"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:,.1f} kB"

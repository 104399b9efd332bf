"""``lookalike duplicates``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, format_bytes, print_json, print_table, say

if TYPE_CHECKING:
    from lookalike.gallery.duplicate_report import DuplicateReport

_COLUMNS = ("group", "kind", "keep", "score", "pixels", "size", "id", "path")


@click.group(invoke_without_command=True)
@gallery_option
@click.option(
    "--kind",
    type=click.Choice(["exact", "near", "all"]),
    default="all",
    show_default=True,
    help="The same bytes, the same picture in other bytes, or both.",
)
@click.option("--where", help='Only among images that fulfil this, such as "format = JPEG and width >= 1000".')
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with the pictures.")
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Write a table for a spreadsheet.")
@json_option
@click.pass_context
def duplicates(
    ctx: click.Context,
    gallery: Path | None,
    kind: str,
    where: str | None,
    html: Path | None,
    csv: Path | None,
    as_json: bool,
) -> None:
    """List images that are the same picture, and which of each group to keep. Nothing is ever deleted.

    Near duplicates are the same picture saved, scaled, cut, turned, mirrored or toned differently; pictures that
    differ in a detail, such as a part and its defective sister, are not.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = gallery
        return
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        report = opened.duplicates(kind=kind, where=where, progress=bar)
        opened.write_duplicates(report, html=html, csv=csv)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


@duplicates.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID ID...")
@gallery_option
@click.option("--by", help="Who says so; default: the name of the account.")
@json_option
def differ(ids: tuple[str, ...], gallery: Path | None, by: str | None, as_json: bool) -> None:
    """Remember that images, by ID, are different pictures, each from each: they are in no group together any more."""
    with open_gallery(gallery) as opened:
        number = opened.not_duplicates(ids, by=by)
    if as_json:
        print_json({"decision": number, "ids": list(ids)})
    else:
        say(f"decision {number}: {len(ids)} images are different pictures; lookalike duplicates undo takes it back")


@duplicates.command()
@click.argument("decision", type=int, required=False)
@gallery_option
@json_option
def undo(decision: int | None, gallery: Path | None, as_json: bool) -> None:
    """Take back a DECISION that images are different; without a number, the last one."""
    with open_gallery(gallery) as opened:
        number, contents = opened.undo_not_duplicates(decision)
    if as_json:
        print_json({"decision": number, "contents": contents})
    else:
        say(f"took back decision {number} on {contents} pictures")


@duplicates.command()
@gallery_option
@json_option
def decisions(gallery: Path | None, as_json: bool) -> None:
    """What was said to be different, latest first."""
    with open_gallery(gallery) as opened:
        found = opened.duplicate_decisions()
    if as_json:
        print_json({"decisions": [decision.to_dict() for decision in found]})
        return
    rows = [(d.number, d.at, d.by, d.contents, d.undone_at or "", " ".join(d.ids)) for d in found]
    print_table(("decision", "at", "by", "pictures", "taken back", "images"), rows)
    say(f"{len(found):,} decisions")


def _print(report: DuplicateReport) -> None:
    print_table(_COLUMNS, _rows(report), right=("group", "score", "size"))
    say(
        f"{len(report.groups):,} groups with {report.images:,} of {report.searched:,} images;"
        f" {report.spare:,} beside those to keep, {format_bytes(report.spare_bytes)}; nothing was deleted"
    )
    if report.unread:
        say(f"{report.unread:,} images had no picture to look at: their near duplicates are missed")


def _rows(report: DuplicateReport) -> Iterator[tuple[Any, ...]]:
    for number, group in enumerate(report.groups, 1):
        for image in group.images:
            keep = group.why if image is group.keep else ""
            pixels = f"{image.width_px}x{image.height_px}"
            size = format_bytes(image.size_bytes)
            yield number, group.kind, keep, f"{image.score:.3f}", pixels, size, image.id, image.path

"""``lookalike images``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import format_bytes, print_json, print_table, say
from lookalike.display import display_text
from lookalike.filters import SORT_FIELDS
from lookalike.quality import RANGES

if TYPE_CHECKING:
    from lookalike.types import ImageRecord


@click.command()
@gallery_option
@click.option("--where", help='Only images that fulfil this, such as "quality = blurred" or "sharpness < 5%".')
@click.option("--sort", type=click.Choice(SORT_FIELDS), default="path", show_default=True, help="What the order is by.")
@click.option("--descending", is_flag=True, help="The largest or latest first.")
@click.option("-n", "count", type=click.IntRange(min=1), help="At most this many.")
@click.option("-f", "--filepath-only", is_flag=True, help="Print only the paths, one per line.")
@json_option
def images(
    gallery: Path | None,
    where: str | None,
    sort: str,
    descending: bool,
    count: int | None,
    filepath_only: bool,
    as_json: bool,
) -> None:
    """List images with their measures of quality, in any order."""
    with open_gallery(gallery) as opened:
        found = list(islice(opened.images(where, sort=sort, descending=descending), count))
    if as_json:
        print_json({"images": [record.to_dict() for record in found]})
    elif filepath_only:
        for record in found:
            click.echo(display_text(str(record.path)))
    else:
        columns = (*RANGES, "pixels", "size", "id", "path")
        print_table(columns, map(_row, found), right=(*RANGES, "pixels", "size"))
        say(f"{len(found):,} images")


def _row(record: ImageRecord) -> tuple[Any, ...]:
    measures = (None if record.quality is None else getattr(record.quality, name) for name in RANGES)
    shown = ("-" if value is None else f"{value:.3f}" for value in measures)
    pixels = f"{record.width_px} x {record.height_px}"
    return *shown, pixels, format_bytes(record.size_bytes), record.id, record.path

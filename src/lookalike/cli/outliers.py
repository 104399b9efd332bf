"""``lookalike outliers``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, print_json, print_table, say

if TYPE_CHECKING:
    from lookalike.results import Outlier


@click.command()
@gallery_option
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--where", help='List only images that fulfil this, such as "quality = none".')
@click.option("--since", metavar="DATE", help="List images added since then, against those that were there before.")
@click.option("--last-run", is_flag=True, help="The same for what the last index run added.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with the pictures.")
@json_option
def outliers(
    gallery: Path | None,
    count: int,
    where: str | None,
    since: str | None,
    last_run: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """The most unusual images, or how unusual new ones are.

    Near-duplicates count as one. The percentile of a new image says how many of the older ones are less unusual.
    """
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        report = opened.outliers(count, where=where, since=since, last_run=last_run, progress=bar)
        if html is not None:
            opened.write_outliers(report, html)
    if html is not None:
        say(f"wrote {html}")
    if as_json:
        print_json(report.to_dict())
    else:
        columns = ("rank", "score", "percentile", "more", "id", "path")
        print_table(columns, map(_row, report), right=columns[:4])
        say(f"{report.judged:,} images, compared with {report.compared_with:,}")


def _row(outlier: Outlier) -> tuple[Any, ...]:
    more = f"+{len(outlier.stack)}" if outlier.stack else ""
    return outlier.rank, f"{outlier.score:.3f}", f"{outlier.percentile:.1f}", more, outlier.id, outlier.path

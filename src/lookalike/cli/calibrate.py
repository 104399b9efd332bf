"""``lookalike calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, print_json, print_table, say


@click.command()
@gallery_option
@json_option
def calibrate(gallery: Path | None, as_json: bool) -> None:
    """Learn what a score means in this gallery, and show it.

    Indexing does so by itself; this does it again, after images were labelled or files came back, say. The gallery's
    own images are left out in turn, and some are edited; no labels are used.
    """
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        report = opened.calibrate(progress=bar)
    if as_json:
        print_json(report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    columns = ("means", "from score", "chance hits per search", "own images that find such")
    rows = [
        (row["band"], f"{row['from_score']:.3f}", f"{row['chance_hits']:.2g}", f"{row['finds']:.0%}")
        for row in report["bands"]
    ]
    print_table(columns, rows, right=columns[1:])
    say(f"below that a score is chance; learned from {report['learned_from']:,} different images, without labels")
    say("scores of a plain order; the others have lines of their own: " + ", ".join(report["orders"]))

"""``lookalike demo``."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli.options import json_option
from lookalike.cli.output import ProgressBar, format_seconds, print_json, print_table, say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("lookalike-demo"))
@click.option("--count", default=300, show_default=True, help="How many pictures to draw.", type=click.IntRange(20))
@click.option("--seed", default=0, show_default=True, help="Another seed draws other pictures.")
@json_option
def demo(folder: Path, count: int, seed: int, as_json: bool) -> None:
    """A tour on drawn pictures of industrial parts: draw, index, search, and a page to look at.

    Everything goes into FOLDER (default: lookalike-demo), which can be deleted afterwards.
    """
    from lookalike import demo as tour

    with ProgressBar() as bar:
        report = tour.run(folder, count=count, seed=seed, progress=bar)
    if as_json:
        index, searches = report.index.to_dict(), [result.to_dict() for result in report.searches]
        print_json({"index": index, "searches": searches, "page": str(report.page)})
        return
    say(
        f"indexed {report.index.found:,} drawn pictures in {format_seconds(report.index.seconds)}; "
        "searched with one picture of each of some kinds:"
    )
    rows = [
        (Path(result.query).name, kind, f"{same_kind} of {len(result) - 1}", same_part, milliseconds(result.seconds))
        for result, (kind, same_kind, same_part) in zip(report.searches, report.kinds, strict=True)
    ]
    columns = ("query", "shows a", "same kind found", "the very same part", "took")
    print_table(columns, rows, right=("same kind found", "the very same part", "took"))
    say(f"look at the results:  {report.page.resolve()}")
    say(f"search on:            lookalike -g {report.folder / 'gallery'} search IMAGE")


def milliseconds(seconds: dict[str, float]) -> str:
    """The sum of all stages, for example "12 ms"."""
    return f"{sum(seconds.values()) * 1000:.0f} ms"

"""``lookalike evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, format_seconds, print_json, print_table, say

if TYPE_CHECKING:
    from lookalike.results import EvalReport

_SHORT = {
    "map": "mAP",
    "macro_map": "macro mAP",
    "precision_at_10": "P@10",
    "recall_at_1": "R@1",
    "recall_at_5": "R@5",
    "recall_at_10": "R@10",
    "mean_reciprocal_rank": "MRR",
    "median_score": "score",
}
_SHOWN_PATHS = 20
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@gallery_option
@click.option("--labels", type=_FILE, help="CSV of path,label: each image should find the others of its label.")
@click.option("--queries", type=_FILE, help='CSV of query,relevant (paths, ";" between them).')
@click.option("--edits", is_flag=True, help="Edited copies should find their originals, also where there are labels.")
@click.option(
    "--match",
    type=click.Choice(["auto", "kind", "object", "plain", "adapted"]),
    help="Measure only this order; default: all that the gallery has.",
)
@click.option("--sample", type=int, help="At most this many queries; for edits this many images.  [edits: 100]")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes other choices.")
@json_option
def evaluate(gallery: Path | None, as_json: bool, **options: Any) -> None:
    """Measure how well searches find what is right.

    Without --labels or --queries, the labels that the gallery holds are used; where it holds none, edited copies of
    its own images must find their originals. Nothing is changed.
    """
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        report = opened.evaluate(progress=bar, **options)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: EvalReport) -> None:
    if report.by_edit:
        _print_metrics("edit", report.by_edit)
    _print_metrics("match", report.by_match)
    _print_metrics("numbers", report.by_dimension)
    for what, paths in (("not in the gallery", report.unknown), ("cannot be read", report.unreadable)):
        for path in paths[:_SHOWN_PATHS]:
            say(f"{what}: {path}")
        if len(paths) > _SHOWN_PATHS:
            say(f"{what}: {len(paths) - _SHOWN_PATHS:,} more")
    if report.why_plain:
        say(report.why_plain)
    left_out = f", {report.n_left_out:,} left out" if report.n_left_out else ""
    say(f"{report.protocol}: {report.n_queries:,} queries in {report.n_images:,} images{left_out}")
    how = "searched exactly" if report.exact else "searched through an index"
    say(f"{how}: {report.agreement_at_10:.1%} of the exact first ten are found")
    say(f"{report.model}, {report.precision}, in {format_seconds(report.seconds)}")


def _print_metrics(what: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    names = list(next(iter(rows.values())))
    columns = [_SHORT[name] for name in names]
    print_table(
        (what, *columns), [(row, *(f"{v:.3f}" for v in found.values())) for row, found in rows.items()], right=columns
    )

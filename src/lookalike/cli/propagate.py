"""``lookalike propagate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, print_json, print_table, say

if TYPE_CHECKING:
    from lookalike.gallery.propagating import PropagationReport


@click.command()
@gallery_option
@click.option("--min-confidence", default=0.9, show_default=True, help="The least confidence, above 0 and at most 1.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
@click.option("--by", help="Who asks for it; default: the name of the account.")
@json_option
def propagate(gallery: Path | None, min_confidence: float, dry_run: bool, by: str | None, as_json: bool) -> None:
    """Give images without a label the label of those around them, where that is likely right.

    Learned from labels that were not propagated themselves; those are never touched. What was propagated before is
    taken back and replaced.
    """
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        report = opened.propagate(min_confidence, dry_run=dry_run, by=by, progress=bar)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: PropagationReport) -> None:
    print_table(("label", "images"), report.by_label.items(), right=("images",))
    would = "would get" if report.dry_run else "got"
    say(f"learned from {report.labels:,} labels on {report.labelled:,} images")
    say(f"{report.propagated:,} of {report.unlabelled:,} images without a label {would} one{_right(report)}")
    for limit in report.by_confidence:
        if limit.expected_precision is not None:
            share = f"{100 * limit.expected_precision:.0f} % expected to be right"
            say(f"  at {limit.min_confidence:.2f} or more: {limit.images:,} images, {share}")
    say(f"about {100 * report.unknown_share:.0f} % of them seem to be of kinds that nobody has labelled")
    if report.rejected:
        say(f"left alone: {report.rejected:,} images whose label was rejected before")
    if report.retracted:
        say(f"replaces {', '.join(f'batch {number}' for number in report.retracted)}")
    if report.batch is not None:
        say(f"look through them: lookalike labels review; take them back: lookalike labels undo {report.batch}")


def _right(report: PropagationReport) -> str:
    if report.expected_precision is None:
        return ""
    return f", {100 * report.expected_precision:.0f} % expected to be right"

"""``lookalike adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, print_json, print_table, say

if TYPE_CHECKING:
    from lookalike.adapt import Gain
    from lookalike.gallery.adapting import AdaptReport


@click.command()
@gallery_option
@click.option("--keep", is_flag=True, help="Keep it even where it is not sure to help.")
@click.option("--drop", is_flag=True, help="Forget the adaptation that is kept; learn nothing.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed holds back other images.")
@json_option
def adapt(gallery: Path | None, keep: bool, drop: bool, seed: int, as_json: bool) -> None:
    """Learn from the labels of the gallery how to order results, for --match adapted.

    Some labels are held back to measure whether that finds more than the best order that needs none. It is kept where
    it is sure to, and never used unless a search asks for it.
    """
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        if drop:
            dropped = opened.drop_adaptation()
        else:
            report = opened.adapt(keep=keep, seed=seed, progress=bar)
    if drop:
        if as_json:
            print_json({"dropped": dropped})
        else:
            say("forgot the adaptation" if dropped else "there was no adaptation")
    elif as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: AdaptReport) -> None:
    rows = sorted(report.by_match.items(), key=lambda item: -item[1])
    print_table(("order", "mAP"), [(match, f"{100 * value:.1f}") for match, value in rows], right=("mAP",))
    say(f"learned from {report.labels:,} labels on {report.images:,} different images")
    say(f"against {report.best}, the best order without labels: {_words(report.gain)}")
    if report.gain_unlabelled is not None:
        say(f"for kinds that nobody has labelled: {_words(report.gain_unlabelled)}")
    if report.recommended:
        say("recommended: lookalike search --match adapted")
    elif report.kept:
        say("not sure to help, kept as you wished: lookalike search --match adapted")
    else:
        say("not sure to help, so it was not kept (--keep does); more labels may change that")


def _words(gain: Gain) -> str:
    low, high = 100 * gain.low, 100 * gain.high
    return f"{100 * gain.gain:+.1f} points of mAP ({low:+.1f} to {high:+.1f}) over {gain.n_queries:,} held-back images"

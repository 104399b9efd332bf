"""``lookalike labels``: what people said of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery, split_ids
from lookalike.cli.output import ProgressBar, print_json, print_table, say

if TYPE_CHECKING:
    from lookalike.gallery.reviewing import ToReview


@click.group()
def labels() -> None:
    """Labels: list what was said, bring labels along, take them back; what to label next, what to look through."""


@labels.command("list")
@gallery_option
@json_option
def list_(gallery: Path | None, as_json: bool) -> None:
    """Labels with their number of images, and the batches that set them, latest first."""
    with open_gallery(gallery) as opened:
        counts, events = opened.label_counts(), opened.label_events()
    if as_json:
        print_json({"labels": counts, "events": [event.to_dict() for event in events]})
        return
    print_table(("label", "images"), counts.items(), right=("images",))
    say(f"{len(counts)} labels on {sum(counts.values()):,} images")
    for event in events:
        undone = f", taken back {event.undone_at}" if event.undone_at else ""
        count = sum(event.labels.values())
        say(f"batch {event.batch}: {count:,} images by {event.by} ({event.source}) {event.at}{undone}")


@labels.command("set")
@click.argument("text", metavar="TEXT")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@gallery_option
@click.option("--copies", is_flag=True, help="Label all other files with the same content too.")
@click.option("--by", help="Who says so; default: the name of the account.")
@json_option
def set_(text: str, ids: tuple[str, ...], gallery: Path | None, copies: bool, by: str | None, as_json: bool) -> None:
    """Label images by ID as TEXT; an empty TEXT takes their label away."""
    with open_gallery(gallery) as opened:
        batch = opened.label_images(dict.fromkeys(ids, text or None), by=by, copies=copies)
        count = next(sum(event.labels.values()) for event in opened.label_events() if event.batch == batch)
    if as_json:
        print_json({"batch": batch, "labelled": count})
    else:
        say(f"labelled {count:,} images {text!r} (batch {batch})" if text else f"took the label from {count:,} images")


@labels.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@gallery_option
@click.option("--by", help="Who says so; default: the name of the account.")
@json_option
def import_(file: Path, gallery: Path | None, by: str | None, as_json: bool) -> None:
    """Label images from a CSV FILE with columns path and label."""
    with open_gallery(gallery) as opened:
        outcome = opened.import_labels(file, by=by)
    if as_json:
        print_json(outcome)
        return
    for path in outcome["unknown"]:
        say(f"not in the gallery: {path}")
    say(f"labelled {outcome['labelled']:,} images, {len(outcome['unknown']):,} paths are not in the gallery")


@labels.command("check")
@gallery_option
@click.option(
    "--inspected", type=click.IntRange(min=0), help="So many of the sample were looked at, from the first on."
)
@click.option("--wrong-ids", default="", metavar="ID,...", help="Those among them whose label is wrong.")
@click.option("--target", default=0.05, show_default=True, help="Share of wrong labels to strive for.")
@click.option("--by", help="Who says so; default: the name of the account.")
@json_option
def check(
    gallery: Path | None, inspected: int | None, wrong_ids: str, target: float, by: str | None, as_json: bool
) -> None:
    """How wrong the labels of clusters can be, all together; lists what to inspect to be surer."""
    with open_gallery(gallery) as opened:
        if inspected is None:
            report = opened.label_error(target)
        else:
            report = opened.check_labels(inspected, split_ids(wrong_ids), by=by, target=target)
    if as_json:
        print_json(report.to_dict())
        return
    print_table(("", "id", "label", "path"), [(n, i.id, i.label, i.path) for n, i in enumerate(report.sample, 1)])
    if report.bound is None:
        say("no cluster is labelled yet; lookalike label CLUSTER TEXT does it")
        return
    say(f"{report.images:,} images have their label from {report.clusters} clusters")
    say(f"at most {100 * report.bound:.1f} % of these labels are wrong (95 % confidence; {report.looks} looks count)")
    if report.sample:
        say(f"look at these {len(report.sample)}: if all are right, it is at most {100 * target:g} %")
        say(f"then: lookalike labels check --inspected {len(report.sample)} --wrong-ids ID,...")


@labels.command("undo")
@click.argument("batch", type=int, required=False)
@gallery_option
@json_option
def undo(batch: int | None, gallery: Path | None, as_json: bool) -> None:
    """Take back a BATCH of labels; without a number, the last one."""
    with open_gallery(gallery) as opened:
        number, count = opened.undo_labels(batch)
    if as_json:
        print_json({"batch": number, "labels": count})
    else:
        say(f"took back batch {number} with {count:,} labels")


@labels.command("next")
@gallery_option
@click.option("-n", "count", default=20, show_default=True, help="How many images.")
@json_option
def next_(gallery: Path | None, count: int, as_json: bool) -> None:
    """The images to label next: those that decide the most, different from each other."""
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        questions = opened.label_next(count, progress=bar)
    if as_json:
        print_json({"images": [question.to_dict() for question in questions]})
        return
    rows = [(q.id, f"{q.decides:.1f}", q.suggestion or "", _sure(q.confidence), q.path) for q in questions]
    print_table(("id", "decides", "perhaps", "confidence", "path"), rows, right=("decides", "confidence"))
    say(f"{len(questions)} images to label next; decides: how many images without a sure label would be settled")


@labels.command("review")
@gallery_option
@click.option("--accept", metavar="ID,...", help="These propagated labels are right.")
@click.option("--reject", metavar="ID,...", help="These are wrong: taken away, and not propagated again.")
@click.option("--accept-all-above", type=float, metavar="X", help="All others of at least this confidence are right.")
@click.option("--by", help="Who says so; default: the name of the account.")
@click.option("-n", "count", default=50, show_default=True, help="How many to list.")
@json_option
def review(
    gallery: Path | None,
    accept: str | None,
    reject: str | None,
    accept_all_above: float | None,
    by: str | None,
    count: int,
    as_json: bool,
) -> None:
    """Look through propagated labels, the least sure first; or say which are right and which are wrong."""
    with open_gallery(gallery) as opened:
        if accept is None and reject is None and accept_all_above is None:
            _list_to_review(opened.to_review(), count, as_json)
            return
        outcome = opened.review(_ids(accept), _ids(reject), accept_above=accept_all_above, by=by)
    if as_json:
        print_json(outcome)
    else:
        say(f"accepted {outcome['accepted']:,} labels, rejected {outcome['rejected']:,}")


def _list_to_review(found: list[ToReview], count: int, as_json: bool) -> None:
    if as_json:
        print_json({"total": len(found), "images": [each.to_dict() for each in found[:count]]})
        return
    rows = [(each.id, _sure(each.confidence), each.label, each.path) for each in found[:count]]
    print_table(("id", "confidence", "label", "path"), rows, right=("confidence",))
    say(f"{len(found):,} propagated labels to review, the least sure first")


def _ids(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _sure(confidence: float | None) -> str:
    return "" if confidence is None else f"{confidence:.3f}"

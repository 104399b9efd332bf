"""``lookalike info``, ``doctor`` and ``failures``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, format_bytes, print_facts, print_json, print_table, say

_SHOWN_PATHS = 20


@click.command()
@gallery_option
@json_option
def info(gallery: Path | None, as_json: bool) -> None:
    """What the gallery holds and how it was made."""
    with open_gallery(gallery) as opened:
        facts = opened.info()
    if as_json:
        print_json(facts)
    else:
        print_facts(_facts(facts))


def _facts(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    model = facts["model"]
    yield "gallery", facts["gallery"]
    yield "images", f"{facts['images']:,} ({facts['contents']:,} different contents seen)"
    for root in facts["roots"]:
        without = f" without {', '.join(root['excludes'])}" if root["excludes"] else ""
        yield "folder", f"{root['folder']} ({root['name']}){without}"
    yield "formats", ", ".join(f"{count:,} {name}" for name, count in facts["formats"].items()) or "none"
    flawed = (f"{count:,} {flaw}" for flaw, count in facts["quality"].items() if count)
    yield "quality", ", ".join(flawed) or "none is blurred, dark, bright or plain"
    yield "failed", f"{facts['failures']:,} files"
    yield "removed", f"{facts['removed']:,} files no longer there"
    yield "labelled", f"{facts['labelled']:,} images, {len(facts['labels'])} labels"
    yield "network", f"{model['name']}, {model['dim']} numbers, {model['licence']}, {model['fingerprint']}"
    yield "precision", ", ".join(f"{name}: {count:,}" for name, count in facts["precisions"].items()) or "none yet"
    fitted = "not fitted yet" if facts["fitted_on"] is None else f"fitted on {facts['fitted_on']:,} images"
    yield "vectors", f"{facts['dim']} numbers, {fitted}"
    yield "scores", "known what they mean" if facts["calibrated"] else "not known yet what they mean"
    yield "regions", "off" if facts["regions"] is None else f"of {facts['regions']:,} contents"
    if facts["adaptation"]:
        usable = "" if facts["adaptation"]["usable"] else ", no longer usable: lookalike adapt learns it again"
        yield "adapted", f"to {facts['adaptation']['labels']:,} labels{usable}"
    yield "space", facts["space"] or "none yet"
    yield "size", f"{format_bytes(facts['catalogue_bytes'])} and {format_bytes(facts['cache_bytes'])} of caches"


@click.command()
@gallery_option
@click.option("--repair", is_flag=True, help="Rebuild caches; the catalogue is never guessed at.")
@click.option("--refit", is_flag=True, help="Learn the PCA again from what the gallery holds now.")
@click.option("--move-root", nargs=2, metavar="NAME FOLDER", help="Say where the folder of a root is now.")
@json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    gallery: Path | None,
    repair: bool,
    refit: bool,
    move_root: tuple[str, str] | None,
    as_json: bool,
) -> None:
    """Check the gallery against its folders and itself; exit code 1 where something is wrong."""
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        report = opened.doctor(repair=repair, refit=refit, move_root=move_root, progress=bar)
    if as_json:
        print_json(report)
    else:
        _print_doctor(report)
    ctx.exit(0 if report["ok"] else 1)


def _print_doctor(report: dict[str, Any]) -> None:
    for done in report["repaired"]:
        say(done)
    rows = [(kind, path) for kind in ("missing", "changed", "unreadable") for path in report[kind][:_SHOWN_PATHS]]
    print_table(("what", "path"), rows)
    for problem in report["problems"]:
        say(f"problem: {problem}")
    if report["missing"] or report["changed"]:
        say("lookalike index brings the gallery up to date")
    if report["failures"]:
        say(f"{report['failures']:,} files could not be used: lookalike failures")
    if report["ok"]:
        say("all is well")


@click.command()
@gallery_option
@json_option
def failures(gallery: Path | None, as_json: bool) -> None:
    """Files that could not be used, and why; they are tried again when they change."""
    with open_gallery(gallery) as opened:
        found = opened.failures()
    if as_json:
        print_json({"failures": [failure.to_dict() for failure in found]})
        return
    print_table(("stage", "why", "path"), [(f.stage, f.message, f.path) for f in found])
    say(f"{len(found):,} files")

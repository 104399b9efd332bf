"""``lookalike index``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, format_seconds, print_facts, print_json, say

if TYPE_CHECKING:
    from lookalike.results import IndexReport


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@gallery_option
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out matching names or paths; remembered.")
@click.option("--model", help="Network of a new gallery: a name, or an ONNX file with its card.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), help="Arithmetic of the network.")
@click.option("--workers", type=int, help="Decoder processes; default: one per core.")
@click.option("--threads", type=int, help="Threads of the network; default: one per core.")
@click.option("--regions/--no-regions", default=None, help="Keep parts of images too and find them; or drop them.")
@click.option("--retry-failed", is_flag=True, help="Try files again that failed before, though unchanged.")
@click.option("--strict", is_flag=True, help="Exit with 3 when files were skipped.")
@json_option
@click.pass_context
def index(
    ctx: click.Context,
    paths: tuple[Path, ...],
    gallery: Path | None,
    exclude: tuple[str, ...],
    model: str | None,
    precision: str | None,
    workers: int | None,
    threads: int | None,
    regions: bool | None,
    retry_failed: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Make or update the gallery from folders or images.

    Only new and changed files are read; without PATHS all known folders are brought up to date. Photos are never
    changed. A stopped run goes on where it was.
    """
    settings = {"precision": precision, "workers": workers, "threads": threads}
    with open_gallery(gallery, create=bool(paths), model=model, settings=settings) as opened, ProgressBar() as bar:
        report = opened.index(
            *paths, excludes=exclude or None, retry_failed=retry_failed, regions=regions, progress=bar
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    if strict and (report.failed or report.unreadable_folders):
        ctx.exit(3)


def _print(report: IndexReport) -> None:
    kept = (
        (report.added, "added"),
        (report.updated, "updated"),
        (report.reused, "known content"),
        (report.unchanged, "unchanged"),
        (report.failed, "failed"),
    )
    facts = [
        ("gallery", report.gallery),
        ("found", f"{report.found:,} images: " + (", ".join(f"{n:,} {what}" for n, what in kept if n) or "none")),
    ]
    if report.removed:
        facts.append(("removed", f"{report.removed:,} no longer there (they come back if the files do)"))
    if report.ignored:
        facts.append(("ignored", f"{report.ignored:,} files that are no images"))
    if report.added or report.updated:
        facts.append(("network", f"{report.model}, {report.precision}, vectors of {report.dim}"))
    rate = f", {report.images_per_second:,.0f} images/s" if report.added + report.updated else ""
    facts.append(("time", format_seconds(report.seconds) + rate))
    print_facts(facts)
    if report.failed or report.unreadable_folders:
        say("lookalike failures lists what could not be used, and why")

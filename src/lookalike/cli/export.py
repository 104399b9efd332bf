"""``lookalike export``."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, print_json, print_table, say

if TYPE_CHECKING:
    from lookalike.export.report import ExportReport

_FORMATS = ("csv", "jsonl", "npz", "parquet", "imagefolder", "coco", "labelstudio", "fiftyone", "huggingface")
_FILES = ("copy", "hardlink", "symlink", "reference")


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@gallery_option
@click.option("--format", type=click.Choice(_FORMATS), help="What to write; default: by the suffix of TARGET.")
@click.option("--split", metavar="A,B[,C]", help="Divide into train, val and test, for example 0.8,0.1,0.1.")
@click.option("--group-by", metavar="TEMPLATE", help="Keep together what shares fields, such as {site}/{asset}/*.")
@click.option("--where", help='Only images that fulfil this, such as "label != none and date >= 2024".')
@click.option("--files", type=click.Choice(_FILES), help="How photos come along; reference: they stay where they are.")
@click.option("--labelled-only", is_flag=True, help="Leave out images without a label in every format.")
@click.option("--url-prefix", metavar="TEXT", help="What addresses of photos begin with, for labelstudio.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed divides in another way.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@json_option
def export(gallery: Path | None, target: Path, as_json: bool, **options: Any) -> None:
    """Write images and labels to TARGET for other tools, divided without leaks where you wish.

    Copies, near-duplicates and what shares the fields of --group-by stay on one side of a split. Photos are only read.
    """
    with _stoppable(), open_gallery(gallery) as opened, ProgressBar() as bar:
        report = opened.export(target, progress=bar, **options)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


@contextmanager
def _stoppable() -> Iterator[None]:
    """A polite request to end is heard as Ctrl-C is, so that nothing half done stays behind."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print(report: ExportReport) -> None:
    parts = [name for name in report.by_split if name]
    labels = {**report.labels, **({"": report.unlabelled} if report.unlabelled else {})}
    rows = [
        (label or "(no label)", count, *(report.by_split[name].get(label, 0) for name in parts))
        for label, count in labels.items()
    ]
    print_table(("label", "images", *parts), rows, right=("images", *parts))
    say(f"exported {report.exported:,} of {report.found:,} images as {report.format} to {report.target}")
    for reason, count in report.left_out.items():
        say(f"left out {count:,}: {reason}")
    if report.split is not None:
        say(report.split.verdict)
    for note in report.notes:
        say(note)
    say(f"what it holds: {report.card}")

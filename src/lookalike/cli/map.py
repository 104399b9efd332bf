"""``lookalike map``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import gallery_option, json_option, open_gallery
from lookalike.cli.output import ProgressBar, print_facts, print_json, say

if TYPE_CHECKING:
    from lookalike.gallery.mapping import GalleryMap

_FILE = click.Path(path_type=Path)


@click.command()
@gallery_option
@click.option("--html", type=_FILE, help="Write the map as a page to look around in; it holds everything itself.")
@click.option("--png", type=_FILE, help="Write the map as a picture.")
@click.option("--wall", is_flag=True, help="Let the PNG be a wall of small pictures, each near its place.")
@click.option(
    "--method",
    type=click.Choice(["tsne", "pca"]),
    default="tsne",
    show_default=True,
    help="t-SNE puts what looks alike together; PCA is there at once, and coarse.",
)
@click.option(
    "--colour",
    type=click.Choice(["auto", "label", "cluster", "date", "root", "none"]),
    default="auto",
    show_default=True,
    help="What points of one colour share; auto: the label, where an image has one, else the cluster.",
)
@click.option("--where", help='Show only images that fulfil this, such as "date >= 2024".')
@click.option("--again", is_flag=True, help="Lay out all images anew; else new ones are placed among the old.")
@click.option("--seed", type=int, help="Lay out with this seed; another one gives another picture.")
@json_option
def map(gallery: Path | None, as_json: bool, **options: Any) -> None:
    """Lay the images out on a plane, so that what looks alike lies together.

    The layout is kept: the next map has every image where it was, and new ones among those that they are like.
    """
    with open_gallery(gallery) as opened, ProgressBar() as bar:
        drawn = opened.map(**options, progress=bar)
    for file in filter(None, (options["html"], options["png"])):
        say(f"wrote {file}")
    if as_json:
        print_json(drawn.to_dict())
    else:
        _print(drawn)


def _print(drawn: GalleryMap) -> None:
    facts = drawn.to_dict()
    print_facts((name.replace("_", " "), facts[name]) for name in facts if name not in ("points", "seconds"))
    if drawn.is_stale:
        say("most of these pictures came later and were only placed among the others: --again lays out all")

"""``lookalike search`` and ``lookalike similar``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import open_gallery, search_options
from lookalike.cli.output import print_json, print_table, say
from lookalike.display import display_text

if TYPE_CHECKING:
    from lookalike.gallery import Gallery
    from lookalike.results import SearchResult


@click.command()
@click.argument("image", type=click.Path(path_type=Path, allow_dash=True))
@search_options
def search(image: Path, gallery: Path | None, **options: Any) -> None:
    """Find the images most like IMAGE, which may lie anywhere; - reads it from stdin."""
    with open_gallery(gallery, once=True) as opened:
        query = sys.stdin.buffer.read() if str(image) == "-" else image
        result = opened.search(query, **_ask(options))
        _print(opened, result, **_show(options))


@click.command()
@click.argument("image_id", metavar="ID")
@search_options
def similar(image_id: str, gallery: Path | None, **options: Any) -> None:
    """Find the images most like the gallery's image ID; itself is left out."""
    with open_gallery(gallery, once=True) as opened:
        _print(opened, opened.similar(image_id, **_ask(options)), **_show(options))


def _ask(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("k", "where", "power", "min_score")}


def _show(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("as_json", "filepath_only", "html")}


def _print(gallery: Gallery, result: SearchResult, *, as_json: bool, filepath_only: bool, html: Path | None) -> None:
    if html is not None:
        gallery.write_report([result], html)
        say(f"wrote {html}")
    if as_json:
        print_json(result.to_dict())
    elif filepath_only:
        for match in result:
            click.echo(display_text(str(match.path)))
    else:
        rows = [(match.rank, f"{match.score:.3f}", match.id, match.path) for match in result]
        print_table(("rank", "score", "id", "path"), rows, right=("rank", "score"))
        if not rows:
            say("nothing fulfils that")

"""``lookalike search`` and ``lookalike similar``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import open_gallery, search_options
from lookalike.cli.output import print_json, print_table, say
from lookalike.display import display_text
from lookalike.errors import SettingError

if TYPE_CHECKING:
    from lookalike.gallery import Gallery
    from lookalike.results import Match, SearchResult


@click.command()
@click.argument("image", type=click.Path(path_type=Path, allow_dash=True), required=False)
@click.option("--box", metavar="X0,Y0,X1,Y1", help="Search by this part of the picture; fractions of its sides.")
@click.option("--no-regions", is_flag=True, help="Do not look for it as a part of other pictures.")
@search_options
def search(image: Path | None, gallery: Path | None, box: str | None, **options: Any) -> None:
    """Find the images most like IMAGE, which may lie anywhere; - reads it from stdin.

    Without IMAGE the examples given with --like are searched for.
    """
    part = None if box is None else [_number(text, box) for text in box.split(",")]
    no_regions = options.pop("no_regions")
    with open_gallery(gallery, once=True) as opened:
        query = sys.stdin.buffer.read() if str(image) == "-" else image
        result = opened.search(query, box=part, regions=not no_regions, **_ask(options))
        _print(opened, result, **_show(options))


@click.command()
@click.argument("image_id", metavar="ID")
@search_options
def similar(image_id: str, gallery: Path | None, **options: Any) -> None:
    """Find the images most like the gallery's image ID; itself is left out."""
    with open_gallery(gallery, once=True) as opened:
        _print(opened, opened.similar(image_id, **_ask(options)), **_show(options))


def _ask(options: dict[str, Any]) -> dict[str, Any]:
    asked = {name: options[name] for name in ("k", "where", "match", "power", "min_score")}
    stacks = not (options["no_stacks"] or options["filepath_only"])
    return {**asked, "stacks": stacks, "like": options["like"], "unlike": options["unlike"]}


def _number(text: str, box: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        hint = "write x0,y0,x1,y1 as fractions of the image, for example 0.25,0.25,0.75,0.75"
        raise SettingError(f"box {box!r} is not four numbers", hint=hint) from error


def _show(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("as_json", "filepath_only", "html", "explain")}


def _print(
    gallery: Gallery,
    result: SearchResult,
    *,
    as_json: bool,
    filepath_only: bool,
    html: Path | None,
    explain: Path | None,
) -> None:
    explanations = [] if explain is None else [gallery.explain(result, explain)]
    if explain is not None:
        say(f"wrote {sum(bool(e.query or e.match) for e in explanations[0])} pictures to {explain}")
    if html is not None:
        gallery.write_report([result], html, explanations=explanations)
        say(f"wrote {html}")
    if as_json:
        print_json(result.to_dict())
    elif filepath_only:
        for match in result:
            click.echo(display_text(str(match.path)))
    else:
        columns = ("rank", "score", "means", "more", "id", "path")
        print_table(columns, [_row(match) for match in result], right=("rank", "score", "more"))
        _explain_in_words(result)


def _row(match: Match) -> tuple[Any, ...]:
    means = ", ".join(filter(None, (match.band, match.region and "a part of it")))
    more = f"+{len(match.stack)}" if match.stack else ""
    return match.rank, f"{match.score:.3f}", means, more, match.id, match.path


def _explain_in_words(result: SearchResult) -> None:
    if result.why_plain:
        say(result.why_plain)
    if result.nothing_alike:
        say("nothing like this here: what is listed looks like chance")
    elif not len(result):
        say("nothing fulfils that")

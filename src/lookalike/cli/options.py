"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lookalike.gallery import Gallery


def gallery_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``-g/--gallery``, which may stand before or after the command's name."""

    def inherit(ctx: click.Context, _: click.Parameter, value: Path | None) -> Path | None:
        return value if value is not None else ctx.obj

    return click.option(
        "-g",
        "--gallery",
        type=click.Path(path_type=Path, file_okay=False),
        callback=inherit,
        help="Folder of the gallery; default: $LOOKALIKE_GALLERY, else a per-user data folder.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def _examples(name: str, help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--like`` and ``--unlike``: images with an optional weight."""

    def parsed(_ctx: click.Context, _: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, float]]:
        if not texts:
            return []
        from lookalike.feedback import parse_example

        return [parse_example(text) for text in texts]

    return click.option(name, multiple=True, metavar="X[:WEIGHT]", callback=parsed, help=help_text)


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What ``search`` and ``similar`` share."""
    for option in (
        json_option,
        click.option(
            "--explain",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help="Write a picture per match that shows which parts its score comes from.",
        ),
        click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with the pictures."),
        click.option("-f", "--filepath-only", is_flag=True, help="Print only the paths, one per line, unstacked."),
        click.option("--min-score", help="Leave out lower scores (-1 to 1); auto leaves out what looks like chance."),
        _examples("--unlike", "Not like this image, given in the same way."),
        _examples("--like", "Also like this image, a file or an id; X:2 counts twice. May be repeated."),
        click.option("--no-stacks", is_flag=True, help="Do not fold near-duplicates into one result."),
        click.option("--power", type=float, help="Whitening power 0 to 1 of a plain order, in place of --match."),
        click.option(
            "--match",
            type=click.Choice(["auto", "kind", "object", "plain", "adapted"]),
            default="auto",
            show_default=True,
            help="What to put first: the same kind of thing, the very same thing, or both at once (auto); plain: the"
            " score alone; adapted: what labels taught, see lookalike adapt.",
        ),
        click.option("--where", help='Only images that fulfil this, such as "format = JPEG and width >= 1000".'),
        click.option("-k", "-t", "--top", "k", default=10, show_default=True, help="How many results."),
        gallery_option,
    ):
        command = option(command)
    return command


def open_gallery(path: Path | None, **options: Any) -> Gallery:
    """The gallery of the command line, with settings from the environment and the given ones."""
    from lookalike.gallery import Gallery  # not before a command runs: --help must be quick
    from lookalike.settings import Settings

    settings = Settings.from_environment(**options.pop("settings", {}))
    return Gallery.open(path, settings=settings, **options)


def split_ids(text: str) -> list[str]:
    """The ids in a list with commas; nothing for an empty one."""
    return [part.strip() for part in text.split(",") if part.strip()]

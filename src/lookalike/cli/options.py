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


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What ``search`` and ``similar`` share."""
    for option in (
        json_option,
        click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with the pictures."),
        click.option("-f", "--filepath-only", is_flag=True, help="Print only the paths, one per line."),
        click.option("--min-score", type=float, help="Leave out results with a lower score (-1 to 1)."),
        click.option("--power", type=float, help="Whitening power of the order, 0 to 1; default: the gallery's own."),
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

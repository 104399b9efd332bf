"""``lookalike models``: the networks."""

from __future__ import annotations

import click

from lookalike.cli.options import json_option
from lookalike.cli.output import print_json, print_table


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """Networks that are there, with dimension, licence and hash."""
    if ctx.invoked_subcommand is None:
        _list(as_json)


@models.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Networks that are there."""
    _list(as_json)


def _list(as_json: bool) -> None:
    from lookalike.gallery import Gallery

    infos = Gallery.models()
    if as_json:
        print_json({"models": [info.to_dict() for info in infos]})
        return
    rows = [(info.name, info.dim, info.licence, info.weights_sha256[:16], info.fingerprint) for info in infos]
    print_table(("name", "dim", "licence", "weights SHA-256", "fingerprint"), rows, right=("dim",))

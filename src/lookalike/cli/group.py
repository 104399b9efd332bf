"""The group of all commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from lookalike import __version__
from lookalike.cli.output import say
from lookalike.errors import GalleryLockedError, LookalikeError, SettingError, UnknownPluginError

EXIT_FAILED, EXIT_USAGE, EXIT_SKIPPED, EXIT_BUSY, EXIT_INTERRUPTED = 1, 2, 3, 4, 130

# Command -> module; a command's module is loaded when it is used, so that --help is quick.
_COMMANDS = {
    "index": "lookalike.cli.index",
    "search": "lookalike.cli.search",
    "similar": "lookalike.cli.search",
    "images": "lookalike.cli.images",
    "outliers": "lookalike.cli.outliers",
    "cluster": "lookalike.cli.cluster",
    "label": "lookalike.cli.label",
    "labels": "lookalike.cli.labels",
    "propagate": "lookalike.cli.propagate",
    "evaluate": "lookalike.cli.evaluate",
    "calibrate": "lookalike.cli.calibrate",
    "adapt": "lookalike.cli.adapt",
    "duplicates": "lookalike.cli.duplicates",
    "map": "lookalike.cli.map",
    "export": "lookalike.cli.export",
    "info": "lookalike.cli.state",
    "doctor": "lookalike.cli.state",
    "failures": "lookalike.cli.state",
    "models": "lookalike.cli.models",
    "demo": "lookalike.cli.demo",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(_COMMANDS[cmd_name]), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LookalikeError as error:
            say(f"error: {error}")
            if error.hint:
                say(f"hint: {error.hint}")
            ctx.exit(_exit_code(error))
        except (KeyboardInterrupt, click.Abort):
            say("stopped; what was finished is kept")
            ctx.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            # The reader of our output went away, as `| head` does; nothing more to say to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(EXIT_FAILED)


def _exit_code(error: LookalikeError) -> int:
    if isinstance(error, GalleryLockedError):
        return EXIT_BUSY
    return EXIT_USAGE if isinstance(error, (SettingError, UnknownPluginError)) else EXIT_FAILED


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-g",
    "--gallery",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the gallery; default: $LOOKALIKE_GALLERY, else a per-user data folder.",
)
@click.version_option(__version__, message="lookalike %(version)s")
@click.pass_context
def main(ctx: click.Context, gallery: Path | None) -> None:
    r"""Find images that look alike, in archives that nobody has labelled. Nothing leaves this machine.

    \b
    lookalike index FOLDER     make a searchable gallery of a folder of images
    lookalike search IMAGE     find what is most like an image
    lookalike demo             a tour on drawn pictures
    """
    ctx.obj = gallery

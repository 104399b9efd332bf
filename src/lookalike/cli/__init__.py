"""The command line: thin commands that parse, call Gallery once, and print."""

from lookalike.cli.group import main

__all__ = ["main"]

"""Printing: data on stdout, talk and progress on stderr, colours only on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from lookalike.display import display_text

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_QUIET_SECONDS = 10.0
_ANY_WIDTH = 10_000


def say(text: str) -> None:
    """A line of talk on stderr, with control characters escaped."""
    click.echo(display_text(text), err=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout, in ASCII, so that any file name survives any terminal."""
    click.echo(json.dumps(document, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """A table on stdout: aligned on a terminal, separated by tabs elsewhere so that scripts can cut it."""
    texts = [[display_text(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in texts:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    for row in texts:
        table.add_row(*row)
    # As wide as it needs: the terminal wraps a long path in a way that it can still be copied.
    Console(markup=False, highlight=False, width=_ANY_WIDTH).print(table)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Names and values on stdout, one per line."""
    pairs = [(name, display_text(str(value))) for name, value in facts]
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name:<{width}}  {value}")


def format_bytes(count: int) -> str:
    """For example "3.2 MB"."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_seconds(seconds: float) -> str:
    """For example "3.2 s", "4 min 10 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


class ProgressBar:
    """Shows long work on stderr: a bar with rate and time left on a terminal, else a line every 10 seconds.

    Call it with (stage, done, total or None); use it as a context manager.
    """

    def __init__(self) -> None:
        self._rich: RichProgress | None = None
        self._stage = ""
        self._started = self._spoken = time.monotonic()
        self._first = 0

    def __enter__(self) -> ProgressBar:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._rich = progress.Progress(
                progress.TextColumn("{task.description:<16}"),
                progress.BarColumn(bar_width=30),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._rich.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._rich is not None:
            self._rich.stop()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._started, self._spoken, self._first = stage, now, now, done
            if self._rich is not None:
                for task in self._rich.task_ids:
                    self._rich.remove_task(task)
                self._rich.add_task(stage, total=total, completed=done, rate="")
        rate = (done - self._first) / (now - self._started) if now > self._started else 0.0
        if self._rich is not None:
            text = f"{rate:,.0f}/s" if rate else ""
            self._rich.update(self._rich.task_ids[0], completed=done, total=total, rate=text)
        elif now - self._spoken >= _QUIET_SECONDS:
            self._spoken = now
            say(_progress_line(stage, done, total, rate))


def _progress_line(stage: str, done: int, total: int | None, rate: float) -> str:
    parts = [f"{stage}: {done:,}" + ("" if total is None else f" of {total:,}")]
    if rate:
        parts.append(f"{rate:,.0f}/s")
        if total is not None and total > done:
            parts.append(f"about {format_seconds((total - done) / rate)} left")
    return ", ".join(parts)

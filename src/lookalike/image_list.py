"""A list of images as one HTML page that holds everything itself, like a page of searches; see ``lookalike.report``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.report import template


@dataclass(frozen=True, slots=True)
class Tile:
    """One image as it is shown.

    Attributes:
        path: Where its file is.
        thumbnail: A JPEG; empty where there is none.
        value: What the order is by, as text.
        lines: Further facts, one line each.
        beside: A smaller picture to compare with, and what it is; None shows none.
    """

    path: Path
    thumbnail: bytes
    value: str
    lines: Sequence[str] = ()
    beside: tuple[bytes, str] | None = None


def image_list(title: str, reading: str, tiles: Sequence[Tile], *, facts: Sequence[tuple[str, str]] = ()) -> str:
    """A self-contained HTML page of images; encode it as UTF-8.

    Args:
        title: Heading of the page.
        reading: How to read the values.
        tiles: The images in the order of the page.
        facts: Names and values for the head of the page.
    """
    page = template("image_list.html.j2")
    return page.render(title=title, reading=reading, tiles=tiles, facts=facts)

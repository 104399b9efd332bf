"""Contact sheets: named rows of small pictures, as one HTML page that holds everything itself, or as a PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.display import display_text
from lookalike.report import template

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_TILE_PX, _GAP_PX, _HEAD_PX, _MARGIN_PX = 160, 10, 44, 28
_MOST_SIDE_PX = 30_000  # Pillow and viewers take more, printers and patience do not
_PAGE, _TILE, _TEXT, _MUTED = "#f5f5f2", "#ebebe6", "#1e2124", "#62676c"


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture.

    Attributes:
        path: Where its file is.
        thumbnail: A JPEG; empty where there is none.
        mark: Short, before the name: a number or a score.
        detail: Small, below the name.
    """

    path: Path
    thumbnail: bytes
    mark: str = ""
    detail: str = ""

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Section:
    """Pictures that belong together.

    Attributes:
        title: Above them.
        cells: The pictures.
        badge: Beside the title.
        note: Beside the title, smaller.
    """

    title: str
    cells: Sequence[Cell]
    badge: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A contact sheet.

    Attributes:
        title: Heading.
        sections: From top to bottom.
        facts: Names and values for the head.
        reading: How to read it.
        tile_px: Width of a picture on the page.
    """

    title: str
    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)
    reading: str = ""
    tile_px: int = 150


def page(sheet: Sheet) -> str:
    """The sheet as a self-contained HTML page; encode it as UTF-8."""
    return template("contact_sheet.html.j2").render(sheet=sheet)


def png(sheet: Sheet, columns: int = 6) -> bytes:
    """The sheet as a PNG; sections that would make it higher than 30,000 pixels are left out, and it says so."""
    from PIL import Image, ImageDraw, ImageFont

    small, large = ImageFont.load_default(14), ImageFont.load_default(19)
    width = 2 * _MARGIN_PX + columns * _TILE_PX + (columns - 1) * _GAP_PX
    shown, height = [], 2 * _MARGIN_PX + _HEAD_PX
    for section in sheet.sections:
        height += _section_px(section, columns)
        if height > _MOST_SIDE_PX:
            height -= _section_px(section, columns)
            break
        shown.append(section)
    image = Image.new("RGB", (width, height), _PAGE)
    pen = ImageDraw.Draw(image)
    left_out = len(sheet.sections) - len(shown)
    more = f"   ({left_out} more did not fit)" if left_out else ""
    _write(pen, (_MARGIN_PX, _MARGIN_PX), sheet.title + more, large, _TEXT, width - 2 * _MARGIN_PX)
    top = _MARGIN_PX + _HEAD_PX
    for section in shown:
        _draw(image, pen, section, top, columns, (small, large))
        top += _section_px(section, columns)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _section_px(section: Section, columns: int) -> int:
    lines = -(-len(section.cells) // columns)
    return _HEAD_PX + lines * (_TILE_PX + _GAP_PX) + _GAP_PX


def _draw(
    image: Image.Image,
    pen: ImageDraw.ImageDraw,
    section: Section,
    top: int,
    columns: int,
    fonts: tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, ImageFont.FreeTypeFont | ImageFont.ImageFont],
) -> None:
    from PIL import Image, ImageOps

    words = "   ".join(filter(None, (section.title, section.badge, section.note)))
    _write(pen, (_MARGIN_PX, top + 14), words, fonts[0], _TEXT, image.width - 2 * _MARGIN_PX)
    for at, cell in enumerate(section.cells):
        x = _MARGIN_PX + (at % columns) * (_TILE_PX + _GAP_PX)
        y = top + _HEAD_PX + (at // columns) * (_TILE_PX + _GAP_PX)
        pen.rounded_rectangle((x, y, x + _TILE_PX, y + _TILE_PX), 8, fill=_TILE)
        if cell.thumbnail:
            with Image.open(io.BytesIO(cell.thumbnail), formats=("JPEG",)) as picture:
                fitted = ImageOps.contain(picture.convert("RGB"), (_TILE_PX - 4, _TILE_PX - 4))
            image.paste(fitted, (x + (_TILE_PX - fitted.width) // 2, y + (_TILE_PX - fitted.height) // 2))
        else:
            _write(pen, (x + 8, y + _TILE_PX // 2 - 8), cell.name, fonts[0], _MUTED, _TILE_PX - 16)


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: str,
    room_px: int,
) -> None:
    """Text that is cut where it does not fit."""
    text = display_text(text)
    while text and pen.textlength(text, font=font) > room_px:
        text = text[: -max(2, len(text) // 20)].rstrip() + "…" if len(text) > 2 else ""
    pen.text(at, text, font=font, fill=colour)

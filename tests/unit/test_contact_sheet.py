"""Contact sheets: safe pages and whole pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.contact_sheet import Cell, Section, Sheet, page, png


def jpeg(draw: Callable[..., Image.Image], kind: int) -> bytes:
    out = io.BytesIO()
    draw(kind=kind).save(out, "JPEG")
    return out.getvalue()


def test_names_are_text_on_the_page_whatever_they_hold(draw: Callable[..., Image.Image]) -> None:
    evil = "<script>alert(1)</script>\u202e\x1b[31m.jpg"
    cells = [Cell(Path("/photos") / evil, jpeg(draw, 0), "1", "<b>detail</b>"), Cell(Path("/none.jpg"), b"")]
    text = page(
        Sheet("<i>title</i>", [Section("<u>", cells, "badge&", "note\x07")], [("gallery", "<g>")], "read <this>")
    )
    assert text.count("<script") == text.count("alert(1)</script>") == 0
    for hostile in ("<i>title", "<u>", "<b>detail", "<g>", "<this>", "\x1b", "\x07", "\u202e"):
        assert hostile not in text
    assert "&lt;script&gt;" in text
    assert "data:image/jpeg;base64," in text
    assert "no picture" in text
    assert "default-src 'none'" in text


def test_the_picture_holds_every_thumbnail_in_its_place(draw: Callable[..., Image.Image]) -> None:
    cells = [Cell(Path(f"/p/{n}.jpg"), jpeg(draw, n)) for n in range(8)]
    with Image.open(
        io.BytesIO(png(Sheet("sheet", [Section("one", cells), Section("two", cells[:2])]), columns=3))
    ) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    empty = np.abs(pixels - pixels[2, 2]).sum(axis=2) < 12
    columns = empty.all(axis=0)
    assert columns[:20].all()
    assert image.width < 700
    with Image.open(io.BytesIO(png(Sheet("sheet", [Section("one", cells[:3])]), columns=3))) as shorter:
        assert shorter.height < image.height


def test_a_picture_that_would_be_too_high_says_what_it_left_out(draw: Callable[..., Image.Image]) -> None:
    sections = [Section(f"cluster {n}", [Cell(Path("/x.jpg"), b"")]) for n in range(200)]
    with Image.open(io.BytesIO(png(Sheet("many", sections)))) as image:
        assert 25_000 < image.height <= 30_000

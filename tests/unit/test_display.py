"""Other people's text on our screens."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.display import display_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("bell\x07 and null\x00", r"bell\x07 and null\x00"),
        ("two\nlines\r\ttab", r"two\x0alines\x0d\x09tab"),
        ("delete\x7f next line\x85", r"delete\x7f next line\x85"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("\u2066isolated\u2069", r"\u2066isolated\u2069"),
        ("marks\u200e\u200f\u061c", r"marks\u200e\u200f\u061c"),
        ("zero\u200bwidth\u200d\ufeff\u2060", r"zero\u200bwidth\u200d\ufeff\u2060"),
        ("soft\xadhyphen", r"soft\xadhyphen"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("lone \ud83d surrogate", r"lone \ud83d surrogate"),
    ],
)
def test_what_could_move_the_cursor_or_deceive_the_eye_is_written_out(text: str, shown: str) -> None:
    assert display_text(text) == shown


def test_bytes_that_are_no_utf8_are_shown_as_bytes() -> None:
    assert display_text(os.fsdecode(b"caf\xe9 \xff.jpg")) == r"caf\xe9 \xff.jpg"


@pytest.mark.parametrize(
    "text",
    ["", "IMG_0001.jpg", "C:\\new\\table.jpg", "Zahnräder/шестерня 歯車.jpg", "תמונה.jpg", "😀 Å é.jpg", "<b>&amp;'\""],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert display_text(text) == text


@given(st.text(st.characters()))
def test_the_result_is_always_one_printable_line_of_unicode(text: str) -> None:
    shown = display_text(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [
        c
        for c in shown
        if unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    assert display_text(shown) == shown

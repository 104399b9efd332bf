"""CSV cells that spreadsheets would run are neutralised, and come back as they were."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.tables import CsvFile, inert, is_utf8, original, utf8

SIGNS = "=+-@＝＋－＠"
NASTY = st.text(st.sampled_from("=+-@＝'\" ;,\t\r\nab1\udcff"), max_size=12)


@pytest.mark.parametrize("sign", SIGNS)
def test_what_starts_a_formula_gets_an_apostrophe(sign: str) -> None:
    for text in (f"{sign}1+1", f" {sign}1", f'"{sign}1', f"'{sign}1"):
        assert inert(text) == f"'{text}"
    for break_ in ";\t\r\n":
        assert inert(f"bolt{break_}{sign}1") == f"bolt{break_}'{sign}1"


def test_a_cell_that_starts_with_a_tab_or_line_break_gets_one_too() -> None:
    for text in ("\tbolt", "\rbolt", "\nbolt"):
        assert inert(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "bolt", "bolt - M8", "a=b", "1.5", "'tis", "a, -b", "北-1", "x@y.z"])
def test_harmless_text_stays(text: str) -> None:
    assert inert(text) == text == original(text)


@given(NASTY)
def test_the_original_comes_back(text: str) -> None:
    assert original(inert(text)) == text


@given(NASTY)
def test_no_cell_starts_a_formula_whatever_separates_cells(text: str) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(["id", inert(text), "end"])
    # Another locale splits at semicolons or tabs, a careless reader at any line break; quotes stay or go.
    for piece in re.split("[;\t\r\n]", line.getvalue())[1:]:
        assert not piece.strip(' "').startswith(tuple(SIGNS))
    cell = next(csv.reader(io.StringIO(line.getvalue(), newline="")))[1]
    assert not cell.startswith((*SIGNS, "\t", "\r", "\n"))


def test_a_table_keeps_numbers_and_neutralises_text() -> None:
    file = io.StringIO()
    table = CsvFile(file, ["=name", "value"])
    table.write(["-1", -1])
    table.write(["ok", 0.5])
    table.write([None, True])
    table.write(["a\udcff", "x,y"])
    assert file.getvalue() == "'=name,value\n'-1,-1\nok,0.5\n,true\na\\xff,\"x,y\"\n"


@given(st.text(st.characters(), max_size=8))
def test_any_text_can_be_written(text: str) -> None:
    utf8(text).encode("utf-8")  # does not raise
    assert (utf8(text) == text) == is_utf8(text)

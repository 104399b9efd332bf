r"""CSV files that are safe to open in a spreadsheet, and text that any reader can decode.

A spreadsheet runs what looks like a formula, whoever wrote it. So a text that a spreadsheet would take for one gets an
apostrophe before it, at its beginning and wherever another locale starts a new cell (after ``;``, a tab or a line
break). ``original`` takes the apostrophes away again. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import IO, Any

# + - = @ as they are and in full width; spaces and quotes before them do not keep every spreadsheet from running them.
_FORMULA = "[\\s\"']*[=+\\-@\uff1d\uff0b\uff0d\uff20]"
# A text that begins with a tab or a line break gets an apostrophe too, and so does one with apostrophes before that:
# otherwise it would not be certain which of them were there.
_FIRST = f"(?='*[\t\r\n]|{_FORMULA})"
_DANGER = re.compile(f"^{_FIRST}|(?<=[;\t\r\n])(?={_FORMULA})")
_MADE_INERT = re.compile(f"^'{_FIRST}|(?<=[;\t\r\n])'(?={_FORMULA})")
_SURROGATE = re.compile("[\ud800-\udfff]")


def inert(text: str) -> str:
    """The text with an apostrophe wherever a spreadsheet would start a formula.

    >>> inert("=1+1"), inert("bolt - M8"), inert("a;@b")
    ("'=1+1", 'bolt - M8', "a;'@b")
    """
    return _DANGER.sub("'", text)


def original(text: str) -> str:
    """The text that ``inert`` was given.

    >>> original("'=1+1"), original("'tis")
    ('=1+1', "'tis")
    """
    return _MADE_INERT.sub("", text)


def utf8(text: str) -> str:
    r"""The text as it can be written as UTF-8: bytes of a file name that are no UTF-8 become ``\xff``.

    >>> utf8("a\udcff.jpg")
    'a\\xff.jpg'
    """
    return _SURROGATE.sub(_escape, text)


def is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8."""
    return _SURROGATE.search(text) is None


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


class CsvFile:
    """Writes a CSV file, UTF-8, one header line.

    Args:
        file: A text file opened with ``newline=""``.
        columns: The header.
    """

    def __init__(self, file: IO[str], columns: Sequence[str]) -> None:
        self._file = file
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow([_cell(column) for column in columns])

    def close(self) -> None:
        """Give back the file."""
        self._file.close()

    def write(self, values: Iterable[Any]) -> None:
        """Write one row; None is an empty cell, texts are made inert, numbers stay."""
        self._writer.writerow([_cell(value) for value in values])


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, (int, float)) else inert(utf8(str(value)))

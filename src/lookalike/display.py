"""Text of unknown origin, made safe to show."""

from __future__ import annotations

import re

# C0, DEL and C1 controls, bidirectional overrides and marks, zero-width and other invisible characters, line
# separators, lone surrogates, tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def display_text(text: str) -> str:
    r"""The text with everything that could move a cursor or turn the reading direction written as an escape.

    >>> display_text("a\x1b[31m\u202egpj.exe")
    'a\\x1b[31m\\u202egpj.exe'

    Bytes of a file name that are no UTF-8 are shown as bytes (``\xff``).
    """
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is no UTF-8
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

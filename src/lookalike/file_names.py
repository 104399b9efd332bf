"""Names for folders and files made of other people's text, valid on every system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MOST_BYTES = 120  # of a name; systems allow 255, and paths get long
# What Windows forbids in names, path separators, controls, and what is invisible or turns the reading direction.
_UNSAFE = re.compile(
    '[\x00-\x1f\x7f-\x9f<>:"/\\\\|?*\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff'
    "\ufff0-\uffff\U000e0000-\U000e007f]"
)
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


def safe_name(text: str, *, most_bytes: int = MOST_BYTES) -> str:
    """A name that is valid on Linux, macOS and Windows, and one part of a path wherever it stands.

    What is forbidden becomes ``_``; so do dots, spaces and underlines at the beginning and dots and spaces at the end,
    together. Names that Windows keeps for devices get a ``_`` before them. Letters of all scripts stay.

    >>> safe_name("../etc"), safe_name("CON"), safe_name("Müller: 8")
    ('_etc', '_CON', 'Müller_ 8')
    """
    name = _cut(_UNSAFE.sub("_", unicodedata.normalize("NFC", text)), most_bytes)
    name = re.sub(r"[. ]+$", "_", re.sub(r"^[. _]+", "_", name))  # some readers pass over folders that begin with __
    return f"_{_cut(name, most_bytes - 1)}" if not name or _RESERVED.fullmatch(name) else name


def _cut(name: str, most_bytes: int) -> str:
    return name.encode("utf-8")[: max(most_bytes, 0)].decode("utf-8", "ignore")


class Names:
    """Hands out names that differ even where case and composed letters do not count.

    Args:
        taken: Names that are not given.
        by_stem: Names must differ without their suffix, too.
    """

    def __init__(self, taken: Iterable[str] = (), *, by_stem: bool = False) -> None:
        self._by_stem = by_stem
        self._taken = {self._key(name) for name in taken}
        self._next: dict[str, int] = {}

    def give(self, text: str, *, suffix: str | None = None) -> str:
        """A safe name for the text, which nobody got before: ``bolt.jpg``, then ``bolt-2.jpg``, ``bolt-3.jpg``...

        Args:
            text: Where the name comes from.
            suffix: What it ends in, with the dot; None keeps that of the text where it is short and plain.
        """
        stem, own = _parted(text)
        if suffix is not None:
            stem, own = (stem if own.lower() == suffix.lower() else text), suffix
        stem = safe_name(stem)
        if self._by_stem and not own:
            stem, own = _at_last_dot(stem)
        name, key = stem + own, self._key(stem + own)
        number = self._next.get(key, 1)
        while self._key(name) in self._taken:
            number += 1
            name = f"{stem}-{number}{own}"
        self._next[key] = number
        self._taken.add(self._key(name))
        return name

    def _key(self, name: str) -> str:
        # Systems fold case and compose letters in ways of their own; this folds at least as much as any of them.
        seen = _at_last_dot(name)[0] if self._by_stem else name
        return unicodedata.normalize("NFKC", seen.casefold()).casefold()


def _at_last_dot(name: str) -> tuple[str, str]:
    stem, dot, end = name.rpartition(".")
    return (stem, dot + end) if stem else (name, "")


def _parted(name: str) -> tuple[str, str]:
    """Stem and suffix."""
    stem, end = _at_last_dot(name)
    return (stem, end) if _SUFFIX.fullmatch(end) else (name, "")

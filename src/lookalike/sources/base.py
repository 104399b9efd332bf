"""What a place that images come from must be able to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One file as a listing shows it, before it is opened.

    Attributes:
        path: Relative to the source's root, ``/`` between the parts; bytes that are no UTF-8 as surrogates.
        size_bytes: Its size.
        mtime_ns: Time of its last change.
        inode: What the store says identifies the file (0 where it has nothing).
    """

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Unlistable:
    """A folder that could not be listed.

    Attributes:
        path: Relative to the root; "" is the root itself.
        message: Why.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that is no image.

    Attributes:
        path: Relative to the root.
    """

    path: str


class ImageSource(Protocol):
    """A tree of files that can be listed and read, and is never written to. Safe to read from several threads."""

    location: str

    def list(self) -> Iterator[SourceEntry | Unlistable | Ignored]:
        """Everything below the root, in a fixed order."""

    def read(self, entry: SourceEntry, max_bytes: int) -> tuple[bytes, SourceEntry]:
        """The whole file, and its size and times as they were when it was read.

        Raises:
            ImageReadError: it is gone, forbidden, no regular file, or changed while it was read.
            ImageTooLargeError: it has more than ``max_bytes``.
        """

"""Bringing photos along: copied, linked, or left where they are. Each is checked to be what was indexed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.export.rows import LeftOut
from lookalike.formats import is_image_name
from lookalike.types import ImageRecord

COPY, HARDLINK, SYMLINK, REFERENCE = "copy", "hardlink", "symlink", "reference"
MODES = (COPY, HARDLINK, SYMLINK, REFERENCE)
CHANGED = "the file has changed since it was indexed"
GONE = "the file is gone"
UNREADABLE = "the file cannot be read"
_BLOCK_BYTES = 2**20
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_HARDLINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2", "HEIF": ".heic"}


class Photos:
    """Brings photos into an export.

    Args:
        mode: One of MODES; with "reference" they stay where they are and are only checked.

    Attributes:
        stay: Whether they stay where they are.
        copied_instead: How many were copied because they could not be linked.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self.stay = mode == REFERENCE
        self.copied_instead = 0

    def bring(self, record: ImageRecord, destination: Path) -> None:
        """Make the photo appear at a new place inside the draft of an export.

        Raises:
            LeftOut: it is not what was indexed, or cannot be read.
            OSError: the export cannot be written.
        """
        try:
            self._bring(record, destination)
        except LeftOut:
            destination.unlink(missing_ok=True)
            raise

    def _bring(self, record: ImageRecord, destination: Path) -> None:
        if self.stay:
            _check_untouched(record)
        elif self._mode == SYMLINK:
            _check(record, record.path)
            _symlink(record.path, destination)
        elif self._mode == HARDLINK and _hardlink(record.path, destination):
            _check(record, destination)
        else:
            self.copied_instead += self._mode == HARDLINK
            _copy(record, destination)


def suffix_of(record: ImageRecord) -> str | None:
    """The suffix that its name lacks: other tools go by names; None where it has one."""
    if is_image_name(record.path.name):
        return None
    return _SUFFIXES.get(record.format, f".{record.format.lower()}")


def _check_untouched(record: ImageRecord) -> None:
    """By size and time, as ``index`` does; the bytes are read only where these differ."""
    status = _status(record.path)
    if (status.st_size, status.st_mtime_ns) != (record.size_bytes, record.mtime_ns):
        _check(record, record.path)


def _check(record: ImageRecord, path: Path) -> None:
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    if digest.hexdigest() != record.content:
        raise LeftOut(CHANGED)


def _copy(record: ImageRecord, destination: Path) -> None:
    digest = hashlib.sha256()
    with destination.open("xb") as out:
        for block in _blocks(record.path):
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != record.content:
        raise LeftOut(CHANGED)


def _hardlink(path: Path, destination: Path) -> bool:
    """Whether it could be made."""
    _status(path)
    try:
        os.link(path, destination, follow_symlinks=False)
    except FileNotFoundError as error:
        raise LeftOut(GONE) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_HARDLINK:
            raise
        return False
    return True


def _symlink(path: Path, destination: Path) -> None:
    try:
        destination.symlink_to(path)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_HARDLINK:
            raise
        raise LookalikeError("symbolic links cannot be made there", hint="take --files copy") from error


def _status(path: Path) -> os.stat_result:
    try:
        status = path.lstat()
    except OSError as error:
        raise _left_out(error) from error
    if not stat.S_ISREG(status.st_mode):
        raise LeftOut(CHANGED)
    return status


def _blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a regular file."""
    try:
        fd = os.open(path, _OPEN)  # neither follows a link that took the file's place, nor waits for a pipe
    except OSError as error:
        raise _left_out(error) from error
    with os.fdopen(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise LeftOut(CHANGED)
        while True:
            try:
                block = file.read(_BLOCK_BYTES)
            except OSError as error:
                raise LeftOut(UNREADABLE) from error
            if not block:
                return
            yield block


def _left_out(error: OSError) -> LeftOut:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return LeftOut(GONE)
    return LeftOut(CHANGED if error.errno == errno.ELOOP else UNREADABLE)

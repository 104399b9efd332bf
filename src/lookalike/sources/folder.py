"""Images in a folder and everything below it. Photo folders are only ever read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from lookalike.errors import ImageReadError, ImageTooLargeError
from lookalike.formats import is_image_head, is_image_name
from lookalike.sources.base import Ignored, SourceEntry, Unlistable

JUNK_FOLDERS = frozenset(
    ("@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "node_modules", "__macosx")
)
GALLERY_MARK = "catalogue.sqlite"  # a folder that holds this is a gallery, not photos
_HEAD_BYTES = 32
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_OPEN_FILE = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CAN_WALK_BY_FD = os.open in os.supports_dir_fd and bool(_DIRECTORY)


class FolderSource:
    """A folder of images.

    Hidden files, junk folders (recycle bins, ``@eaDir``, ``node_modules``, ...) and galleries are passed over.
    Symbolic links below the root are never followed: what they point to inside the root is found by itself, and
    what lies outside was not asked for.

    Args:
        location: The root folder, absolute.
        within: Only this file or folder, relative to the root; "" is everything.
        excludes: Glob patterns; a file or folder is left out when its name or its relative path matches.
    """

    def __init__(self, location: str, *, within: str = "", excludes: Sequence[str] = ()) -> None:
        self.location = location
        self._within = within
        self._excludes = tuple(excludes)

    def list(self) -> Iterator[SourceEntry | Unlistable | Ignored]:
        """Everything below the root; folders depth first, names in order."""
        start = self._absolute(self._within)
        try:
            is_folder = stat.S_ISDIR(os.lstat(start).st_mode)
        except OSError as error:
            if error.errno != errno.ENOENT:
                yield Unlistable(self._within, _reason(error))
            return
        if is_folder:
            yield from self._list_folder(self._within)
        else:
            yield self._classify(self._within, os.lstat(start))

    def _list_folder(self, folder: str) -> Iterator[SourceEntry | Unlistable | Ignored]:
        try:
            with os.scandir(self._absolute(folder)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Unlistable(folder, _reason(error))
            return
        if folder != "" and any(entry.name == GALLERY_MARK for entry in entries):
            return
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if self._is_excluded(entry.name, path):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._list_folder(path)
                else:
                    yield self._classify(path, entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue  # gone between the listing and the look at it: as if it had never been listed
            except OSError as error:
                yield Unlistable(path, _reason(error))

    def _is_excluded(self, name: str, path: str) -> bool:
        if name.startswith(".") or name.lower() in JUNK_FOLDERS:
            return True
        return any(fnmatchcase(name, glob) or fnmatchcase(path, glob) for glob in self._excludes)

    def _classify(self, path: str, status: os.stat_result) -> SourceEntry | Ignored:
        if not stat.S_ISREG(status.st_mode):
            return Ignored(path)
        if not is_image_name(PurePosixPath(path).name) and not self._has_image_head(path):
            return Ignored(path)
        return _entry(path, status)

    def _has_image_head(self, path: str) -> bool:
        try:
            fd = self._open(path)
        except ImageReadError:
            return False
        with os.fdopen(fd, "rb") as file:
            return is_image_head(file.read(_HEAD_BYTES))

    def read(self, entry: SourceEntry, max_bytes: int) -> tuple[bytes, SourceEntry]:
        """The whole file and its status when it was read; see ``ImageSource.read``."""
        fd = self._open(entry.path)
        with os.fdopen(fd, "rb") as file:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise ImageReadError("is no regular file any more")
            if before.st_size > max_bytes:
                raise ImageTooLargeError(
                    f"has {before.st_size:,} bytes, the limit is {max_bytes:,}",
                    hint="raise it with LOOKALIKE_MAX_FILE_BYTES",
                )
            try:
                data = file.read(max_bytes + 1)
            except OSError as error:
                raise ImageReadError(_reason(error)) from error
            after = os.fstat(fd)
        if len(data) != after.st_size or before.st_mtime_ns != after.st_mtime_ns:
            raise ImageReadError("changed while it was read", hint="index again when it is complete")
        return data, _entry(entry.path, after)

    def _open(self, path: str) -> int:
        """A descriptor of the file, reached without following any link below the root."""
        try:
            if not _CAN_WALK_BY_FD:
                return os.open(self._absolute(path), _OPEN_FILE)
            *folders, name = path.split("/")
            at = os.open(self.location, os.O_RDONLY | _DIRECTORY)
            try:
                for folder in folders:
                    below = os.open(folder, os.O_RDONLY | _DIRECTORY | _NOFOLLOW, dir_fd=at)
                    os.close(at)
                    at = below
                return os.open(name, _OPEN_FILE, dir_fd=at)
            finally:
                os.close(at)
        except OSError as error:
            raise ImageReadError(_reason(error)) from error

    def _absolute(self, path: str) -> str:
        return os.path.join(self.location, *path.split("/")) if path else self.location  # noqa: PTH118


def _entry(path: str, status: os.stat_result) -> SourceEntry:
    return SourceEntry(path, status.st_size, status.st_mtime_ns, status.st_ino)


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a symbolic link stands in the way, and links are not followed"
    return (error.strerror or str(error)).lower()

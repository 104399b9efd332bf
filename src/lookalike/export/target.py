"""Where an export goes: checked before anything is written, and there only when all of it is."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError, SettingError

MARK = "export.json"  # in every folder that is an export
_MARK_KEY = "lookalike_export"


@dataclass(frozen=True, slots=True)
class Target:
    """A place that an export may be written to; made by ``check``.

    Attributes:
        path: Absolute.
        is_folder: Whether it becomes a folder.
        overwrite: Whether what is there is replaced.
    """

    path: Path
    is_folder: bool
    overwrite: bool

    @property
    def card(self) -> Path:
        """Where the card is that people read."""
        return self.path / "README.md" if self.is_folder else self.path.with_name(f"{self.path.name}.card.md")

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A folder beside the target to write into; what it holds takes its place when the block ends well.

        For an export of one file it must hold that file and its card under their names. When the block raises, nothing
        is left of it.
        """
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        try:
            draft.mkdir()
            yield draft
            _flush(draft)
            self._put(draft)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise LookalikeError(f"cannot write {self.path}: {reason}", hint="nothing was changed there") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _put(self, draft: Path) -> None:
        if self.is_folder:
            _put_folder(draft, self.path, overwrite=self.overwrite)
        else:
            # The export itself comes last: where it is, its card is too.
            for place in (self.card, self.path):
                _put_file(draft / place.name, place, overwrite=self.overwrite)
        _sync(self.path.parent)


def check(path: Path, *, is_folder: bool, overwrite: bool, photos: Sequence[Path], gallery: Path) -> Target:
    """Make sure that an export may be written there.

    Args:
        path: Where to.
        is_folder: Whether the export is a folder.
        overwrite: Whether an earlier export may be replaced.
        photos: Folders of photos, which are never written to.
        gallery: The gallery's folder.

    Raises:
        SettingError: it is among photos, holds photos or the gallery, is taken, or has no folder to be in.
    """
    place = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 -- a link at the end must not be resolved
    place = place.parent.resolve() / place.name
    for folder, what in [*((folder, "photo") for folder in photos), (gallery, "gallery")]:
        _refuse_overlap(path, {place, place.resolve()}, folder.resolve(), what)
    if not place.parent.is_dir():
        raise SettingError(f"cannot write {path}: there is no folder {place.parent}", hint="make it first")
    target = Target(place, is_folder, overwrite)
    for taken in (place,) if is_folder else (place, target.card):
        if os.path.lexists(taken):
            if not overwrite:
                raise SettingError(f"{taken} is there already", hint="give another name, or --overwrite")
            _refuse_foreign(taken, is_folder=is_folder)
    return target


def _refuse_overlap(path: Path, places: set[Path], folder: Path, what: str) -> None:
    for place in places:
        if place.is_relative_to(folder):
            never = ", and photo folders are never written to" if what == "photo" else ""
            raise SettingError(f"{path} lies in the {what} folder {folder}{never}", hint="export to another place")
        if folder.is_relative_to(place):
            raise SettingError(f"{path} holds the {what} folder {folder}", hint="export to another place")


def _refuse_foreign(taken: Path, *, is_folder: bool) -> None:
    if taken.is_symlink() or (taken.is_dir() if not is_folder else not taken.is_dir()):
        what = "a link" if taken.is_symlink() else "a folder" if taken.is_dir() else "a file"
        raise SettingError(f"{taken} is {what}, which is not replaced", hint="export to another place")
    if is_folder and not is_export(taken):
        raise SettingError(f"{taken} is no export of lookalike, so it is not replaced", hint="remove it yourself first")


def is_export(folder: Path) -> bool:
    """Whether a folder was written as an export."""
    try:
        return _MARK_KEY in json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def mark(draft: Path, facts: dict[str, Any]) -> None:
    """Write what makes a folder an export."""
    text = json.dumps({_MARK_KEY: 1, **facts}, indent=2)
    (draft / MARK).write_text(text + "\n", encoding="utf-8")


def _put_folder(draft: Path, place: Path, *, overwrite: bool) -> None:
    if not overwrite or not place.exists():
        if os.path.lexists(place):  # it came meanwhile; an empty folder would be replaced by a rename
            raise FileExistsError(None, "it is there now, although it was not before")
        draft.rename(place)
        return
    earlier = draft.with_suffix(".old")
    place.rename(earlier)
    try:
        draft.rename(place)
    except BaseException:
        earlier.rename(place)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _put_file(draft: Path, place: Path, *, overwrite: bool) -> None:
    if overwrite:
        draft.replace(place)
        return
    try:
        os.link(draft, place)  # unlike a rename, it never replaces what came meanwhile
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # a file system without hard links
        if os.path.lexists(place):
            raise FileExistsError(None, "it is there now, although it was not before") from None
        draft.rename(place)


def _flush(folder: Path) -> None:
    """Make sure that all of a folder is on disk; at the end, so that files need not wait for each other."""
    for where, _, names in os.walk(folder):
        for name in names:
            if not Path(where, name).is_symlink():
                _sync(Path(where, name))
        _sync(Path(where))


def _sync(path: Path) -> None:
    if os.name == "nt":
        if path.is_dir():
            return
        flags = os.O_RDWR
    else:
        flags = os.O_RDONLY
    try:
        fd = os.open(path, flags)
    except PermissionError:  # a hard link to a photo that may not be opened for this: nothing of it was written
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""Photos in folders: one per label (ImageFolder, Hugging Face), or all in one (COCO, Label Studio, FiftyOne)."""

from __future__ import annotations

import json
import re
import urllib.parse
from pathlib import Path, PurePosixPath
from typing import IO

from lookalike.export.photos import suffix_of
from lookalike.export.rows import ExportRow, Job, said, values
from lookalike.file_names import Names
from lookalike.tables import utf8

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
OURS = ("README.md", "manifest.csv", "export.json")


class LabelFolders:
    """``SPLIT/LABEL/FILE``. Every label has its folder in every split, so that labels get the same numbers there."""

    def __init__(self, job: Job) -> None:
        self._draft, self._photos = job.draft, job.photos
        folders = Names((*OURS, "metadata.jsonl"))
        self._folder_of = {label: folders.give(label, suffix="") for label in job.labels}
        self._names: dict[str, Names] = {}
        for split in job.splits:
            for folder in self._folder_of.values():
                (job.draft / split / folder).mkdir(parents=True)

    def place(self, row: ExportRow) -> str:
        """Bring a photo to the folder of its label; its path from the folder of the split.

        Raises:
            LeftOut: it has no label, or its file cannot be used.
        """
        folder = self._folder_of[said(row).label]
        names = self._names.setdefault(f"{row.split}/{folder}", Names())
        name = f"{folder}/{names.give(row.record.path.name, suffix=suffix_of(row.record))}"
        self._photos.bring(row.record, self._draft / row.split / name)
        return name


class ImageFolderWriter:
    """A folder per label, as torchvision's ``ImageFolder`` and many others read it."""

    def __init__(self, job: Job) -> None:
        self._folders = LabelFolders(job)

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        return str(PurePosixPath(row.split, self._folders.place(row)))

    def finish(self) -> None:
        """See ``rows.Writer``."""

    def close(self) -> None:
        """See ``rows.Writer``."""


class HuggingFaceWriter:
    """A folder per label with a ``metadata.jsonl`` in every split, as the library ``datasets`` reads it."""

    def __init__(self, job: Job) -> None:
        self._fields = job.field_names
        self._folders = LabelFolders(job)
        self._files: dict[str, IO[str]] = {}
        for split in job.splits:
            self._files[split] = (job.draft / split / "metadata.jsonl").open("w", encoding="ascii", newline="\n")

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        name = self._folders.place(row)
        facts = values(row, self._fields)
        kept = ("label", "id", "source", "by", "relative_path", *(f"field_{name}" for name in self._fields))
        line = {"file_name": name, "at": facts["at"], **{column: _surely_text(facts[column]) for column in kept}}
        self._files[row.split].write(json.dumps(line) + "\n")
        return str(PurePosixPath(row.split, name))

    def finish(self) -> None:
        """See ``rows.Writer``."""

    def close(self) -> None:
        """See ``rows.Writer``."""
        for file in self._files.values():
            file.close()


def _surely_text(text: str | None) -> str:
    """The text so that it is read as text.

    A column of dates, or of nothing, in one split, and of other texts in another, is of two types, and then
    ``datasets`` reads nothing at all. So what looks like a date ends in a space, and nothing is an empty text.
    """
    return f"{text} " if text and _DATE.match(text) else text or ""


class OneFolder:
    """All photos in one folder, under names that differ even without their suffix; or left where they are.

    Args:
        job: Of the export.
        folder: Where to; made here unless photos stay where they are.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self._folder, self._photos, self._base = folder, job.photos, job.base
        self._brings = not job.photos.stay
        self._names = Names(by_stem=True)
        if self._brings:
            folder.mkdir(parents=True)

    def place(self, row: ExportRow) -> tuple[str, str]:
        """Bring a photo; its name, and its path from this folder or, where it stays, from the folder of all photos.

        Raises:
            LeftOut: its file cannot be used.
        """
        name = self._names.give(row.record.path.name, suffix=suffix_of(row.record))
        self._photos.bring(row.record, self._folder / name)
        if self._brings:
            return name, name
        path = row.record.path
        below = path.relative_to(self._base) if path.is_relative_to(self._base) else path  # on another drive
        return name, utf8(below.as_posix())


def quoted(path: str) -> str:
    """A path as part of an address."""
    return urllib.parse.quote(path, safe="/")

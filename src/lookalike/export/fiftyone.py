"""FiftyOne's ``FiftyOneImageClassificationDataset``: ``labels.json`` and photos in ``data/``, once per split."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from lookalike.export.folders import OneFolder
from lookalike.export.rows import ExportRow, Job, said
from lookalike.export.streams import JsonStream
from lookalike.tables import utf8

FOLDER = "data"


class FiftyOneWriter:
    """Photos that stay where they are are named in ``data.json``, which is given to the importer as ``data_path``."""

    def __init__(self, job: Job) -> None:
        self._parts = {split: _Part(job, split) for split in job.splits}

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        return self._parts[row.split].add(row)

    def finish(self) -> None:
        """See ``rows.Writer``."""
        for part in self._parts.values():
            part.finish()

    def close(self) -> None:
        """See ``rows.Writer``."""
        for part in self._parts.values():
            part.close()


class _Part:
    """One split."""

    def __init__(self, job: Job, split: str) -> None:
        self._split = split
        folder = job.draft / split
        self._folder = OneFolder(job, folder / FOLDER)
        folder.mkdir(exist_ok=True)
        self._number_of = {label: number for number, label in enumerate(job.labels)}
        classes = json.dumps(job.labels)
        self._labels = JsonStream(folder / "labels.json", f'{{"classes": {classes},\n"labels": {{\n', "\n}}\n")
        self._places = JsonStream(folder / "data.json", "{\n", "\n}\n") if job.photos.stay else None

    def add(self, row: ExportRow) -> str:
        detail = said(row)
        name, _ = self._folder.place(row)
        self._labels.add(self._number_of[detail.label], key=name.rpartition(".")[0])
        if self._places is None:
            return str(PurePosixPath(self._split, FOLDER, name))
        self._places.add(utf8(str(row.record.path)), key=name)  # its reader takes the suffix off
        return ""

    def finish(self) -> None:
        self._labels.finish()
        if self._places is not None:
            self._places.finish()

    def close(self) -> None:
        self._labels.close()
        if self._places is not None:
            self._places.close()

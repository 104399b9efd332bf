"""COCO: one JSON file per split; each label is a category, and each image has one annotation that covers all of it."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from lookalike.export.folders import OneFolder
from lookalike.export.rows import ExportRow, Job, said, values
from lookalike.export.streams import JsonStream, Spool

FOLDER = "images"


class CocoWriter:
    """``annotations.json``, or one file per split named after it, and photos in ``images/``."""

    def __init__(self, job: Job) -> None:
        self._fields = job.field_names
        self._brings = not job.photos.stay
        self._folder = OneFolder(job, job.draft / FOLDER)
        self._number_of = {label: number for number, label in enumerate(job.labels, 1)}
        categories = [{"id": number, "name": label} for label, number in self._number_of.items()]
        self._documents = {split: _Document(job, split, json.dumps(categories)) for split in job.splits}
        self._count = 0

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        detail = said(row)
        name, path = self._folder.place(row)
        self._count += 1
        facts = values(row, self._fields)
        width, height = row.record.width_px, row.record.height_px
        image = {"id": self._count, "file_name": path, "width": width, "height": height}
        kept = ("id", "source", "by", "at", "confidence", "relative_path", *(f"field_{name}" for name in self._fields))
        annotation = {
            "id": self._count,
            "image_id": self._count,
            "category_id": self._number_of[detail.label],
            "bbox": [0, 0, width, height],
            "area": width * height,
            "segmentation": [],
            "iscrowd": 0,
            "attributes": {"image" if column == "id" else column: facts[column] for column in kept},
        }
        self._documents[row.split].add(image, annotation)
        return str(PurePosixPath(FOLDER, name)) if self._brings else ""

    def finish(self) -> None:
        """See ``rows.Writer``."""
        for document in self._documents.values():
            document.finish()

    def close(self) -> None:
        """See ``rows.Writer``."""
        for document in self._documents.values():
            document.close()


class _Document:
    """The file of one split."""

    def __init__(self, job: Job, split: str, categories: str) -> None:
        self._file = job.draft / f"{split or 'annotations'}.json"
        info = json.dumps({"description": "written by lookalike"})
        head = f'{{"info": {info},\n"licenses": [],\n"categories": {categories},\n"images": [\n'
        self._images = JsonStream(self._file, head, '\n],\n"annotations": [\n')
        self._annotations = Spool(job.draft)

    def add(self, image: dict[str, object], annotation: dict[str, object]) -> None:
        self._images.add(image)
        self._annotations.add(annotation)

    def finish(self) -> None:
        self._images.finish()
        self._images.close()
        self._annotations.pour(self._file)
        with self._file.open("a", encoding="ascii", newline="\n") as out:
            out.write("\n]}\n")

    def close(self) -> None:
        self._images.close()
        self._annotations.close()

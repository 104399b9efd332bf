"""Label Studio: tasks. What people said becomes annotations, what was propagated predictions with their score."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from xml.sax.saxutils import quoteattr

from lookalike.export.folders import OneFolder, quoted
from lookalike.export.rows import ExportRow, Job, values
from lookalike.export.streams import JsonStream
from lookalike.types import LabelDetail

FOLDER = "images"
BY_PEOPLE = ("person", "import", "cluster")
_FROM, _TO = "label", "image"


class LabelStudioWriter:
    """``tasks.json`` and ``label_config.xml``; photos stay where they are, or come into ``images/``."""

    def __init__(self, job: Job) -> None:
        self._fields, self._prefix = job.field_names, job.url_prefix
        self._brings = not job.photos.stay
        self._folder = OneFolder(job, job.draft / FOLDER)
        (job.draft / "label_config.xml").write_text(label_config(job.labels), encoding="utf-8")
        self._tasks = JsonStream(job.draft / "tasks.json")

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        name, path = self._folder.place(row)
        place = str(PurePosixPath(FOLDER, name)) if self._brings else ""
        facts = values(row, self._fields)
        kept = ("id", "relative_path", "split", "source", "by", "at", *(f"field_{name}" for name in self._fields))
        data = {_TO: self._prefix + quoted(place or path), **{column: facts[column] for column in kept}}
        self._tasks.add({"data": data, **(_opinion(row.detail) if row.detail else {})})
        return place

    def finish(self) -> None:
        """See ``rows.Writer``."""
        self._tasks.finish()

    def close(self) -> None:
        """See ``rows.Writer``."""
        self._tasks.close()


def _opinion(detail: LabelDetail) -> dict[str, list[dict[str, Any]]]:
    value = {"choices": [detail.label]}
    result = [{"from_name": _FROM, "to_name": _TO, "type": "choices", "value": value}]
    if detail.source in BY_PEOPLE:
        return {"annotations": [{"result": result}]}
    score = {} if detail.confidence is None else {"score": round(detail.confidence, 4)}
    return {"predictions": [{"model_version": f"lookalike {detail.source}", **score, "result": result}]}


def label_config(labels: tuple[str, ...]) -> str:
    """The labelling interface that fits the tasks."""
    choices = "".join(f"    <Choice value={quoteattr(label)}/>\n" for label in labels)
    return (
        f'<View>\n  <Image name="{_TO}" value="${_TO}"/>\n'
        f'  <Choices name="{_FROM}" toName="{_TO}" choice="single" showInline="true">\n{choices}  </Choices>\n</View>\n'
    )

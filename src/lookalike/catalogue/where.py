"""Conditions of the ``--where`` language as SQL over ``images i JOIN contents c``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lookalike.catalogue.schema import PRESENT
from lookalike.filters import TIME_FIELDS, Condition
from lookalike.types import parse_id

# Of the event that says what an image is called now; without a label it has neither source nor confidence.
_CURRENT = (
    "(SELECT {} FROM label_events e JOIN label_batches b ON b.number = e.batch"
    " WHERE e.key = i.key AND b.undone_at IS NULL ORDER BY e.number DESC LIMIT 1)"
)
LABEL = _CURRENT.format("e.label")
SOURCE = _CURRENT.format("iif(e.label IS NULL, NULL, b.source)")
CONFIDENCE = _CURRENT.format("iif(e.label IS NULL, NULL, e.confidence)")
_MODIFIED = "strftime('%Y-%m-%dT%H:%M:%S', i.mtime_ns / 1000000000, 'unixepoch')"
_COLUMNS = {
    "path": "CAST(i.path AS TEXT)",
    "name": "basename(CAST(i.path AS TEXT))",
    "root": "i.root",
    "format": "c.format",
    "label": LABEL,
    "source": SOURCE,
    "confidence": CONFIDENCE,
    "date": f"coalesce(c.taken_at, {_MODIFIED})",
    "taken": "c.taken_at",
    "added": "i.added_at",
    "size": "i.size_bytes",
    "width": "c.width_px",
    "height": "c.height_px",
}
_SAME_FORMAT = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000", "j2k": "JPEG2000", "heic": "HEIF"}


def compile_where(conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
    """SQL that follows ``WHERE`` (starting with the image being present) and its parameters."""
    parts, parameters = [PRESENT.format("i")], []
    for condition in conditions:
        sql, values = _compile(condition)
        parts.append(f"({sql})")
        parameters += values
    return " AND ".join(parts), parameters


def _compile(condition: Condition) -> tuple[str, list[Any]]:
    field, operator, value = condition.field, condition.operator, condition.value
    if field == "id":
        key = parse_id(value) if isinstance(value, str) else None
        return f"i.key {'IS NOT' if operator == '!=' else 'IS'} ?", [key]
    column = _COLUMNS[field]
    if value is None:
        return f"{column} IS {'NOT ' if operator == '!=' else ''}NULL", []
    if field in TIME_FIELDS:
        assert isinstance(value, tuple)
        return _compile_time(column, operator, *value)
    if operator == "~":
        return f"{column} LIKE ? ESCAPE '\\'", [_like(str(value))]
    if field == "format":
        value, column = _SAME_FORMAT.get(str(value).lower(), value), f"{column} COLLATE NOCASE"
    return f"{column} {_IDENTITY.get(operator, operator)} ?", [value]


_IDENTITY = {"=": "IS", "!=": "IS NOT"}  # so that "label != bolt" includes images without a label


def _compile_time(column: str, operator: str, start: str, end: str) -> tuple[str, list[Any]]:
    """Compare with the interval that was meant: "after 2024" starts when 2024 ends."""
    if operator == "=":
        return f"{column} >= ? AND {column} < ?", [start, end]
    if operator == "!=":
        return f"{column} IS NULL OR {column} < ? OR {column} >= ?", [start, end]
    bound = end if operator in (">", "<=") else start
    return f"{column} {'>=' if operator[0] == '>' else '<'} ?", [bound]


def _like(glob: str) -> str:
    if "*" not in glob and "?" not in glob:
        glob = f"*{glob}*"
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")

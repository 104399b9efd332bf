"""Conditions of the ``--where`` language as SQL over ``images i JOIN contents c``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lookalike import quality
from lookalike.catalogue.schema import PRESENT
from lookalike.filters import MEASURE_FIELDS, TIME_FIELDS, Condition, Place
from lookalike.types import parse_id

# Of the event that says what an image i is called now; without a label it has neither source nor confidence.
_CURRENT = (
    "(SELECT {} FROM label_events e JOIN label_batches b ON b.number = e.batch"
    " WHERE e.key = i.key AND b.undone_at IS NULL ORDER BY e.number DESC LIMIT 1)"
)
LABEL, CURRENT_EVENT = _CURRENT.format("e.label"), _CURRENT.format("e.number")
SOURCE = _CURRENT.format("iif(e.label IS NULL, NULL, b.source)")
CONFIDENCE = _CURRENT.format("iif(e.label IS NULL, NULL, e.confidence)")
# Whether the picture became another one since its label was set: the file changed, and so did what the network sees.
_MOVED = "cosine((SELECT o.embedding FROM contents o WHERE o.number = e.content), c.embedding) < 0.95"
_CHANGED = _CURRENT.format(f"iif(e.label IS NOT NULL AND e.content <> i.content AND {_MOVED}, 'yes', 'no')")
_CHANGED = f"coalesce({_CHANGED}, 'no')"  # what was never labelled did not change since
_MODIFIED = "strftime('%Y-%m-%dT%H:%M:%S', i.mtime_ns / 1000000000, 'unixepoch')"
_COLUMNS = {
    "path": "CAST(i.path AS TEXT)",
    "name": "basename(CAST(i.path AS TEXT))",
    "root": "i.root",
    "format": "c.format",
    "label": LABEL,
    "changed": _CHANGED,
    "source": SOURCE,
    "confidence": CONFIDENCE,
    "date": f"coalesce(c.taken_at, {_MODIFIED})",
    "taken": "c.taken_at",
    "added": "i.added_at",
    "size": "i.size_bytes",
    "width": "c.width_px",
    "height": "c.height_px",
    "cluster": "(SELECT m.cluster FROM cluster_members m WHERE m.content = c.number)",
    **{measure: f"c.{measure}" for measure in MEASURE_FIELDS},
}
_SHOWN = "EXISTS (SELECT 1 FROM images x WHERE x.content = p.number AND x.state = 'present')"
_PLACE = (  # the value of a measure that a share of the contents stays below
    f"(SELECT p.{{0}} FROM contents p WHERE p.{{0}} IS NOT NULL AND {_SHOWN} ORDER BY p.{{0}} LIMIT 1 OFFSET"
    f" (SELECT max(0, min(count(*) - 1, CAST({{1}} * count(*) AS INTEGER))) FROM contents p"
    f" WHERE p.{{0}} IS NOT NULL AND {_SHOWN}))"
)
_TYPICAL = _PLACE.format("sharpness", 0.5)
FLAWS = {
    "blurred": f"c.sharpness < min({quality.BLURRED_BELOW}, {quality.BLURRED_SHARE} * {_TYPICAL})",
    "dark": f"c.brightness < {quality.DARK_BELOW}",
    "bright": f"c.brightness > {quality.BRIGHT_ABOVE}",
    "plain": f"c.information < {quality.PLAIN_BELOW} OR c.contrast < {quality.PLAIN_CONTRAST}",
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


def compile_order(field: str, *, descending: bool) -> str:
    """SQL that follows ``ORDER BY``: a field of ``filters.SORT_FIELDS``, without a value last, then root and path."""
    column = _COLUMNS[field]
    if field == "path":
        direction = "DESC" if descending else "ASC"
        return f"i.root {direction}, i.path {direction}"
    return f"{column} IS NULL, {column} {'DESC' if descending else 'ASC'}, i.root, i.path"


def _compile(condition: Condition) -> tuple[str, list[Any]]:
    field, operator, value = condition.field, condition.operator, condition.value
    if field == "id":
        key = parse_id(value) if isinstance(value, str) else None
        return f"i.key {'IS NOT' if operator == '!=' else 'IS'} ?", [key]
    if field == "quality":
        return _compile_quality(operator, value), []
    column = _COLUMNS[field]
    if isinstance(value, Place):
        return f"{column} {operator} {_PLACE.format(field, '?')}", [value.share]
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


def _compile_quality(operator: str, value: Any) -> str:
    """A flaw that a picture has, or for None that it has none at all."""
    flawed = " OR ".join(FLAWS.values()) if value is None else FLAWS[value]
    return f"({flawed}) IS {'NOT ' if (operator == '!=') == (value is not None) else ''}TRUE"


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

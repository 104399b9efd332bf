"""The ``--where`` language: ``field op value [and field op value ...]``.

>>> [str(c) for c in parse("format = JPEG and width >= 1000")]
['format = JPEG', 'width >= 1000']

Fields: path, name, root, id, format, label, source (text; who or what the label comes from: person, import, cluster or
propagated); changed (yes or no: whether the picture became another one since it was labelled); date, taken, added (days
or times, ISO 8601); size (bytes; kB, MB and GB are understood), width, height (pixels), cluster (its number);
confidence (of a propagated label, 0 to 1); sharpness, brightness, contrast, information (numbers as in
``quality.Quality``, or a place in the gallery such as ``sharpness < 5%``); quality (blurred, dark, bright or plain).
Operators: ``=  !=  <  <=  >  >=`` and ``~`` (text: matches a glob pattern with ``*`` and ``?``, upper and lower case
alike; without either it means "contains"). Values with spaces stand in quotes. ``none`` means "has no value":
``label = none``.
"""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta

from lookalike.errors import FilterError
from lookalike.quality import FLAWS, RANGES

TEXT_FIELDS = ("path", "name", "root", "id", "format", "label", "source", "changed")
TIME_FIELDS = ("date", "taken", "added")
NUMBER_FIELDS = ("size", "width", "height", "cluster")
DECIMAL_FIELDS = ("confidence",)
MEASURE_FIELDS = tuple(RANGES)
FIELDS = (*TEXT_FIELDS, *TIME_FIELDS, *NUMBER_FIELDS, *DECIMAL_FIELDS, *MEASURE_FIELDS, "quality")
SORT_FIELDS = ("path", "name", *TIME_FIELDS, *NUMBER_FIELDS, *MEASURE_FIELDS)
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
_ORDERED = ("<", "<=", ">", ">=")
_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_CONDITION = re.compile(r"^\s*([A-Za-z_]+)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the gallery: the value that a ``share`` (0..1) of its images stay below."""

    share: float


Value = str | int | float | Place | tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison.

    Attributes:
        field: One of FIELDS.
        operator: One of OPERATORS.
        text: The value as written.
        value: None for ``none``; text; a number; a place in the gallery; or for times the half-open interval (start,
            end) that is meant, as ISO 8601 texts, so that ``date = 2024-05`` means the whole month.
    """

    field: str
    operator: str
    text: str
    value: Value

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.text}"


def parse(expression: str) -> tuple[Condition, ...]:
    """Read an expression.

    Raises:
        FilterError: it names what cannot be understood, and the near miss.
    """
    return tuple(_parse_condition(part) for part in _split(expression))


def _split(expression: str) -> list[str]:
    """Cut at ``and`` outside quotes."""
    parts, start = [], 0
    for match in re.finditer(r"'[^']*'|\"[^\"]*\"|\band\b", expression, re.IGNORECASE):
        if match.group().lower() == "and":
            parts.append(expression[start : match.start()])
            start = match.end()
    parts.append(expression[start:])
    if any(not part.strip() for part in parts):
        raise FilterError(f"the filter {expression!r} has an empty part", hint=_how())
    return parts


def _parse_condition(part: str) -> Condition:
    match = _CONDITION.match(part)
    if not match:
        raise FilterError(f"the filter part {part.strip()!r} is not 'field operator value'", hint=_how())
    field, operator, raw = match.group(1).lower(), match.group(2), match.group(3)
    if field not in FIELDS:
        near = difflib.get_close_matches(field, FIELDS, 1)
        raise FilterError(
            f"the filter names an unknown field {field!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"fields are {', '.join(FIELDS)}",
        )
    return Condition(field, operator, raw, _value(field, operator, _unquote(raw, part)))


def _unquote(raw: str, part: str) -> str:
    if not raw:
        raise FilterError(f"the filter part {part.strip()!r} has no value", hint=_how())
    if raw[0] not in "'\"":
        return raw
    try:
        words = shlex.split(raw)
    except ValueError as error:
        raise FilterError(f"the filter part {part.strip()!r} has an open quote") from error
    if len(words) != 1:
        raise FilterError(f"the filter part {part.strip()!r} has text after the quote", hint=_how())
    return words[0]


def _value(field: str, operator: str, text: str) -> Value:
    if text.lower() == "none":
        if operator not in ("=", "!="):
            raise FilterError(f"{field} {operator} none: 'none' goes with = and != only")
        return None
    if operator == "~" and field not in TEXT_FIELDS:
        raise FilterError(f"{field} ~ {text}: '~' is for text fields: {', '.join(TEXT_FIELDS)}")
    if operator in _ORDERED and field in TEXT_FIELDS:
        raise FilterError(f"{field} {operator} {text}: text fields are compared with =, != and ~")
    if field == "quality":
        return _flaw(operator, text)
    if field in NUMBER_FIELDS:
        return _number(field, text)
    if field in MEASURE_FIELDS:
        return _measure(field, operator, text)
    if field in DECIMAL_FIELDS:
        return _decimal(field, text)
    if field in TIME_FIELDS:
        return _interval(field, text)
    return text


def _number(field: str, text: str) -> int:
    match = re.fullmatch(r"([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([A-Za-z]*)", text)
    units = _UNITS if field == "size" else {"": 1, "px": 1}
    if not match or match.group(2).lower() not in units:
        raise FilterError(f"{field}: {text!r} is no number", hint=f"units: {', '.join(u for u in units if u)}")
    return round(float(re.sub("[_,]", "", match.group(1))) * units[match.group(2).lower()])


def _measure(field: str, operator: str, text: str) -> float | Place:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(%?)", text)
    if not match:
        hint = f"{field} goes from 0 to {RANGES[field]:g}; 5% is a place in the gallery"
        raise FilterError(f"{field}: {text!r} is no number", hint=hint)
    if not match.group(2):
        return float(match.group(1))
    if operator not in _ORDERED or float(match.group(1)) > 100:
        raise FilterError(
            f"{field} {operator} {text}: a place in the gallery lies within 0% and 100% and is compared with < or >",
            hint=f"for example {field} < 5%",
        )
    return Place(float(match.group(1)) / 100)


def _flaw(operator: str, text: str) -> str:
    if operator in _ORDERED:
        raise FilterError(f"quality {operator} {text}: quality is compared with = and !=")
    if text.lower() not in FLAWS:
        near = difflib.get_close_matches(text.lower(), FLAWS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"values are {', '.join(FLAWS)} and none"
        raise FilterError(f"quality: there is no {text!r}", hint=hint)
    return text.lower()


def _decimal(field: str, text: str) -> float:
    if not re.fullmatch(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", text):
        raise FilterError(f"{field}: {text!r} is no number", hint=f"write for example: {field} < 0.95")
    return float(text)


def _interval(field: str, text: str) -> tuple[str, str]:
    """The time that a text such as 2024, 2024-05, 2024-05-17 or 2024-05-17T10:30 covers."""
    written = text.strip().replace(" ", "T")
    for pattern, step in (
        ("%Y", None),
        ("%Y-%m", None),
        ("%Y-%m-%d", timedelta(days=1)),
        ("%Y-%m-%dT%H:%M", timedelta(minutes=1)),
        ("%Y-%m-%dT%H:%M:%S", timedelta(seconds=1)),
    ):
        try:
            start = datetime.strptime(written, pattern)
            end = start + step if step else _next_period(start, pattern)
        except (ValueError, OverflowError):
            continue
        return start.isoformat(), end.isoformat()
    raise FilterError(f"{field}: {text!r} is no date", hint="write 2024, 2024-05, 2024-05-17 or 2024-05-17T10:30")


def _next_period(start: datetime, pattern: str) -> datetime:
    if pattern == "%Y" or start.month == 12:
        return start.replace(year=start.year + 1, month=1)
    return start.replace(month=start.month + 1)


def _how() -> str:
    return "write for example: format = JPEG and width >= 1000 and path ~ '2024/*'"

"""Rows and single values of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw


def rows(db: apsw.Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """All rows."""
    return db.execute(sql, tuple(parameters)).fetchall()


def value(db: apsw.Connection, sql: str, parameters: Sequence[Any] = ()) -> Any:
    """The first column of the first row; None where there is none."""
    row: Any = db.execute(sql, tuple(parameters)).fetchone()
    return None if row is None else row[0]

"""What was worked out about a gallery and takes long to work out again: calibration, adaptation and the like."""

from __future__ import annotations

import apsw

from lookalike.catalogue.sql import rows


def get(db: apsw.Connection, name: str) -> tuple[str, bytes] | None:
    """The space that it holds for, and its bytes; None where there is none."""
    found = rows(db, "SELECT space, data FROM derived WHERE name = ?", [name])
    return (found[0][0], found[0][1]) if found else None


def put(db: apsw.Connection, name: str, space: str, data: bytes | None) -> None:
    """Replace it, or drop it where there are no bytes; inside a write transaction."""
    db.execute("DELETE FROM derived WHERE name = ?", (name,))
    if data is not None:
        db.execute("INSERT INTO derived VALUES (?, ?, ?)", (name, space, data))

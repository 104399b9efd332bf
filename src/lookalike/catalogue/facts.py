"""Counts that say what a gallery holds."""

from __future__ import annotations

from typing import Any

import apsw

from lookalike.catalogue.sql import rows, value
from lookalike.catalogue.where import FLAWS, LABEL

_SHOWN = "FROM images i JOIN contents c ON c.number = i.content WHERE i.state = 'present'"


def counted(db: apsw.Connection) -> dict[str, Any]:
    """Images, contents, failures, labels; precisions, formats and flaws with their numbers of images."""
    states = dict(rows(db, "SELECT state, count(*) FROM images GROUP BY state"))
    return {
        "images": states.get("present", 0),
        "removed": states.get("removed", 0),
        "contents": value(db, "SELECT count(*) FROM contents"),
        "failures": value(db, "SELECT count(*) FROM failures"),
        "labelled": value(db, f"SELECT count(*) FROM images i WHERE state = 'present' AND {LABEL} IS NOT NULL"),
        "precisions": dict(rows(db, "SELECT precision, count(*) FROM contents GROUP BY precision ORDER BY 1")),
        "formats": dict(rows(db, f"SELECT c.format, count(*) {_SHOWN} GROUP BY 1 ORDER BY 2 DESC, 1")),
        "quality": _flawed(db),
    }


def _flawed(db: apsw.Connection) -> dict[str, int]:
    """Number of present images with each flaw; CROSS JOIN makes SQLite begin with the index of measures."""
    counts = ", ".join(f"count(*) FILTER (WHERE {sql})" for sql in FLAWS.values())
    found = rows(
        db,
        f"SELECT {counts} FROM contents c CROSS JOIN images i WHERE i.content = c.number AND i.state = 'present'",
    )
    return dict(zip(FLAWS, found[0], strict=True))

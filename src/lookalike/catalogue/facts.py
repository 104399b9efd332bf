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
        "quality": {flaw: value(db, f"SELECT count(*) {_SHOWN} AND ({sql})") for flaw, sql in FLAWS.items()},
    }

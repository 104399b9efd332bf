"""What ``info`` and ``doctor`` ask of SQLite: counts, sizes, soundness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

from lookalike.catalogue import schema
from lookalike.catalogue.sql import rows, value
from lookalike.catalogue.where import LABEL


def facts(db: apsw.Connection, path: Path) -> dict[str, Any]:
    """Counts for ``info``."""
    states = dict(rows(db, "SELECT state, count(*) FROM images GROUP BY state"))
    formats = (
        "SELECT c.format, count(*) FROM images i JOIN contents c ON c.number = i.content"
        " WHERE i.state = 'present' GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    files = [file for end in ("", "-wal") if (file := Path(f"{path}{end}")).exists()]
    return {
        "images": states.get("present", 0),
        "removed": states.get("removed", 0),
        "contents": value(db, "SELECT count(*) FROM contents"),
        "failures": value(db, "SELECT count(*) FROM failures"),
        "labelled": value(db, f"SELECT count(*) FROM images i WHERE state = 'present' AND {LABEL} IS NOT NULL"),
        "precisions": dict(rows(db, "SELECT precision, count(*) FROM contents GROUP BY precision ORDER BY 1")),
        "formats": dict(rows(db, formats)),
        "catalogue_bytes": sum(file.stat().st_size for file in files),
        "format_version": schema.FORMAT_VERSION,
    }


def complaints(db: apsw.Connection) -> list[str]:
    """Complaints of SQLite's own integrity checks; empty when the store is sound."""
    try:
        found = [str(row[0]) for row in rows(db, "PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"foreign key: {row}" for row in rows(db, "PRAGMA foreign_key_check")]
    except apsw.Error as error:
        found = [str(error)]
    return found

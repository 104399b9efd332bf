"""What ``info`` and ``doctor`` ask of SQLite: counts, sizes, soundness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

from lookalike.catalogue import schema
from lookalike.catalogue.sql import rows, value
from lookalike.catalogue.where import FLAWS, LABEL

_SHOWN = "FROM images i JOIN contents c ON c.number = i.content WHERE i.state = 'present'"


def facts(db: apsw.Connection, path: Path) -> dict[str, Any]:
    """Images, contents, failures, labels; precisions, formats and flaws with their numbers of images; sizes."""
    states = dict(rows(db, "SELECT state, count(*) FROM images GROUP BY state"))
    files = [file for end in ("", "-wal") if (file := Path(f"{path}{end}")).exists()]
    return {
        "images": states.get("present", 0),
        "removed": states.get("removed", 0),
        "contents": value(db, "SELECT count(*) FROM contents"),
        "failures": value(db, "SELECT count(*) FROM failures"),
        "labelled": value(db, f"SELECT count(*) FROM images i WHERE state = 'present' AND {LABEL} IS NOT NULL"),
        "precisions": dict(rows(db, "SELECT precision, count(*) FROM contents GROUP BY precision ORDER BY 1")),
        "formats": dict(rows(db, f"SELECT c.format, count(*) {_SHOWN} GROUP BY 1 ORDER BY 2 DESC, 1")),
        "quality": _flawed(db),
        "catalogue_bytes": sum(file.stat().st_size for file in files),
        "format_version": schema.FORMAT_VERSION,
    }


def _flawed(db: apsw.Connection) -> dict[str, int]:
    """Number of present images with each flaw; CROSS JOIN makes SQLite begin with the index of measures."""
    counts = ", ".join(f"count(*) FILTER (WHERE {sql})" for sql in FLAWS.values())
    found = rows(
        db,
        f"SELECT {counts} FROM contents c CROSS JOIN images i WHERE i.content = c.number AND i.state = 'present'",
    )
    return dict(zip(FLAWS, found[0], strict=True))


def complaints(db: apsw.Connection) -> list[str]:
    """Complaints of SQLite's own integrity checks; empty when the store is sound."""
    try:
        found = [str(row[0]) for row in rows(db, "PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"foreign key: {row}" for row in rows(db, "PRAGMA foreign_key_check")]
    except apsw.Error as error:
        found = [str(error)]
    return found

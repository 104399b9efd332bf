"""Roots in SQLite: folders that images come from, by a name that stays the same when the folder moves."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import apsw

from lookalike.catalogue.data import Root
from lookalike.catalogue.schema import PRESENT
from lookalike.catalogue.sql import rows, value
from lookalike.errors import SettingError


def listed(db: apsw.Connection) -> list[Root]:
    """All roots, by name."""
    found = rows(db, "SELECT name, location, excludes FROM roots ORDER BY name")
    return [Root(name, os.fsdecode(location), tuple(json.loads(excludes))) for name, location, excludes in found]


def add(db: apsw.Connection, location: str, excludes: Sequence[str] | None) -> Root:
    """The root at this location, made where there is none; excludes None keeps those it has."""
    known = {root.location: root for root in listed(db)}
    root = known.get(location)
    if root is None:
        root = Root(_free_name(location, {root.name for root in known.values()}), location)
        rows(db, "INSERT INTO roots VALUES (?, ?, '[]')", (root.name, os.fsencode(location)))
    if excludes is not None:
        rows(db, "UPDATE roots SET excludes = ? WHERE name = ?", (json.dumps(list(excludes)), root.name))
        root = Root(root.name, location, tuple(excludes))
    return root


def _free_name(location: str, taken: set[str]) -> str:
    base = os.path.basename(location.rstrip("/\\")) or "root"  # noqa: PTH119 - may be a bucket's URL
    base = base.encode("utf-8", "replace").decode()
    return next(name for i in range(len(taken) + 1) if (name := f"{base}-{i + 1}" if i else base) not in taken)


def move(db: apsw.Connection, name: str, location: str) -> None:
    """The root's folder is at another place now.

    Raises:
        SettingError: there is no root of that name.
    """
    names = [root.name for root in listed(db)]
    if name not in names:
        raise SettingError(f"there is no root {name!r}", hint=f"there are: {', '.join(names)}")
    rows(db, "UPDATE roots SET location = ? WHERE name = ?", (os.fsencode(location), name))


def widen(db: apsw.Connection, inside: Sequence[Root], location: str) -> None:
    """Make one root at ``location`` of roots that lie inside it; images keep their ids."""
    keep = inside[0].name
    for root in inside:
        prefix = os.fsencode(Path(root.location).relative_to(location).as_posix()) + b"/"
        for table in ("images", "failures"):
            rows(
                db,
                f"UPDATE {table} SET root = ?, path = CAST(? || path AS BLOB) WHERE root = ?",
                (keep, prefix, root.name),
            )
    db.executemany("DELETE FROM roots WHERE name = ?", [(root.name,) for root in inside[1:]])
    rows(db, "UPDATE roots SET location = ? WHERE name = ?", (os.fsencode(location), keep))


def find_paths(db: apsw.Connection, paths: Sequence[Path]) -> dict[Path, int]:
    """Keys of the present images at these absolute paths."""
    found = {}
    sql = f"SELECT key FROM images i WHERE root = ? AND path = ? AND {PRESENT.format('i')}"
    for root in listed(db):
        for path in paths:
            if path.is_relative_to(root.location):
                relative = os.fsencode(path.relative_to(root.location).as_posix())
                key = value(db, sql, [root.name, relative])
                if key is not None:
                    found[path] = key
    return found

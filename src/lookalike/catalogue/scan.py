"""Holding a listing of files against the records of a gallery, and writing what became of each file.

The listing lives in temporary tables, so that memory stays flat however many files there are.

Identity (``docs/design.md``, "Data types"): content owns the embedding, an id is one file. Known content at a new
path is a file that moved, where a record of that content has lost its path, else a copy. Changed content at a known
path keeps the id.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import apsw

from lookalike.catalogue.data import Extracted, Tally
from lookalike.catalogue.labels import now
from lookalike.catalogue.regions import HAS_REGIONS, put
from lookalike.catalogue.schema import PRESENT
from lookalike.catalogue.sql import rows, value
from lookalike.quality import RANGES
from lookalike.sources.base import SourceEntry

if TYPE_CHECKING:
    from lookalike.catalogue.sqlite import SqliteCatalogue

_PAGE_ROWS = 2000
_TABLES = """
CREATE TEMP TABLE scope (root TEXT, within BLOB);
CREATE TEMP TABLE found (
    root TEXT, path BLOB, size_bytes INTEGER, mtime_ns INTEGER, inode INTEGER, todo INTEGER DEFAULT 1,
    PRIMARY KEY (root, path)
) WITHOUT ROWID;
CREATE TEMP TABLE kept (root TEXT, folder BLOB);
CREATE TEMP TABLE missing (key INTEGER PRIMARY KEY, content INTEGER, root TEXT, path BLOB);
CREATE INDEX temp.missing_by_content ON missing(content);
"""
_SAME_FILE = "x.size_bytes = found.size_bytes AND x.mtime_ns = found.mtime_ns AND x.inode = found.inode"
_AT_PLACE = "x.root = found.root AND x.path = found.path"


def _below(path: str, folder: str) -> str:
    """SQL: the path is the folder or lies below it; both are BLOBs, "" is everything."""
    inside = f"substr({path}, 1, length({folder})) = {folder} AND substr({path}, length({folder}) + 1, 1) = x'2f'"
    return f"({folder} = x'' OR {path} = {folder} OR ({inside}))"


_IN_SCOPE = (
    f"EXISTS (SELECT 1 FROM scope s WHERE s.root = x.root AND {_below('x.path', 's.within')})"
    f" AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.root = x.root AND {_below('x.path', 'k.folder')})"
    " AND NOT EXISTS (SELECT 1 FROM found f WHERE f.root = x.root AND f.path = x.path)"
)


class SqliteScan:
    """See ``catalogue.base.Scan``.

    Args:
        catalogue: Whose records these are; only it opens transactions.
        db: Its connection.
        scope: (root name, what within it) that is being listed.
    """

    def __init__(self, catalogue: SqliteCatalogue, db: apsw.Connection, scope: Sequence[tuple[str, str]]) -> None:
        self._catalogue = catalogue
        self._db = db
        self.close()
        db.execute(_TABLES)
        db.executemany("INSERT INTO scope VALUES (?, ?)", [(root, os.fsencode(within)) for root, within in scope])

    def close(self) -> None:
        """Drop the listing."""
        for table in ("scope", "found", "kept", "missing"):
            self._db.execute(f"DROP TABLE IF EXISTS temp.{table}")

    def add(self, root: str, entries: Iterable[SourceEntry]) -> None:
        """Note files that the listing found."""
        found = [(root, os.fsencode(e.path), e.size_bytes, e.mtime_ns, e.inode) for e in entries]
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO found (root, path, size_bytes, mtime_ns, inode) VALUES (?, ?, ?, ?, ?)", found
            )

    def keep_below(self, root: str, folder: str) -> None:
        """A folder could not be listed: what is known of it stays as it is."""
        self._db.execute("INSERT INTO kept VALUES (?, ?)", (root, os.fsencode(folder)))

    def compare(self, *, retry_failed: bool = False, regions: bool = False) -> Tally:
        """Hold the listing against the records.

        A known-bad file is not opened again unless it changed; one that could not even be read is, because a mended
        permission does not show in a listing.

        Args:
            retry_failed: Try every failed file again.
            regions: An unchanged file is work all the same where its content has no regions.
        """
        complete = f"{PRESENT.format('x')} AND {HAS_REGIONS.format('x.content') if regions else 'TRUE'}"
        with self._catalogue.write() as db:
            unchanged = _changed(
                db,
                "UPDATE found SET todo = 0 WHERE EXISTS"
                f" (SELECT 1 FROM images x WHERE {_AT_PLACE} AND {_SAME_FILE} AND {complete})",
            )
            failed = 0
            if not retry_failed:
                failed = _changed(
                    db,
                    "UPDATE found SET todo = 0 WHERE todo = 1 AND EXISTS"
                    f" (SELECT 1 FROM failures x WHERE {_AT_PLACE} AND {_SAME_FILE} AND x.stage <> 'read')",
                )
            db.execute(
                "INSERT INTO missing SELECT x.key, x.content, x.root, x.path FROM images x"
                f" WHERE x.state <> 'removed' AND {_IN_SCOPE}"
            )
        return Tally(unchanged=unchanged, failed=failed)

    def count_todo(self) -> int:
        """How many files must be read."""
        return int(value(self._db, "SELECT count(*) FROM found WHERE todo = 1"))

    def todo(self) -> Iterator[tuple[str, SourceEntry]]:
        """(root, file) of what must be read, in order of root and path."""
        place: tuple[str, bytes] = ("", b"")
        sql = (
            "SELECT root, path, size_bytes, mtime_ns, inode FROM found WHERE todo = 1 AND (root, path) > (?, ?)"
            f" ORDER BY root, path LIMIT {_PAGE_ROWS}"
        )
        while page := rows(self._db, sql, place):
            for root, path, size, mtime, inode in page:
                yield root, SourceEntry(os.fsdecode(path), size, mtime, inode)
            place = (page[-1][0], page[-1][1])

    def apply(self, root: str, results: Sequence[Extracted]) -> Tally:
        """Write what became of files, in one transaction that is on disk when this returns."""
        tally = Tally()
        with self._catalogue.write() as db:
            generation = self._catalogue.bump_generation()
            for result in results:
                tally += Tally(**{_apply(db, root, result, generation): 1})
        return tally

    def finish(self) -> int:
        """Take out the records whose file is gone; returns how many."""
        with self._catalogue.write() as db:
            count = int(value(db, "SELECT count(*) FROM missing"))
            if count:
                generation = self._catalogue.bump_generation()
                db.execute(
                    "UPDATE images SET state = 'removed', generation = ? WHERE key IN (SELECT key FROM missing)",
                    (generation,),
                )
            db.execute(f"DELETE FROM failures AS x WHERE {_IN_SCOPE}")
        return count


def _changed(db: apsw.Connection, sql: str) -> int:
    db.execute(sql)
    return int(db.changes())


def _apply(db: apsw.Connection, root: str, result: Extracted, generation: int) -> str:
    """Write one result; returns the field of Tally that counts it."""
    path = os.fsencode(result.entry.path)
    at_place = "SELECT key, content, state FROM images WHERE root = ? AND path = ? AND state <> 'removed'"
    here = next(iter(rows(db, at_place, (root, path))), None)
    if result.failure is not None:
        _apply_failure(db, root, path, result, here, generation)
        return "failed"
    db.execute("DELETE FROM failures WHERE root = ? AND path = ?", (root, path))
    content, is_new = _content(db, result)
    if here is not None:
        _place(db, here[0], root, path, content, result.entry, generation)
        if here[1] != content:
            return "updated"
        return "unchanged" if here[2] == "present" else "reused"
    key = _lost(db, root, path, content)
    if key is not None:
        _place(db, key, root, path, content, result.entry, generation)
        db.execute("DELETE FROM missing WHERE key = ?", (key,))
        return "reused"
    entry = result.entry
    db.execute(
        "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'present', ?)",
        (_new_key(db), root, path, content, entry.size_bytes, entry.mtime_ns, entry.inode, now(), generation),
    )
    return "added" if is_new else "reused"


def _apply_failure(db: apsw.Connection, root: str, path: bytes, result: Extracted, here: Any, generation: int) -> None:
    entry, failure = result.entry, result.failure
    assert failure is not None
    message = f"{failure} ({failure.hint})" if failure.hint else str(failure)
    db.execute(
        "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            root,
            path,
            entry.size_bytes,
            entry.mtime_ns,
            entry.inode,
            failure.stage,
            type(failure).__name__,
            message,
            now(),
        ),
    )
    if here is not None and here[2] == "present":
        # Its bytes are no longer those of the record: it must not be found by a picture it does not show any more.
        db.execute("UPDATE images SET state = 'failed', generation = ? WHERE key = ?", (generation, here[0]))


def _content(db: apsw.Connection, result: Extracted) -> tuple[int, bool]:
    """Number of the content, and whether it is new."""
    known = value(db, "SELECT number FROM contents WHERE hash = ?", (result.content,))
    if known is not None:
        if result.regions is not None:
            put(db, known, result.regions)
        return known, False
    assert result.embedding is not None, "a result without failure has known content or an embedding"
    db.execute(
        "INSERT INTO contents (hash, width_px, height_px, format, taken_at, sharpness, brightness, contrast,"
        " information, precision, embedding, tap) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            result.content,
            result.width_px,
            result.height_px,
            result.format,
            result.taken_at,
            *(None if result.quality is None else getattr(result.quality, name) for name in RANGES),
            result.precision,
            result.embedding.astype("<f2").tobytes(),
            result.tap.astype("<f2").tobytes(),
        ),
    )
    number = int(db.last_insert_rowid())
    if result.regions is not None:
        put(db, number, result.regions)
    return number, True


def _lost(db: apsw.Connection, root: str, path: bytes, content: int) -> int | None:
    """The record that this file is the continuation of: back at its place, moved in this scan, or earlier."""
    for sql, parameters in (
        (
            "SELECT key FROM images WHERE state = 'removed' AND root = ? AND path = ? AND content = ? ORDER BY key",
            (root, path, content),
        ),
        ("SELECT key FROM missing WHERE content = ? ORDER BY root, path LIMIT 1", (content,)),
        (
            "SELECT key FROM images WHERE content = ? AND state = 'removed' ORDER BY root, path, key LIMIT 1",
            (content,),
        ),
    ):
        key = value(db, sql, parameters)
        if key is not None:
            return int(key)
    return None


def _place(
    db: apsw.Connection, key: int, root: str, path: bytes, content: int, entry: SourceEntry, generation: int
) -> None:
    db.execute(
        "UPDATE images SET root = ?, path = ?, content = ?, size_bytes = ?, mtime_ns = ?, inode = ?,"
        " state = 'present', generation = ? WHERE key = ?",
        (root, path, content, entry.size_bytes, entry.mtime_ns, entry.inode, generation, key),
    )


def _new_key(db: apsw.Connection) -> int:
    while True:
        key = secrets.randbits(63)
        if value(db, "SELECT 1 FROM images WHERE key = ?", (key,)) is None:
            return key

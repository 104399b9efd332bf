"""Parts of images in SQLite: 8-bit codes per content, and float16 embeddings until a space for codes is learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np

from lookalike.catalogue import derived
from lookalike.catalogue.data import RegionChanges, RegionDrafts
from lookalike.catalogue.sql import rows, value
from lookalike.types import Float32, Int8, Int64

if TYPE_CHECKING:
    from lookalike.catalogue.sqlite import SqliteCatalogue

SPACE = "region space"  # in the table ``derived``
_PAGE_ROWS = 1000

# SQL: whether a content (a column of another table) has regions.
HAS_REGIONS = "EXISTS (SELECT 1 FROM region_codes g WHERE g.content = {0})"


def put(db: apsw.Connection, content: int, regions: Int8 | Float32) -> None:
    """Keep the regions of a content: codes (R, d), or embeddings (R, D) while there is no space for codes."""
    is_code = regions.dtype == np.int8
    codes = regions.tobytes() if is_code else b""
    draft = None if is_code else regions.astype("<f2").tobytes()
    db.execute("INSERT OR REPLACE INTO region_codes VALUES (?, ?, ?)", (content, codes, draft))


class SqliteRegions:
    """See ``catalogue.base.Regions``.

    Args:
        catalogue: Whose regions these are; only it opens transactions.
        db: Its connection.
    """

    def __init__(self, catalogue: SqliteCatalogue, db: apsw.Connection) -> None:
        self._catalogue = catalogue
        self._db = db

    def count(self) -> int:
        """How many contents have regions."""
        with self._catalogue.snapshot():
            return int(value(self._db, "SELECT count(*) FROM region_codes"))

    def count_drafts(self) -> tuple[int, int]:
        """How many contents have embeddings, and how many of those have no codes yet."""
        with self._catalogue.snapshot():
            sql = "SELECT count(*), total(codes = x'') FROM region_codes WHERE draft IS NOT NULL"
            all_of_them, without = rows(self._db, sql)[0]
        return int(all_of_them), int(without)

    def drafts(self, batch: int = 64) -> Iterator[RegionDrafts]:
        """Embeddings, in order of content; read them inside ``snapshot``."""
        sql = "SELECT content, draft FROM region_codes WHERE draft IS NOT NULL AND content > ? ORDER BY content LIMIT ?"
        last = -1
        while page := rows(self._db, sql, (last, batch)):
            yield RegionDrafts(_integers(page), _array(page, "<f2").astype(np.float16, copy=False))
            last = page[-1][0]

    def settle(self, numbers: Int64, codes: Int8, *, is_final: bool, space: tuple[str, bytes] | None = None) -> None:
        """Give contents their codes (n, R * d); a final space lets the embeddings go."""
        with self._catalogue.write() as db:
            generation = self._catalogue.bump_generation()
            given = [(row.tobytes(), number) for row, number in zip(codes, numbers.tolist(), strict=True)]
            db.executemany("UPDATE region_codes SET codes = ? WHERE content = ?", given)
            touched = [(generation, number) for number in numbers.tolist()]
            db.executemany("UPDATE images SET generation = ? WHERE content = ?", touched)
            if is_final:
                db.execute("UPDATE region_codes SET draft = NULL WHERE draft IS NOT NULL")
            if space is not None:
                derived.put(db, SPACE, *space)

    def clear(self) -> None:
        """Forget all regions and their space."""
        with self._catalogue.write() as db:
            self._catalogue.bump_generation()
            db.execute("DELETE FROM region_codes")
            derived.put(db, SPACE, "", None)

    def changes(self, since: int, batch: int = 1024) -> Iterator[RegionChanges]:
        """What engines must follow after generation ``since``; read it inside ``snapshot``."""
        gone = self._gone(since) if since > 0 else np.zeros(0, np.int64)
        sql = (
            "SELECT content, codes FROM region_codes WHERE codes <> x'' AND content > ? AND content IN"
            " (SELECT content FROM images WHERE generation > ? AND state = 'present') ORDER BY content LIMIT ?"
        )
        last = -1
        while page := rows(self._db, sql, (last, since, batch)):
            yield RegionChanges(_integers(page), _array(page, "|i1"), gone)
            gone, last = np.zeros(0, np.int64), page[-1][0]
        if len(gone):
            yield RegionChanges(np.zeros(0, np.int64), np.zeros((0, 0), np.int8), gone)

    def _gone(self, since: int) -> Int64:
        """Contents that a change has left without an image."""
        sql = (
            "SELECT DISTINCT content FROM images x WHERE generation > ? AND state <> 'present' AND NOT EXISTS"
            " (SELECT 1 FROM images i WHERE i.content = x.content AND i.state = 'present')"
        )
        return _integers(rows(self._db, sql, [since]))

    def keys_of_contents(self, numbers: Int64) -> tuple[Int64, Int64]:
        """Keys of the present images of contents (n,), ascending, and the number of each one's content."""
        found: list[Any] = []
        with self._catalogue.snapshot():
            for start in range(0, len(numbers), _PAGE_ROWS):
                page = numbers[start : start + _PAGE_ROWS].tolist()
                marks = ",".join("?" * len(page))
                sql = f"SELECT key, content FROM images WHERE state = 'present' AND content IN ({marks})"
                found.extend(rows(self._db, sql, page))
        found.sort()
        return _integers(found), np.fromiter((row[1] for row in found), np.int64, len(found))


def _integers(page: Sequence[Any]) -> Int64:
    return np.fromiter((row[0] for row in page), np.int64, len(page))


def _array(page: Sequence[Any], dtype: str) -> Any:
    """The second column, blobs of equal length, as rows."""
    return np.frombuffer(b"".join(row[1] for row in page), dtype).reshape(len(page), -1)

"""Small JPEGs of all images in one cache database, by content. It can always be deleted."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw


class Thumbnails:
    """The cache; where it cannot be written or is damaged, it is made anew, and else it is simply empty.

    Args:
        path: Of the database file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = _open(path)

    def get(self, content: bytes) -> bytes | None:
        """The JPEG of this content (SHA-256, 32 bytes); None where there is none."""
        with self._lock, contextlib.suppress(apsw.Error):
            row: Any = self._db.execute("SELECT jpeg FROM thumbnails WHERE hash = ?", (content,)).fetchone()
            return None if row is None else bytes(row[0])
        return None

    def put(self, thumbnails: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep (content, JPEG) pairs; a cache that cannot be written to keeps nothing."""
        rows = [(content, jpeg) for content, jpeg in thumbnails if jpeg]
        with self._lock, contextlib.suppress(apsw.Error), self._db:
            self._db.executemany("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", rows)

    def __len__(self) -> int:
        with self._lock, contextlib.suppress(apsw.Error):
            row: Any = self._db.execute("SELECT count(*) FROM thumbnails").fetchone()
            return int(row[0])
        return 0

    def close(self) -> None:
        """Give back the connection."""
        with self._lock:
            self._db.close()


def _open(path: Path) -> apsw.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _prepare(apsw.Connection(str(path)))
    except (apsw.NotADBError, apsw.CorruptError):
        return _made_anew(path)
    except (apsw.Error, OSError):
        pass  # storage that cannot be written to: what is there can still be shown
    uri = f"{path.absolute().as_uri()}?immutable=1"
    with contextlib.suppress(apsw.Error):
        db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        db.execute("SELECT count(*) FROM thumbnails").fetchone()
        return db
    return _prepare(apsw.Connection(":memory:"))


def _made_anew(path: Path) -> apsw.Connection:
    with contextlib.suppress(apsw.Error, OSError):
        for end in ("", "-wal", "-shm", "-journal"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        return _prepare(apsw.Connection(str(path)))
    return _prepare(apsw.Connection(":memory:"))


def _prepare(db: apsw.Connection) -> apsw.Connection:
    db.set_busy_timeout(2000)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "OFF")  # after a power cut it may be damaged: then it is made anew
    db.execute("CREATE TABLE IF NOT EXISTS thumbnails (hash BLOB PRIMARY KEY, jpeg BLOB NOT NULL) STRICT")
    db.execute("SELECT count(*) FROM (SELECT 1 FROM thumbnails LIMIT 1)").fetchone()
    return db

"""What networks saw, in SQLite: one embedding and one tap per content, as little-endian float16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import numpy as np

from lookalike.catalogue.data import Changes, Contents
from lookalike.catalogue.sql import rows
from lookalike.types import Float16, Int64

_IS_PRESENT = "EXISTS (SELECT 1 FROM images i WHERE i.content = c.number AND i.state = 'present')"
_PAGE_ROWS = 1000


def of_image(db: apsw.Connection, key: int) -> tuple[Float16, Float16] | None:
    """Embedding (D,) and tap (T,) of a present image; None where there is none of that key."""
    found = rows(
        db,
        "SELECT c.embedding, c.tap FROM images i JOIN contents c ON c.number = i.content"
        " WHERE i.key = ? AND i.state = 'present'",
        [key],
    )
    return (_halves([found[0][0]])[0], _halves([found[0][1]])[0]) if found else None


def changes(db: apsw.Connection, since: int, batch: int) -> Iterator[Changes]:
    """What engines must follow after generation ``since``; read it inside a snapshot."""
    removed: list[Any] = []
    if since > 0:
        removed = rows(db, "SELECT key FROM images WHERE generation > ? AND state <> 'present'", [since])
    gone = _integers(removed)
    cursor = db.execute(
        "SELECT i.key, c.embedding FROM images i JOIN contents c ON c.number = i.content"
        " WHERE i.generation > ? AND i.state = 'present' ORDER BY i.generation, i.key",
        (since,),
    )
    none = np.zeros(0, np.int64)
    for page in _batches(cursor, batch):
        yield Changes(_integers(page), _halves([row[1] for row in page]), gone)
        gone = none
    if len(gone):
        yield Changes(none, np.zeros((0, 0), np.float16), gone)


def contents(db: apsw.Connection, batch: int) -> Iterator[Contents]:
    """One row per content that a present image has, in order of arrival; read it inside a snapshot."""
    cursor = db.execute(f"SELECT number, embedding, tap FROM contents c WHERE {_IS_PRESENT} ORDER BY number")
    for page in _batches(cursor, batch):
        yield Contents(_integers(page), _halves([row[1] for row in page]), _halves([row[2] for row in page]))


def contents_of(db: apsw.Connection, keys: Int64) -> Int64:
    """Number of the content of each image, -1 for keys without a present image."""
    found: dict[int, int] = {}
    for start in range(0, len(keys), _PAGE_ROWS):
        page = keys[start : start + _PAGE_ROWS].tolist()
        marks = ",".join("?" * len(page))
        found.update(rows(db, f"SELECT key, content FROM images WHERE state = 'present' AND key IN ({marks})", page))
    return np.fromiter((found.get(key, -1) for key in keys.tolist()), np.int64, len(keys))


def taken(db: apsw.Connection, keys: Int64) -> dict[int, str]:
    """When pictures were taken, of those present images whose file says so."""
    found: dict[int, str] = {}
    for start in range(0, len(keys), _PAGE_ROWS):
        page = keys[start : start + _PAGE_ROWS].tolist()
        sql = (
            "SELECT i.key, c.taken_at FROM images i JOIN contents c ON c.number = i.content"
            f" WHERE c.taken_at IS NOT NULL AND i.state = 'present' AND i.key IN ({','.join('?' * len(page))})"
        )
        found.update(rows(db, sql, page))
    return found


def content_numbers(db: apsw.Connection) -> tuple[Int64, Int64]:
    """Keys of all present images, ascending, and the number of each one's content."""
    found = rows(db, "SELECT key, content FROM images WHERE state = 'present' ORDER BY key")
    return _integers(found), np.fromiter((row[1] for row in found), np.int64, len(found))


def cosine(*embeddings: Any) -> float | None:
    """Of two embeddings as they are stored, for SQL; None where one is missing."""
    if any(blob is None for blob in embeddings):
        return None
    one, other = (row.astype(np.float64) for row in _halves(embeddings))
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def _batches(cursor: apsw.Cursor, size: int) -> Iterator[list[Any]]:
    page = []
    for row in cursor:
        page.append(row)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def _integers(page: Sequence[Any]) -> Int64:
    return np.fromiter((row[0] for row in page), np.int64, len(page))


def _halves(blobs: Sequence[bytes]) -> Float16:
    joined = np.frombuffer(b"".join(blobs), "<f2").astype(np.float16, copy=False)
    return joined.reshape(len(blobs), len(blobs[0]) // 2)

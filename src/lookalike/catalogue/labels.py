"""Label events in SQLite: appended in batches, undone by a mark, never rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import apsw

from lookalike.catalogue.sql import rows, value
from lookalike.errors import GalleryError, ImageNotFoundError
from lookalike.types import LabelEvent, format_id


def now() -> str:
    """The current time, ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add(db: apsw.Connection, changes: Sequence[tuple[int, str | None]], *, by: str, source: str) -> int:
    """Append (key, label) events as one batch; returns its number. Inside a write transaction.

    Raises:
        ImageNotFoundError: a key without an image; nothing is written then.
    """
    db.execute("INSERT INTO label_batches (at, by, source) VALUES (?, ?, ?)", (now(), by, source))
    batch = db.last_insert_rowid()
    for key, label in changes:
        content = value(db, "SELECT content FROM images WHERE key = ?", (key,))
        if content is None:
            raise ImageNotFoundError(f"there is no image {format_id(key)}")
        db.execute(
            "INSERT INTO label_events (batch, key, label, content) VALUES (?, ?, ?, ?)", (batch, key, label, content)
        )
    return int(batch)


def undo(db: apsw.Connection, batch: int | None) -> tuple[int, int]:
    """Mark a batch (None: the last in force) as undone; returns its number and how many labels it held.

    Raises:
        GalleryError: there is nothing to undo, or that batch is undone already.
    """
    if batch is None:
        batch = value(db, "SELECT max(number) FROM label_batches WHERE undone_at IS NULL")
        if batch is None:
            raise GalleryError("there are no labels to take back")
    sql = "UPDATE label_batches SET undone_at = ? WHERE number = ? AND undone_at IS NULL RETURNING number"
    changed = value(db, sql, (now(), batch))
    if changed is None:
        raise GalleryError(f"there is no label batch {batch} in force", hint="lookalike labels list shows them")
    return int(batch), int(value(db, "SELECT count(*) FROM label_events WHERE batch = ?", (batch,)))


def events(db: apsw.Connection) -> list[LabelEvent]:
    """All batches, latest first."""
    counts: dict[int, dict[str, int]] = {}
    by_label = "SELECT batch, coalesce(label, ''), count(*) FROM label_events GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
    for batch, label, count in rows(db, by_label):
        counts.setdefault(batch, {})[label] = count
    batches = rows(db, "SELECT number, at, by, source, undone_at FROM label_batches ORDER BY number DESC")
    return [LabelEvent(n, at, by, source, counts.get(n, {}), undone) for n, at, by, source, undone in batches]

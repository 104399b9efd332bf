"""Label events in SQLite: appended in batches, undone by a mark, never rewritten."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import apsw

from lookalike.catalogue.data import LabelChange
from lookalike.catalogue.sql import rows, value
from lookalike.catalogue.where import CURRENT_EVENT
from lookalike.errors import GalleryError, ImageNotFoundError
from lookalike.types import Int64, LabelDetail, LabelEvent, format_id

_PAGE_ROWS = 1000
_DETAILS = f"""
    SELECT i.key, e.label, b.source, b.by, b.at, e.confidence, e.content <> i.content
    FROM images i JOIN label_events e ON e.number = {CURRENT_EVENT} JOIN label_batches b ON b.number = e.batch
    WHERE i.state = 'present' AND e.label IS NOT NULL
"""


def now() -> str:
    """The current time, ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add(db: apsw.Connection, changes: Sequence[LabelChange], *, by: str, source: str, facts: Mapping[str, Any]) -> int:
    """Append label events as one batch; returns its number. Inside a write transaction.

    Raises:
        ImageNotFoundError: a key without an image; nothing is written then.
    """
    sql = "INSERT INTO label_batches (at, by, source, facts) VALUES (?, ?, ?, ?)"
    db.execute(sql, (now(), by, source, json.dumps(facts)))
    batch = int(db.last_insert_rowid())
    for change in changes:
        content = value(db, "SELECT content FROM images WHERE key = ?", (change.key,))
        if content is None:
            raise ImageNotFoundError(f"there is no image {format_id(change.key)}")
        db.execute(
            "INSERT INTO label_events (batch, key, label, content, confidence) VALUES (?, ?, ?, ?, ?)",
            (batch, change.key, change.label, content, change.confidence),
        )
    return batch


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


_LAST = (
    "SELECT max(e.number) FROM label_events e JOIN label_batches b ON b.number = e.batch"
    " WHERE b.undone_at IS NULL GROUP BY e.key"
)
_CURRENT = (
    "FROM label_events e JOIN images i ON i.key = e.key"
    f" WHERE e.number IN ({_LAST}) AND e.label IS NOT NULL AND i.state = 'present'"
)


def current(db: apsw.Connection) -> dict[int, str]:
    """Label by key of the present images that have one."""
    return dict(rows(db, f"SELECT e.key, e.label {_CURRENT}"))


def current_batches(db: apsw.Connection) -> dict[int, int]:
    """Number of the batch that each present image has its label from, by key."""
    return dict(rows(db, f"SELECT e.key, e.batch {_CURRENT}"))


def keys_in(db: apsw.Connection, batch: int) -> list[int]:
    """Keys of the images of a batch, in the order in which they were given."""
    return [row[0] for row in rows(db, "SELECT key FROM label_events WHERE batch = ? ORDER BY number", (batch,))]


def events(db: apsw.Connection) -> list[LabelEvent]:
    """All batches, latest first."""
    counts: dict[int, dict[str, int]] = {}
    by_label = "SELECT batch, coalesce(label, ''), count(*) FROM label_events GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
    for batch, label, count in rows(db, by_label):
        counts.setdefault(batch, {})[label] = count
    batches = rows(db, "SELECT number, at, by, source, facts, undone_at FROM label_batches ORDER BY number DESC")
    return [
        LabelEvent(number, at, by, source, counts.get(number, {}), json.loads(facts), undone)
        for number, at, by, source, facts, undone in batches
    ]


def details(db: apsw.Connection, keys: Int64) -> dict[int, LabelDetail]:
    """Where the current labels of images come from, by key; images without a label or a file are not in it."""
    found = {}
    for start in range(0, len(keys), _PAGE_ROWS):
        page = keys[start : start + _PAGE_ROWS].tolist()
        marks = ",".join("?" * len(page))
        found_rows = rows(db, f"{_DETAILS} AND i.key IN ({marks})", page)
        for key, label, source, by, at, confidence, is_changed in found_rows:
            found[key] = LabelDetail(label, source, by, at, confidence, bool(is_changed))
    return found


class SqliteLabels:
    """The part of ``SqliteCatalogue`` that keeps labels; see ``catalogue.base.Catalogue``."""

    _db: apsw.Connection
    _lock: threading.RLock

    if TYPE_CHECKING:

        def write(self) -> AbstractContextManager[apsw.Connection]:
            """One write transaction."""

    def add_labels(
        self, changes: Sequence[LabelChange], *, by: str, source: str, facts: Mapping[str, Any] | None = None
    ) -> int:
        """Append label events as one batch; returns its number."""
        with self.write() as db:
            return add(db, changes, by=by, source=source, facts=facts or {})

    def undo_labels(self, batch: int | None = None) -> tuple[int, int]:
        """Take back a batch (None: the last in force); returns its number and how many labels it held."""
        with self.write() as db:
            return undo(db, batch)

    def label_events(self) -> list[LabelEvent]:
        """All batches of label events, latest first."""
        with self._lock:
            return events(self._db)

    def labels(self) -> dict[int, str]:
        """Label by key of the present images that have one."""
        with self._lock:
            return current(self._db)

    def label_batches(self) -> dict[int, int]:
        """Number of the batch that each present image has its label from, by key."""
        with self._lock:
            return current_batches(self._db)

    def labelled_in(self, batch: int) -> list[int]:
        """Keys of the images of a batch, in the order in which they were given."""
        with self._lock:
            return keys_in(self._db, batch)

    def label_details(self, keys: Int64) -> dict[int, LabelDetail]:
        """Where the current labels of images come from, by key."""
        with self._lock:
            return details(self._db, keys)

"""Propagated labels in SQLite, and what they rest on: what was said otherwise, and what somebody rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import apsw

from lookalike.catalogue import labels
from lookalike.catalogue.data import LabelChange, PropagatedLabel
from lookalike.catalogue.schema import PRESENT
from lookalike.catalogue.sql import rows, value
from lookalike.catalogue.where import CONFIDENCE, LABEL, SOURCE

if TYPE_CHECKING:
    from lookalike.catalogue.sqlite import SqliteCatalogue

PROPAGATED = "propagated"

_SAID = f"""
    SELECT i.key, i.content, e.label FROM images i JOIN label_events e ON e.number = (
        SELECT max(o.number) FROM label_events o JOIN label_batches b ON b.number = o.batch
        WHERE o.key = i.key AND b.undone_at IS NULL AND b.source <> '{PROPAGATED}')
    WHERE {PRESENT.format("i")} AND e.label IS NOT NULL AND e.content = i.content
    ORDER BY i.key
"""
# A label that somebody took away, where the one in force just before was propagated. What was propagated may have been
# replaced since; that it was wrong stays true.
_REJECTED = f"""
    SELECT e.content, o.label FROM label_events e JOIN label_batches b ON b.number = e.batch
    JOIN label_events o ON o.number = (
        SELECT max(p.number) FROM label_events p JOIN label_batches c ON c.number = p.batch
        WHERE p.key = e.key AND p.number < e.number AND (c.undone_at IS NULL OR c.undone_at >= b.at))
    JOIN label_batches d ON d.number = o.batch
    WHERE e.label IS NULL AND b.undone_at IS NULL AND b.source <> '{PROPAGATED}' AND d.source = '{PROPAGATED}'
      AND o.label IS NOT NULL AND o.content = e.content
"""
_CURRENT = f"""
    SELECT * FROM (SELECT i.key, {LABEL} AS label, {CONFIDENCE} AS confidence, {SOURCE} AS source FROM images i
                   WHERE {PRESENT.format("i")})
    WHERE source = '{PROPAGATED}' ORDER BY confidence, key
"""


class SqlitePropagations:
    """See ``catalogue.base.Propagations``."""

    def __init__(self, catalogue: SqliteCatalogue, db: apsw.Connection) -> None:
        self._catalogue = catalogue
        self._db = db

    def said(self) -> list[tuple[int, int, str]]:
        """Key, content and label of present images whose label was not propagated, by key."""
        with self._catalogue.snapshot():
            return [(int(key), int(content), str(label)) for key, content, label in rows(self._db, _SAID)]

    def rejected(self) -> set[tuple[int, str]]:
        """Content and propagated label, of labels that somebody took away."""
        with self._catalogue.snapshot():
            return {(int(content), str(label)) for content, label in rows(self._db, _REJECTED)}

    def current(self) -> list[PropagatedLabel]:
        """Propagated labels of present images, the least sure first."""
        with self._catalogue.snapshot():
            found = rows(self._db, _CURRENT)
        return [PropagatedLabel(int(key), str(label), float(sure)) for key, label, sure, _ in found]

    def replace(
        self, changes: Sequence[LabelChange], *, by: str, facts: Mapping[str, Any]
    ) -> tuple[int | None, list[int], int]:
        """Take back what was propagated and propagate anew, at once; images that bear a label are left alone."""
        in_force = "SELECT number FROM label_batches WHERE source = ? AND undone_at IS NULL ORDER BY number"
        with self._catalogue.write() as db:
            retracted = [int(number) for (number,) in rows(db, in_force, [PROPAGATED])]
            for number in retracted:
                labels.undo(db, number)
            bare = f"SELECT 1 FROM images i WHERE i.key = ? AND {PRESENT.format('i')} AND {LABEL} IS NULL"
            kept = [change for change in changes if value(db, bare, (change.key,))]
            batch = labels.add(db, kept, by=by, source=PROPAGATED, facts=facts) if kept else None
        return batch, retracted, len(kept)

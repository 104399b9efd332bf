"""Which pictures people have said are different, in SQLite: appended, undone by a mark, never rewritten.

A decision belongs to contents, not to files, so it survives moves, removal and return, and holds for every copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import apsw

from lookalike.catalogue.labels import now
from lookalike.catalogue.sql import rows, value
from lookalike.errors import GalleryError, ImageNotFoundError, SettingError
from lookalike.types import Decision, format_id

if TYPE_CHECKING:
    from lookalike.catalogue.sqlite import SqliteCatalogue


class SqliteDecisions:
    """See ``catalogue.base.Decisions``.

    Args:
        catalogue: Whose decisions these are; only it opens transactions.
        db: Its connection.
    """

    def __init__(self, catalogue: SqliteCatalogue, db: apsw.Connection) -> None:
        self._catalogue = catalogue
        self._db = db

    def add(self, keys: Sequence[int], *, by: str) -> int:
        """Remember that what these images show are different pictures; returns the decision's number."""
        with self._catalogue.write() as db:
            contents = [_content(db, key) for key in keys]
            if len(set(contents)) < 2:
                raise SettingError(
                    f"{len(keys)} images with {len(set(contents))} content: only different files can be told apart",
                    hint="name two images or more that are not copies of one file",
                )
            db.execute("INSERT INTO decisions (at, by) VALUES (?, ?)", (now(), by))
            number = int(db.last_insert_rowid())
            parts = [(number, content) for content in sorted(set(contents))]
            db.executemany("INSERT INTO decision_contents VALUES (?, ?)", parts)
        return number

    def undo(self, number: int | None = None) -> tuple[int, int]:
        """Take back a decision (None: the last in force); returns its number and how many contents it told apart."""
        with self._catalogue.write() as db:
            if number is None:
                number = value(db, "SELECT max(number) FROM decisions WHERE undone_at IS NULL")
                if number is None:
                    raise GalleryError("there is no decision to take back")
            sql = "UPDATE decisions SET undone_at = ? WHERE number = ? AND undone_at IS NULL RETURNING number"
            if value(db, sql, (now(), number)) is None:
                raise GalleryError(
                    f"there is no decision {number} in force", hint="lookalike duplicates decisions shows them"
                )
            return number, int(value(db, "SELECT count(*) FROM decision_contents WHERE decision = ?", (number,)))

    def apart(self) -> list[frozenset[int]]:
        """Sets of contents of which no two are the same picture: one for each decision in force."""
        with self._catalogue.snapshot():
            sql = (
                "SELECT decision, content FROM decision_contents JOIN decisions ON number = decision"
                " WHERE undone_at IS NULL ORDER BY decision, content"
            )
            found: dict[int, set[int]] = {}
            for decision, content in rows(self._db, sql):
                found.setdefault(decision, set()).add(content)
        return [frozenset(contents) for contents in found.values()]

    def all(self) -> list[Decision]:
        """All decisions, latest first, with the images that show their contents now."""
        with self._catalogue.snapshot():
            sql = (
                "SELECT c.decision, i.key FROM decision_contents c JOIN images i ON i.content = c.content"
                " WHERE i.state = 'present' ORDER BY c.decision, i.key"
            )
            ids: dict[int, list[str]] = {}
            for decision, key in rows(self._db, sql):
                ids.setdefault(decision, []).append(format_id(key))
            sql = (
                "SELECT number, at, by, undone_at, (SELECT count(*) FROM decision_contents WHERE decision = number)"
                " FROM decisions ORDER BY number DESC"
            )
            return [
                Decision(number, at, by, count, tuple(ids.get(number, ())), undone)
                for number, at, by, undone, count in rows(self._db, sql)
            ]


def _content(db: apsw.Connection, key: int) -> int:
    content = value(db, "SELECT content FROM images WHERE key = ?", (key,))
    if content is None:
        raise ImageNotFoundError(f"there is no image {format_id(key)}")
    return int(content)

"""The catalogue of one gallery in one SQLite file, through ``apsw``.

Readers and short writers may be many, in any process; the one long writer is kept single by the gallery's lock.
Each public method may be called from any thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from lookalike.catalogue import derived, features, labels, reducers, roots, schema, state
from lookalike.catalogue.clusters import SqliteClusters
from lookalike.catalogue.data import Changes, Contents, Root
from lookalike.catalogue.decisions import SqliteDecisions
from lookalike.catalogue.labels import SqliteLabels
from lookalike.catalogue.propagated import SqlitePropagations
from lookalike.catalogue.regions import HAS_REGIONS, SqliteRegions
from lookalike.catalogue.scan import SqliteScan
from lookalike.catalogue.sql import rows as sql_rows
from lookalike.catalogue.where import LABEL, compile_order, compile_where
from lookalike.errors import GalleryFormatError, GalleryLockedError
from lookalike.filters import Condition
from lookalike.quality import Quality
from lookalike.types import Failure, Float16, ImageRecord, Int64, ModelInfo, Reducer, format_id

_RECORD = f"""
    SELECT i.key, i.root, i.path, r.location, lower(hex(c.hash)), i.size_bytes, i.mtime_ns, c.width_px, c.height_px,
           c.format, c.taken_at, i.added_at, {LABEL}, c.sharpness, c.brightness, c.contrast, c.information
    FROM images i JOIN contents c ON c.number = i.content JOIN roots r ON r.name = i.root
"""
_PAGE_ROWS = 1000


class SqliteCatalogue(SqliteLabels):
    """See ``catalogue.base.Catalogue``.

    Args:
        path: Of the file.

    Raises:
        GalleryNotFoundError: there is no such file.
        GalleryFormatError: it is no catalogue, damaged, or newer than this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._db = schema.connect(path)
        self._db.create_scalar_function("basename", _basename, 1, deterministic=True)
        self._db.create_scalar_function("cosine", features.cosine, 2, deterministic=True)

    @classmethod
    def create(cls, path: Path, model: ModelInfo, model_source: str) -> SqliteCatalogue:
        """Make an empty catalogue for embeddings of this network and open it."""
        schema.create(path, {"model": schema.model_to_json(model), "model_source": model_source})
        return cls(path)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside see the same state."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """One write transaction; on disk when the block ends, undone when it raises.

        Raises:
            GalleryLockedError: another writer did not finish within 2 s.
        """
        with self._transaction("BEGIN IMMEDIATE"):
            yield self._db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock:
            if self._depth == 0:
                self._begin(begin)
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0 and not self._db.get_autocommit():
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def _begin(self, begin: str) -> None:
        try:
            self._db.execute(begin)
        except apsw.BusyError as error:
            raise GalleryLockedError(f"{self.path.parent} is being written to", hint="try again in a moment") from error
        except apsw.ReadOnlyError as error:
            raise GalleryLockedError(f"{self.path.parent} cannot be written to: read-only") from error

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return sql_rows(self._db, sql, parameters)

    def _value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        rows = self._rows(sql, parameters)
        return rows[0][0] if rows else None

    def bump_generation(self) -> int:
        """The number for a change that engines must follow; inside ``write`` only."""
        return int(self._value("UPDATE meta SET value = value + 1 WHERE name = 'generation' RETURNING value"))

    # -- what the gallery is ------------------------------------------------------------------------------------

    def _meta(self, name: str) -> Any:
        value = self._value("SELECT value FROM meta WHERE name = ?", [name])
        if value is None:
            raise GalleryFormatError(f"{self.path} has no {name!r}", hint="lookalike doctor says more")
        return value

    def identity(self) -> str:
        """Names this history of changes."""
        return str(self._meta("identity"))

    def generation(self) -> int:
        """Number of the last change that engines must follow."""
        return int(self._meta("generation"))

    def model(self) -> ModelInfo:
        """The network that made the embeddings."""
        return schema.model_from_json(self._meta("model"))

    def model_source(self) -> str:
        """The network's name or the path of its file."""
        return str(self._meta("model_source"))

    def facts(self) -> dict[str, Any]:
        """Counts for ``info``."""
        with self._lock:
            return state.facts(self._db, self.path)

    def roots(self) -> list[Root]:
        """All roots, by name."""
        with self._lock:
            return roots.listed(self._db)

    def add_root(self, location: str, excludes: Sequence[str] | None) -> Root:
        """The root at this location, made where there is none; excludes None keeps those it has."""
        with self.write() as db:
            return roots.add(db, location, excludes)

    def move_root(self, name: str, location: str) -> None:
        """The root's folder is at another place now."""
        with self.write() as db:
            roots.move(db, name, location)

    def widen_root(self, inside: Sequence[Root], location: str) -> None:
        """Make one root at ``location`` of roots that lie inside it; images keep their ids."""
        with self.write() as db:
            roots.widen(db, inside, location)

    # -- images -------------------------------------------------------------------------------------------------

    @property
    def regions(self) -> SqliteRegions:
        """Parts of images."""
        return SqliteRegions(self, self._db)

    @property
    def clusters(self) -> SqliteClusters:
        """How its contents are sorted."""
        return SqliteClusters(self, self._db)

    @property
    def propagations(self) -> SqlitePropagations:
        """Propagated labels."""
        return SqlitePropagations(self, self._db)

    @property
    def decisions(self) -> SqliteDecisions:
        """Which pictures people have said are different."""
        return SqliteDecisions(self, self._db)

    def is_known(self, content: bytes, *, regions: bool = False) -> bool:
        """Whether there is an embedding of this content, and regions if wanted."""
        complete = HAS_REGIONS.format("c.number") if regions else "TRUE"
        return bool(self._rows(f"SELECT 1 FROM contents c WHERE hash = ? AND {complete}", [content]))

    def count(self) -> int:
        """How many images are present."""
        return int(self._value("SELECT count(*) FROM images WHERE state = 'present'"))

    def is_empty(self) -> bool:
        """Whether no image is present; unlike ``count`` at no cost."""
        return not self._rows("SELECT 1 FROM images WHERE state = 'present' LIMIT 1")

    def record(self, key: int) -> ImageRecord | None:
        """The image of that key, where it is present."""
        return self.records([key]).get(key)

    def records(self, keys: Sequence[int]) -> dict[int, ImageRecord]:
        """The present images among these keys."""
        found = {}
        for start in range(0, len(keys), _PAGE_ROWS):
            page = [int(key) for key in keys[start : start + _PAGE_ROWS]]
            marks = ",".join("?" * len(page))
            rows = self._rows(f"{_RECORD} WHERE i.state = 'present' AND i.key IN ({marks})", page)
            found.update({row[0]: _record(row) for row in rows})
        return found

    def all_records(self, where: Sequence[Condition] = ()) -> Iterator[ImageRecord]:
        """Present images that fulfil all conditions, by root and path."""
        sql, parameters = compile_where(where)
        place: tuple[str, bytes] = ("", b"")
        while True:
            rows = self._rows(
                f"{_RECORD} WHERE {sql} AND (i.root, i.path) > (?, ?) ORDER BY i.root, i.path LIMIT {_PAGE_ROWS}",
                [*parameters, *place],
            )
            yield from map(_record, rows)
            if len(rows) < _PAGE_ROWS:
                return
            place = (rows[-1][1], rows[-1][2])

    def keys(self, where: Sequence[Condition] = ()) -> Int64:
        """Keys of present images that fulfil all conditions, ascending."""
        sql, parameters = compile_where(where)
        rows = self._rows(
            f"SELECT i.key FROM images i JOIN contents c ON c.number = i.content WHERE {sql} ORDER BY i.key", parameters
        )
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def sorted_keys(self, where: Sequence[Condition], by: str, *, descending: bool = False) -> Int64:
        """The same in order of a field, then of root and path; images without a value come last."""
        sql, parameters = compile_where(where)
        rows = self._rows(
            "SELECT i.key FROM images i JOIN contents c ON c.number = i.content"
            f" WHERE {sql} ORDER BY {compile_order(by, descending=descending)}",
            parameters,
        )
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def keys_of_content(self, content: bytes) -> Int64:
        """Keys of present images with this content, ascending."""
        rows = self._rows(
            "SELECT i.key FROM images i JOIN contents c ON c.number = i.content"
            " WHERE c.hash = ? AND i.state = 'present' ORDER BY i.key",
            [content],
        )
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def find_paths(self, paths: Sequence[Path]) -> dict[Path, int]:
        """Keys of the present images at these absolute paths."""
        with self._lock:
            return roots.find_paths(self._db, paths)

    # -- embeddings ---------------------------------------------------------------------------------------------

    def features(self, key: int) -> tuple[Float16, Float16] | None:
        """Embedding (D,) and tap (T,) of a present image."""
        with self._lock:
            return features.of_image(self._db, key)

    def changes(self, since: int, batch: int = 4096) -> Iterator[Changes]:
        """What engines must follow after generation ``since``; read it inside ``snapshot``."""
        return features.changes(self._db, since, batch)

    def contents(self, batch: int = 4096) -> Iterator[Contents]:
        """One row per content that a present image has; read it inside ``snapshot``."""
        return features.contents(self._db, batch)

    def count_contents(self) -> int:
        """How many distinct contents the present images have."""
        return int(self._value("SELECT count(DISTINCT content) FROM images WHERE state = 'present'"))

    def contents_of(self, keys: Int64) -> Int64:
        """Number of the content of each image, -1 for keys without a present image."""
        with self._lock:
            return features.contents_of(self._db, keys)

    def taken(self, keys: Int64) -> dict[int, str]:
        """When pictures were taken, of those present images whose file says so."""
        with self._lock:
            return features.taken(self._db, keys)

    def content_numbers(self) -> tuple[Int64, Int64]:
        """Keys of all present images, ascending, and the number of each one's content."""
        with self._lock:
            return features.content_numbers(self._db)

    def derived(self, name: str) -> tuple[str, bytes] | None:
        """What was worked out about the gallery under this name: its space and its bytes."""
        with self._lock:
            return derived.get(self._db, name)

    def set_derived(self, name: str, space: str, data: bytes | None) -> None:
        """Replace what was worked out under this name; None drops it."""
        with self.write() as db:
            derived.put(db, name, space, data)

    def reducer(self) -> Reducer | None:
        """The current reducer; None before the first fit."""
        with self._lock:
            return reducers.current(self._db)

    def set_reducer(self, reducer: Reducer) -> None:
        """Replace it."""
        with self.write() as db:
            reducers.replace(db, reducer)
            self.bump_generation()

    # -- runs, failures, labels ---------------------------------------------------------------------------------

    def failures(self) -> list[Failure]:
        """Files that could not be used, by path."""
        rows = self._rows(
            "SELECT r.location, f.path, f.stage, f.error, f.message, f.at"
            " FROM failures f JOIN roots r ON r.name = f.root ORDER BY f.root, f.path"
        )
        return [Failure(_absolute(location, path), *rest) for location, path, *rest in rows]

    def add_folder_failure(self, root: str, folder: str, message: str) -> None:
        """Remember that a folder could not be listed."""
        with self.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, 0, 0, 0, 'list', 'ImageReadError', ?, ?)",
                (root, os.fsencode(folder), f"the folder cannot be listed: {message}", labels.now()),
            )

    @contextmanager
    def scan(self, roots: Sequence[tuple[Root, str]]) -> Iterator[SqliteScan]:
        """Start to hold a listing of (root, what within it) against the records."""
        scan = SqliteScan(self, self._db, [(root.name, within) for root, within in roots])
        try:
            yield scan
        finally:
            scan.close()

    def check(self) -> list[str]:
        """Complaints of SQLite's own integrity checks; empty when the store is sound."""
        with self._lock:
            return state.complaints(self._db)

    def close(self) -> None:
        """Give back the connection."""
        with self._lock:
            self._db.close()


def _basename(*arguments: Any) -> str:
    return str(arguments[0]).rsplit("/", 1)[-1]


def _absolute(location: bytes, path: bytes) -> Path:
    return Path(os.fsdecode(location)) / os.fsdecode(path)


def _record(row: Any) -> ImageRecord:
    key, root, path, location, content, size, mtime, width, height, image_format, taken, added, label, *measures = row
    relative, quality = os.fsdecode(path), None if measures[1] is None else Quality(*measures)
    facts = size, mtime, width, height, image_format, taken, added, label, quality
    return ImageRecord(format_id(key), _absolute(location, path), root, relative, content, *facts)

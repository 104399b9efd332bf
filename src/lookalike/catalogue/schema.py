"""The tables of a gallery in SQLite, and how a connection to them is opened."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path

import apsw

from lookalike.errors import GalleryFormatError, GalleryNotFoundError
from lookalike.types import ModelInfo

FORMAT_VERSION = 3
_APPLICATION_ID = 0x6C6F6F6B  # "look"
_BUSY_MS = 2000

# A 1280-d float16 embedding is 2.5 kB: six of them fill a page of 16 kB, where 4 kB would waste a third.
_PAGE_BYTES = 16384

# The index by place covers what is not removed; SQLite uses it only where a query says so in these very words.
PRESENT = "{0}.state <> 'removed' AND {0}.state = 'present'"

_TABLES = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE roots (
    name TEXT PRIMARY KEY,
    location BLOB NOT NULL UNIQUE,
    excludes TEXT NOT NULL            -- JSON list of glob patterns
) STRICT, WITHOUT ROWID;

CREATE TABLE contents (
    number INTEGER PRIMARY KEY,       -- order of arrival
    hash BLOB NOT NULL UNIQUE,        -- SHA-256 of the file
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    format TEXT NOT NULL,
    taken_at TEXT,
    sharpness REAL,                   -- these four: see types.Quality; NULL where it was not measured
    brightness REAL,
    contrast REAL,
    information REAL,
    precision TEXT NOT NULL,
    embedding BLOB NOT NULL,          -- (D,) float16, little-endian
    tap BLOB NOT NULL                 -- (T,) float16 of the finer map; empty where the network has none
) STRICT;
-- So that nobody reads embeddings to compare measures.
CREATE INDEX contents_by_quality ON contents(sharpness, brightness, contrast, information);

CREATE TABLE images (
    key INTEGER PRIMARY KEY,          -- random, 63 bits; the public id is its 16 hexadecimal digits
    root TEXT NOT NULL REFERENCES roots(name) ON UPDATE CASCADE,
    path BLOB NOT NULL,               -- relative, as the file system has it: not always UTF-8
    content INTEGER NOT NULL REFERENCES contents(number),
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    added_at TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('present', 'removed', 'failed')),
    generation INTEGER NOT NULL       -- last change that search engines must follow
) STRICT;
CREATE UNIQUE INDEX images_by_place ON images(root, path) WHERE state <> 'removed';
CREATE INDEX images_removed_by_place ON images(root, path) WHERE state = 'removed';
CREATE INDEX images_by_content ON images(content, state);
CREATE INDEX images_by_generation ON images(generation);

CREATE TABLE failures (
    root TEXT NOT NULL REFERENCES roots(name) ON UPDATE CASCADE,
    path BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    stage TEXT NOT NULL,
    error TEXT NOT NULL,
    message TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (root, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE reducers (
    number INTEGER PRIMARY KEY,       -- the highest is the current one
    fitted_on INTEGER NOT NULL,
    power REAL NOT NULL,
    mean BLOB NOT NULL,               -- (D,) float32, little-endian
    components BLOB,                  -- (d, D) float32
    variances BLOB NOT NULL           -- (d,) float32
) STRICT;

CREATE TABLE region_codes (           -- parts of images, where the gallery keeps them
    content INTEGER PRIMARY KEY REFERENCES contents(number),
    codes BLOB NOT NULL,              -- (R, d) int8; empty until there is a space for them
    draft BLOB                        -- (R, D) float16, which that space is learned from; NULL once it is settled
) STRICT;

CREATE TABLE derived (                -- what takes long to work out again: calibration and the like
    name TEXT PRIMARY KEY,
    space TEXT NOT NULL,              -- what it holds for
    data BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cluster_runs (           -- one row: the tree that the clusters are cut from
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    facts TEXT NOT NULL,              -- JSON: how it was made, and how it is cut
    leaves BLOB NOT NULL,             -- (n,) int64, numbers of contents
    joins BLOB NOT NULL,              -- (n - 1, 2) int32, see lookalike.cluster
    costs BLOB NOT NULL               -- (n - 1,) float32
) STRICT;
CREATE TABLE clusters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    nodes BLOB NOT NULL               -- int32: the nodes of the tree that it is made of
) STRICT;
CREATE TABLE cluster_members (
    content INTEGER PRIMARY KEY REFERENCES contents(number),
    cluster INTEGER REFERENCES clusters(id)   -- NULL: looked at, and unassigned
) STRICT;
CREATE INDEX cluster_members_by_cluster ON cluster_members(cluster);
CREATE TABLE decisions (               -- these contents are different pictures, however alike they look
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    undone_at TEXT
) STRICT;
CREATE TABLE decision_contents (
    decision INTEGER NOT NULL REFERENCES decisions(number),
    content INTEGER NOT NULL REFERENCES contents(number),
    PRIMARY KEY (decision, content)
) STRICT, WITHOUT ROWID;

CREATE TABLE label_batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    source TEXT NOT NULL,             -- person, import, cluster or propagated
    facts TEXT NOT NULL,              -- JSON: how it came about, for example what was inspected
    undone_at TEXT
) STRICT;
CREATE TABLE label_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    batch INTEGER NOT NULL REFERENCES label_batches(number),
    key INTEGER NOT NULL REFERENCES images(key),
    label TEXT,                       -- NULL takes the label away
    content INTEGER NOT NULL,         -- what the image showed when it was labelled
    confidence REAL                   -- of a propagated label, 0..1
) STRICT;
CREATE INDEX label_events_by_key ON label_events(key, number);
CREATE INDEX label_events_by_batch ON label_events(batch);
"""


def create(path: Path, meta: dict[str, str]) -> None:
    """Make an empty catalogue; appears at ``path`` complete or not at all.

    Args:
        path: Of the file; its folder must exist.
        meta: First rows of the table ``meta``.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    connection = apsw.Connection(str(draft))
    connection.pragma("page_size", _PAGE_BYTES)
    connection.pragma("journal_mode", "wal")
    with connection:
        connection.pragma("application_id", _APPLICATION_ID)
        connection.pragma("user_version", FORMAT_VERSION)
        connection.execute(_TABLES)
        rows = {**meta, "generation": 0, "identity": secrets.token_hex(8)}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", list(rows.items()))
    connection.close()  # the last one out folds the write-ahead log back in
    try:
        os.link(draft, path)  # unlike a rename, it never replaces a gallery that another process made meanwhile
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # a file system without hard links
        if path.exists():
            raise FileExistsError(path) from None
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def connect(path: Path) -> apsw.Connection:
    """Open a catalogue for reading and short writes.

    Raises:
        GalleryNotFoundError: there is none.
        GalleryFormatError: no catalogue of ours, damaged, or of a newer version.
    """
    if not path.is_file():
        raise GalleryNotFoundError(
            f"there is no gallery at {path.parent}", hint="make one with: lookalike index FOLDER, or name one with -g"
        )
    try:
        connection = _open(path)
        found = connection.pragma("application_id"), connection.pragma("user_version")
    except apsw.Error as error:
        raise GalleryFormatError(f"{path} cannot be opened: {error}", hint="lookalike doctor says more") from error
    if found[0] != _APPLICATION_ID:
        connection.close()
        raise GalleryFormatError(f"{path} is no catalogue of lookalike")
    if found[1] != FORMAT_VERSION:
        connection.close()
        raise GalleryFormatError(
            f"{path.parent} has format {found[1]}, this version reads {FORMAT_VERSION}",
            hint="update lookalike" if found[1] > FORMAT_VERSION else "index the folders into a new gallery",
        )
    return connection


def _open(path: Path) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(_BUSY_MS)
        connection.pragma("journal_mode")  # the first read: fails here where the folder cannot be written to
        connection.execute("SELECT count(*) FROM meta")
    except (apsw.ReadOnlyError, apsw.CantOpenError):
        # A gallery on read-only storage: without a -wal file nobody can be writing, so it is safe to call it immutable.
        wal = Path(f"{path}-wal")
        if wal.exists() and wal.stat().st_size:
            raise
        uri = f"{path.resolve().as_uri()}?immutable=1"
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    connection.pragma("synchronous", "FULL")
    connection.pragma("foreign_keys", True)
    connection.pragma("journal_size_limit", 64 * 2**20)
    connection.pragma("trusted_schema", False)
    connection.pragma("temp_store", 1)  # a listing of a million files goes to a file, not to memory
    return connection


def model_to_json(model: ModelInfo) -> str:
    """How ``meta`` holds the network."""
    return json.dumps(asdict(model))


def model_from_json(text: str) -> ModelInfo:
    """The network as it was."""
    data = json.loads(text)
    shapes = tuple((int(h), int(w)) for h, w in data.pop("shapes"))
    return ModelInfo(**{**data, "shapes": shapes, "mean": tuple(data["mean"]), "std": tuple(data["std"])})

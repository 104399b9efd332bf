"""The search engine in this process: exact for small galleries, through faiss for large ones, cached on disk.

Every score is computed from the stored rows in float64; faiss only proposes which rows are worth it. So scores and
their order are exact, and at most a match is missing. ``docs/measurements.md`` says how seldom.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.engines.base import EngineState
from lookalike.engines.caches import Caches
from lookalike.engines.shortlist import Shortlist
from lookalike.engines.table import Rows, Table, scan_error
from lookalike.errors import ImageNotFoundError, ShapeError
from lookalike.neighbours import SCORE_DECIMALS, best, check_k, no_matches
from lookalike.settings import usable_cores
from lookalike.types import Float32, Int64, check_array, format_id

_PACK_ROWS = 2**14
_SCORES_AT_ONCE = 2**24  # 64 MB of float32 scores
_RESCORE_ROWS = 2**13
_FEW_CHANGES, _CHANGED_SHARE = 1000, 100  # up to 1000 + 1 % of the base
_SHORTLIST_LEAST, _SHORTLIST_TIMES = 200, 3  # candidates for k results: 200 + 3 k
_MOST_APPROXIMATE = 2048  # results; whoever wants more is served exactly
_UNIT_ERROR = 1e-3


class LocalEngine:
    """A SearchEngine (see ``engines.base``) in memory, with caches on disk. Safe to use from several threads.

    Writes are visible to searches at once, and on disk after ``commit``. Above ``exact_limit`` rows the result of
    ``search`` is approximate in which rows it holds, but exact in their scores and order. Nothing depends on the
    number of threads, on the order of writes, or on how many queries are asked at once.

    Args:
        folder: Where the caches go; None, or a folder that cannot be written, keeps everything in memory.
        exact_limit: Up to this many rows are searched exactly.
        threads: Of faiss; 0 takes one per processor core.
        scan: Search exactly whatever the size and do not load faiss: for a process that asks once, 100,000 rows are
            scanned long before faiss is imported. Caches of other processes stay as they are.
        bits: Of each number of a stored vector, 16 or 8.

    Attributes:
        state: What it holds.
    """

    def __init__(
        self, folder: Path | None, *, exact_limit: int = 20_000, threads: int = 0, scan: bool = False, bits: int = 16
    ) -> None:
        self._caches = Caches(folder, bits)
        self._bits = bits
        self._in_memory = folder is None
        self._exact_limit = exact_limit
        self._threads = threads or usable_cores()
        self._scan = scan
        self._lock = threading.RLock()
        self._writes: list[tuple[Int64, Rows | None]] = []
        self._changed = False  # since the last commit
        self._cleared = False  # and what is on disk is still from before
        self._index_known = False  # what index.bin holds has been looked at
        # Replaced together, so that a search never sees an index over other rows.
        self._held: tuple[Table, Shortlist | None] = (Table.of(Rows.empty(0, bits)), None)
        self._rows_id = ""  # of the rows.bin that the base is in; empty where it is in memory
        self.state = EngineState()
        kept = self._caches.read()
        if kept is not None:
            table, self.state, self._rows_id = kept
            self._held = table, None

    def __len__(self) -> int:
        """How many images it holds."""
        return len(self._view()[0])

    # -- writing -----------------------------------------------------------------------------------------------

    def upsert(self, keys: Int64, vectors: Float32) -> None:
        """Add vectors or replace them.

        Args:
            keys: (n,) int64, non-negative, distinct.
            vectors: (n, d) float32 of unit length.

        Raises:
            ShapeError: the arrays are not that, or d is not that of the rows that are there.
        """
        _check_keys(keys)
        check_array("vectors", vectors, (len(keys), None), np.float32)
        if not len(keys):
            return
        _check_unit("vectors", vectors)
        with self._lock:
            if self._dim() not in (0, vectors.shape[1]):
                raise ShapeError(
                    f"vectors: expected {self._dim()} dimensions, got {vectors.shape[1]}",
                    hint="clear the engine before it takes vectors of another space",
                )
            for start in range(0, len(keys), _PACK_ROWS):
                rows = Rows.pack(keys[start : start + _PACK_ROWS], vectors[start : start + _PACK_ROWS], self._bits)
                self._writes.append((rows.keys, rows))
            self._changed = True

    def delete(self, keys: Int64) -> None:
        """Take out keys (n,) int64; unknown ones are passed over.

        Raises:
            ShapeError: the keys are not int64 (n,).
        """
        check_array("keys", keys, (None,), np.int64)
        with self._lock:
            self._writes.append((keys.copy(), None))
            self._changed = True

    def clear(self) -> None:
        """Take out everything and forget the state. The files stay until the next ``commit``."""
        with self._lock:
            self._writes.clear()
            self._rows_id = ""
            self._hold(Table.of(Rows.empty(0, self._bits)), None)
            self._changed = self._cleared = True
            self.state = EngineState()

    def commit(self, state: EngineState) -> None:
        """Declare that everything written so far is this state, and put it on disk where that is possible.

        Changed rows are folded into the base once they are many; the index grows with it, and is learned again when
        the base has doubled. With nothing written this costs next to nothing, unless the index is missing: then it is
        made. Where another process has put this state or a later one on disk already, that stays.
        """
        with self._lock:
            table, index = self._view(with_index=True)
            if self._changed or state != self.state:
                overwrite = self._cleared or self._caches.damaged or not self._caches.holds(state)
                if self._must_fold(table):
                    self._fold(table, index, state, overwrite=overwrite)
                    kept = bool(self._rows_id)
                else:
                    kept = overwrite and self._caches.write_changes(self._rows_id, table, state)
                if kept:
                    self._cleared = self._caches.damaged = False
            self._make_index()
            self._changed = False
            self.state = state

    def close(self) -> None:
        """Give back files and memory."""
        self.clear()

    # -- the base and what changed since -----------------------------------------------------------------------

    def _must_fold(self, table: Table) -> bool:
        if not len(table.base):
            return True
        if self._scan:
            return False  # that would leave other processes without an index
        if not self._in_memory and self._caches.rows_id() != self._rows_id:
            return True  # the base is not on disk, or no longer
        return len(table.changes) + table.n_dead > _FEW_CHANGES + len(table.base) // _CHANGED_SHARE

    def _fold(self, table: Table, index: Shortlist | None, state: EngineState, *, overwrite: bool) -> None:
        """Make the changes part of the base."""
        on_disk = self._caches.write_rows(table.blocks(), state) if overwrite else None
        base, self._rows_id = on_disk or (_joined(table), "")
        moved = None
        if index is not None and index.suits(len(base), int(np.count_nonzero(index.slots < 0)) + table.n_dead):
            new_row = base.find(table.base.keys)
            if table.alive is not None:
                new_row[~table.alive] = -1
            moved = index.moved(base, new_row, base.find(table.changes.keys), self._threads)
        self._hold(Table.of(base), moved)

    def _make_index(self) -> None:
        table, index = self._held
        if index is None and self._wants_index(table):
            self._hold(table, Shortlist.build(table.base, self._threads))

    def _wants_index(self, table: Table) -> bool:
        return not self._scan and len(table.base) > self._exact_limit

    def _hold(self, table: Table, index: Shortlist | None) -> None:
        """Take a new base with its index (or none yet) into use, and keep the index."""
        self._held = table, index
        self._index_known = True
        if index is not None and self._rows_id:
            self._caches.write_index(self._rows_id, index)

    def _view(self, *, with_index: bool = False) -> tuple[Table, Shortlist | None]:
        """The table with all writes in it, and the index over its base where there is one."""
        if self._writes or (with_index and not self._index_known):
            with self._lock:
                table, index = self._held
                if self._writes:
                    if not table.n_rows:
                        table = Table.of(Rows.empty(self._dim(), self._bits))
                    table = table.changed(self._writes)
                    self._held = table, index
                    self._writes = []
                if with_index and not self._index_known:
                    self._index_known = True
                    if self._wants_index(table) and self._rows_id:
                        self._held = table, self._caches.read_index(self._rows_id)
        return self._held

    def _dim(self) -> int:
        """The length of a vector; 0 while it holds nothing."""
        written = (rows.dim for _, rows in self._writes if rows is not None)
        return self._held[0].base.dim or next(written, 0)

    # -- reading -----------------------------------------------------------------------------------------------

    def search(self, queries: Float32, k: int, allowed: Int64 | None = None) -> tuple[Int64, Float32]:
        """The k most alike of each query, best first, ties by key.

        Args:
            queries: (m, d) float32 of unit length.
            k: How many, at least 1; more than there are is fine.
            allowed: (a,) int64 keys to search among, exactly; None searches all.

        Returns:
            keys (m, k) int64, padded with NO_KEY, and scores (m, k) float32, padded with -inf.

        Raises:
            ShapeError: the arrays are not that.
            SettingError: k is below 1.
        """
        check_k(k)
        table, index = self._view(with_index=True)
        check_array("queries", queries, (None, table.base.dim or None), np.float32)
        _check_unit("queries", queries)
        found_keys, found_scores = no_matches(len(queries), k)
        if not len(table):
            return found_keys, found_scores
        if allowed is not None:
            check_array("allowed", allowed, (None,), np.int64)
            places = table.find(np.unique(allowed))
            shortlists = _scanned(table.only(places[places >= 0]), queries, k)
        elif index is None or k > _MOST_APPROXIMATE:
            shortlists = _scanned(table, queries, k)
        else:
            shortlists = _proposed(table, index, queries, k, self._threads)
        for i, (query, rows) in enumerate(zip(queries.astype(np.float64), shortlists, strict=True)):
            keys, scores = best(rows.keys, _scores(rows, query), k)
            found_keys[i, : len(keys)], found_scores[i, : len(keys)] = keys, scores
        return found_keys, found_scores

    def vectors(self, keys: Int64) -> Float32:
        """The vectors (n, d) float32 of these keys (n,) int64, as near to what was written as the bits allow.

        Raises:
            ImageNotFoundError: a key is not there.
        """
        check_array("keys", keys, (None,), np.int64)
        table, _ = self._view()
        rows = table.find(keys)
        if (rows < 0).any():
            raise ImageNotFoundError(f"the search engine holds no image {format_id(int(keys[np.argmin(rows)]))}")
        return table.take(rows).unpack()


def _scanned(table: Table, queries: Float32, k: int) -> Iterator[Rows]:
    """For each query all rows that can be among its k best."""
    # A row this far below the k-th score in float32 cannot reach it in float64, nor once both are rounded.
    margin = 2 * scan_error(table.base.dim) + 10.0**-SCORE_DECIMALS
    step = max(1, _SCORES_AT_ONCE // max(1, table.n_rows))
    for first in range(0, len(queries), step):
        for scores in table.scan(queries[first : first + step]):
            yield table.take(_near(scores, k, margin))


def _proposed(table: Table, index: Shortlist, queries: Float32, k: int, threads: int) -> Iterator[Rows]:
    """For each query the rows that the index proposes, and all changed ones that can be among its k best."""
    n_base = len(table.base) - table.n_dead
    changed: Iterable[Rows] = [table.changes] * len(queries)
    if len(table.changes):
        changed = _scanned(Table.of(table.changes), queries, k)
    proposals = index.search(queries, _SHORTLIST_LEAST + _SHORTLIST_TIMES * k, threads)
    for i, (rows, more) in enumerate(zip(proposals, changed, strict=True)):
        rows = rows[rows >= 0]
        if table.alive is not None:
            rows = rows[table.alive[rows]]
        if len(rows) < min(k, n_base):
            yield next(_scanned(table, queries[i : i + 1], k))
        else:
            yield _beside(table.base.take(rows), more)


def _near(scores: Float32, k: int, margin: float) -> NDArray[np.intp]:
    """Where the k best scores are, and all that are within the margin of them; never at -inf."""
    least = -np.inf
    if k < scores.size:
        least = np.partition(scores, scores.size - k)[scores.size - k] - margin
    return np.flatnonzero((scores >= least) & (scores > -np.inf))


def _scores(rows: Rows, query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of rows, which are many where many are alike."""
    if len(rows) <= _RESCORE_ROWS:
        return rows.scores(query)
    starts = range(0, len(rows), _RESCORE_ROWS)
    return np.concatenate([rows.take(slice(start, start + _RESCORE_ROWS)).scores(query) for start in starts])


def _beside(rows: Rows, more: Rows) -> Rows:
    if not len(more):
        return rows
    return Rows(
        *(np.concatenate([getattr(part, name) for part in (rows, more)]) for name in ("keys", "codes", "scales"))
    )


def _joined(table: Table) -> Rows:
    """All rows of a table, in memory, in order of key."""
    if not len(table.base):
        return table.changes
    blocks = list(table.blocks())
    return Rows(*(np.concatenate([getattr(block, name) for block in blocks]) for name in ("keys", "codes", "scales")))


def _check_keys(keys: NDArray[Any]) -> None:
    check_array("keys", keys, (None,), np.int64)
    if len(keys) and keys.min() < 0:
        raise ShapeError(f"keys: {keys.min()} is negative")


def _check_unit(name: str, vectors: Float32) -> None:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    wrong = np.flatnonzero(np.abs(lengths - 1) > _UNIT_ERROR)
    if len(wrong):
        raise ShapeError(f"{name}: row {wrong[0]} has length {lengths[wrong[0]]:.4g}, not 1")

"""The files of the local engine. All may be thrown away; what is not exactly as it was written counts as absent.

    rows.bin      keys and vectors in order of key
    index.bin     the faiss index over exactly that rows.bin
    changes.bin   what was added, replaced and deleted since that rows.bin was written

Several processes may read and write them at once: each file is replaced as a whole, the latter two name the rows.bin
that they belong to, and are absent for any other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.engines.base import EngineState
from lookalike.engines.cachefile import CacheFile, write
from lookalike.engines.shortlist import Shortlist
from lookalike.engines.table import CODE_TYPES, Codes, Rows, Table
from lookalike.errors import GalleryFormatError
from lookalike.types import Float32, Int64

# The number goes up when a layout changes: files of another version are absent.
_ROWS, _INDEX, _CHANGES = "lookalike rows 1", "lookalike index 1", "lookalike changes 1"

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Caches:
    """The cache files in one folder.

    Args:
        folder: Made when something is written; None keeps nothing.
        bits: Of a code of a row; files with others count as damaged.

    Attributes:
        damaged: A file was there but could not be used.
    """

    def __init__(self, folder: Path | None, bits: int = 16) -> None:
        self._folder = folder
        self._codes = CODE_TYPES[bits].newbyteorder("<").str
        self.damaged = False

    def rows_id(self) -> str:
        """Which rows.bin there is now; empty where there is none."""
        return self._read("rows.bin", _ROWS, lambda file: file.id) or ""

    def holds(self, state: EngineState) -> bool:
        """Whether the files say that they hold this state or a later one of the same space."""
        rows = self._read("rows.bin", _ROWS, lambda file: (file.id, _state(file)))
        if rows is None:
            return False
        changes = self._read("changes.bin", _CHANGES, lambda file: (file.facts["rows"], _state(file)))
        kept = changes[1] if changes is not None and changes[0] == rows[0] else rows[1]
        return kept.space == state.space and kept.generation >= state.generation

    def read(self) -> tuple[Table, EngineState, str] | None:
        """What was kept: a table, its state, and the id of the rows.bin that its base is in."""
        rows = self._read("rows.bin", _ROWS, lambda file: (self._rows(file, mapped=True), _state(file), file.id))
        if rows is None:
            return None
        base, state, rows_id = rows
        changed = self._read("changes.bin", _CHANGES, lambda file: self._changes(file, base, rows_id))
        return (Table.of(base), state, rows_id) if changed is None else (*changed, rows_id)

    def write_rows(self, blocks: Iterable[Rows], state: EngineState) -> tuple[Rows, str] | None:
        """Replace rows.bin.

        Args:
            blocks: All rows in order of key, at least one block.
            state: What they are.

        Returns:
            The rows as they are on disk now, not in memory, and the id of the file; None where it could not be
            written, or another process has replaced it already.
        """
        keys: list[Int64] = []
        scales: list[Float32] = []

        def codes() -> Iterator[Codes]:
            for block in blocks:
                keys.append(block.keys)
                scales.append(block.scales)
                yield block.codes

        # Written in this order: the lists are full when their turn comes.
        rows_id = self._write("rows.bin", _ROWS, _facts(state), {"codes": codes(), "keys": keys, "scales": scales})
        if not rows_id:
            return None
        return self._read(
            "rows.bin", _ROWS, lambda file: (self._rows(file, mapped=True), rows_id) if file.id == rows_id else None
        )

    def write_changes(self, rows_id: str, table: Table, state: EngineState) -> bool:
        """Replace changes.bin by the changes of a table whose base is in this rows.bin, if that is still there."""
        if not rows_id or self.rows_id() != rows_id:
            return False
        gone = np.empty(0, np.int64) if table.alive is None else np.flatnonzero(~table.alive)
        arrays = {"gone": [gone], **{name: [getattr(table.changes, name)] for name in ("codes", "keys", "scales")}}
        return bool(self._write("changes.bin", _CHANGES, {**_facts(state), "rows": rows_id}, arrays))

    def read_index(self, rows_id: str) -> Shortlist | None:
        """The index over this rows.bin."""
        return self._read("index.bin", _INDEX, lambda file: _read_index(file, rows_id))

    def write_index(self, rows_id: str, index: Shortlist) -> None:
        """Replace index.bin by the index over this rows.bin."""
        facts = {"rows": rows_id, "trained_on": index.trained_on}
        self._write(
            "index.bin", _INDEX, facts, {"faiss": [index.to_bytes()], "slots": [index.slots], "dims": [index.dims]}
        )

    def _rows(self, file: CacheFile, *, mapped: bool) -> Rows:
        codes = file.array("codes", self._codes, mapped=mapped)
        return Rows(file.array("keys", "<i8"), codes, file.array("scales", "<f4"))

    def _changes(self, file: CacheFile, base: Rows, rows_id: str) -> tuple[Table, EngineState] | None:
        if file.facts["rows"] != rows_id:
            return None
        gone = file.array("gone", "<i8")
        alive = None
        if len(gone):
            alive = np.ones(len(base), bool)
            alive[gone] = False
        return Table(base, alive, self._rows(file, mapped=False)), _state(file)

    def _read(self, name: str, kind: str, what: Callable[[CacheFile], _T]) -> _T | None:
        if self._folder is None:
            return None
        try:
            with CacheFile(self._folder / name, kind) as file:
                return what(file)
        except FileNotFoundError:
            return None
        except (OSError, GalleryFormatError) as error:
            _log.info("cache not used: %s", error)
            self.damaged = True
            return None

    def _write(self, name: str, kind: str, facts: dict[str, Any], arrays: Mapping[str, Iterable[NDArray[Any]]]) -> str:
        """The id of the new file; empty where it could not be written."""
        if self._folder is None:
            return ""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return write(self._folder / name, kind, facts, arrays)
        except OSError as error:
            _log.info("cache not written: %s", error)
            return ""


def _facts(state: EngineState) -> dict[str, Any]:
    return {"space": state.space, "generation": state.generation}


def _state(file: CacheFile) -> EngineState:
    return EngineState(file.facts["space"], file.facts["generation"])


def _read_index(file: CacheFile, rows_id: str) -> Shortlist | None:
    if file.facts["rows"] != rows_id:
        return None
    slots, dims = file.array("slots", "<i4"), file.array("dims", "<i4")
    try:
        return Shortlist.from_bytes(file.array("faiss", "|u1"), slots, dims, file.facts["trained_on"])
    except RuntimeError as error:  # whole, but written by a faiss that this one does not understand
        raise GalleryFormatError(f"faiss cannot read its index: {error}") from error

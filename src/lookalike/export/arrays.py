"""NumPy's ``.npz``: ids, paths, labels, splits and vectors as plain arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.export.rows import ExportRow, Job
from lookalike.tables import utf8

_BLOCK_ROWS = 2**13


class NpzWriter:
    """A ``.npz`` that loads with ``allow_pickle=False``; arrays are written block by block."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._texts: dict[str, list[str]] = {name: [] for name in ("ids", "paths", "labels", "splits")}

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        label = row.detail.label if row.detail else ""
        # Equal texts are kept once: there are few labels and splits, however many images.
        texts = (row.record.id, utf8(str(row.record.path)), label, row.split)
        for column, text in zip(self._texts.values(), texts, strict=True):
            column.append(text)
        return ""

    def finish(self) -> None:
        """See ``rows.Writer``."""
        with zipfile.ZipFile(self._job.draft / self._job.name, "w", allowZip64=True) as archive:
            for name, texts in self._texts.items():
                dtype = np.dtype(f"<U{max(map(len, texts), default=1) or 1}")
                blocks = (np.array(texts[rows], dtype) for rows in _slices(len(texts)))
                _write(archive, name, blocks, (len(texts),), dtype, zipfile.ZIP_DEFLATED)
            _write(archive, "space", [np.array(self._job.space)], (), np.array(self._job.space).dtype)
            ids = self._texts["ids"]
            first = self._job.vectors(ids[:1])
            blocks = (self._job.vectors(ids[rows]) for rows in _slices(len(ids)))
            _write(archive, "vectors", blocks, (len(ids), first.shape[1]), np.dtype("<f4"))

    def close(self) -> None:
        """See ``rows.Writer``."""
        self._texts.clear()


def _slices(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK_ROWS) for start in range(0, n, _BLOCK_ROWS))


def _write(
    archive: zipfile.ZipFile,
    name: str,
    blocks: Iterator[NDArray[Any]] | Sequence[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """One array of the archive, from its blocks of rows."""
    member = zipfile.ZipInfo(f"{name}.npy")  # with a fixed date, so that equal exports are equal files
    member.compress_type = compression
    with archive.open(member, "w", force_zip64=True) as out:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, header)
        for block in blocks:
            out.write(np.ascontiguousarray(block, dtype).tobytes())

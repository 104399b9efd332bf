"""One row per image: CSV, JSON lines and Parquet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lookalike.errors import MissingExtraError
from lookalike.export.rows import REAL, TEXT, TRUTH, WHOLE, ExportRow, Job, columns, values
from lookalike.tables import CsvFile

if TYPE_CHECKING:
    import pyarrow

_ROWS_PER_GROUP = 2**14


class CsvWriter:
    """A CSV file, see ``lookalike.tables``."""

    def __init__(self, job: Job) -> None:
        self._fields = job.field_names
        file = (job.draft / job.name).open("w", encoding="utf-8", newline="")
        self._csv = CsvFile(file, list(columns(job.field_names)))

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        self._csv.write(values(row, self._fields).values())
        return ""

    def finish(self) -> None:
        """See ``rows.Writer``."""

    def close(self) -> None:
        """See ``rows.Writer``."""
        self._csv.close()


class JsonlWriter:
    """One JSON object per line, in ASCII."""

    def __init__(self, job: Job) -> None:
        self._fields = job.field_names
        self._file = (job.draft / job.name).open("w", encoding="ascii", newline="\n")

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        self._file.write(json.dumps(values(row, self._fields)) + "\n")
        return ""

    def finish(self) -> None:
        """See ``rows.Writer``."""

    def close(self) -> None:
        """See ``rows.Writer``."""
        self._file.close()


class ParquetWriter:
    """A Parquet file, written in groups of rows so that memory does not grow with them.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, job: Job) -> None:
        arrow, parquet = _load()
        types = {TEXT: arrow.string(), WHOLE: arrow.int64(), REAL: arrow.float64(), TRUTH: arrow.bool_()}
        self._fields = job.field_names
        kinds = columns(job.field_names)
        self._schema = arrow.schema([(name, types[kind]) for name, kind in kinds.items()])
        self._table = arrow.Table
        self._parquet = parquet.ParquetWriter(job.draft / job.name, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, row: ExportRow) -> str:
        """See ``rows.Writer``."""
        self._rows.append(values(row, self._fields))
        if len(self._rows) >= _ROWS_PER_GROUP:
            self._write()
        return ""

    def finish(self) -> None:
        """See ``rows.Writer``."""
        self._write()

    def _write(self) -> None:
        table: pyarrow.Table = self._table.from_pylist(self._rows, schema=self._schema)
        self._parquet.write_table(table)
        self._rows.clear()

    def close(self) -> None:
        """See ``rows.Writer``."""
        self._parquet.close()


def check_parquet() -> None:
    """Raise MissingExtraError unless Parquet files can be written here."""
    _load()


def _load() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("the format parquet", "parquet") from error
    return pyarrow, pyarrow.parquet

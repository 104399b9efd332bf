"""JSON documents of any length, written item by item."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any


class JsonStream:
    """A JSON list or object whose items are written as they come, inside a document.

    Args:
        file: Written in ASCII.
        head: The document up to the first item.
        tail: The document after the last item.
    """

    def __init__(self, file: Path, head: str = "[\n", tail: str = "\n]\n") -> None:
        self._file = file.open("w", encoding="ascii", newline="\n")
        self._file.write(head)
        self._tail = tail
        self._between = ""

    def add(self, item: Any, *, key: str | None = None) -> None:
        """Write an item; with its key where the items form an object."""
        name = "" if key is None else f"{json.dumps(key)}: "
        self._file.write(f"{self._between}{name}{json.dumps(item)}")
        self._between = ",\n"

    def finish(self) -> None:
        """Write what follows the last item."""
        self._file.write(self._tail)

    def close(self) -> None:
        """Give back the file."""
        self._file.close()


class Spool:
    """Lines of JSON that are kept on disk until their place in a document has come."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="ascii", dir=folder)  # noqa: SIM115 -- closed in close
        self._between = ""

    def add(self, item: Any) -> None:
        """Keep an item."""
        self._file.write(f"{self._between}{json.dumps(item)}")
        self._between = ",\n"

    def pour(self, file: Path) -> None:
        """Append all items to a file."""
        self._file.seek(0)
        with file.open("a", encoding="ascii", newline="\n") as out:
            shutil.copyfileobj(self._file, out)

    def close(self) -> None:
        """Give back the file."""
        self._file.close()

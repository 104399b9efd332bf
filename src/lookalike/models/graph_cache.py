"""Finished graphs on disk: a file's name carries the SHA-256 of its content, so a damaged one is never used."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def cached_graph(folder: Path | None, key: str, build: Callable[[], bytes]) -> Path | bytes:
    """The graph of this key: its verified file, written if there was none.

    Args:
        folder: Where graphs are kept; None keeps nothing.
        key: Names the graph; letters, digits and dashes.
        build: Makes its content.

    Returns:
        The file, or the content where the folder cannot be written.
    """
    if folder is None:
        return build()
    for path in sorted(folder.glob(f"{key}.*.onnx")):
        if _is_whole(path):
            return path
        with suppress(OSError):
            path.unlink()
    content = build()
    path = folder / f"{key}.{hashlib.sha256(content).hexdigest()}.onnx"
    try:
        write_atomically(path, content)
    except OSError:
        return content
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the same in fewer words
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _is_whole(path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == path.name.split(".")[1]
    except OSError:
        return False

"""One long writer at a time, and a name for whoever holds the gallery."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lookalike.errors import GalleryLockedError


@contextmanager
def writer_lock(gallery: Path, job: str) -> Iterator[None]:
    """Hold the gallery for a long job; the lock ends with the process, however it ends.

    Args:
        gallery: Its folder.
        job: What is being done, told to whoever else wants to write.

    Raises:
        GalleryLockedError: another process holds it (it is named), or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    holder = gallery / "writer.json"
    lock = FileLock(gallery / "writer.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise GalleryLockedError(
            f"{gallery} is held by {_describe(holder)}", hint="wait for it to finish; searching works meanwhile"
        ) from error
    except OSError as error:
        raise GalleryLockedError(f"{gallery} cannot be written to: {(error.strerror or str(error)).lower()}") from error
    try:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "job": job, "since": started}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(holder.read_text())
        return f"'{note['job']}' of process {note['pid']} on {note['host']} since {note['since']}"
    return "another process"

"""A file that may be thrown away: a header and arrays, each with a checksum, replaced as a whole or not at all.

Layout: 8 bytes of magic, SHA-256 of the header (32 bytes), its length (4 bytes, little-endian), the header (JSON,
zeros up to ``_HEADER_BYTES``), then the arrays, each starting at a multiple of ``_ALIGN``. The header names the kind of
file, the caller's facts, the size of the whole and of every array its type, shape, place and SHA-256.

Whatever is not exactly what was written, for whatever reason, is reported as GalleryFormatError before a byte of it is
used. The caller treats such a file as absent.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import secrets
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import GalleryFormatError

_MAGIC = b"lookcach"
_PREFIX = struct.Struct("<8s32sI")
_HEADER_BYTES = 4096
_ALIGN = 64
_HASH_BYTES = 2**22  # read at a time while a checksum is verified
_ABANDONED_S = 3600.0  # a temporary file this old belongs to a writer that was killed

Array = NDArray[Any]


class CacheFile:
    """An open cache file whose header has been verified; arrays are verified when they are asked for.

    Attributes:
        facts: What the writer said about it.
        id: Names this very content (a hash over the header, which holds the hashes of the arrays).
    """

    def __init__(self, path: Path, kind: str) -> None:
        """Open and verify the header.

        Args:
            path: The file.
            kind: What it must be, as given to ``write``.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read.
            GalleryFormatError: it is damaged, cut short, or something else.
        """
        self._path = path
        self._file = path.open("rb", buffering=0)
        try:
            header, self.id = _read_header(self._file, path)
            if header["kind"] != kind:
                raise GalleryFormatError(f"{path} is a {header['kind']!r} file, not {kind!r}")
            self.facts: dict[str, Any] = header["facts"]
            self._arrays: dict[str, dict[str, Any]] = header["arrays"]
        except (KeyError, TypeError, ValueError) as error:
            self._file.close()
            raise GalleryFormatError(f"{path} has a header of another make") from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> CacheFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def array(self, name: str, dtype: str, *, mapped: bool = False) -> Array:
        """One array, verified.

        Args:
            name: As given to ``write``.
            dtype: What it must hold, for example "<i8".
            mapped: Leave it on disk, read-only, instead of reading it into memory. The file is only ever replaced,
                never changed, so what was verified stays.

        Raises:
            GalleryFormatError: there is no such array, or its bytes are not what was written.
        """
        place = self._arrays.get(name)
        if place is None or place["dtype"] != dtype:
            raise GalleryFormatError(f"{self._path}: no array {name} of type {dtype}")
        count = int(np.prod(place["shape"], dtype=np.int64))
        size = count * np.dtype(dtype).itemsize
        if size == 0:
            return np.empty(place["shape"], dtype)
        data: Any
        if mapped:
            data = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
            data = data[place["offset"] : place["offset"] + size]
        else:
            self._file.seek(place["offset"])
            data = bytearray(size)
            if _read_into(self._file, memoryview(data)) != size:
                raise GalleryFormatError(f"{self._path}: array {name} is cut short")
        if _sha256(memoryview(data)) != place["sha256"]:
            raise GalleryFormatError(f"{self._path}: array {name} is damaged")
        return np.frombuffer(data, dtype, count).reshape(place["shape"])


def write(path: Path, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, Iterable[Array]]) -> str:
    """Write a cache file and put it in the place of the old one in a single step that survives a power cut.

    Args:
        path: The file; its folder is there.
        kind: What it is.
        facts: Anything that JSON holds; small.
        arrays: By name the blocks of each array, (n_i, ...) of one type and row shape, at least one block.

    Returns:
        The id that the file has when it is read.

    Raises:
        OSError: it could not be written; the old file is as it was.
    """
    _sweep(path)
    with _replacing(path) as file:
        places = {}
        end = _HEADER_BYTES
        for name, blocks in arrays.items():
            offset = -(-end // _ALIGN) * _ALIGN
            file.seek(offset)
            places[name] = {"offset": offset, **_write_blocks(file, blocks)}
            end = file.tell()
        file.truncate(end)
        header = {"kind": kind, "bytes": end, "facts": dict(facts), "arrays": places}
        text = json.dumps(header, sort_keys=True).encode()
        if _PREFIX.size + len(text) > _HEADER_BYTES:
            raise ValueError(f"a header of {len(text)} bytes is too long")
        digest = hashlib.sha256(text)
        file.seek(0)
        file.write(_PREFIX.pack(_MAGIC, digest.digest(), len(text)) + text)
    return digest.hexdigest()


def _write_blocks(file: BinaryIO, blocks: Iterable[Array]) -> dict[str, Any]:
    """Write the blocks of one array; its type, shape and checksum."""
    digest = hashlib.sha256()
    rows, dtype, row_shape = 0, "", []
    for block in blocks:
        block = np.ascontiguousarray(block)
        data = memoryview(block.reshape(-1).view(np.uint8).data)
        digest.update(data)
        file.write(data)
        rows, dtype, row_shape = rows + block.shape[0], block.dtype.str, list(block.shape[1:])
    return {"dtype": dtype, "shape": [rows, *row_shape], "sha256": digest.hexdigest()}


def _read_header(file: BinaryIO, path: Path) -> tuple[dict[str, Any], str]:
    """The header and its hash, verified."""
    start = file.read(_HEADER_BYTES)
    if len(start) < _HEADER_BYTES:
        raise GalleryFormatError(f"{path} is cut short")
    magic, digest, length = _PREFIX.unpack_from(start)
    text = start[_PREFIX.size : _PREFIX.size + length]
    if magic != _MAGIC or hashlib.sha256(text).digest() != digest:
        raise GalleryFormatError(f"{path} has a damaged header")
    header: dict[str, Any] = json.loads(text)
    if header["bytes"] != os.fstat(file.fileno()).st_size:
        raise GalleryFormatError(f"{path} is not {header['bytes']} bytes long")
    return header, digest.hex()


def _read_into(file: BinaryIO, target: memoryview) -> int:
    """Fill the target; how many bytes there were."""
    done = 0
    while done < len(target):
        got = file.readinto(target[done:])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done


def _sha256(data: memoryview) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(data), _HASH_BYTES):
        digest.update(data[start : start + _HASH_BYTES])
    return digest.hexdigest()


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(path: Path) -> None:
    """Remove what killed writers of this file left behind."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        try:
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()
        except OSError:
            continue

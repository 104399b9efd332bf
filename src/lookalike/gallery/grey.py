"""Small grey pictures of what the gallery shows, for comparing pixels: from the cache of thumbnails, else the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError
from lookalike.gallery.parts import Parts
from lookalike.types import DecodeSpec, ImageRecord, Int64, Pixels

_LUMA = (77, 150, 29)  # of 256, ITU-R BT.601


def read(parts: Parts, keys: Int64, size_px: int) -> tuple[Pixels, NDArray[np.bool_]]:
    """Grey pictures of images, squeezed into squares.

    Decoded in the decoder processes: a thumbnail comes from a stranger's file, too.

    Args:
        parts: Of the gallery.
        keys: (n,) int64, of images.
        size_px: Side of the squares.

    Returns:
        (n, size, size) uint8, and (n,) which of them could be had: the others are gone, changed or unreadable.
    """
    spec = DecodeSpec(((size_px, size_px),), "bilinear")
    records = parts.catalogue.records(keys.tolist())
    colours, readable = np.zeros((len(keys), size_px, size_px, 3), np.uint8), np.zeros(len(keys), bool)
    with ThreadPoolExecutor(parts.settings.worker_count, thread_name_prefix="grey") as threads:
        found = threads.map(lambda key: _picture(parts, records.get(key), spec), keys.tolist())
        for row, picture in enumerate(found):
            if picture is not None:
                colours[row], readable[row] = picture, True
    light = np.full(colours.shape[:-1], 128, np.uint16)
    for channel, weight in enumerate(_LUMA):
        light += colours[..., channel] * np.uint16(weight)
    grey: Pixels = (light >> 8).astype(np.uint8)
    return grey, readable


def _picture(parts: Parts, record: ImageRecord | None, spec: DecodeSpec) -> Pixels | None:
    for data in () if record is None else _sources(parts, record):
        try:
            return parts.decoders.decode(data, spec, thumbnail=False).pixels
        except ImageError:
            continue
    return None


def _sources(parts: Parts, record: ImageRecord) -> Iterable[bytes]:
    thumbnail = parts.thumbnails.get(bytes.fromhex(record.content))
    if thumbnail:
        yield thumbnail
    try:
        data = record.path.read_bytes()
    except OSError:
        return
    if hashlib.sha256(data).hexdigest() == record.content:
        yield data

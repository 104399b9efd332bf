"""The query picture: from whatever a caller gives to bytes, and from bytes to what the network sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import ImageError, ImageReadError, SettingError, ShapeError
from lookalike.gallery.parts import Parts
from lookalike.models.base import Embedder
from lookalike.types import DecodedImage, Float32

Box = tuple[float, float, float, float]


def check_box(box: Sequence[float]) -> Box:
    """A part of a picture, checked.

    Args:
        box: x0, y0, x1, y1 as fractions of the upright image.

    Raises:
        SettingError: not four numbers, outside 0..1, or empty; it names the box.
    """
    hint = "give x0,y0,x1,y1 as fractions of the image, for example 0.25,0.25,0.75,0.75"
    if len(box) != 4 or not all(0.0 <= side <= 1.0 for side in box):
        raise SettingError(f"box {_shown(box)} does not lie inside the image", hint=hint)
    x0, y0, x1, y1 = (float(side) for side in box)
    if x0 >= x1 or y0 >= y1:
        raise SettingError(f"box {_shown(box)} is empty: x0 must be below x1 and y0 below y1", hint=hint)
    return x0, y0, x1, y1


def _shown(box: Sequence[float]) -> str:
    return ",".join(f"{side:g}" for side in box)


def decode(parts: Parts, name: str, data: bytes, box: Box | None = None) -> DecodedImage:
    """The picture, or the part of it in a box, in one of the network's shapes; its errors name the query.

    Raises:
        ImageError: the bytes cannot be turned into a picture.
    """
    try:
        return parts.decoders.decode(data, parts.catalogue.model().decode_spec, thumbnail=True, box=box)
    except ImageError as error:
        raise type(error)(f"{name}: {error}", hint=error.hint) from error


def embed(embedder: Embedder, decoded: DecodedImage) -> tuple[Float32, Float32]:
    """Embedding (D,) and tap (T,), rounded as stored ones are: the same picture must get the same numbers."""
    found = embedder.features([decoded.pixels])
    embedding, tap = (rows[0].astype(np.float16).astype(np.float32) for rows in (found.embeddings, found.taps))
    return embedding, tap


def read(image: Any, max_bytes: int) -> tuple[str, bytes]:
    """A name for the query, and its bytes.

    Raises:
        ImageReadError: the file cannot be read, or is too large.
        SettingError: something that is no picture.
        ShapeError: an array of another kind than (h, w, 3) of uint8.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        return "image", bytes(image)
    if isinstance(image, (str, Path)):
        return str(image), _read_file(Path(image), max_bytes)
    if isinstance(image, np.ndarray):
        return "image", _as_ppm(image)
    if hasattr(image, "convert"):  # a Pillow image
        return "image", _as_ppm(np.asarray(image.convert("RGB")))
    raise SettingError(
        f"cannot search with a {type(image).__name__}",
        hint="give a path, bytes, a Pillow image or an array (h, w, 3) of uint8",
    )


def _read_file(path: Path, max_bytes: int) -> bytes:
    try:
        with path.expanduser().open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageReadError(f"cannot read {path}: {reason}", hint="check the path of the query image") from error
    if len(data) > max_bytes:
        raise ImageReadError(f"{path} has more than {max_bytes:,} bytes", hint="raise LOOKALIKE_MAX_FILE_BYTES")
    return data


def _as_ppm(pixels: Any) -> bytes:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ShapeError(f"query image: expected (h, w, 3) of uint8, got {pixels.shape} of {pixels.dtype}")
    return b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + np.ascontiguousarray(pixels).tobytes()

"""The data that moves between the stages: frozen dataclasses that check themselves.

Rows are items: every array is (n, d). Units sit in names: ``_px``, ``_s``, ``_bytes``, ``_fraction``.
What front doors print is in ``lookalike.results``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ShapeError
from lookalike.quality import RANGES, Quality

Float32 = NDArray[np.float32]
Float16 = NDArray[np.float16]
Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Pixels = NDArray[np.uint8]

PRECISIONS = ("fp32", "bf16")


def check_array(name: str, array: NDArray[Any], shape: tuple[int | None, ...], dtype: Any) -> None:
    """Raise ShapeError unless the array has this shape (None: any length) and dtype, and is finite."""
    expected = tuple("any" if s is None else s for s in shape)
    if array.ndim != len(shape) or any(s is not None and s != got for s, got in zip(shape, array.shape, strict=True)):
        raise ShapeError(f"{name}: expected shape {expected}, got {array.shape}")
    if array.dtype != dtype:
        raise ShapeError(f"{name}: expected {np.dtype(dtype).name}, got {array.dtype.name}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ShapeError(f"{name}: holds values that are not finite")


def format_id(key: int) -> str:
    """The public id of an image: its 63-bit key as 16 hexadecimal digits, so both sort alike."""
    return f"{key:016x}"


def parse_id(image_id: str) -> int | None:
    """The key behind a public id; None where the text is no id."""
    try:
        key = int(image_id, 16)
    except ValueError:
        return None
    return key if len(image_id) == 16 and 0 <= key < 2**63 and format_id(key) == image_id.lower() else None


def fingerprint(parts: dict[str, Any], *arrays: NDArray[Any]) -> str:
    """A short hash (16 hex digits) of everything that defines a network or a reducer."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for array in arrays:
        digest.update(str((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One file of the gallery.

    Attributes:
        id: Opaque and stable: it survives moves, renames and edits of the file. 16 hexadecimal digits.
        path: Where the file is now (absolute).
        root: Name of the root folder that it belongs to.
        relative_path: Path inside that root, with ``/`` between the parts.
        content: SHA-256 of the whole file, hexadecimal.
        size_bytes: Size of the file.
        mtime_ns: Time of its last change, nanoseconds since 1970.
        width_px: Width of the upright picture.
        height_px: Height of the upright picture.
        format: Pillow's name of the format, for example "JPEG".
        taken_at: When the picture was taken, ISO 8601, from EXIF; None where the file does not say.
        added_at: When it came into the gallery, ISO 8601, UTC.
        label: Its current label; None where it has none.
        quality: How the picture came out; None where nobody measured it.
    """

    id: str
    path: Path
    root: str
    relative_path: str
    content: str
    size_bytes: int
    mtime_ns: int
    width_px: int
    height_px: int
    format: str
    taken_at: str | None
    added_at: str
    label: str | None = None
    quality: Quality | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the measures of quality stand beside the rest, with 3 decimals."""
        data = {**asdict(self), "path": str(self.path)}
        measured = data.pop("quality") or dict.fromkeys(RANGES)
        return {**data, **{name: None if value is None else round(value, 3) for name, value in measured.items()}}


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be used, and why; tried again only when the file changes.

    Attributes:
        path: Absolute path.
        stage: "list" (a folder), "read", "decode" or "embed".
        error: Class name of the error.
        message: What happened, in words.
        at: When, ISO 8601, UTC.
    """

    path: Path
    stage: str
    error: str
    message: str
    at: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """One batch of labels that were set together; events are only ever appended, and undone by a mark.

    Attributes:
        batch: Its number.
        at: When, ISO 8601, UTC.
        by: Who.
        source: "person", "import", "cluster" (a cluster was inspected and labelled as a whole) or "propagated".
        labels: Number of images by label; "" stands for a label that was taken away.
        facts: How it came about; for a cluster what was inspected and what that says.
        undone_at: When it was taken back; None while in force.
    """

    batch: int
    at: str
    by: str
    source: str
    labels: dict[str, int]
    facts: dict[str, Any]
    undone_at: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LabelDetail:
    """Where the current label of one image comes from.

    Attributes:
        label: The label.
        source: As in ``LabelEvent``.
        by: Who.
        at: When, ISO 8601, UTC.
        confidence: Of a propagated label, 0..1.
        is_changed: Whether the image shows something else than when it was labelled.
    """

    label: str
    source: str
    by: str
    at: str
    confidence: float | None
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """Somebody said that pictures are different, however alike they look; undone by a mark.

    Attributes:
        number: Of the decision.
        at: When, ISO 8601, UTC.
        by: Who.
        contents: How many contents are told apart.
        ids: The images that show them now, copies included.
        undone_at: When it was taken back; None while in force.
    """

    number: int
    at: str
    by: str
    contents: int
    ids: tuple[str, ...]
    undone_at: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "ids": list(self.ids)}


@dataclass(frozen=True, slots=True)
class DecodeSpec:
    """What a decoder must hand to a network.

    Attributes:
        shapes: Allowed (height, width) in pixels; the one nearest in aspect ratio is taken.
        interpolation: "bilinear" or "bicubic" (antialiased, as Pillow does it).
        crop_fraction: 1.0 squeezes the whole image into the shape; below that, the short side is scaled to
            shape / crop_fraction and the centre is cut out.
    """

    shapes: tuple[tuple[int, int], ...]
    interpolation: str = "bicubic"
    crop_fraction: float = 1.0


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A picture that a decoder handed back.

    Attributes:
        pixels: (h, w, 3) uint8 sRGB, upright, in one of the shapes of the DecodeSpec.
        width_px: Width of the upright original.
        height_px: Height of the upright original.
        format: Pillow's name of the format.
        taken_at: ISO 8601 without zone, from EXIF; None where absent.
        thumbnail: A JPEG of at most 256 px on the long side; empty where it was not asked for.
        quality: Measured on the thumbnail; None where that was not asked for.
    """

    pixels: Pixels
    width_px: int
    height_px: int
    format: str
    taken_at: str | None
    thumbnail: bytes
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A network and its preprocessing: everything that decides what an embedding means.

    Attributes:
        name: Short name, for example "efficientnet-lite0".
        dim: D, the length of an embedding.
        shapes: Input shapes (height, width) in pixels.
        mean: Subtracted from each of R, G, B in 0..255.
        std: Then divided by.
        interpolation: "bilinear" or "bicubic".
        crop_fraction: See DecodeSpec.
        pooling: How the final map becomes one embedding, for example "gem3-centre"; "none" where the network pools.
        weights_sha256: SHA-256 of the file that the weights came from.
        licence: SPDX name of the weights' licence.
    """

    name: str
    dim: int
    shapes: tuple[tuple[int, int], ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_fraction: float
    pooling: str
    weights_sha256: str
    licence: str

    @property
    def fingerprint(self) -> str:
        """Equal for two networks only when they make the same embeddings (up to precision)."""
        parts = asdict(self)
        for not_identity in ("name", "licence"):
            parts.pop(not_identity)
        return fingerprint(parts)

    @property
    def decode_spec(self) -> DecodeSpec:
        """What to ask a decoder for."""
        return DecodeSpec(self.shapes, self.interpolation, self.crop_fraction)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "fingerprint": self.fingerprint}


@dataclass(frozen=True, slots=True, eq=False)
class Reducer:
    """The plain space: L2 -> minus mean -> components -> L2. Made by ``reduce.fit``.

    Attributes:
        mean: (D,) float32, of the L2-normalised embeddings.
        components: (d, D) float32, orthonormal rows, largest variance first; None keeps all D dimensions.
        variances: (d,) float32, along each component.
        fitted_on: How many distinct images it was learned from.
        power: Whitening power that a search uses unless told otherwise; it weighs dimensions at query time and is
            no part of the space.
    """

    mean: Float32
    components: Float32 | None
    variances: Float32
    fitted_on: int
    power: float = 0.0

    def __post_init__(self) -> None:
        check_array("mean", self.mean, (None,), np.float32)
        d = self.mean.shape[0] if self.components is None else self.components.shape[0]
        if self.components is not None:
            check_array("components", self.components, (d, self.mean.shape[0]), np.float32)
        check_array("variances", self.variances, (d,), np.float32)

    @property
    def dim(self) -> int:
        """d, the length of a vector."""
        return int(self.variances.shape[0])

    @property
    def fingerprint(self) -> str:
        """Equal for two reducers only when they make the same vectors."""
        arrays = [self.mean] if self.components is None else [self.mean, self.components]
        return fingerprint({"reducer": 1}, *arrays)


def space_of(model: ModelInfo, reducer: Reducer) -> str:
    """The name of a vector space; two arrays compare only when their spaces are equal."""
    return f"{model.fingerprint}-{reducer.fingerprint}"

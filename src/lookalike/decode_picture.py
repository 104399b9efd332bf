"""Bytes of a file to an upright 8-bit sRGB picture, with Pillow. Runs in the child process (``decode_worker``) only.

Importing this module and ``set_up`` load everything that needs a file (modules, plugins, profiles): afterwards the
process may lose the right to open any.
"""

from __future__ import annotations

import copy  # noqa: F401  Pillow and codecs import these three on first use, which would be too late
import encodings.ascii
import encodings.latin_1  # noqa: F401
import importlib.util
import io
import math
import re
import warnings
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from lookalike.decode_colour import to_eight_bit, to_srgb
from lookalike.decode_quality import Measures, measure

FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM"]  # MPO comes with JPEG
THUMBNAIL_PX = 256
THUMBNAIL_QUALITY = 80
MAX_EXIF_BYTES = 2**20

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_TURNS = {  # EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_FROM_RIGHT, _FROM_BELOW = (2, 3, 7, 8), (3, 4, 6, 7)  # which stored axes then run the other way
_ORIENTATION, _EXIF_IFD, _DATE_TIME_ORIGINAL = 0x0112, 0x8769, 0x9003
_DATE_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
_FIRST_PHOTO = 1826
WHOLE = (0.0, 0.0, 1.0, 1.0)
LEAST_BOX_PX = 8  # of either side of a box: what shows less is no picture

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions


class Wish(NamedTuple):
    """What the parent asks for; see DecodeSpec."""

    shapes: tuple[tuple[int, int], ...]
    interpolation: str
    crop_fraction: float
    thumbnail: bool
    box: Box = WHOLE  # the part of the upright picture that is meant; the rest is as if it were not there


class SmallBoxError(ValueError):
    """The box covers next to nothing of this picture, or is none."""


class Picture(NamedTuple):
    """What goes back: ``pixels`` are (height_px, width_px, 3) uint8; ``original_*`` is the upright file's size."""

    pixels: bytes
    width_px: int
    height_px: int
    original_width_px: int
    original_height_px: int
    format: str
    taken_at: str
    thumbnail: bytes
    quality: Measures | None  # where there is a thumbnail


class Plan(NamedTuple):
    """How the picture as stored (not turned yet) becomes what was asked for. Sizes are (width, height) in pixels."""

    size: tuple[int, int]  # of the result
    box: Box  # what is shown
    meant: Box  # the wish's box, which the thumbnail shows
    thumbnail: tuple[int, int]
    cover: tuple[int, int]  # what the whole picture may be shrunk to with neither of the two losing detail


def set_up(max_pixels: int) -> None:
    """Set Pillow's limits, silence its warnings, and register HEIF where the extra is installed."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = max_pixels
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the processes are the parallelism
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
        FORMATS.append("HEIF")


def decode(data: bytes, wish: Wish) -> Picture:
    """Decode the first picture of a file.

    Raises:
        Exception: whatever Pillow raises on a damaged file; a bomb is DecompressionBombError or ...Warning.
    """
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    jpeg = image.format in ("JPEG", "MPO")  # can be decoded at 1/2, 1/4 or 1/8; knows its orientation before that
    if not jpeg and image.format != "TIFF":  # a TIFF loses its tags when it is loaded, and is turned upright
        _load(image)
    exif = _exif(image)
    taken_at = _taken_at(exif)
    if image.format == "TIFF":
        _load(image)
    turn = _orientation(exif)
    original, content = image.size, (float(image.width), float(image.height))
    plan = make_plan(original, turn, wish)
    if jpeg:
        drafted = image.draft(None, plan.cover)
        content = drafted[1][2:] if drafted else content
        _load(image)
    base = to_eight_bit(image)
    # Whole blocks of pixels first, down to no less than twice what is needed: much faster, and as good to the eye.
    blocks = (max(1, int(content[0] / plan.cover[0] / 2)), max(1, int(content[1] / plan.cover[1] / 2)))
    if blocks != (1, 1):
        base, content = base.reduce(blocks), (content[0] / blocks[0], content[1] / blocks[1])

    def render(size: tuple[int, int], box: Box, interpolation: str) -> Image.Image:
        scaled = (box[0] * content[0], box[1] * content[1], box[2] * content[0], box[3] * content[1])
        small = to_srgb(base.resize(size, _FILTERS[interpolation], box=scaled), image.info.get("icc_profile"))
        return small.transpose(_TURNS[turn]) if turn in _TURNS else small

    pixels = render(plan.size, plan.box, wish.interpolation)
    thumbnail, quality = b"", None
    if wish.thumbnail:
        upright = _upright(plan.thumbnail, turn)
        if wish.crop_fraction == 1 and _is_shrunk(plan, original):
            small = pixels.resize(upright, Image.Resampling.BILINEAR)
        else:
            small = render(plan.thumbnail, plan.meant, "bilinear")
        thumbnail = _jpeg(small)
        quality = measure(small, len(thumbnail))
    size = _upright(original, turn)
    return Picture(pixels.tobytes(), *pixels.size, *size, image.format or "", taken_at, thumbnail, quality)


def make_plan(stored: tuple[int, int], turn: int, wish: Wish) -> Plan:
    """Choose the shape nearest in aspect ratio, the part of the picture that it shows, and the thumbnail's size.

    The wish's box is taken for the whole picture.

    Args:
        stored: Width and height as stored, in pixels.
        turn: EXIF orientation.
        wish: What was asked for.

    Raises:
        SmallBoxError: less than ``LEAST_BOX_PX`` of the picture lies in the box.
    """
    width, height = _box_size(_upright(stored, turn), wish.box)
    aspect = math.log(width / height)
    to_height, to_width = min(wish.shapes, key=lambda shape: abs(math.log(shape[1] / shape[0]) - aspect))
    shown_x = shown_y = 1.0
    if wish.crop_fraction < 1:
        scale = max(to_width / width, to_height / height) / wish.crop_fraction
        shown_x, shown_y = to_width / width / scale, to_height / height / scale
    shrink = min(1.0, THUMBNAIL_PX / max(width, height))
    thumbnail = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    if turn in _SIDEWAYS:
        to_width, to_height, shown_x, shown_y, thumbnail = to_height, to_width, shown_y, shown_x, thumbnail[::-1]
    x0, y0, x1, y1 = meant = _stored_box(wish.box, turn)
    across, down = x1 - x0, y1 - y0
    # The thumbnail counts even where none is wanted: the pixels must not depend on that.
    cover = (
        max(math.ceil(to_width / (shown_x * across)), math.ceil(thumbnail[0] / across)),
        max(math.ceil(to_height / (shown_y * down)), math.ceil(thumbnail[1] / down)),
    )
    left, top = x0 + (1 - shown_x) / 2 * across, y0 + (1 - shown_y) / 2 * down
    shown = (left, top, left + shown_x * across, top + shown_y * down)
    return Plan((to_width, to_height), shown, meant, thumbnail, cover)


def _box_size(size: tuple[int, int], box: Box) -> tuple[float, float]:
    """Width and height of a box in an upright picture, in pixels."""
    x0, y0, x1, y1 = box
    width, height = (x1 - x0) * size[0], (y1 - y0) * size[1]
    if box != WHOLE and not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 and min(width, height) >= LEAST_BOX_PX):
        shown = ",".join(f"{side:g}" for side in box)
        raise SmallBoxError(f"box {shown} covers {width:.3g} x {height:.3g} px of {size[0]} x {size[1]}")
    return width, height


def _stored_box(box: Box, turn: int) -> Box:
    """Where a box of the upright picture lies in the picture as it is stored."""
    x0, y0, x1, y1 = box
    if turn in _SIDEWAYS:
        x0, y0, x1, y1 = y0, x0, y1, x1
    if turn in _FROM_RIGHT:
        x0, x1 = 1 - x1, 1 - x0
    if turn in _FROM_BELOW:
        y0, y1 = 1 - y1, 1 - y0
    return x0, y0, x1, y1


def _upright(size: tuple[int, int], turn: int) -> tuple[int, int]:
    return size[::-1] if turn in _SIDEWAYS else size


def _is_shrunk(plan: Plan, original: tuple[int, int]) -> bool:
    """Whether the result is no larger than what it shows of the original, and no smaller than the thumbnail."""
    shown = (plan.box[2] - plan.box[0]) * original[0], (plan.box[3] - plan.box[1]) * original[1]
    return all(small <= size <= most for small, size, most in zip(plan.thumbnail, plan.size, shown, strict=True))


def _load(image: ImageFile.ImageFile) -> None:
    """Decode the pixels. In a PNG, damage behind the last pixel is forgiven: the picture is whole."""
    if image.format != "PNG":
        image.load()
        return
    read_rest = image.load_end

    def forgiving() -> None:
        with suppress(OSError, SyntaxError, ValueError):
            read_rest()

    image.load_end = forgiving  # type: ignore[method-assign]
    try:
        image.load()
    finally:
        del image.load_end  # or the picture would hold itself


def _exif(image: ImageFile.ImageFile) -> Image.Exif | None:
    if len(image.info.get("exif") or b"") > MAX_EXIF_BYTES:
        return None
    try:
        return image.getexif()
    except Exception:  # nobody lost a picture to a bad tag
        return None


def _orientation(exif: Image.Exif | None) -> int:
    turn = exif.get(_ORIENTATION) if exif is not None else None
    return turn if turn in _TURNS else 1


def _taken_at(exif: Image.Exif | None) -> str:
    """ISO 8601 from DateTimeOriginal, as in "2024:05:31 23:59:59"; empty where it is absent or impossible."""
    try:
        match = _DATE_TIME.match(str(exif.get_ifd(_EXIF_IFD)[_DATE_TIME_ORIGINAL])) if exif is not None else None
        taken = datetime(*map(int, match.groups())) if match else None  # type: ignore[arg-type]
    except Exception:
        return ""
    return taken.isoformat() if taken and taken.year >= _FIRST_PHOTO else ""


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=THUMBNAIL_QUALITY, subsampling="4:2:0")
    return out.getvalue()

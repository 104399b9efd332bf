"""A map as one HTML page that holds everything itself: points, names, small pictures, and the script that draws them.

The page runs exactly one script and one style, ours, named by their hashes in its content policy, and loads nothing.
Names of files and labels are other people's text: they pass ``display_text``, lie in a block of JSON that no parser
of HTML can leave, and are shown as text only.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.display import display_text
from lookalike.map_view import MapView
from lookalike.types import Float32

MOST_PICTURES = 20_000  # some 35 MB of page; above, every n-th point along the map has one
SHEET_PX = 1024
_CELLS_PX = ((1_500, 160), (6_000, 96))  # up to so many pictures, so large; else the least
_LEAST_CELL_PX = 64
_QUALITY = 68
_GROUND = (128, 128, 128)  # where a picture is missing
_SCRIPTS = ("data.js", "drawing.js", "panel.js")
_CURVE_BITS = 16

PictureOf = Callable[[int], bytes | None]
"""Gives the small JPEG of a point, None where there is none."""


def write(view: MapView, file: Path, picture_of: PictureOf, told: Callable[[int, int], None]) -> int:
    """Write the page, a sheet of pictures at a time.

    Args:
        view: What to show.
        file: Where to; it is there when all of it is written.
        picture_of: Of a row of ``view``.
        told: Told (pictures done, all pictures).

    Returns:
        How many points have a picture on the page.

    Raises:
        OSError: it cannot be written.
    """
    order, pictures, cell = _in_sheets(view.xy)
    style = _text("style.css")
    script = "".join(_text(name) for name in _SCRIPTS)
    stream = _template().stream(
        view=view,
        style=_raw(style),
        script=_raw(script),
        data=_raw(_for_script(_data(view, order, pictures, cell))),
        notes=_notes(view, pictures),
        sheets=_sheets(order[:pictures], view, cell, picture_of, told),
    )
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("w", encoding="utf-8") as out:
            out.writelines(stream)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return pictures


def _notes(view: MapView, pictures: int) -> list[str]:
    few = f"Pictures of {pictures:,} of the {len(view.xy):,} points, evenly spread, so that the page stays small."
    return [note for note in (view.note, few if pictures < len(view.xy) else "") if note]


# -- what the script reads -----------------------------------------------------------------------------------------


def _data(view: MapView, order: NDArray[np.intp], pictures: int, cell: int) -> dict[str, Any]:
    names = [PurePath(view.paths[row]) for row in order]
    folders: dict[str, int] = {}
    folder_of = [folders.setdefault(_folder(name), len(folders)) for name in names]
    sizes = np.array([_fitted(float(aspect), cell) for aspect in view.aspects[order[:pictures]]], "u1").reshape(-1)
    return {
        "count": len(order),
        "pictures": pictures,
        "per_sheet": (SHEET_PX // cell) ** 2,
        "cell_px": cell,
        "sheet_px": SHEET_PX,
        "xy": _base64(view.xy[order].astype("<f4").tobytes()),
        "group_of": _base64(view.group_of[order].astype("<u2").tobytes()),
        "folder_of": _base64(np.array(folder_of, "<u4").tobytes()),
        "sizes": _base64(sizes.tobytes()),
        "coloured_by": display_text(view.coloured_by),
        "named": view.named,
        "groups": [
            {"name": display_text(g.name), "colour": g.colour, "count": g.count, "rest": g.rest} for g in view.groups
        ],
        "folders": [display_text(folder) for folder in folders],
        "names": [display_text(name.name) for name in names],
        "details": [display_text(view.details[row]) for row in order],
    }


def _folder(name: PurePath) -> str:
    return str(name)[: len(str(name)) - len(name.name)]


def _for_script(data: Any) -> str:
    """JSON in ASCII without the signs that could end a script or begin markup."""
    text = json.dumps(data, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _in_sheets(xy: Float32) -> tuple[NDArray[np.intp], int, int]:
    """Order of the points on the page, how many of the first have pictures, and the px of a picture's cell.

    One sheet of pictures from all over the map comes first, for a look from afar. The others follow a curve that keeps
    neighbours together, so that a close look needs few sheets; points without a picture come last.
    """
    n = len(xy)
    pictures = min(n, MOST_PICTURES)
    cell = next((px for most, px in _CELLS_PX if n <= most), _LEAST_CELL_PX)
    curve = np.argsort(_along_curve(xy), kind="stable")
    pictured = np.zeros(n, bool)
    pictured[np.linspace(0, n - 1, pictures).round().astype(int)] = True
    with_picture = curve[pictured]
    afar = np.zeros(len(with_picture), bool)
    afar[np.linspace(0, max(0, pictures - 1), min(pictures, (SHEET_PX // cell) ** 2)).round().astype(int)] = True
    return np.concatenate([with_picture[afar], with_picture[~afar], curve[~pictured]]), pictures, cell


def _along_curve(xy: Float32) -> NDArray[np.uint64]:
    """Place of each point along a curve in Z order (Morton 1966)."""
    place = np.zeros(len(xy), np.uint64)
    for axis in (0, 1):
        steps = (xy[:, axis].astype(np.float64) * (2**_CURVE_BITS - 1)).astype(np.uint64)
        for bit in range(_CURVE_BITS):
            place |= ((steps >> np.uint64(bit)) & np.uint64(1)) << np.uint64(2 * bit + axis)
    return place


# -- pictures ------------------------------------------------------------------------------------------------------


def _sheets(
    order: NDArray[np.intp], view: MapView, cell: int, picture_of: PictureOf, told: Callable[[int, int], None]
) -> Iterator[str]:
    per_sheet = (SHEET_PX // cell) ** 2
    for start in range(0, len(order), per_sheet):
        rows = order[start : start + per_sheet].tolist()
        sizes = [_fitted(float(view.aspects[row]), cell) for row in rows]
        yield _base64(sheet([picture_of(row) for row in rows], sizes, cell))
        told(start + len(rows), len(order))


def sheet(pictures: Sequence[bytes | None], sizes: Sequence[tuple[int, int]], cell: int) -> bytes:
    """Small pictures side by side, each in the upper left of its cell, as one JPEG.

    Args:
        pictures: JPEGs, or None; what cannot be read stays grey.
        sizes: (width, height) px that each gets.
        cell: Side of a cell, px.
    """
    from PIL import Image

    columns = SHEET_PX // cell
    rows = -(-len(pictures) // columns)
    ground = Image.new("RGB", (SHEET_PX, rows * cell), _GROUND)
    for number, (jpeg, size) in enumerate(zip(pictures, sizes, strict=True)):
        small = thumbnail(jpeg, size)
        if small is not None:
            ground.paste(small, (number % columns * cell, number // columns * cell))
    out = io.BytesIO()
    ground.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def thumbnail(jpeg: bytes | None, size: tuple[int, int]) -> Any:
    """A Pillow image of this size (width, height); None where there is none or it cannot be read."""
    from PIL import Image

    if not jpeg:
        return None
    try:
        image = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
        image.draft("RGB", (2 * size[0], 2 * size[1]))
        return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def _fitted(aspect: float, side: int) -> tuple[int, int]:
    """(width, height) px of a picture that fits into a square."""
    return max(1, round(side * min(1.0, aspect))), max(1, round(side * min(1.0, 1 / aspect)))


# -- the page ------------------------------------------------------------------------------------------------------


def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lookalike"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["hash"] = _hash
    return environment.get_template("map/page.html.j2")


def _shown(value: Any) -> Any:
    """What the template engine puts on the page for a value, before it escapes it."""
    return display_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _text(name: str) -> str:
    return files("lookalike").joinpath("templates", "map", name).read_text(encoding="utf-8")


def _raw(text: str) -> Any:
    """Ours, or made safe already: not to be escaped."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704


def _hash(text: str) -> Any:
    return _raw(_base64(hashlib.sha256(text.encode()).digest()))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

"""What is drawn of a map: the page, the picture, and what colours mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import map_page, map_picture, map_view
from lookalike.errors import LookalikeError, SettingError
from lookalike.filters import parse
from lookalike.gallery import mapping
from lookalike.gallery.mapping import PCA, GalleryMap
from lookalike.gallery.parts import Parts, Progress
from lookalike.gallery.writing import refuse_photo_folders
from lookalike.map_view import MapView
from lookalike.types import ImageRecord

AUTO = "auto"
_NS = 1e9
_MANY_DATES = 40
_REFINING = "A first, coarse picture. The map is being laid out; open the page again when that is done."


@dataclass(frozen=True, slots=True)
class Colouring:
    """What points of one colour share.

    Attributes:
        values: Gives the group of each image, None where it has none.
        without: What those without are called.
        ordered: Whether groups follow one another, as dates do; else each has a name on the map.
    """

    values: Callable[[Parts, Sequence[ImageRecord]], Sequence[str | None]]
    without: str = ""
    ordered: bool = False


def _labels(_: Parts, records: Sequence[ImageRecord]) -> list[str | None]:
    return [record.label for record in records]


def _roots(_: Parts, records: Sequence[ImageRecord]) -> list[str | None]:
    return [record.root for record in records]


def _dates(_: Parts, records: Sequence[ImageRecord]) -> list[str | None]:
    """Days, or months or years where there would be too many of them."""
    dates = [_date(record) for record in records]
    length = next((length for length in (10, 7) if len({date[:length] for date in dates}) <= _MANY_DATES), 4)
    return [date[:length] for date in dates]


def _clusters(parts: Parts, records: Sequence[ImageRecord]) -> list[str | None]:
    contents, clusters = parts.catalogue.clusters.members()
    of_content = dict(zip(contents.tolist(), clusters.tolist(), strict=True))
    numbers = parts.catalogue.contents_of(np.array([int(record.id, 16) for record in records], np.int64))
    found = [of_content.get(number, 0) for number in numbers.tolist()]
    return [f"cluster {cluster}" if cluster else None for cluster in found]


COLOURINGS = {
    "label": Colouring(_labels, "no label"),
    "cluster": Colouring(_clusters, "unassigned"),
    "date": Colouring(_dates, ordered=True),
    "root": Colouring(_roots),
    "none": Colouring(lambda _, records: [None] * len(records)),
}
COLOURS = (AUTO, *COLOURINGS)


@dataclass(frozen=True, slots=True)
class Drawings:
    """Which drawings of a map are wanted.

    Attributes:
        html: File of the page.
        png: File of the picture.
        colour: One of ``COLOURS``; "auto": by label where an image has one, else by cluster where there are any.
        wall: Whether the picture is a wall of small pictures.
    """

    html: Path | None = None
    png: Path | None = None
    colour: str = AUTO
    wall: bool = False

    def check(self, parts: Parts) -> None:
        """Refuse what cannot be drawn, before long work begins.

        Raises:
            SettingError: an unknown colour, or a file in a folder of photos, or in one that is not there.
        """
        if self.colour not in COLOURS:
            raise SettingError(f"colour is {self.colour!r}, it must be one of {', '.join(COLOURS)}")
        for file in filter(None, (self.html, self.png)):
            refuse_photo_folders(parts, file)
            target = file.expanduser().resolve()
            if target.is_dir() or not target.parent.is_dir():
                raise SettingError(f"{file} cannot be written: there is no such folder, or it is one itself")

    def draw(self, parts: Parts, shown: GalleryMap, progress: Progress, *, note: str = "") -> None:
        """Write them.

        Raises:
            LookalikeError: a file cannot be written.
        """
        if self.html is None and self.png is None:
            return
        view = view_of(parts, shown, self.colour, note)
        for file, write in ((self.html, self._page), (self.png, self._picture)):
            if file is not None:
                try:
                    write(parts, shown, view, file.expanduser(), progress)
                except OSError as error:
                    reason = (error.strerror or str(error)).lower()
                    raise LookalikeError(f"cannot write {file}: {reason}", hint="give another file") from error

    def _page(self, parts: Parts, shown: GalleryMap, view: MapView, file: Path, progress: Progress) -> None:
        map_page.write(
            view,
            file,
            lambda row: parts.thumbnails.get(bytes.fromhex(shown.records[row].content)),
            lambda done, total: progress("draw pictures", done, total),
        )

    def _picture(self, parts: Parts, shown: GalleryMap, view: MapView, file: Path, _: Progress) -> None:
        def thumbnail_of(row: int, size: tuple[int, int]) -> Any:
            return map_page.thumbnail(parts.thumbnails.get(bytes.fromhex(shown.records[row].content)), size)

        file.write_bytes(map_picture.wall(view, thumbnail_of) if self.wall else map_picture.dots(view))


def mapped(
    parts: Parts,
    drawings: Drawings,
    *,
    method: str,
    where: str | None,
    again: bool,
    seed: int | None,
    progress: Progress,
) -> GalleryMap:
    """Lay out and draw; the page holds the PCA picture until the layout is done. See ``Gallery.map``."""
    drawings.check(parts)
    coarse = Drawings(html=drawings.html, colour=drawings.colour)
    shown = mapping.run(
        parts,
        method=method,
        seed=seed,
        again=again,
        where=parse(where) if where else (),
        progress=progress,
        preview=lambda first: coarse.draw(parts, first, progress, note=_REFINING),
    )
    drawings.draw(parts, shown, progress)
    return shown


def view_of(parts: Parts, shown: GalleryMap, colour: str, note: str = "") -> MapView:
    """What drawings of a map show."""
    if colour == AUTO:
        colour = _most_telling(parts, shown)
    by = COLOURINGS[colour]
    groups, group_of = map_view.grouped(by.values(parts, shown.records), ordered=by.ordered, without=by.without)
    method = "PCA" if shown.method == PCA else "t-SNE"
    facts = [("images", f"{len(shown.records):,}"), ("laid out", f"{shown.made_at[:10]} by {method}")]
    if shown.placed:
        facts.append(("placed later", f"{shown.placed:,}"))
    return MapView(
        title=parts.path.name,
        facts=facts,
        xy=map_view.spread_copies(shown.xy, shown.contents),
        paths=[str(record.path) for record in shown.records],
        details=[_detail(record) for record in shown.records],
        aspects=np.array([record.width_px / record.height_px for record in shown.records], np.float32),
        groups=groups,
        group_of=group_of,
        coloured_by="" if colour == "none" else colour,
        named=not by.ordered,
        note=note,
    )


def _most_telling(parts: Parts, shown: GalleryMap) -> str:
    if any(record.label for record in shown.records):
        return "label"
    return "cluster" if parts.catalogue.clusters.run() is not None else "none"


def _date(record: ImageRecord) -> str:
    changed = datetime.fromtimestamp(record.mtime_ns / _NS, UTC).isoformat()
    return record.taken_at or changed


def _detail(record: ImageRecord) -> str:
    taken = f"taken {record.taken_at[:10]}" if record.taken_at else f"changed {_date(record)[:10]}"
    return f"{record.width_px} x {record.height_px} px, {taken}"

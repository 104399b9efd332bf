"""The map of a gallery: laid out once, kept in the catalogue by content, and only added to from then on.

Coordinates need no vector space to stay true, so they survive a new PCA; new images are placed by the vectors of today.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import map2d
from lookalike.errors import EmptyGalleryError, GalleryError, SettingError
from lookalike.filters import Condition
from lookalike.gallery import knn
from lookalike.gallery.knn import ContentVectors
from lookalike.gallery.parts import Parts, Progress
from lookalike.neighbours import top_k
from lookalike.types import Float32, ImageRecord, Int64, parse_id

TSNE, PCA = "tsne", "pca"
METHODS = (TSNE, PCA)
_PLACED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class MapLayout:
    """Where each content lies, as it is kept; contents that are gone stay in it, for when they come back.

    Attributes:
        numbers: (n,) int64, ascending, of contents.
        xy: (n, 2) float32 in the unit square.
        placed: (n,) bool: it came later and was placed among the others.
        method: "tsne" or "pca".
        seed: It was laid out with.
        made_at: When it was laid out, ISO 8601, UTC.
        space: That it was laid out in.
    """

    numbers: Int64
    xy: Float32
    placed: np.ndarray[Any, np.dtype[np.bool_]]
    method: str
    seed: int
    made_at: str
    space: str

    def to_bytes(self) -> bytes:
        """One line of JSON, then numbers, coordinates and marks, little-endian."""
        head = {"method": self.method, "seed": self.seed, "made_at": self.made_at, "n": len(self.numbers)}
        arrays = (self.numbers.astype("<i8"), self.xy.astype("<f4"), self.placed.astype("u1"))
        return json.dumps(head).encode() + b"\n" + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, data: bytes, space: str) -> MapLayout | None:
        """What ``to_bytes`` made; None where it is damaged."""
        head, _, body = data.partition(b"\n")
        try:
            facts = json.loads(head)
            n = facts["n"]
            numbers = np.frombuffer(body, "<i8", n).astype(np.int64)
            xy = np.frombuffer(body, "<f4", 2 * n, 8 * n).astype(np.float32).reshape(n, 2)
            placed = np.frombuffer(body, "u1", n, 16 * n).astype(bool)
            layout = cls(numbers, xy, placed, facts["method"], facts["seed"], facts["made_at"], space)
        except (KeyError, TypeError, ValueError):
            return None
        return layout if np.isfinite(xy).all() and (np.diff(numbers) > 0).all() else None


@dataclass(frozen=True, slots=True, eq=False)
class GalleryMap:
    """The map of the images that were asked for; copies of one picture share a place.

    Attributes:
        gallery: Path of the gallery.
        records: The images, by root and path.
        xy: (n, 2) float32 in the unit square, one row per image.
        contents: (n,) int64: the content of each image; equal for copies.
        method: "tsne" or "pca".
        seed: It was laid out with.
        made_at: When it was laid out, ISO 8601, UTC.
        placed: How many of these pictures came later and were placed among the others.
        new: How many pictures of the gallery were placed by this very run.
        seconds: Wall time.
    """

    gallery: Path
    records: tuple[ImageRecord, ...]
    xy: Float32
    contents: Int64
    method: str
    seed: int
    made_at: str
    placed: int
    new: int
    seconds: float

    @property
    def is_stale(self) -> bool:
        """Whether most of it was only placed, so that laying out anew would show more."""
        return 2 * self.placed > len(np.unique(self.contents))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; coordinates with 5 decimals."""
        points = zip(self.records, np.round(self.xy.astype(float), 5).tolist(), strict=True)
        return {
            "gallery": str(self.gallery),
            "images": len(self.records),
            "contents": len(np.unique(self.contents)),
            "method": self.method,
            "seed": self.seed,
            "made_at": self.made_at,
            "placed": self.placed,
            "new": self.new,
            "seconds": round(self.seconds, 3),
            "points": [{"id": record.id, "path": str(record.path), "x": x, "y": y} for record, (x, y) in points],
        }


def run(
    parts: Parts,
    *,
    method: str = TSNE,
    seed: int | None = None,
    again: bool = False,
    where: Sequence[Condition] = (),
    progress: Progress,
    preview: Callable[[GalleryMap], None] | None = None,
) -> GalleryMap:
    """The map that is kept, with what is new placed in it; laid out where there is none yet. See ``Gallery.map``.

    Args:
        parts: Of the gallery.
        method: "tsne" or "pca".
        seed: Of the layout; None takes what is kept, else 0.
        again: Lay out anew.
        where: Which images to show; the layout is of all.
        progress: Told ("find neighbours" or "lay out" or "place new images", done, total).
        preview: Given the PCA picture at once, where t-SNE is about to start.
    """
    if method not in METHODS:
        raise SettingError(f"method is {method!r}, it must be one of {', '.join(METHODS)}")
    started = time.monotonic()
    rows = knn.contents(parts)
    if not len(rows):
        raise EmptyGalleryError(f"{parts.path} holds no images yet", hint="lookalike index FOLDER")

    if parts.catalogue.reducer() is None:
        raise GalleryError(f"{parts.path} has no PCA yet", hint="finish with: lookalike index")

    def shown(layout: MapLayout, new: int) -> GalleryMap:
        return _shown(parts, layout, where, new, time.monotonic() - started)

    kept = None if again else load(parts, method)
    if kept is not None and seed in (None, kept.seed) and np.isin(rows.numbers, kept.numbers).any():
        new = ~np.isin(rows.numbers, kept.numbers)
        if new.any():
            with parts.writer_lock("map"):
                kept = _with_new(rows, kept, new, progress)
                _keep(parts, kept)
        return shown(kept, int(new.sum()))
    if method == TSNE:
        map2d.require_tsne()
    with parts.writer_lock("map"):
        first = _laid_out(rows, map2d.pca_layout(rows.vectors), PCA, seed or 0)
        if method == PCA:
            _keep(parts, first)
            return shown(first, 0)
        if preview is not None:
            preview(shown(first, 0))
        refined = _refined(parts, rows, first, progress)
        _keep(parts, refined)
        return shown(refined, 0)


def load(parts: Parts, method: str) -> MapLayout | None:
    """The layout that is kept; None where there is none or it is damaged."""
    kept = parts.catalogue.derived(f"map {method}")
    return None if kept is None else MapLayout.from_bytes(kept[1], kept[0])


def _keep(parts: Parts, layout: MapLayout) -> None:
    parts.catalogue.set_derived(f"map {layout.method}", layout.space, layout.to_bytes())


def _laid_out(rows: ContentVectors, xy: Float32, method: str, seed: int) -> MapLayout:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return MapLayout(rows.numbers, xy, np.zeros(len(rows), bool), method, seed, now, rows.space)


def _refined(parts: Parts, rows: ContentVectors, first: MapLayout, progress: Progress) -> MapLayout:
    graph = knn.neighbour_graph(parts, rows, progress)
    xy = map2d.tsne_layout(
        first.xy,
        graph.neighbours,
        seed=first.seed,
        threads=parts.settings.thread_count,
        told=lambda done, total: progress("lay out", done, total),
    )
    return _laid_out(rows, xy, TSNE, first.seed)


def _with_new(
    rows: ContentVectors, kept: MapLayout, new: np.ndarray[Any, np.dtype[np.bool_]], progress: Progress
) -> MapLayout:
    """The kept layout, as it is, and the new contents each among the nearest of those that lie there."""
    wanted = np.flatnonzero(new)
    old = rows.vectors[~new]
    xy = kept.xy[np.searchsorted(kept.numbers, rows.numbers[~new])]
    places = []
    for start in range(0, len(wanted), _PLACED_AT_ONCE):
        some = rows.vectors[wanted[start : start + _PLACED_AT_ONCE]]
        places.append(map2d.place(xy, *top_k(some, old, np.arange(len(old)), map2d.PLACED_BY)))
        progress("place new images", start + len(some), len(wanted))
    numbers = np.concatenate([kept.numbers, rows.numbers[wanted]])
    order = np.argsort(numbers)
    placed = np.concatenate([kept.placed, np.ones(len(wanted), bool)])
    every = np.concatenate([kept.xy, *places])
    return MapLayout(numbers[order], every[order], placed[order], kept.method, kept.seed, kept.made_at, kept.space)


def _shown(parts: Parts, layout: MapLayout, where: Sequence[Condition], new: int, seconds: float) -> GalleryMap:
    with parts.lock, parts.catalogue.snapshot():
        records = list(parts.catalogue.all_records(where))
        keys = np.array([parse_id(record.id) for record in records], np.int64)
        contents = parts.catalogue.contents_of(keys) if len(keys) else keys
    at = np.minimum(np.searchsorted(layout.numbers, contents), len(layout.numbers) - 1)
    known = layout.numbers[at] == contents  # what came in while the layout was made is placed by the next run
    at, contents = at[known], contents[known]
    return GalleryMap(
        gallery=parts.path,
        records=tuple(record for record, is_known in zip(records, known, strict=True) if is_known),
        xy=layout.xy[at],
        contents=contents,
        method=layout.method,
        seed=layout.seed,
        made_at=layout.made_at,
        placed=int(layout.placed[np.unique(at)].sum()),
        new=new,
        seconds=seconds,
    )

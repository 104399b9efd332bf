"""A heap of photo-like pictures of industrial parts for the demo: drawn by our own code, seeded, the same every time.

Every part is a height map that is lit, shadowed and seen through a camera (`scene`). The heap looks like a real
one: date folders, neutral names, several views of each individual, nothing that tells what is in a picture.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import SettingError

if TYPE_CHECKING:
    from PIL.Image import Image

    from lookalike.drawing.camera import Shot
    from lookalike.drawing.wear import Surface

VIEWS = 5  # photos of each individual
SIZES = ((640, 480), (480, 640), (720, 540), (540, 720), (600, 600), (760, 428), (675, 450), (450, 675), (576, 432))


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """One drawn photo.

    Attributes:
        path: Where it is.
        kind: What it shows, for example "gear".
        individual: Which one of its kind: photos of one thing share kind and individual.
        view: Which photo of it, 0 first.
    """

    path: Path
    kind: str
    individual: int
    view: int


def draw_parts(
    folder: Path, *, count: int = 300, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[DrawnPart]:
    """Draw photos of industrial parts into date folders below ``folder``.

    Args:
        folder: Where to; made if it is missing. Files of the same names are replaced.
        count: How many photos, at least 1; five of each individual, kinds by turns.
        seed: Another seed draws other parts.
        progress: Called with (done, count) after each photo.

    Returns:
        One entry per photo in the order of the paths.

    Raises:
        SettingError: ``count`` is below 1.
    """
    if count < 1:
        raise SettingError(f"cannot draw {count} pictures", hint="ask for at least 1")
    from lookalike.drawing.grounds import GROUNDS

    rng = np.random.default_rng([seed, 2])
    spots = _heap(folder, count, rng.integers(len(GROUNDS), size=count), rng)
    batches = [spots[i : i + VIEWS] for i in range(0, count, VIEWS)]
    drawn: list[DrawnPart] = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:  # NumPy and Pillow let go of the lock
        try:
            used = sorted({spot.ground for spot in spots})
            grounds = dict(zip(used, threads.map(partial(_ground, seed), used), strict=True))
            for photos in threads.map(partial(_photos, seed, grounds), range(len(batches)), batches):
                for photo in photos:
                    drawn.append(photo)
                    if progress is not None:
                        progress(len(drawn), count)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return sorted(drawn, key=lambda part: part.path)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a photo goes, when it was taken and which ground it was taken on."""

    path: Path
    taken: datetime
    ground: int


def _ground(seed: int, which: int) -> Image:
    from lookalike.drawing.grounds import GROUNDS, ground

    return ground(GROUNDS[which], np.random.default_rng([seed, 1, which]))


def _photos(seed: int, grounds: Mapping[int, Image], which: int, spots: Sequence[_Spot]) -> list[DrawnPart]:
    """All photos of one individual; kinds take turns."""
    from lookalike.drawing.parts import KINDS

    kind, number = which % len(KINDS), which // len(KINDS)
    surface = _individual(seed, kind, number)
    photos = []
    for view, spot in enumerate(spots):
        rng = np.random.default_rng([seed, 3, which, view])
        picture = _photo(surface, grounds[spot.ground], rng)
        _save(picture, spot, quality=int(rng.integers(82, 94)))
        photos.append(DrawnPart(spot.path, list(KINDS)[kind], number, view))
    return photos


def _individual(seed: int, kind: int, number: int) -> Surface:
    """The ``number``-th part of a kind, with its own wear."""
    from lookalike.drawing.parts import KINDS
    from lookalike.drawing.piece import Piece
    from lookalike.drawing.wear import weather

    rng = np.random.default_rng([seed, 0, kind, number])
    piece = Piece(rng, number, np.random.default_rng([seed, 4, kind]))
    list(KINDS.values())[kind](piece)
    return weather(piece, wear=rng.uniform(0.1, 0.9), rust=rng.uniform(0.15, 0.6) * (rng.random() < 0.35))


def _photo(surface: Surface, ground: Image, rng: np.random.Generator) -> Image:
    from lookalike.drawing.scene import photograph

    return photograph(surface, ground, _shot(rng, surface.where.size / surface.height.size), rng)


def _shot(rng: np.random.Generator, filled: float) -> Shot:
    """A camera and a light as with a phone in a workshop; nearer where there is little to see."""
    from lookalike.drawing.camera import Shot

    size = SIZES[int(rng.integers(len(SIZES)))]
    warmth, strength = rng.uniform(-1, 1), rng.uniform(0.75, 1.25)
    key = strength * np.array([1 + 0.16 * warmth, 1.0, 1 - 0.22 * warmth])
    fill = rng.uniform(0.35, 0.75) * np.array([1 - 0.07 * warmth, 1.0, 1 + 0.10 * warmth])
    return Shot(
        size=size,
        turn=float(rng.uniform(0, 2 * np.pi)),
        tilt=float(np.radians(rng.choice([rng.uniform(2, 15), rng.uniform(15, 42)]))),
        roll=float(np.radians(rng.normal(0, 4))),
        scale_px=float(min(size) * rng.uniform(0.31, 0.46) * np.clip(1.45 - filled**0.5, 0.85, 1.2)),
        target=(float(rng.uniform(-0.22, 0.22)), float(rng.uniform(-0.22, 0.22))),
        ground_at=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        light=(float(rng.uniform(0, 2 * np.pi)), float(np.radians(rng.uniform(32, 66)))),
        key=key,
        fill=fill,
        exposure=float(np.exp(rng.normal(0.0, 0.16))),
        blur_px=float(rng.choice([0.0, 0.4, 0.6, 1.0], p=[0.45, 0.3, 0.17, 0.08])),
        noise=float(rng.uniform(1.0, 5.0)),
    )


def _heap(folder: Path, count: int, grounds: NDArray[np.int64], rng: np.random.Generator) -> list[_Spot]:
    """Where and when each photo was taken, in shuffled order: photos of one part do not lie side by side."""
    days = max(1, min(6, count // 12))
    starts = np.sort(rng.choice(520, days, replace=False))
    entries, number = [], int(rng.integers(1, 60))
    for i in range(count):
        day = i * days // count
        first = datetime(2023, 3, 6) + timedelta(days=int(starts[day]), hours=7, minutes=int(rng.integers(5)))
        taken = first + timedelta(seconds=int(i % (count // days + 1)) * 97 + int(rng.integers(60)))
        entries.append(_Spot(folder / f"{taken:%Y-%m-%d}" / f"IMG_{number:04d}.jpg", taken, int(grounds[i])))
        number += 1
    return [entries[int(i)] for i in rng.permutation(count)]


def _save(picture: Image, spot: _Spot, quality: int) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0131] = "lookalike demo (drawn, not photographed)"
    exif[0x0132] = exif.get_ifd(0x8769)[0x9003] = spot.taken.strftime("%Y:%m:%d %H:%M:%S")
    spot.path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(spot.path, "JPEG", quality=quality, exif=exif)

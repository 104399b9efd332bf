"""Scenes with pictures pasted into them: each whole, at a seeded place, on a part of the scene's area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from quality import DATA, read_set

PASTED, OTHERS = "photos-200", ("pacs-photo", "clothing-test")
SCENE_PX = 640  # long side of a composed scene: small ones are enlarged, so that the pasted picture keeps its detail


@dataclass(frozen=True, slots=True)
class Pasted:
    """One composed scene.

    Attributes:
        scene: Its file.
        original: The file of the picture that was pasted.
        ground: The file of the picture that it was pasted into.
        box: Where, x0, y0, x1, y1 as fractions.
    """

    scene: Path
    original: Path
    ground: Path
    box: tuple[float, float, float, float]


def pictures(name: str) -> list[Path]:
    """The files of a set."""
    if name != PASTED:
        return read_set(DATA / name).paths
    return sorted(path for path in (DATA / name).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


def compose(name: str, area: tuple[float, float], folder: Path, seed: int, limit: int | None = None) -> list[Pasted]:
    """Paste the pictures of photos-200 into pictures of a set; nothing is pasted into its own half of photos-200."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    originals, grounds = pictures(PASTED), pictures(name)
    if name == PASTED:
        mixed = rng.permutation(len(originals))
        half = len(mixed) // 2
        originals, grounds = [originals[i] for i in mixed[:half]], [grounds[i] for i in mixed[half:]]
    order = rng.permutation(len(grounds))
    made, turn = [], 0
    for original in originals[:limit]:
        drawn = None
        while drawn is None:  # a long picture does not fit into every scene
            ground = grounds[order[turn % len(order)]]
            turn += 1
            drawn = paste(opened(original), enlarged(opened(ground)), float(rng.uniform(*area)), rng)
        file = folder / f"{len(made):03d}-{ground.stem}.jpg"
        drawn[0].save(file, quality=90)
        made.append(Pasted(file, original, ground, drawn[1]))
    return made


def paste(
    original: Image.Image, ground: Image.Image, share: float, rng: np.random.Generator
) -> tuple[Image.Image, tuple[float, float, float, float]] | None:
    """The scene and the box; None where the picture does not fit."""
    scale = (share * ground.width * ground.height / (original.width * original.height)) ** 0.5
    width, height = round(original.width * scale), round(original.height * scale)
    if width > ground.width or height > ground.height:
        return None
    x, y = int(rng.integers(0, ground.width - width + 1)), int(rng.integers(0, ground.height - height + 1))
    ground.paste(original.resize((width, height), Image.Resampling.LANCZOS), (x, y))
    box = (x / ground.width, y / ground.height, (x + width) / ground.width, (y + height) / ground.height)
    return ground, box


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def enlarged(image: Image.Image) -> Image.Image:
    scale = SCENE_PX / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def others(scenes: Sequence[Pasted], limit: int | None = None) -> list[Path]:
    """Pictures of the other sets that are no ground of a scene."""
    used = {pasted.ground for pasted in scenes}
    return [path for name in OTHERS for path in pictures(name) if path not in used][:limit]

"""Does an explanation point at what matches: whole pictures pasted into other scenes, found and explained.

    python benchmarks/explain.py [--set NAME ...] [--pictures N] [--area LEAST MOST]

Each picture of photos-200 (``LOOKALIKE_TEST_DATA``, else ``../shared/data``) is pasted whole into a scene of another
set, at a seeded place and 15 to 35 % of the scene's area. Then, with the project's own parts:

- *match*: the gallery holds the scenes and the set's own pictures; the original is the query, the map on the scene is
  judged. *query*: the gallery holds the originals and the set's pictures; the scene is the query, its map is judged.
- *maximum*: the strongest pixel of the map as it is drawn (bicubic between the places) lies inside the pasted picture.
- *half covered*: the strongest quarter of the pixels, which is what is outlined, covers half of the pasted picture.
- *places*: the same two of the bare map: the middle of the strongest place, and the strongest quarter of the places.
- *off*: the largest difference between the sum of a map and the score of the search.

The last column judges by the project's targets, which are for 15 to 35 %; other areas are only reported.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import Gallery, Settings, reduce
from lookalike.gallery import explaining, picture
from lookalike.gallery.explaining import Box, Explanation, PartMap
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.overlay import enlarge
from lookalike.results import Match

DATA = Path(os.environ.get("LOOKALIKE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
PASTED = "photos-200"
SCENES = ("pacs-photo", "clothing-test", "vpr-corridor", "neu-det-100")
AREA = (0.15, 0.35)
LEAST_MAXIMUM, LEAST_COVERED = 0.90, 0.85
LARGEST_OFF = 1e-4
SEED = 11
SCENE_PX = 480  # long side of a composed scene: small ones are enlarged, so that the pasted picture keeps its detail
JUDGED_PX = 192  # side of the grid on which maps are judged


@dataclass(frozen=True, slots=True)
class Pasted:
    """One composed scene.

    Attributes:
        scene: Its file.
        original: The file of the picture that was pasted.
        box: Where, x0, y0, x1, y1 as fractions.
    """

    scene: Path
    original: Path
    box: Box


@dataclass(frozen=True, slots=True)
class Verdict:
    """Shares of the explained pairs, 0..1, and the largest difference between a sum and its score."""

    maximum: float
    covered: float
    place_maximum: float
    place_covered: float
    off: float

    @property
    def holds(self) -> bool:
        """Whether the project's targets are met."""
        return self.maximum >= LEAST_MAXIMUM and self.covered >= LEAST_COVERED and self.off <= LARGEST_OFF


def images(folder: Path) -> list[Path]:
    """All pictures below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp"))


def compose(folder: Path, scenes: Sequence[Path], originals: Sequence[Path], area: tuple[float, float]) -> list[Pasted]:
    """Write one scene per original into ``folder``."""
    folder.mkdir()
    random = np.random.default_rng(SEED)
    order = random.permutation(len(scenes))
    pasted = []
    for i, original in enumerate(originals):
        with Image.open(scenes[order[i % len(scenes)]]) as opened:
            scene = opened.convert("RGB")
        with Image.open(original) as opened:
            whole = opened.convert("RGB")
        grow = SCENE_PX / max(scene.size)
        scene = scene.resize((round(scene.width * grow), round(scene.height * grow)), Image.Resampling.BICUBIC)
        scale = (random.uniform(*area) * scene.width * scene.height / (whole.width * whole.height)) ** 0.5
        scale = min(scale, scene.width / whole.width, scene.height / whole.height)
        width, height = max(1, int(whole.width * scale)), max(1, int(whole.height * scale))
        x, y = (int(random.integers(0, most + 1)) for most in (scene.width - width, scene.height - height))
        scene.paste(whole.resize((width, height), Image.Resampling.LANCZOS), (x, y))
        file = folder / f"{i:03d}.jpg"
        scene.save(file, quality=92)
        box = (x / scene.width, y / scene.height, (x + width) / scene.width, (y + height) / scene.height)
        pasted.append(Pasted(file, original, box))
    return pasted


def explain_pairs(parts: Parts, pairs: Sequence[tuple[Path, Path]]) -> list[tuple[Match, Explanation]]:
    """Explanations of (query, match in the gallery) pairs, with the match as a search would give it."""
    id_of = {record.path: record.id for record in parts.catalogue.all_records()}
    engine, reducer = synced(parts)
    found = []
    for query, match in pairs:
        decoded = picture.decode(parts, str(query), query.read_bytes())
        embedding, _ = picture.embed(parts.embedder(throughput=False), decoded)
        vector = reduce.transform(reducer, embedding[None])[0]
        image_id = id_of[match.resolve()]
        score = float(engine.vectors(np.array([int(image_id, 16)]))[0] @ vector)
        asked = Match(1, image_id, match, score, score)
        found.append((asked, explaining.explain(parts, [asked], vector, decoded)[0]))
    return found


def judge(maps: Sequence[PartMap], boxes: Sequence[Box], off: float) -> Verdict:
    """How well maps point at boxes."""
    cells = np.arange(JUDGED_PX)
    rows = []
    for part, box in zip(maps, boxes, strict=True):
        values = part.contributions
        height, width = values.shape
        smooth = enlarge(values, (JUDGED_PX, JUDGED_PX))
        ranks = np.argsort(np.argsort(-values, axis=None, kind="stable")).reshape(height, width)
        bare = (-ranks)[cells * height // JUDGED_PX][:, cells * width // JUDGED_PX]
        top = ranks < height * width // 4
        y, x = np.unravel_index(values.argmax(), values.shape)
        middle = (x + 0.5) / width, (y + 0.5) / height
        inside = _inside(box)
        rows.append(
            (
                inside.flat[smooth.argmax()],
                (smooth >= np.quantile(smooth, 0.75))[inside].mean() >= 0.5,
                box[0] <= middle[0] <= box[2] and box[1] <= middle[1] <= box[3],
                (bare > -top.sum())[inside].mean() >= 0.5,
            )
        )
    return Verdict(*np.mean(np.array(rows, float), axis=0).tolist(), off)


def _inside(box: Box) -> NDArray[np.bool_]:
    at = (np.arange(JUDGED_PX) + 0.5) / JUDGED_PX
    inside: NDArray[np.bool_] = ((at > box[1]) & (at < box[3]))[:, None] & ((at > box[0]) & (at < box[2]))
    return inside


def measure(name: str, count: int, area: tuple[float, float], directions: Sequence[str]) -> dict[str, Verdict]:
    """The verdict on each direction with scenes of one set."""
    originals = images(DATA / PASTED)[:count]
    verdicts = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pasted = compose(folder / "scenes", images(DATA / name), originals, area)
        boxes = [one.box for one in pasted]
        for direction in directions:
            searched = folder / "scenes" if direction == "match" else DATA / PASTED
            with Gallery.create(folder / direction) as gallery:
                gallery.index(searched, DATA / name)
            parts = Parts(folder / direction, Settings.from_environment())
            pairs = [(one.original, one.scene) if direction == "match" else (one.scene, one.original) for one in pasted]
            found = explain_pairs(parts, pairs)
            parts.close()
            verdicts[direction] = judge([_side(e, direction) for _, e in found], boxes, _off(found))
    return verdicts


def _side(explanation: Explanation, name: str) -> PartMap:
    part = explanation.match if name == "match" else explanation.query
    assert part is not None, explanation.notes
    return part


def _off(found: Sequence[tuple[Match, Explanation]]) -> float:
    sums = [(match.score, _side(e, side).sum) for match, e in found for side in ("match", "query")]
    return max(abs(score - total) for score, total in sums)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", default=SCENES, help="sets that give the scenes")
    parser.add_argument("--pictures", type=int, default=200, help="how many are pasted")
    parser.add_argument("--area", type=float, nargs=2, default=AREA, help="share of the scene that is covered")
    asked = parser.parse_args()
    sets = [name for name in asked.set if (DATA / name).is_dir()]
    if not sets or not (DATA / PASTED).is_dir():
        sys.exit(f"the measuring images are not here: {DATA} (set LOOKALIKE_TEST_DATA)")
    print("| scenes of | map on | maximum | half covered | places: maximum | half covered | off | |")
    print("|---|---|---:|---:|---:|---:|---:|---|")
    for name in sets:
        for direction, v in measure(name, asked.pictures, tuple(asked.area), ("match", "query")).items():
            shares = " | ".join(f"{100 * x:.1f}" for x in (v.maximum, v.covered, v.place_maximum, v.place_covered))
            says = "reported" if tuple(asked.area) != AREA else "hold" if v.holds else "FAIL"
            print(f"| {name} | {direction} | {shares} | {v.off:.0e} | {says} |", flush=True)


if __name__ == "__main__":
    main()

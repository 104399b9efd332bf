"""Whether sharpness tells blurred pictures from sharp ones of other things, which flaws are seen, and what it costs.

    python benchmarks/sharpness.py [--part blur|flaws|cost] [--count 60]

Seeded pictures of each set of the measuring images (``LOOKALIKE_TEST_DATA``, else ``../shared/data``), as thumbnails of
256 px.

    blur   each picture is blurred by a Gaussian of 1, 1.5, 2 and 3 px of the thumbnail, before it is shrunk. The figure
           is the chance that a sharp picture measures higher than a blurred one of *another* picture (AUC, percent),
           for sharpness and for what is often used; and for blurred pictures with noise of 3 grey values added.
           Pictures without enough edges are left out and counted
    flaws  percent of each set that is called blurred, dark, bright or plain, by itself, and what is when every tenth
           picture was blurred by 2 px, darkened to an eighth, washed out or blanked
    cost   milliseconds of processor time per picture: decoding with and without measuring
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from feedback import print_table
from lookalike import Gallery, decode_picture, decode_quality
from lookalike.models import lite0
from quality import DATA

SETS = ("photos-200", "pacs-photo", "clothing-test", "eth80-4view", "vpr-corridor", "deeppcb-pairs", "neu-det-100")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
BLURS, NOISE, SIDE_PX, SHADE = (1.0, 1.5, 2.0, 3.0), 3.0, 256, 127
EVERY = 10
Pixels = NDArray[np.float64]


def pictures(name: str, count: int) -> list[Path]:
    files = sorted(path for path in (DATA / name).rglob("*") if path.suffix.lower() in SUFFIXES)
    return [files[i] for i in sorted(np.random.default_rng(0).permutation(len(files))[:count])]


def thumbnail(picture: Image.Image) -> Image.Image:
    shrink = min(1, SIDE_PX / max(picture.size))
    return picture.resize([max(1, round(side * shrink)) for side in picture.size], Image.Resampling.BILINEAR)


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """Blurred by so many pixels of its thumbnail."""
    return picture.filter(ImageFilter.GaussianBlur(radius * max(1, max(picture.size) / SIDE_PX)))


# -- measures ------------------------------------------------------------------------------------------------------


def laplacian(grey: Pixels) -> float:
    """The deviation of the Laplacian: what is used most."""
    inner = grey[1:-1, 1:-1]
    return float((4 * inner - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]).std())


def reblurring(grey: Pixels, width: int = 11) -> float:
    """How much of the differences between neighbours a further blur takes away (Crete et al. 2007), 0 to 1."""
    kept = []
    for picture in (grey, grey.T):
        padded = np.cumsum(np.pad(picture, ((0, 0), (width // 2 + 1, width // 2)), mode="edge"), axis=1)
        smooth = (padded[:, width:] - padded[:, :-width]) / width
        before, after = np.abs(np.diff(picture, axis=1)), np.abs(np.diff(smooth, axis=1))
        kept.append(np.maximum(0, before[:, : after.shape[1]] - after).sum() / max(before.sum(), 1e-9))
    return float(min(kept))


MEASURES: dict[str, Callable[[Pixels], float]] = {
    "Laplacian": laplacian,
    "Laplacian by contrast": lambda grey: laplacian(grey) / max(1e-9, float(grey.std())),
    "re-blurring": reblurring,
    "sharpness": lambda grey: _or_nan(decode_quality.sharpness(Image.fromarray(grey.round().astype(np.uint8)))),
}


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def auc(higher: Pixels, lower: Pixels) -> float:
    """Percent of pairs in the right order."""
    a, b = higher[~np.isnan(higher)], lower[~np.isnan(lower)]
    return float(100 * np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b))) if len(a) and len(b) else float("nan")


def blur(count: int) -> None:
    noise = np.random.default_rng(1)
    titles = ["sharp", *(f"{radius:g} px" for radius in BLURS), "3 px and noise"]
    every: dict[str, list[Pixels]] = {name: [] for name in MEASURES}
    for name in [name for name in SETS if (DATA / name).is_dir()]:
        values = {measure: np.zeros((0, len(titles))) for measure in MEASURES}
        for file in pictures(name, count):
            with Image.open(file) as opened:
                picture = opened.convert("RGB")
            versions = [picture, *(blurred(picture, radius) for radius in BLURS)]
            greys = [np.asarray(thumbnail(version).convert("L"), float) for version in versions]
            greys.append((greys[-1] + noise.normal(0, NOISE, greys[-1].shape)).clip(0, 255))
            for measure, of in MEASURES.items():
                values[measure] = np.vstack([values[measure], [of(grey) for grey in greys]])
        columns = {"sharp, median": {}} | {title: {} for title in titles[1:]} | {"no edges": {}}
        for measure, rows in values.items():
            every[measure].append(rows)
            columns["sharp, median"][measure] = float(np.nanmedian(rows[:, 0]))
            columns["no edges"][measure] = float(np.isnan(rows).sum())
            for i, title in enumerate(titles[1:], 1):
                columns[title][measure] = auc(rows[:, 0], rows[:, i])
        _print(name, columns)
    pooled = {measure: np.vstack(rows[:-1]) for measure, rows in every.items()}  # steel has edges of its own
    found = {
        title: {measure: auc(rows[:, 0], rows[:, i]) for measure, rows in pooled.items()}
        for i, title in enumerate(titles[1:], 1)
    }
    print_table("all but steel together", found)


def _print(title: str, columns: dict[str, dict[str, float]]) -> None:
    print(f"\n| {title} | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for name in MEASURES:
        cells = [
            f"{column[name]:.2f}" if key == "sharp, median" else f"{column[name]:.1f}"
            for key, column in columns.items()
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


# -- flaws ---------------------------------------------------------------------------------------------------------

SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blurred": lambda picture: blurred(picture, 2),
    "dark": lambda picture: picture.point(lambda value: value // 8),
    "bright": lambda picture: picture.point(lambda value: 235 + value // 13),
    "plain": lambda picture: Image.new("RGB", picture.size, (SHADE, SHADE, SHADE)),
}


def flaws(count: int) -> None:
    print("\n| percent called | blurred | dark | bright | plain | spoilt pictures that are recognised |")
    print("|---|---:|---:|---:|---:|---|")
    for name in [name for name in SETS if (DATA / name).is_dir()]:
        with tempfile.TemporaryDirectory() as temporary:
            folder, files = Path(temporary) / "photos", pictures(name, count)
            folder.mkdir()
            spoilt = spoil(files, folder)
            with Gallery.create(Path(temporary) / "gallery") as gallery:
                gallery.index(folder)
                found = {flaw: {r.path.stem for r in gallery.images(f"quality = {flaw}")} for flaw in SPOILT}
        shares = [
            100 * len(found[flaw] - {s for some in spoilt.values() for s in some}) / len(files) for flaw in SPOILT
        ]
        seen = [f"{flaw} {len(found[flaw] & stems)} of {len(stems)}" for flaw, stems in spoilt.items()]
        print(f"| {name} | " + " | ".join(f"{share:.1f}" for share in shares) + f" | {', '.join(seen)} |", flush=True)


def spoil(files: Sequence[Path], folder: Path) -> dict[str, set[str]]:
    """Copies of the files in a folder, and of every tenth one spoilt copies beside; their stems by flaw."""
    stems: dict[str, set[str]] = {flaw: set() for flaw in SPOILT}
    for number, file in enumerate(files):
        (folder / f"{number:04d}{file.suffix}").write_bytes(file.read_bytes())
        if number % EVERY == 0:
            with Image.open(file) as opened:
                picture = opened.convert("RGB")
            for flaw, change in SPOILT.items():
                change(picture).save(folder / f"{number:04d}-{flaw}.png")
                stems[flaw].add(f"{number:04d}-{flaw}")
    return stems


# -- cost ----------------------------------------------------------------------------------------------------------


def cost(count: int) -> None:
    decode_picture.set_up(10**9)
    spec = lite0.info().decode_spec
    wish = decode_picture.Wish(spec.shapes, spec.interpolation, spec.crop_fraction, thumbnail=True)
    data = [file.read_bytes() for file in pictures("photos-200", count)]
    times = {True: [], False: []}
    measure = decode_picture.measure
    for number in range(6):
        measuring = number % 2 == 0
        decode_picture.measure = measure if measuring else lambda *_: None
        started = time.process_time()
        for some in data:
            decode_picture.decode(some, wish)
        times[measuring].append(1000 * (time.process_time() - started) / len(data))
    decode_picture.measure = measure
    with_it, without = min(times[True]), min(times[False])
    print(f"\ndecoding with thumbnail {without:.2f} ms, measured too {with_it:.2f} ms: {with_it - without:+.2f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("blur", "flaws", "cost"))
    parser.add_argument("--count", type=int, default=60)
    asked = parser.parse_args()
    for part in (blur, flaws, cost):
        if asked.part in (None, part.__name__):
            part(asked.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())

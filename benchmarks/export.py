"""What a split that knows no groups leaks, what ``lookalike export`` makes of the same images, and what exports cost.

python benchmarks/export.py [--set NAME ...] [--part leaks|cost] [--images N]

leaks    sets of photos, divided .8, .1, .1 with seeds 0 to 4: images with a near-duplicate in another part when they
are shuffled and cut, and with ``Gallery.export``; how many groups there are, how large the largest is, and
how far the parts are from what was asked for. The leaks of the exported table are counted anew, from the
vectors of the gallery: pairs with a cosine of .95 or more in two parts
cost     a gallery of N drawn embeddings, half of them near-copies, every tenth label of 50 (100,000 unless told
otherwise): seconds and memory of each table, with and without a split, in a process of its own
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike import Gallery
from lookalike.catalogue.base import Extracted, LabelChange
from lookalike.sources.base import SourceEntry
from lookalike.types import parse_id

DATA = Path(os.environ.get("LOOKALIKE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SETS = ("eth80-4view", "vpr-corridor", "pacs-photo", "clothing-test", "neu-det-100", "deeppcb-pairs", "photos-200")
SPLIT, SEEDS, LINK = (0.8, 0.1, 0.1), range(5), 0.95
FORMATS = ("csv", "jsonl", "npz", "parquet")
COPIED = 100
DIM, LABELS, BATCH = 1280, 50, 1000


# -- leaks ---------------------------------------------------------------------------------------------------------


def leaks(name: str, folder: Path, labels: Path | None, *, copied: bool = False) -> None:
    with tempfile.TemporaryDirectory() as temporary, Gallery.create(Path(temporary) / "gallery") as gallery:
        gallery.index(folder)
        if labels is not None:
            gallery.import_labels(labels)
        ids, vectors = gallery.vectors()
        close = vectors @ vectors.T >= LINK
        origins = np.array([gallery.image(image_id).path.name.partition("~")[0] for image_id in ids])
        same = origins[:, None] == origins
        reports, near, torn = [], [], []
        for seed in SEEDS:
            file = Path(temporary) / f"{seed}.csv"
            reports.append(gallery.export(file, split=SPLIT, seed=seed))
            parts = parts_of(file, ids)
            near.append(recounted(close, parts))
            torn.append(recounted(same, parts))
    splits = [report.split for report in reports if report.split is not None]
    off = [
        abs(sum(report.by_split[part].values()) / report.exported - fraction)
        for report in reports
        for part, fraction in zip(("train", "val", "test"), SPLIT, strict=True)
    ]
    naive = [split.naive_leaks for split in splits]
    columns = (
        *(name, len(ids), splits[0].groups, splits[0].largest_group, f"{min(naive)} to {max(naive)}"),
        *(max(split.leaks for split in splits), max(near), max(torn) if copied else "", f"{100 * max(off):.1f}"),
    )
    print(f"| {' | '.join(map(str, columns))} |", flush=True)


def parts_of(file: Path, ids: list[str]) -> np.ndarray:
    with file.open(encoding="utf-8", newline="") as lines:
        part_of = {row["id"]: row["split"] for row in csv.DictReader(lines)}
    return np.array([part_of[image_id] for image_id in ids])


def recounted(tied: np.ndarray, parts: np.ndarray) -> int:
    """Images that are tied to one in another part."""
    return int((tied & (parts[:, None] != parts)).any(axis=1).sum())


def copy(name: str, folder: Path) -> None:
    """Some photos of a set, each with two copies."""
    suffixes = (".jpg", ".jpeg", ".png", ".bmp")
    photos = sorted(path for path in (DATA / name).rglob("*") if path.suffix.lower() in suffixes)
    for number in np.random.default_rng(0).permutation(len(photos))[:COPIED].tolist():
        with Image.open(photos[number]) as photo:
            picture = photo.convert("RGB")
        (folder / f"{number}~{photos[number].name}").write_bytes(photos[number].read_bytes())
        picture.save(folder / f"{number}~again.jpg", quality=70)
        picture.resize((picture.width * 7 // 10, picture.height * 7 // 10)).save(
            folder / f"{number}~small.jpg", quality=90
        )


# -- cost ----------------------------------------------------------------------------------------------------------


def draw(folder: Path, n: int) -> None:
    """A gallery of embeddings that nobody computed; the second half are near-copies of the first."""
    random = np.random.default_rng(0)
    with Gallery.create(folder) as gallery:
        catalogue = gallery._parts.catalogue
        root = catalogue.add_root("/nowhere", None)
        entries = [SourceEntry(f"{i % 100:02d}/{i // 100:06d}/{i:08d}.jpg", 1000 + i, i, i) for i in range(n)]
        with catalogue.scan([(root, "")]) as scan:
            scan.add(root.name, entries)
            scan.compare()
            for start in range(0, n, BATCH):
                scan.apply(root.name, list(extracted(entries[start : start + BATCH], start, n // 2, random)))
            scan.finish()
        gallery.doctor(refit=True)
        keys = [parse_id(record.id) for record in gallery.images()]
        changes = [LabelChange(key, f"label {i % LABELS}") for i, key in enumerate(keys) if key is not None and i % 10]
        catalogue.add_labels(changes, by="benchmark", source="import")


def extracted(entries: list[SourceEntry], start: int, half: int, random: np.random.Generator) -> Iterator[Extracted]:
    for number, entry in enumerate(entries, start):
        base = np.random.default_rng(number % half).normal(size=DIM)
        embedding = (base + 0.01 * random.normal(size=DIM)).astype(np.float16)
        content = number.to_bytes(32, "big")
        yield Extracted(entry, content, embedding, "fp32", 640, 480, "JPEG")


def cost(n: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "gallery"
        draw(folder, n)
        with Gallery.open(folder) as gallery:
            gallery.export(Path(temporary) / "warm.csv", split=SPLIT)  # finds the neighbours once; later they are kept
        print("\n| format | split | seconds | MB of memory | MB on disk |\n|---|---|---:|---:|---:|")
        for form in FORMATS:
            for split in ("", "0.8,0.1,0.1"):
                target = Path(temporary) / f"{form}{len(split)}.{form}"
                command = [sys.executable, __file__, "--measure", str(folder), str(target), split]
                told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
                size = target.stat().st_size / 1e6
                print(
                    f"| {form} | {'yes' if split else 'no'} | {told['seconds']:.1f} | {told['mb']:.0f} | {size:.0f} |",
                    flush=True,
                )


def measure(folder: str, target: str, split: str) -> None:
    with Gallery.open(folder) as gallery:
        started = time.perf_counter()
        gallery.export(target, split=split or None)
        seconds = time.perf_counter() - started
    # Not ru_maxrss, which begins with what the process had that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "mb": int(peak.split()[1]) / 1000}))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--part", choices=("leaks", "cost"))
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(*asked.measure)
        return 0
    if asked.part in (None, "leaks"):
        print("| set | images | groups | largest | naive leaks | leaks | by vectors | by name | parts off by, points |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
        for name in [name for name in asked.set if (DATA / name).is_dir()]:
            labels = DATA / name / "labels.csv"
            leaks(name, DATA / name, labels if labels.is_file() else None)
            with tempfile.TemporaryDirectory() as temporary:
                copy(name, Path(temporary))
                leaks(f"{name}, copied", Path(temporary), None, copied=True)
    if asked.part in (None, "cost"):
        cost(asked.images)
    return 0


if __name__ == "__main__":
    sys.exit(main())

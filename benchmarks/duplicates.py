"""How well duplicates are told from look-alikes, beside perceptual hashes, and what that costs.

python benchmarks/duplicates.py [--part quality|scale] [--images 100000] [--folder FOLDER]

quality  one gallery of photos-200, an edited copy of each for every edit of ``lookalike.edits``, and whole sets of
         look-alikes: boards and their defective sisters (deeppcb-pairs), plain steel (neu-det-100), views of objects
         (eth80-4view), a corridor (vpr-corridor). Recall: how many edited copies are told to be the same picture as
         their original. Precision: how many of all pairs told so are a picture and its copy, or two copies. The
         same for hashes (package ImageHash), over all pairs of images at the usual threshold of each and at the
         one with the most recall at a precision of .98
scale    ``Gallery.duplicates`` on drawn pictures, one in ten a copy saved anew, with time by stage and memory
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lookalike import Gallery, edits, reduce
from lookalike.catalogue.base import Extracted
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.gallery import duplicating, pairs
from lookalike.gallery.parts import no_progress
from lookalike.sources.base import SourceEntry
from lookalike.thumbnails import Thumbnails
from pasting import pictures
from quality import DATA, read_set
from scale import Watch, draw

PHOTOS = "photos-200"
OTHERS = ("deeppcb-pairs", "neu-det-100", "eth80-4view", "vpr-corridor")
# A person calls these the same picture. Half of it, a quarter turn and a slant of 15 degrees are reported, not counted.
LEFT_OUT = ("crop 50%", "rotate 90", "rotate 15")
SAME = tuple(name for name in edits.EDITS if name not in LEFT_OUT)
HASHES = {"phash": 10, "dhash": 10, "whash": 10, "average_hash": 10}  # bits of 64 that may differ, as people use them
LEAST_PRECISION = 0.98


@dataclass(frozen=True, slots=True)
class Shown:
    """One image of the gallery.

    Attributes:
        path: Its file.
        edit: Name of the edit; "" for originals and for look-alikes.
        photo: Number of the photo that it is, or is a copy of; -1 for look-alikes.
        group: The set that it is from.
    """

    path: Path
    edit: str
    photo: int
    group: str


def make_copies(folder: Path) -> list[Shown]:
    """Originals and copies, as files."""
    shown = []
    for number, path in enumerate(pictures(PHOTOS)):
        shown.append(Shown(path, "", number, PHOTOS))
        with Image.open(path) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
        for name in edits.EDITS:
            file = folder / name.replace(" ", "-").replace("%", "") / f"{number:03d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            if name.startswith("jpeg"):
                picture.save(file, quality=int(name.split()[1]))
            else:
                copy = Image.fromarray(edits.apply(name, np.asarray(picture), number))
                copy.save(file, quality=90)
            shown.append(Shown(file, name, number, PHOTOS))
    return shown


def quality() -> None:
    with tempfile.TemporaryDirectory() as temporary, Gallery.create(Path(temporary) / "gallery") as gallery:
        shown = make_copies(Path(temporary) / "copies")
        for name in OTHERS:
            shown += [Shown(path, "", -1, name) for path in read_set(DATA / name).paths]
        gallery.index(Path(temporary) / "copies", DATA / PHOTOS, *(DATA / name for name in OTHERS))
        told = dict(zip(("lookalike", "lookalike, linked"), ours(gallery, shown), strict=True))
        report, groups_of = gallery.duplicates(kind="near"), linked_groups(gallery)
        distances = {name: hash_distances(name, shown) for name in HASHES}
        for name, usual in HASHES.items():
            told[f"{name} <= {usual}"] = distances[name] <= usual
            best = best_threshold(distances[name], shown)
            told[f"{name} <= {best}, its best"] = distances[name] <= best
    print_quality(shown, told)
    sizes = [len(group.images) for group in report.groups]
    print(f"\n{len(sizes)} groups, the largest of {max(sizes)}; a photo and its copies are {1 + len(edits.EDITS)}")
    for name in OTHERS:
        numbers = [groups_of[each.path.resolve()] for each in shown if each.group == name]
        joined = np.unique(numbers, return_counts=True)[1]
        print(f"{name}: {len(numbers)} images in {len(joined)} linked groups, the largest of {joined.max()}")


def linked_groups(gallery: Gallery) -> dict[Path, int]:
    """The group of each file that a training split must keep together."""
    numbers, groups = duplicating.linked(gallery._parts, no_progress)
    keys, contents = gallery._parts.catalogue.content_numbers()
    records = gallery._parts.catalogue.records(keys.tolist())
    found = groups[np.searchsorted(numbers, contents)].tolist()
    return {records[key].path.resolve(): group for key, group in zip(keys.tolist(), found, strict=True)}


def ours(gallery: Gallery, shown: list[Shown]) -> Iterator[NDArray[np.bool_]]:
    """Which pairs (n, n), above the diagonal, are told to be the same picture; and which at least to be linked."""
    row_of = {each.path.resolve(): row for row, each in enumerate(shown)}
    found = pairs.find(gallery._parts, no_progress)
    records = gallery._parts.catalogue.records(found.rows.keys.tolist())
    rows = np.array([row_of.get(records[key].path.resolve(), -1) for key in found.rows.keys.tolist()])
    first, second = rows[found.first], rows[found.second]
    known = (first >= 0) & (second >= 0)
    for counted in (known & found.same, known):
        told = np.zeros((len(shown), len(shown)), bool)
        told[np.minimum(first, second)[counted], np.maximum(first, second)[counted]] = True
        yield told


def hash_distances(name: str, shown: list[Shown]) -> NDArray[np.int16]:
    """Bits (n, n) that differ between the hashes of two images; 99 on and below the diagonal."""
    import imagehash

    bits = []
    for each in shown:
        with Image.open(each.path) as image:
            bits.append(getattr(imagehash, name)(ImageOps.exif_transpose(image).convert("RGB")).hash.ravel())
    signs = np.where(np.array(bits), 1, -1).astype(np.float32)
    found = ((signs.shape[1] - signs @ signs.T) / 2).round().astype(np.int16)
    found[np.tril_indices(len(found))] = 99
    return found


def truth(shown: list[Shown]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs show one photo, and which of them count as wanted: original and copy."""
    photo = np.array([each.photo for each in shown])
    right = (photo[:, None] == photo[None]) & (photo >= 0)[:, None]
    is_original = np.array([each.photo >= 0 and not each.edit for each in shown])
    is_wanted = np.array([each.edit in SAME for each in shown])
    wanted = right & ((is_original[:, None] & is_wanted[None]) | (is_wanted[:, None] & is_original[None]))
    above = np.triu(np.ones_like(right), 1)
    return right & above, wanted & above


def best_threshold(distances: NDArray[np.int16], shown: list[Shown]) -> int:
    """The one with the most recall at a precision of .98 among the photos alone: look-alikes would leave none."""
    photos = np.array([each.photo >= 0 for each in shown])
    right, _ = truth(shown)
    counted = np.ix_(photos, photos)
    told, right = distances[counted], right[counted]
    good = [t for t in range(33) if (right & (told <= t)).sum() >= LEAST_PRECISION * (told <= t).sum()]
    return max(good, default=0)


def print_quality(shown: list[Shown], told: dict[str, NDArray[np.bool_]]) -> None:
    right, wanted = truth(shown)
    print(f"{len(shown):,} images, {int(wanted.sum()):,} originals with a copy that is the same picture\n")
    print("| | precision | recall | wrong pairs | " + " | ".join(f"within {name}" for name in (PHOTOS, *OTHERS)) + " |")
    print("|---|---:|---:|---:|" + "---:|" * (1 + len(OTHERS)))
    group = np.array([each.group for each in shown])
    for name, pairs_told in told.items():
        wrong = pairs_told & ~right
        within = [int(wrong[np.ix_(group == other, group == other)].sum()) for other in (PHOTOS, *OTHERS)]
        precision = (pairs_told & right).sum() / max(1, pairs_told.sum())
        recall = (pairs_told & wanted).sum() / wanted.sum()
        cells = " | ".join(f"{count:,}" for count in within)
        print(f"| {name} | {precision:.4f} | {recall:.3f} | {int(wrong.sum()):,} | {cells} |")
    print("\n| recall by edit | " + " | ".join(told) + " |")
    print("|---|" + "---:|" * len(told))
    for edit, rows in by_edit(shown):
        cells = " | ".join(f"{np.mean([matrix[pair] for pair in rows]):.3f}" for matrix in told.values())
        print(f"| {edit}{'' if edit in SAME else ' (not counted)'} | {cells} |")


def by_edit(shown: list[Shown]) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Rows of originals and their copies."""
    original = {each.photo: row for row, each in enumerate(shown) if each.photo >= 0 and not each.edit}
    for edit in edits.EDITS:
        yield edit, [tuple(sorted((original[e.photo], row))) for row, e in enumerate(shown) if e.edit == edit]  # type: ignore[misc]


# -- cost ----------------------------------------------------------------------------------------------------------


def scale(images: int, folder: Path | None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        where = (folder or Path(temporary)) / "gallery"
        if not where.exists():
            fill(where, images)
        with Gallery.open(where) as gallery:
            for file in ("neighbours.bin", "pairs.bin"):
                (where / "cache" / "graph" / file).unlink(missing_ok=True)
            gallery.vectors()  # the engine follows first, as after any indexing
            watch, memory = Watch(), Memory()
            with memory:
                report = gallery.duplicates(progress=watch)
                watch.close()
            again = gallery.duplicates()
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in watch.stages.items())
    print(f"{report.searched:,} images: {report.seconds:.1f} s ({stages}); again {again.seconds:.1f} s")
    print(f"memory {memory.before / 1e6:.0f} MB before, {memory.most / 1e6:.0f} MB at most")
    right = sum(len({copied(int(image.path.stem)) for image in group.images}) == 1 for group in report.groups)
    print(f"{len(report.groups):,} groups, {right:,} of them of one picture; {images // 10:,} pictures have a copy")


def fill(where: Path, images: int) -> None:
    """A gallery of drawn thumbnails without files or network: an embedding is a random projection of tiny colours."""
    Gallery.create(where).close()
    catalogue, thumbnails = (
        SqliteCatalogue(where / "catalogue.sqlite"),
        Thumbnails(where / "cache" / "thumbnails.sqlite"),
    )
    dim = catalogue.model().dim
    projection = np.random.default_rng(0).normal(size=(dim, 8 * 8 * 3)).astype(np.float32)
    moments, root = reduce.Moments(dim), catalogue.add_root("/drawn", None)
    with catalogue.scan([(root, "")]) as scan:
        for start in range(0, images, 1000):
            numbers = range(start, min(images, start + 1000))
            scan.add(root.name, [SourceEntry(f"{number:07d}.jpg", 1, 1, number) for number in numbers])
        scan.compare()
        todo = scan.todo()
        while batch := list(itertools.islice(todo, 1000)):
            made = [extracted(entry, projection) for _, entry in batch]
            thumbnails.put((each.content, each.thumbnail) for each in made)
            scan.apply(root.name, made)
            moments.add(np.stack([each.embedding for each in made if each.embedding is not None]))
    catalogue.set_reducer(reduce.fit(moments))
    catalogue.close()
    thumbnails.close()


def extracted(entry: SourceEntry, projection: NDArray[np.float32]) -> Extracted:
    number = int(Path(entry.path).stem)
    jpeg = draw(copied(number))
    if number != copied(number):
        out = io.BytesIO()
        Image.open(io.BytesIO(jpeg)).resize((160, 128)).save(out, "JPEG", quality=60)
        jpeg = out.getvalue()
    tiny = np.asarray(Image.open(io.BytesIO(jpeg)).resize((8, 8), Image.Resampling.BOX), np.float32).ravel() / 128 - 1
    embedding = np.maximum(projection @ tiny, 0).astype(np.float16)
    content = hashlib.sha256(jpeg).digest()
    return Extracted(entry, content, embedding, "fp32", 200, 160, "JPEG", None, jpeg)


def copied(number: int) -> int:
    """Which picture a drawn image shows: each with a 9 at the end is the one with a 4, saved anew and smaller."""
    return number - 5 if number % 10 == 9 else number


class Memory:
    """Watches how much memory this process takes at most.

    Attributes:
        before: Bytes at the start.
        most: Bytes at most.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._done = threading.Event()
        self.before = self.most = self._process.memory_info().rss

    def __enter__(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _watch(self) -> None:
        for _ in itertools.takewhile(lambda _: not self._done.wait(0.2), itertools.count()):
            self.most = max(self.most, self._process.memory_info().rss)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("quality", "scale"))
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the gallery of the scale part here, and use it")
    asked = parser.parse_args()
    started = time.perf_counter()
    if asked.part in (None, "quality"):
        quality()
    if asked.part in (None, "scale"):
        scale(asked.images, asked.folder)
    print(f"({time.perf_counter() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Parts of images: pasted pictures that are found, what that costs, and that ordinary searches stay as they are.

    python benchmarks/regions.py [--part paste|ordinary|box|cost ...] [--set NAME ...] [--scenes NAME ...] [--seed N]

Measured on the measuring images (``LOOKALIKE_TEST_DATA``, else ``../shared/data``), with the project's own parts.

- *paste*: each picture of photos-200 is pasted whole into a picture of another set (or of the other half of
  photos-200), at a seeded place, on 15 to 35 % of its area (and once more on 5 to 15 %). The gallery holds these scenes
  and the pictures of pacs-photo and clothing-test that are not in use; the query is the original. Whole-image search is
  the same search with regions off. *codes* compares 8-bit codes with float32 vectors on the same scenes.
- *ordinary*: mAP of the labelled sets, regions on and off; queries are the images themselves, at most 300 of a set.
- *box*: the scene is the query, with the pasted picture's box and without; the gallery holds originals and others.
  *from the map*: the box pooled from the map of the whole scene, as a page may do while a box is dragged.
- *cost*: bytes and seconds per image and per search.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import Gallery, reduce, regions
from lookalike.evaluate import average_precision
from lookalike.gallery import picture
from lookalike.gallery import regions as gallery_regions
from lookalike.gallery.examples import subject_of
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.gallery.ranking import Subject, candidates
from lookalike.types import Float32
from pasting import PASTED, Pasted, compose, opened, others, pictures
from quality import DATA, SETS, Questions, read_set

SCENES = ("pacs-photo", "clothing-test", PASTED)
AREA, SMALL_AREA = (0.15, 0.35), (0.05, 0.15)
LEAST_RATIO, MOST_MISSES = 1.2, 0.6  # recall@1 and misses at rank 10, relative to whole-image search
LARGEST_LOSS = 0.5  # of mAP in points, on any set
QUERIES = 300  # at most, per labelled set
MATCHES = ("plain", "auto", "kind", "object")
SEED = 5


@contextmanager
def gallery_of(folders: Path, *, with_regions: bool = True) -> Iterator[tuple[Gallery, Parts]]:
    """A gallery of a folder that is thrown away, and its parts."""
    with tempfile.TemporaryDirectory() as temporary:
        with Gallery.create(Path(temporary) / "gallery") as gallery:
            report = gallery.index(folders, regions=with_regions)
            assert not report.failed
        with Gallery.open(Path(temporary) / "gallery") as gallery:
            yield gallery, gallery._parts


def copy(paths: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, path in enumerate(paths):
        shutil.copyfile(path, folder / f"{number:04d}-{path.name}")


# -- pasted pictures that are found ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """What a search finds: places of the right image, from 1; 0 where it is not among the first ten."""

    ranks: NDArray[np.int64]
    in_box: float = 0.0

    @property
    def recall_at_1(self) -> float:
        """Of all queries."""
        return float((self.ranks == 1).mean())

    @property
    def misses_at_10(self) -> float:
        """Of all queries."""
        return float((self.ranks == 0).mean())


def measure_paste(name: str, area: tuple[float, float], seed: int, matches: Sequence[str], limit: int | None = None,
                  n_others: int | None = None) -> dict[tuple[str, bool], Found]:  # fmt: skip
    """By order and whether regions are on."""
    with tempfile.TemporaryDirectory() as temporary:
        scenes = compose(name, area, Path(temporary) / "images" / "scenes", seed, limit)
        copy(others(scenes, n_others), Path(temporary) / "images" / "others")
        with gallery_of(Path(temporary) / "images", with_regions=True) as (gallery, _):
            return {(match, on): _find(gallery, scenes, match, on) for match in matches for on in (False, True)}


def _find(gallery: Gallery, scenes: Sequence[Pasted], match: str, on: bool) -> Found:
    ranks, hits = [], []
    for pasted in scenes:
        result = gallery.search(pasted.original, match=match, regions=on, stacks=False)
        right = next((m for m in result if m.path.name == pasted.scene.name), None)
        ranks.append(0 if right is None else right.rank)
        if right is not None and right.region is not None:
            hits.append(_overlaps(right.region, pasted.box))
    return Found(np.array(ranks), float(np.mean(hits)) if hits else 0.0)


def _overlaps(region: Sequence[float], box: Sequence[float]) -> bool:
    """Whether the middle of the region lies in the box."""
    x, y = (region[0] + region[2]) / 2, (region[1] + region[3]) / 2
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def print_paste(scenes: Sequence[str], seed: int) -> bool:
    print("\n| scenes | area | order | recall@1, whole -> regions | ratio | misses at 10 | ratio | region in picture |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    held = True
    for area in (AREA, SMALL_AREA):
        for name in scenes:
            matches = ("plain", "auto") if area == AREA else ("plain",)
            found = measure_paste(name, area, seed, matches)
            for match in matches:
                before, after = found[match, False], found[match, True]
                if area == AREA and match in ("plain", "auto"):
                    held &= target_holds(before, after)
                print(f"| {name} | {area[0]:.0%} to {area[1]:.0%} | {match} | {_row(before, after)} |", flush=True)
    print(f"\ntarget {'holds' if held else 'FAILS'}: recall@1 at least {LEAST_RATIO}, misses at most {MOST_MISSES}"
          " of whole-image search, on every set of scenes, orders plain and auto, 15 to 35 %")  # fmt: skip
    return held


def target_holds(before: Found, after: Found) -> bool:
    """Whether regions find enough more than whole images."""
    finds_more = after.recall_at_1 >= LEAST_RATIO * before.recall_at_1
    return finds_more and after.misses_at_10 <= MOST_MISSES * before.misses_at_10


def _row(before: Found, after: Found) -> str:
    more, fewer = after.recall_at_1 / before.recall_at_1, after.misses_at_10 / max(before.misses_at_10, 1e-9)
    return (
        f"{before.recall_at_1:.1%} -> {after.recall_at_1:.1%} | {more:.2f} | {before.misses_at_10:.1%} ->"
        f" {after.misses_at_10:.1%} | {fewer:.2f} | {after.in_box:.0%}"
    )


def print_codes(seed: int) -> None:
    """The best region alone, float32 vectors against 8-bit codes."""
    with tempfile.TemporaryDirectory() as temporary:
        scenes = compose(SCENES[0], AREA, Path(temporary) / "scenes", seed)
        with Gallery.create(Path(temporary) / "gallery") as gallery:
            parts = gallery._parts
            files = [pasted.scene for pasted in scenes] + others(scenes)
            embedder = parts.embedder(throughput=True)
            seen = [embedder.features([_pixels(parts, f)], regions=True).regions for f in files]
            stacked = np.concatenate([found for found in seen if found is not None])
            asked = np.stack([_asked(parts, pasted.original) for pasted in scenes])
    moments = reduce.Moments(stacked.shape[2])
    moments.add(stacked.reshape(-1, stacked.shape[2]))
    space = reduce.fit(moments, dim=regions.DIM)
    vectors = regions.transform(space, stacked.reshape(-1, stacked.shape[2]))
    queries = regions.transform(space, asked)
    orders = []
    for rows in (vectors, regions.from_codes(regions.to_codes(vectors))):
        best = (queries @ rows.T).reshape(len(queries), -1, regions.COUNT).max(axis=2)
        orders.append(np.argsort(-best, axis=1, kind="stable"))
        right = (orders[-1] == np.arange(len(queries))[:, None]).argmax(axis=1)
        kind = "float32" if len(orders) == 1 else "8 bits"
        print(f"{kind}: recall@1 {np.mean(right == 0):.3f}, misses at 10 {np.mean(right >= 10):.3f}")
    pairs = zip(*(order[:, :10] for order in orders), strict=True)
    print(f"top 10 in common: {np.mean([len(np.intersect1d(a, b)) / 10 for a, b in pairs]):.3f}")


def _pixels(parts: Parts, file: Path) -> NDArray[np.uint8]:
    return picture.decode(parts, file.name, file.read_bytes()).pixels


def _asked(parts: Parts, file: Path) -> Float32:
    """As ``gallery.regions.look``, in a gallery that holds nothing yet."""
    framed = regions.shrunk(_pixels(parts, file), (127, 127, 127))
    return regions.pool_shrunk(parts.embedder(throughput=True).feature_maps(framed).final.transpose(2, 0, 1))


# -- ordinary searches -----------------------------------------------------------------------------------------------


def print_ordinary(names: Sequence[str]) -> bool:
    print("\n| mAP, %, regions off -> on | " + " | ".join(MATCHES) + " |\n|---|" + "---:|" * len(MATCHES))
    worst = 0.0
    for name in names:
        found = mean_ap(name)
        row = [(found[match, False], found[match, True]) for match in MATCHES]
        print(
            f"| {name} | " + " | ".join(f"{off:.1f} -> {on:.1f} ({on - off:+.2f})" for off, on in row) + " |",
            flush=True,
        )
        worst = min(worst, *(on - off for off, on in row))
    held = worst >= -LARGEST_LOSS
    print(f"\nordinary searches {'hold' if held else 'FAIL'}: {worst:+.2f} at worst (at least -{LARGEST_LOSS:g})")
    return held


def mean_ap(name: str) -> dict[tuple[str, bool], float]:
    """In percent, by order and whether regions are on; queries are read from their files, as a search does."""
    asked = read_set(DATA / name)
    precisions: dict[tuple[str, bool], list[float]] = {(match, on): [] for match in MATCHES for on in (False, True)}
    queries = asked.queries or list(range(len(asked.paths)))
    chosen = sorted(np.random.default_rng(SEED).permutation(len(queries))[:QUERIES].tolist())
    with gallery_of(DATA / name) as (_, parts), parts.catalogue.snapshot():
        known = parts.catalogue.find_paths([path.resolve() for path in asked.paths])
        keys = np.array([known[path.resolve()] for path in asked.paths], np.int64)
        for place in chosen:
            row = queries[place]
            counted = np.setdiff1d(keys[asked.database], keys[row : row + 1])
            relevant = keys[_relevant(asked, place, row)]
            subject = _subject(parts, asked.paths[row], keys[row : row + 1])
            for match, on in precisions:
                order = candidates(
                    parts,
                    subject if on else replace(subject, part=None),
                    len(keys),
                    match=match,
                    power=None,
                    allowed=None,
                ).keys
                relevance = np.isin(order[np.isin(order, counted)], relevant)
                precisions[match, on].append(average_precision(relevance, len(relevant)))
    return {key: 100 * float(np.mean(values)) for key, values in precisions.items()}


def _relevant(asked: Questions, place: int, row: int) -> list[int]:
    if asked.queries:
        return [asked.database[i] for i in asked.relevant[place]]
    return [i for i, label in enumerate(asked.labels) if label == asked.labels[row] and i != row]


def _subject(parts: Parts, file: Path, key: NDArray[np.int64]) -> Subject:
    """As ``Gallery.search`` makes it, without the image itself."""
    decoded = picture.decode(parts, file.name, file.read_bytes())
    seen = picture.embed(parts.embedder(throughput=True), decoded)
    subject = subject_of(parts, seen, [], [], own=key[:0], without=key)
    return replace(subject, part=gallery_regions.look(parts, decoded))


# -- a box on the query ----------------------------------------------------------------------------------------------


def print_box(scenes: Sequence[str], seed: int) -> None:
    print("\n| scenes | recall@1: whole scene | with the box | box from the map | s per box | from the map |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in scenes:
        whole, boxed, mapped, seconds = measure_box(name, seed)
        print(
            f"| {name} | {whole:.1%} | {boxed:.1%} | {mapped:.1%} | {seconds[0]:.4f} | {seconds[1]:.4f} |", flush=True
        )


def measure_box(
    name: str, seed: int, limit: int | None = None, n_others: int | None = None
) -> tuple[float, float, float, tuple[float, float]]:
    """Recall@1 of the original, three ways, and seconds to look at a box by decoding it or from a map that is there."""
    with tempfile.TemporaryDirectory() as temporary:
        scenes = compose(name, AREA, Path(temporary) / "scenes", seed, limit)
        originals = Path(temporary) / "images" / "originals"
        copy([pasted.original for pasted in scenes], originals)
        copy(others(scenes, n_others), Path(temporary) / "images" / "others")
        with gallery_of(Path(temporary) / "images", with_regions=False) as (gallery, parts):
            hits: list[tuple[bool, bool, bool]] = []
            clock = np.zeros(2)
            for number, pasted in enumerate(scenes):
                wanted = f"{number:04d}-{pasted.original.name}"
                found = [gallery.search(pasted.scene, 1, box=box, stacks=False)[0] for box in (None, pasted.box)]
                mapped, seconds = _from_map(parts, pasted)
                clock += seconds
                record = parts.catalogue.record(mapped)
                assert record is not None
                hits.append((*(m.path.name == wanted for m in found), record.path.name == wanted))  # type: ignore[arg-type]
    whole, boxed, mapped_share = np.mean(hits, axis=0).tolist()
    return whole, boxed, mapped_share, (clock[0] / len(scenes), clock[1] / len(scenes))


def _from_map(parts: Parts, pasted: Pasted) -> tuple[int, tuple[float, float]]:
    """Key of the image nearest to a box that is pooled from the scene's map; seconds of decoding it and of pooling."""
    embedder = parts.embedder(throughput=False)
    data = pasted.scene.read_bytes()
    final = embedder.feature_maps(_pixels(parts, pasted.scene)).final.transpose(2, 0, 1)
    started = time.perf_counter()
    picture.embed(embedder, picture.decode(parts, "scene", data, pasted.box))
    middle = time.perf_counter()
    embedding = regions.pool_box(final, pasted.box)
    ended = time.perf_counter()
    engine, reducer = synced(parts)
    keys, _ = engine.search(reduce.transform(reducer, embedding[None, :]), 1)
    return int(keys[0, 0]), (middle - started, ended - middle)


# -- what it costs ---------------------------------------------------------------------------------------------------


def print_cost() -> None:
    """Of pacs-photo four times over, each time with other noise."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        folder.mkdir()
        rng = np.random.default_rng(SEED)
        for number, path in enumerate(pictures("pacs-photo") * 4):
            noisy = np.asarray(opened(path)).astype(np.int16) + rng.integers(-2, 3, (227, 227, 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05d}.jpg", quality=90)
        print(
            "\n| regions | images | s | bytes per image: catalogue | cache/regions | s per search: network | search |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|")
        for on in (False, True, False, True):  # twice: the first run of a process is slower
            print(f"| {'on' if on else 'off'} | {_cost(folder, on)} |", flush=True)


def _cost(folder: Path, on: bool) -> str:
    started = time.perf_counter()
    with gallery_of(folder, with_regions=on) as (gallery, parts):
        seconds, n = time.perf_counter() - started, len(gallery)
        catalogue = sum(map(_bytes, gallery.path.glob("catalogue.sqlite*")))
        cache = sum(map(_bytes, (parts.cache / "regions").glob("*")))
        query = pictures(PASTED)[0]
        gallery.search(query)
        times = [gallery.search(query, match="plain").seconds for _ in range(30)]
        embed, search = (float(np.median([each[stage] for each in times])) for stage in ("embed", "search"))
    return f"{n:,} | {seconds:.1f} | {catalogue / n:,.0f} | {cache / n:,.0f} | {embed:.4f} | {search:.4f}"


def _bytes(path: Path) -> int:
    return path.stat().st_size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=("paste", "ordinary", "box", "cost"), dest="parts")
    parser.add_argument("--set", action="append", choices=SETS, dest="sets", help="labelled set; may be repeated")
    parser.add_argument("--scenes", action="append", choices=SCENES, help="set to paste into; may be repeated")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    wanted = options.parts or ["paste", "ordinary", "box", "cost"]
    scenes, sets = options.scenes or SCENES, options.sets or SETS
    met = True
    if "paste" in wanted:
        met &= print_paste(scenes, options.seed)
        print_codes(options.seed)
    if "ordinary" in wanted:
        met &= print_ordinary(sets)
    if "box" in wanted:
        print_box(scenes, options.seed)
    if "cost" in wanted:
        print_cost()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

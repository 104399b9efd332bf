"""How well strangers are found among the images of a gallery, and whether the percentile of new images is right.

    python benchmarks/outliers.py [--part planted|novelty|scale] [--features FOLDER] [--rows 100000]

Sets and ``--features`` are those of ``feedback.py``; 20 kinds of many-kinds, 30 photos of each, stand for photos of
many kinds. Every gallery has a PCA of its own.

    planted  ten strangers among a set, or so: ten images of one other set; two of each of five; three near-copies each
             of four; or of one kind of the set all but five images taken out. Average precision and precision@n (n:
             how many there are) in percent, six seeds, of several measures on the same neighbours
    novelty  a gallery of half a set without one kind is asked about the other half, that kind, and 40 images of another
             set: how evenly ordinary images spread over the percentiles (largest gap of the distribution
             functions, share at 95 or above), and where strange ones come to stand; four seeds
    scale    ``Gallery.outliers`` on drawn embeddings: seconds with the neighbour graph, with it kept, and for 1 % new
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedback import DATA, print_table, read
from lookalike import Gallery, outliers, reduce, rerank
from lookalike.catalogue.data import Extracted
from lookalike.engines import graph
from lookalike.evaluate import average_precision
from lookalike.gallery import unusual
from lookalike.gallery.knn import NEIGHBOURS
from lookalike.outliers import AROUND, NEAREST, TOO_ALIKE, Lengths
from lookalike.sources.base import SourceEntry
from lookalike.types import Float32
from quality import plain_reducer
from search import drawn

HOSTS = ("pacs-photo", "clothing-test", "neu-det-100", "20x30")
OTHERS = ("pacs-photo", "clothing-test", "neu-det-100", "eth80-4view", "vpr-corridor", "deeppcb-pairs")
WAYS = ("one other set", "five other sets", "near-copies", "a rare kind")
SEEDS, NOVELTY_SEEDS = 6, 4
NEW_KIND, OTHER_SET = "a new kind", "another set"


@dataclass(frozen=True, slots=True, eq=False)
class Photos:
    """Embeddings (n, D) of unit length and their labels (n,) as numbers."""

    embeddings: Float32
    codes: NDArray[np.int64]


def unit(rows: NDArray[np.floating]) -> Float32:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def load(features: Path | None) -> dict[str, Photos]:
    found = {}
    for name in dict.fromkeys((*OTHERS, "many-kinds")):
        if (DATA / name / "labels.csv").is_file():
            some = read(name, features)
            found[name] = Photos(unit(some.embeddings.astype(np.float32)), some.codes)
    if many := found.pop("many-kinds", None):
        kinds = np.random.default_rng(5).permutation(np.unique(many.codes))[:20]
        rows = np.isin(many.codes, kinds)
        found["20x30"] = Photos(many.embeddings[rows], many.codes[rows])
    return found


# -- strangers that were planted -----------------------------------------------------------------------------------


def planted(sets: dict[str, Photos], host: str, way: str, seed: int) -> tuple[Float32, NDArray[np.bool_]]:
    """Embeddings of a gallery with strangers, and which rows they are."""
    random = np.random.default_rng(seed)
    own, others = sets[host], [name for name in OTHERS if name in sets and name != host]

    def some(name: str, count: int) -> Float32:
        rows = sets[name].embeddings
        return rows[random.permutation(len(rows))[:count]]

    gallery = own.embeddings
    if way == "one other set":
        strangers = some(others[seed % len(others)], 10)
    elif way == "five other sets":
        strangers = np.concatenate([some(name, 2) for name in others[:5]])
    elif way == "near-copies":
        originals = np.repeat(np.concatenate([some(name, 1) for name in others[:4]]), 3, axis=0)
        strangers = unit(originals + random.normal(0, 0.12 / np.sqrt(originals.shape[1]), originals.shape))
    else:
        kind = random.choice(np.unique(own.codes))
        strangers = random.permutation(gallery[own.codes == kind])[:5]
        gallery = gallery[own.codes != kind]
    truth = np.arange(len(gallery) + len(strangers)) >= len(gallery)
    return np.concatenate([gallery, strangers]), truth


def measures(embeddings: Float32) -> Iterator[tuple[str, NDArray[np.floating]]]:
    """Ways to say how unusual each image is."""
    reducer = plain_reducer(embeddings, 256)
    vectors, lengths = reduce.transform(reducer, embeddings), outliers.lengths(reducer, embeddings)
    near, scores = graph.nearest(vectors, NEIGHBOURS)
    different, around = (scores < TOO_ALIKE) & outliers.firsts(near, scores)[near], lengths.take(near)
    every = np.ones_like(different)
    yield "distance to the nearest", outliers.distances(scores, different, (0, 1))
    yield "mean distance to the 10 nearest", outliers.distances(scores, different, NEAREST)
    yield "to the 11th to 20th", outliers.distances(scores, different, AROUND)
    yield "local outlier factor, k = 20", local_outlier_factor(near[:, :20], scores[:, :20])
    smoothed = rerank.smooth(vectors, near[:, :10], scores[:, :10])
    yield "to the 11th to 20th, smoothed", outliers.distances(graph.nearest(smoothed, NEIGHBOURS)[1], every, AROUND)
    yield "distance to the centre", lengths.whole
    as_they_are = 1 - (lengths.whole[:, None] ** 2 + around.whole**2) / 2
    as_they_are += lengths.inside[:, None] * around.inside * scores
    yield "embeddings as they are, 11th to 20th", outliers.distances(as_they_are, different, AROUND)
    both = outliers.similarities(scores, lengths, around)
    yield "both, 10 nearest", outliers.distances(both, different, NEAREST)
    yield "both, 11th to 20th, near-copies too", outliers.distances(both, every, AROUND)
    yield "both, 11th to 20th (as shipped)", outliers.distances(both, different, AROUND)


def local_outlier_factor(near: NDArray[np.int32], scores: Float32) -> NDArray[np.floating]:
    """Breunig et al. 2000, on 1 - cosine."""
    away = 1 - scores
    reach = np.maximum(away, away[near, -1])
    density = 1 / np.maximum(reach.mean(axis=1), 1e-6)
    return density[near].mean(axis=1) / density


def found(values: NDArray[np.floating], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Average precision and precision at the number of strangers, in percent."""
    right = truth[np.argsort(-values, kind="stable")]
    return 100 * average_precision(right, int(truth.sum())), 100 * float(right[: truth.sum()].mean())


def planting(sets: dict[str, Photos]) -> None:
    precision: dict[str, dict[str, float]] = {}
    first: dict[str, dict[str, float]] = {}
    for way in WAYS:
        for host in [name for name in HOSTS if name in sets]:
            rows: dict[str, list[tuple[float, float]]] = {}
            for seed in range(SEEDS):
                embeddings, truth = planted(sets, host, way, seed)
                for name, values in measures(embeddings):
                    rows.setdefault(name, []).append(found(values, truth))
            for name, values in rows.items():
                mean = np.mean(values, axis=0)
                precision.setdefault(f"{way}: {host}", {})[name] = float(mean[0])
                first.setdefault(way, {}).setdefault(name, 0.0)
                first[way][name] += float(mean[1]) / len([name for name in HOSTS if name in sets])
    by_way = {
        way: {
            name: float(np.mean([column[name] for key, column in precision.items() if key.startswith(way)]))
            for name in first[way]
        }
        for way in WAYS
    }
    print_table("average precision", by_way)
    print_table("precision@n", first)
    for way in WAYS:
        columns = {key.split(": ")[1]: column for key, column in precision.items() if key.startswith(way)}
        print_table(f"average precision, {way}", columns)


# -- new images ----------------------------------------------------------------------------------------------------

Distances = Callable[[Float32, Lengths, Float32, Lengths, bool], Float32]


def by_plain(rows: Float32, _own: Lengths, others: Float32, _lengths: Lengths, same: bool) -> Float32:
    scores = rows @ others.T
    return outliers.distances(scores, _different(scores, same), NEAREST)


def by_both(rows: Float32, own: Lengths, others: Float32, lengths: Lengths, same: bool) -> Float32:
    scores = rows @ others.T
    return outliers.distances(outliers.similarities(scores, own, lengths), _different(scores, same), NEAREST)


def _different(scores: Float32, same: bool) -> NDArray[np.bool_]:
    counts = scores < TOO_ALIKE
    if same:
        np.fill_diagonal(counts, val=False)
    return counts


def novelty(sets: dict[str, Photos], host: str, distances: Distances) -> dict[str, float]:
    """Means over the seeds."""
    rows = []
    for seed in range(NOVELTY_SEEDS):
        random, own = np.random.default_rng(seed), sets[host]
        kind = random.choice(np.unique(own.codes))
        rest = random.permutation(np.flatnonzero(own.codes != kind))
        old, ordinary = own.embeddings[rest[: len(rest) // 2]], own.embeddings[rest[len(rest) // 2 :]]
        others = [name for name in OTHERS if name in sets and name != host]
        stranger = sets[others[seed % len(others)]].embeddings
        asked = {
            "": ordinary,
            NEW_KIND: own.embeddings[own.codes == kind],
            OTHER_SET: random.permutation(stranger)[:40],
        }
        reducer = plain_reducer(old, 256)
        vectors, lengths = reduce.transform(reducer, old), outliers.lengths(reducer, old)
        usual = distances(vectors, lengths, vectors, lengths, True)
        percentiles = {}
        for name, some in asked.items():
            far = distances(reduce.transform(reducer, some), outliers.lengths(reducer, some), vectors, lengths, False)
            percentiles[name] = outliers.percentiles(far, usual)
        rows.append(spread(percentiles))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def spread(percentiles: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    ordinary = np.sort(percentiles[""])
    row = {
        "ordinary: mean": float(ordinary.mean()),
        "ordinary: largest gap": 100
        * float(np.abs(ordinary / 100 - (np.arange(len(ordinary)) + 0.5) / len(ordinary)).max()),
        "ordinary: at 95 or above": 100 * float((ordinary >= 95).mean()),
    }
    for name in (NEW_KIND, OTHER_SET):
        row[f"{name}: median"] = float(np.median(percentiles[name]))
        row[f"{name}: at 95 or above"] = 100 * float((percentiles[name] >= 95).mean())
    return row


# -- scale ---------------------------------------------------------------------------------------------------------


def scale(rows: int) -> None:
    """Embeddings of as many drawn images in a gallery, the last 1 % as a run of their own."""
    with tempfile.TemporaryDirectory() as temporary, Gallery.create(Path(temporary) / "gallery") as gallery:
        parts, dim = gallery._parts, 1280
        vectors = drawn(rows)
        spread_out = np.linalg.qr(np.random.default_rng(1).normal(size=(dim, vectors.shape[1])))[0].astype(np.float32)
        root = parts.catalogue.add_root(temporary, None)
        moments = reduce.Moments(dim)
        with parts.catalogue.scan([(root, "")]) as scan:
            older = round(0.99 * rows)
            for start, end in pairwise([*range(0, older, 5000), *range(older, rows, 5000), rows]):
                if start == older:
                    unusual.note_run(parts)
                embeddings = vectors[start:end] @ spread_out.T + 0.05
                moments.add(embeddings[::10])
                scan.apply(root.name, [extracted(start + i, row) for i, row in enumerate(embeddings)])
        parts.catalogue.set_reducer(reduce.fit(moments))
        gallery.outliers(1, where="width > 1")  # brings the engine up to date, and finds the neighbours
        (parts.cache / "graph" / "neighbours.bin").unlink()
        for name, ask in (("with the graph", {}), ("the graph kept", {}), ("the last run", {"last_run": True})):
            started = time.perf_counter()
            report = gallery.outliers(20, **ask)
            print(f"| {rows:,} rows, {name} | {report.judged:,} | {time.perf_counter() - started:.1f} s |", flush=True)


def extracted(number: int, embedding: Float32) -> Extracted:
    content = hashlib.sha256(str(number).encode()).digest()
    entry = SourceEntry(f"{number:08d}.jpg", 1, 1, number)
    return Extracted(entry, content, embedding.astype(np.float16), "fp32", 64, 64, "JPEG")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("planted", "novelty", "scale"))
    parser.add_argument("--features", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    asked = parser.parse_args()
    sets = load(asked.features) if asked.part != "scale" else {}
    if asked.part in (None, "planted"):
        planting(sets)
    if asked.part in (None, "novelty"):
        for name, distances in (("plain scores", by_plain), ("both (as shipped)", by_both)):
            print_table(
                f"percentiles, {name}", {host: novelty(sets, host, distances) for host in HOSTS if host in sets}
            )
    if asked.part in (None, "scale"):
        print("\n| what | judged | time |\n|---|---:|---:|")
        scale(asked.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

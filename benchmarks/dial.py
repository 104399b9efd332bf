"""How well each setting of the dial ranks, with the project's own parts, next to the article's pipeline.

    python benchmarks/dial.py [--precision fp32|bf16] [--set NAME ...] [--part ranking|subsets|bursts|cost]

Each set of the measuring images (``LOOKALIKE_TEST_DATA``, else ``../shared/data``) is indexed by ``Gallery.index`` into
a temporary gallery, and what its catalogue holds goes through ``gallery.neighbourhoods`` as in a search: the dial
re-scores the plain top 500, and what lies below keeps its plain order. The article's pipeline (see ``quality.py``) is
fitted on the same rows. mAP in percent, two ways:

    in    queries are images of the gallery: leave-one-out by label; where a set has queries, the gallery holds all
          images and ranks of the database's count
    out   they are not: four stratified folds; where a set has queries, the gallery is the database alone. PCA,
          neighbourhoods and smoothing never see a query.

many-kinds is asked with 2,000 (in) and 1,000 (out) seeded queries. ``--part subsets`` makes small galleries of random
kinds of it, ``--part bursts`` repeats the photos of such galleries with a little noise, ``--part cost`` takes drawn
vectors (see ``search.py``). The exit code is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import Gallery, Settings, reduce
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.evaluate import average_precision
from lookalike.gallery.neighbourhoods import Neighbourhoods, Query, learn, load, save
from lookalike.gallery.parts import CATALOGUE_NAME
from lookalike.models import lite0
from lookalike.rerank import BLENDS
from lookalike.types import Float32, Int64, Reducer
from quality import ARTICLE_SPEC, DATA, Questions, article_vectors, decoded, embedder_of, plain_reducer, read_set
from search import drawn

KIND_SETS = ("pacs-photo", "clothing-test", "neu-det-100", "many-kinds")
OBJECT_SETS = ("eth80-4view", "vpr-corridor", "deeppcb-pairs")
ORDERS = ("plain", *BLENDS)
WAYS = {"in": 2000, "out": 1000}  # most queries
FOLDS, SHORTLIST = 4, 500
# By dial and group of sets: gain in mAP points over the article, on average and at least.
TARGETS = {
    ("kind", KIND_SETS): (8.0, 0.0),
    ("object", OBJECT_SETS): (12.0, -0.5),
    ("auto", KIND_SETS): (6.0, -np.inf),
    ("auto", OBJECT_SETS): (9.0, -np.inf),
}
MOST_MS, MOST_BUILD_S, COST_ROWS, TAP_DIM = 10.0, 90.0, 100_000, 224
BURSTS = (1, 4, 12)  # shots of each photo
SUBSETS = ((6, 30), (20, 30), (50, 30), (6, 5), (10, 15), (40, 8), (50, 4), (100, 2))  # kinds, photos of each


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the network saw in n images.

    Attributes:
        embeddings: (n, D) float16 as stored.
        taps: (n, T) float16 as stored.
        article: (n, D) float32, embeddings of the article's pipeline.
    """

    embeddings: NDArray[np.float16]
    taps: NDArray[np.float16]
    article: Float32

    def take(self, rows: Sequence[int]) -> Features:
        """These images alone."""
        return Features(self.embeddings[rows], self.taps[rows], self.article[rows])


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows are the gallery, and what is asked of it.

    Attributes:
        gallery: Rows that the gallery holds.
        queries: Rows that are asked.
        ranked: For each query the rows whose ranks count, those relevant among them.
    """

    gallery: list[int]
    queries: list[int]
    ranked: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]


# -- splits --------------------------------------------------------------------------------------------------------


def splits(asked: Questions, way: str, most: int, seed: int = 0) -> Iterator[Split]:
    """The galleries of one way to ask a set, each with its queries."""
    n = len(asked.paths)
    if asked.queries:
        counted = np.isin(np.arange(n), asked.database)
        relevant = [np.isin(np.arange(n), np.array(asked.database)[rows]) for rows in asked.relevant]
        gallery = list(range(n)) if way == "in" else asked.database
        yield Split(gallery, asked.queries, [(counted, good) for good in relevant])
        return
    random = np.random.default_rng(seed)
    kinds = np.unique(asked.labels, return_inverse=True)[1]
    fold = np.full(n, FOLDS)
    if way == "out":
        for kind in range(kinds.max() + 1):
            rows = random.permutation(np.flatnonzero(kinds == kind))
            fold[rows] = (np.arange(len(rows)) + random.integers(FOLDS)) % FOLDS
    for number in range(FOLDS) if way == "out" else (FOLDS,):
        gallery = np.flatnonzero(fold != number) if way == "out" else np.arange(n)
        queries = np.flatnonzero(fold == number)
        queries = random.permutation(queries)[: most if way == "in" else most // FOLDS]
        held = np.isin(np.arange(n), gallery)
        ranked = [(held & (np.arange(n) != i), kinds == kinds[i]) for i in queries]
        yield Split(gallery.tolist(), queries.tolist(), ranked)


# -- orders --------------------------------------------------------------------------------------------------------


def rankings(
    features: Features, split: Split, reducer: Reducer, hoods: Neighbourhoods | None
) -> Iterator[dict[str, Int64]]:
    """For each query its rankings (rows of the set) by each order."""
    gallery = np.array(split.gallery)
    vectors = reduce.transform(reducer, features.embeddings)
    distinct = _contents(features)
    numbers = np.unique(distinct[gallery])
    row_of = {number: row for row, number in enumerate(numbers.tolist())}
    no_taps = np.zeros((0, features.taps.shape[1]), np.float16)
    for query in split.queries:
        scores = vectors[gallery] @ vectors[query]
        order = np.lexsort((gallery, -np.round(scores, 6)))
        plain, top = gallery[order], gallery[order][:SHORTLIST]
        found = {"plain": plain}
        asked = Query(vectors[query], features.taps[query], row_of.get(int(distinct[query]), -1))
        rows = np.searchsorted(numbers, distinct[top])
        for match in BLENDS if hoods is not None else ():
            by = hoods.rank_scores(match, asked, vectors[top], rows, no_taps)
            found[match] = np.concatenate([top[np.lexsort((top, -np.round(by, 6)))], plain[SHORTLIST:]])
        yield found


def _contents(features: Features) -> Int64:
    """A number for each image, equal where it shows the same."""
    return np.unique(np.hstack([features.embeddings, features.taps]), axis=0, return_inverse=True)[1].reshape(-1)


def learned(features: Features, gallery: Sequence[int]) -> tuple[Reducer, Neighbourhoods]:
    """Reducer and neighbourhoods of a gallery that holds these rows alone."""
    numbers, first = np.unique(_contents(features)[gallery], return_index=True)
    held = features.take(np.array(gallery)[first])
    reducer = plain_reducer(held.embeddings, 256)
    vectors = reduce.transform(reducer, held.embeddings)
    return reducer, learn(reducer, numbers, vectors, held.taps)


def measure(features: Features, asked: Questions, way: str) -> dict[str, float]:
    """MAP % of the article and of each order."""
    precisions: dict[str, list[float]] = {name: [] for name in ("article", *ORDERS)}
    for split in splits(asked, way, WAYS[way]):
        reducer, hoods = learned(features, split.gallery)
        article = article_vectors(features.article, split.gallery)
        found = rankings(features, split, reducer, hoods)
        for query, (counted, relevant), orders in zip(split.queries, split.ranked, found, strict=True):
            orders["article"] = np.argsort(-(article @ article[query]), kind="stable")
            for name, order in orders.items():
                precisions[name].append(average_precision(relevant[order[counted[order]]]))
    return {name: 100 * float(np.mean(values)) for name, values in precisions.items()}


# -- features ------------------------------------------------------------------------------------------------------


def features_of(folder: Path, paths: Sequence[Path], precision: str) -> Features:
    """What a gallery's catalogue holds of a set, in the order of its files, and the article's embeddings."""
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings.from_environment(precision=precision)
        with Gallery.create(Path(temporary) / "gallery", settings=settings) as gallery:
            gallery.index(folder)
            key_of = {record.path: int(record.id, 16) for record in gallery.images()}
        catalogue = SqliteCatalogue(Path(temporary) / "gallery" / CATALOGUE_NAME)
        stored = [catalogue.features(key_of[path.resolve()]) for path in paths]
        catalogue.close()
    embeddings, taps = (np.stack([found[part] for found in stored if found is not None]) for part in (0, 1))
    embedder = embedder_of(lite0.network(pooling="mean", shapes=ARTICLE_SPEC.shapes), precision)
    article = np.concatenate([embedder.embed(pixels) for pixels in decoded(paths, ARTICLE_SPEC)])
    return Features(embeddings, taps, article)


# -- parts of the benchmark ----------------------------------------------------------------------------------------


def ranking_part(features: dict[str, Features], questions: dict[str, Questions]) -> bool:
    """Print gains over the article and whether the targets hold."""
    met = True
    for way in WAYS:
        found = {name: measure(features[name], questions[name], way) for name in features}
        print(f"\n| mAP %, {way} | " + " | ".join(found) + " |\n|---|" + "---:|" * len(found))
        for order in ("article", *ORDERS):
            print(f"| {order} | " + " | ".join(f"{values[order]:.1f}" for values in found.values()) + " |")
        print()
        for (match, group), (average, least) in TARGETS.items():
            gains = {name: found[name][match] - found[name]["article"] for name in group if name in found}
            if len(gains) < len(group):
                continue
            mean, worst = float(np.mean(list(gains.values()))), min(gains, key=gains.__getitem__)
            holds = mean >= average and gains[worst] >= least
            met &= holds
            verdict = "holds" if holds else "FAILS"
            print(f"{way}: {match}, mean of {len(group)}: {mean:+.2f} (target {average:+g}), worst {worst}"
                  f" {gains[worst]:+.1f}: {verdict}")  # fmt: skip
    return met


def subsets_part(features: Features, asked: Questions) -> None:
    """Print gains over the article on small galleries of random kinds, means over three draws."""
    print("\n| gain in mAP points | " + " | ".join(ORDERS) + " |\n|---|" + "---:|" * len(ORDERS))
    labels = np.array(asked.labels)
    for kinds, photos in SUBSETS:
        for way in WAYS:
            if way == "out" and photos < FOLDS:
                continue
            gains = []
            for seed in range(3):
                random = np.random.default_rng(seed)
                chosen = random.choice(np.unique(labels), kinds, replace=False)
                rows = np.concatenate([random.permutation(np.flatnonzero(labels == kind))[:photos] for kind in chosen])
                some = replace(asked, paths=[asked.paths[i] for i in rows], labels=labels[rows].tolist())
                found = measure(features.take(rows), some, way)
                gains.append([found[order] - found["article"] for order in ORDERS])
            print(f"| {kinds} x {photos}, {way} | " + " | ".join(f"{g:+.1f}" for g in np.mean(gains, axis=0)) + " |",
                  flush=True)  # fmt: skip


def bursts_part(features: Features, labels: NDArray[Any]) -> None:
    """Print gains over the plain order where every photo comes in a burst, whose other shots do not count."""
    print("\n| gain over plain, mAP points | " + " | ".join(BLENDS) + " |\n|---|" + "---:|" * len(BLENDS))
    for shots in BURSTS:
        found = [_burst_gains(features, labels, shots, seed) for seed in range(4)]
        print(f"| 10 kinds x 15 photos x {shots} | " + " | ".join(f"{g:+.1f}" for g in np.mean(found, axis=0)) + " |")


def _burst_gains(features: Features, labels: NDArray[Any], shots: int, seed: int) -> list[float]:
    random = np.random.default_rng(seed)
    kinds = random.choice(np.unique(labels), 10, replace=False)
    photos = np.concatenate([random.permutation(np.flatnonzero(labels == kind))[:15] for kind in kinds])
    rows = random.permutation(np.repeat(photos, shots))
    noisy = [_shaken(array[rows], random if shots > 1 else None) for array in (features.embeddings, features.taps)]
    some = Features(noisy[0], noisy[1], features.article[rows])
    reducer, hoods = learned(some, np.arange(len(rows)))
    queries = random.choice(len(rows), 100, replace=False).tolist()
    split = Split(list(range(len(rows))), queries, [])
    precisions: dict[str, list[float]] = {order: [] for order in ORDERS}
    for query, orders in zip(queries, rankings(some, split, reducer, hoods), strict=True):
        for name, order in orders.items():
            others = order[rows[order] != rows[query]]
            precisions[name].append(average_precision(labels[rows[others]] == labels[rows[query]]))
    plain = np.mean(precisions["plain"])
    return [100 * float(np.mean(precisions[name]) - plain) for name in BLENDS]


def _shaken(array: NDArray[np.float16], random: np.random.Generator | None) -> NDArray[np.float16]:
    """Another shot of the same: each row with an eighth of its length in noise; not below 0, as the network's are."""
    if random is None:
        return array
    wide = array.astype(np.float32)
    size = np.linalg.norm(wide, axis=1, keepdims=True) / np.sqrt(wide.shape[1]) / 8
    noisy: NDArray[np.float16] = np.maximum(wide + size * random.normal(size=wide.shape), 0).astype(np.float16)
    return noisy


def cost_part() -> bool:
    """Print what learning and asking cost at 100,000 drawn vectors."""
    random = np.random.default_rng(0)
    vectors = drawn(COST_ROWS, seed=0)
    taps = random.normal(size=(COST_ROWS, TAP_DIM)).astype(np.float16)
    moments = reduce.Moments(vectors.shape[1])
    moments.add(vectors)
    reducer = reduce.fit(moments, dim=256)
    started = time.perf_counter()
    hoods = learn(reducer, np.arange(COST_ROWS), vectors, taps, threads=Settings.from_environment().thread_count)
    build_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "neighbourhoods.bin"
        save(file, hoods, "space")
        size = file.stat().st_size
        hoods = load(file, "space") or hoods
        times = []
        for query in random.choice(COST_ROWS, 50, replace=False):
            top = np.argpartition(-(vectors @ vectors[query]), SHORTLIST)[:SHORTLIST]
            started = time.perf_counter()
            hoods.rank_scores("auto", Query(vectors[query], taps[query]), vectors[top], top, taps[:0])
            times.append(1000 * (time.perf_counter() - started))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    median = float(np.median(times))
    size_bytes = size / COST_ROWS
    print(f"\n{COST_ROWS:,} drawn vectors: learned in {build_s:.1f} s (at most {MOST_BUILD_S:g}), peak {peak:.1f} GB")
    print(f"{size_bytes:.0f} bytes per content; a query from outside by auto: {median:.1f} ms (at most {MOST_MS:g})")
    return build_s <= MOST_BUILD_S and median <= MOST_MS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--set", nargs="+", choices=(*KIND_SETS, *OBJECT_SETS), default=[*KIND_SETS, *OBJECT_SETS])
    parser.add_argument("--part", choices=("ranking", "subsets", "bursts", "cost"))
    arguments = parser.parse_args()
    questions = {name: read_set(DATA / name) for name in arguments.set if (DATA / name / "labels.csv").is_file()}
    met = True
    if arguments.part != "cost":
        features = {
            name: features_of(DATA / name, asked.paths, arguments.precision) for name, asked in questions.items()
        }
        if arguments.part in (None, "ranking"):
            met &= ranking_part(features, questions)
        if arguments.part in (None, "subsets") and "many-kinds" in features:
            subsets_part(features["many-kinds"], questions["many-kinds"])
        if arguments.part in (None, "bursts") and "many-kinds" in features:
            bursts_part(features["many-kinds"], np.array(questions["many-kinds"].labels))
    if arguments.part in (None, "cost"):
        met &= cost_part()
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()

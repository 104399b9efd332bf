"""How many images get a right label when a few of every kind are labelled, and which images are worth labelling.

    python benchmarks/propagation.py [--set NAME ...] [--part coverage|unknown|amounts|active|cost] [--features FOLDER]

Sets are those of ``feedback.py``, with objects of eth80 by their category, and two random subsets of many-kinds; so is
``--features``. Labelled images are drawn by seed; all others are asked. In percent, mean over seeds:

    coverage  5 labels of every kind. right: of the best label of every image. oracle: how many images can be labelled
              with a precision of 90 %, were the best limit known. Then what is labelled without knowing it, and how
              many of those labels are right: for k-NN (scikit-learn, plain vectors, weights by distance) above the
              lowest limit with a precision of 90 % on labelled images, each left out in turn; for ours at a confidence
              of 90 %, and above the lowest limit at which the mean confidence is 90 %. error: of the confidence (ECE,
              10 bins)
    unknown   the same where only every other kind has labels; images of the others can only be wrong. Last rows: how
              many images without a label are of those kinds, and how many the method thinks are
    amounts   ours with 2 to 20 labels of every kind, and with images labelled at random whatever their kind
    active    right, and labelled at a confidence of 90 %, after so many labels: in the order of ``labels next``, at
              random, or the least confident first; from no label on; 80 % of each set drawn by seed
    cost      seconds and memory with 100,000 drawn vectors and 200 labels, beyond the neighbour graph
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from feedback import DATA, SETS, Set, read
from lookalike import active, propagate, reduce, rerank
from lookalike.engines import graph
from lookalike.types import Float32, Int64
from quality import read_set
from search import drawn

SUBSETS = ((20, 30), (50, 30))  # kinds, photos of each
EACH, SEEDS, PRECISION = 5, 10, 0.9
AMOUNTS, ANY = (2, 3, 5, 10, 20), (20, 60, 150)
ACTIVE_SETS, ACTIVE_ROUNDS, ACTIVE_SEEDS, ACTIVE_SHARE = ("pacs-photo", "clothing-test", "neu-det-100"), 6, 3, 0.8
COST_ROWS, COST_LABELS, MOST_SECONDS = 100_000, 200, 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Heap:
    """A set as a gallery holds it: plain vectors, their graph, descriptions, and true labels."""

    vectors: Float32
    neighbours: NDArray[np.int32]
    scores: Float32
    described: propagate.Description
    codes: Int64

    @classmethod
    def of(cls, some: Set) -> Heap:
        """Of what the network saw."""
        reducer, vectors = some.reduced()
        neighbours, scores = graph.nearest(vectors.astype(np.float16), 32)
        weights = reduce.whitening_weights(reducer, rerank.KIND_POWER)
        described = propagate.describe(vectors.astype(np.float16), neighbours, weights)
        return cls(vectors, neighbours, scores, described, some.codes)

    def propagated(self, rows: Int64) -> tuple[Int64, Float32, float]:
        """Best label, its confidence, and the share of unknown kinds."""
        kinds, codes = np.unique(self.codes[rows], return_inverse=True)
        groups = propagate.bursts(rows, self.neighbours, self.scores)
        if not propagate.is_enough(codes.astype(np.int64), groups):
            return np.full(len(self.codes), -1), np.zeros(len(self.codes), np.float32), 0.0
        found = propagate.propagate(self.described, rows, codes.astype(np.int64), groups)
        return kinds[found.codes], found.confidences, found.unknown_share


def heaps(names: list[str], kept: Path | None) -> Iterator[tuple[str, Heap]]:
    for name in names:
        some = read(name, kept)
        if name == "eth80-4view":
            categories = [label.rstrip("0123456789") for label in read_set(DATA / name).labels]
            some = Set(some.embeddings, some.taps, np.unique(categories, return_inverse=True)[1].astype(np.int64))
        yield name, Heap.of(some)
        for kinds, each in SUBSETS if name == "many-kinds" else ():
            random = np.random.default_rng([kinds, each])
            chosen = random.choice(np.unique(some.codes), kinds, replace=False)
            yield f"{kinds} kinds of it", Heap.of(some.take(np.flatnonzero(np.isin(some.codes, chosen))))


def labelled(codes: Int64, each: int, seed: int, kinds: Int64) -> Int64:
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(codes == kind))[:each] for kind in kinds]
    return np.sort(np.concatenate(rows)).astype(np.int64)


# -- labels chosen by a limit --------------------------------------------------------------------------------------


def lowest_limit(scores: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """The lowest score from which on at least 90 % are right; infinite where there is none."""
    order = np.argsort(-scores, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_ties = np.append(scores[order][1:] != scores[order][:-1], True)
    good = np.flatnonzero((precision >= PRECISION) & last_of_ties)
    return float(scores[order][good[-1]]) if len(good) else float("inf")


def mean_limit(confidences: Float32) -> float:
    """The lowest confidence from which on the mean is at least 90 %."""
    order = np.sort(confidences)[::-1]
    good = np.flatnonzero(np.cumsum(order, dtype=np.float64) / np.arange(1, len(order) + 1) >= PRECISION)
    return float(order[good[-1]]) if len(good) else float("inf")


def chosen(scores: NDArray[np.floating], right: NDArray[np.bool_], limit: float) -> tuple[float, float]:
    """How many are labelled, and how many of those are right (nan where nothing is)."""
    some = scores >= limit
    return float(some.mean()), float(right[some].mean()) if some.any() else np.nan


def by_neighbours(heap: Heap, rows: Int64, asked: Int64, k: int) -> dict[str, float]:
    model = KNeighborsClassifier(k, weights="distance").fit(heap.vectors[rows], heap.codes[rows])
    own_labels, own_scores = voted(model, None)  # of none: of each labelled image, itself left out
    limit = lowest_limit(own_scores, own_labels == heap.codes[rows])
    labels, scores = voted(model, heap.vectors[asked])
    right = labels == heap.codes[asked]
    share, precision = chosen(scores, right, limit)
    oracle = chosen(scores, right, lowest_limit(scores, right))[0]
    return {"right": right.mean(), "oracle": oracle, "labelled": share, "of it right": precision}


def voted(model: KNeighborsClassifier, vectors: Float32 | None) -> tuple[Int64, NDArray[np.floating]]:
    """Labels and scores by k-NN: the share of the votes, or for one neighbour how near it is."""
    shares = model.predict_proba(vectors)
    scores = shares.max(axis=1) if model.n_neighbors > 1 else -model.kneighbors(vectors, 1)[0][:, 0]
    return model.classes_[shares.argmax(axis=1)], scores


def by_propagation(heap: Heap, rows: Int64, asked: Int64) -> dict[str, float]:
    labels, confidences, share = heap.propagated(rows)
    right, sure = labels[asked] == heap.codes[asked], confidences[asked]
    at_limit, in_all = chosen(sure, right, PRECISION), chosen(sure, right, mean_limit(sure))
    return {
        "right": right.mean(),
        "oracle": chosen(sure, right, lowest_limit(sure, right))[0],
        "labelled": at_limit[0],
        "of it right": at_limit[1],
        "labelled, mean 90": in_all[0],
        "of that right": in_all[1],
        "error": calibration_error(sure, right),
        "unknown": float(np.isin(heap.codes[asked], heap.codes[rows], invert=True).mean()),
        "thought unknown": share,
    }


def calibration_error(sure: Float32, right: NDArray[np.bool_]) -> float:
    bins = np.minimum((sure * 10).astype(int), 9)
    parts = [(bins == b) for b in range(10) if (bins == b).any()]
    return float(sum(part.mean() * abs(sure[part].mean() - right[part].mean()) for part in parts))


def coverage(sets: dict[str, Heap], *, every_kind: bool) -> None:
    methods: dict[str, Callable[[Heap, Int64, Int64], dict[str, float]]] = {
        "1-NN": lambda *some: by_neighbours(*some, 1),
        "5-NN": lambda *some: by_neighbours(*some, 5),
        "ours": by_propagation,
    }
    print(f"\n{EACH} labels of {'every kind' if every_kind else 'every other kind'}, {SEEDS} seeds")
    print_row(["", *sets])
    for method, run in methods.items():
        found = {
            name: mean([run(*split(heap, seed, every_kind)) for seed in range(SEEDS)]) for name, heap in sets.items()
        }
        for row in next(iter(found.values())):
            print_row([f"{method}: {row}", *(f"{100 * column[row]:.1f}" for column in found.values())])


def split(heap: Heap, seed: int, every_kind: bool, each: int = EACH) -> tuple[Heap, Int64, Int64]:
    kinds = np.random.default_rng(seed + 100).permutation(np.unique(heap.codes))
    rows = labelled(heap.codes, each, seed, kinds if every_kind else kinds[: (len(kinds) + 1) // 2])
    return heap, rows, np.setdiff1d(np.arange(len(heap.codes)), rows)


def amounts(sets: dict[str, Heap]) -> None:
    print(f"\nours by number of labels, {SEEDS} seeds: right, labelled at 90 % confidence, of it right, error")
    print_row(["", *sets])
    for each in AMOUNTS:
        found = [
            mean([by_propagation(*split(heap, seed, True, each)) for seed in range(SEEDS)]) for heap in sets.values()
        ]
        print_row([f"{each} of every kind", *map(short, found)])
    for count in ANY:
        found = []
        for heap in sets.values():
            runs = []
            for seed in range(SEEDS):
                order = np.random.default_rng(seed).permutation(len(heap.codes))
                runs.append(by_propagation(heap, np.sort(order[:count]), np.sort(order[count:])))
            found.append(mean(runs))
        print_row([f"any {count}", *map(short, found)])


def mean(runs: list[dict[str, float]]) -> dict[str, float]:
    """By row; seeds at which nothing was labelled say nothing of precision."""
    columns = {row: np.array([run[row] for run in runs]) for row in runs[0]}
    return {row: float(np.nanmean(values)) if not np.isnan(values).all() else np.nan for row, values in columns.items()}


def short(found: dict[str, float]) -> str:
    return " ".join(f"{100 * found[row]:.0f}" for row in ("right", "labelled", "of it right", "error"))


# -- what to label next --------------------------------------------------------------------------------------------


def next_rows(how: str, heap: Heap, rows: Int64, count: int, random: np.random.Generator) -> Int64:
    free = np.setdiff1d(np.arange(len(heap.codes)), rows)
    _, confidences, _ = heap.propagated(rows) if len(rows) else (None, np.zeros(len(heap.codes), np.float32), None)
    known = bool(confidences.any())
    if how == "labels next":
        doubts = 1 - confidences
        return active.most_decisive(heap.described.smoothed, heap.described.even, doubts, rows, count)[0]
    if how == "at random" or not known:
        return random.permutation(free)[:count]
    return free[np.argsort(confidences[free], kind="stable")][:count]


def curve(how: str, heap: Heap, seed: int, rounds: int = ACTIVE_ROUNDS) -> list[tuple[float, float, float]]:
    """After each round: how many images are right, labelled ones included; labelled at 90 %; and of those right."""
    random = np.random.default_rng(seed)
    step, rows = max(10, len(np.unique(heap.codes))), np.zeros(0, np.int64)
    points = []
    for _ in range(rounds):
        rows = np.union1d(rows, next_rows(how, heap, rows, step, random)).astype(np.int64)
        labels, confidences, _ = heap.propagated(rows)
        right = labels == heap.codes
        others = np.setdiff1d(np.arange(len(right)), rows)
        points.append((float(right.mean()), *chosen(confidences[others], right[others], PRECISION)))
    return points


def order_of_labels(sets: dict[str, Set]) -> None:
    print(f"\nright | labelled at 90 % confidence | of it right, after so many labels; {ACTIVE_SEEDS} seeds")
    for name, some in sets.items():
        step = max(10, len(np.unique(some.codes)))
        print_row([name, *(str(step * (number + 1)) for number in range(ACTIVE_ROUNDS))])
        subsets = []
        for seed in range(ACTIVE_SEEDS):
            count = round(ACTIVE_SHARE * len(some.codes))
            subsets.append(
                Heap.of(some.take(np.sort(np.random.default_rng(seed).permutation(len(some.codes))[:count])))
            )
        for how in ("labels next", "at random", "least confident"):
            curves = np.array([curve(how, heap, seed) for seed, heap in enumerate(subsets)])
            with np.errstate(invalid="ignore"):
                points = [
                    [np.nanmean(column) if not np.isnan(column).all() else np.nan for column in one.T]
                    for one in curves.transpose(1, 0, 2)
                ]
            print_row([how, *(" | ".join(f"{100 * value:.0f}" for value in point) for point in points)])


# -- cost ----------------------------------------------------------------------------------------------------------


def cost() -> bool:
    vectors = drawn(COST_ROWS)
    started = time.perf_counter()
    neighbours, scores = graph.nearest(vectors.astype(np.float16), 32, threads=2)
    print(f"\n{COST_ROWS:,} vectors: neighbour graph {time.perf_counter() - started:.1f} s")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    described = propagate.describe(vectors.astype(np.float16), neighbours, np.ones(vectors.shape[1], np.float32))
    told = time.perf_counter()
    rows = np.sort(np.random.default_rng(0).permutation(COST_ROWS)[: COST_LABELS * EACH]).astype(np.int64)
    codes = (np.arange(len(rows)) % COST_LABELS).astype(np.int64)
    found = propagate.propagate(described, rows, codes, propagate.bursts(rows, neighbours, scores))
    spread = time.perf_counter()
    active.most_decisive(described.smoothed, described.even, 1 - found.confidences, rows, 20)
    asked = time.perf_counter()
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"describe {told - started:.1f} s, propagate {spread - told:.1f} s, next 20 {asked - spread:.1f} s")
    print(f"{more:.0f} MB more")
    return asked - started <= MOST_SECONDS


def print_row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--part", choices=("coverage", "unknown", "amounts", "active", "cost"))
    parser.add_argument("--features", type=Path)
    asked = parser.parse_args()
    there = [name for name in asked.set if (DATA / name / "labels.csv").is_file()]
    if asked.part in (None, "coverage", "unknown", "amounts"):
        sets = dict(heaps(there, asked.features))
        if asked.part in (None, "coverage"):
            coverage(sets, every_kind=True)
        if asked.part in (None, "unknown"):
            coverage(sets, every_kind=False)
        if asked.part in (None, "amounts"):
            amounts(sets)
    if asked.part in (None, "active"):
        some = {name: read(name, asked.features) for name in there if name in ACTIVE_SETS}
        if "many-kinds" in there:
            many = read("many-kinds", asked.features)
            kinds = np.random.default_rng([20, 30]).choice(np.unique(many.codes), 20, replace=False)
            some["20 kinds of many-kinds"] = many.take(np.flatnonzero(np.isin(many.codes, kinds)))
        order_of_labels(some)
    return 0 if asked.part not in (None, "cost") or cost() else 1


if __name__ == "__main__":
    sys.exit(main())

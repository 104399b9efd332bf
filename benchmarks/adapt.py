"""What a few labels per kind are worth, and whether ``adapt`` says so.

    python benchmarks/adapt.py [--set NAME ...] [--part gain|verdict] [--features FOLDER]

Sets and their subsets are those of ``feedback.py``, and so is ``--features``.

    gain     some images of every kind are labelled, or of every other kind; the rest is asked and ranked (the plain top
             500 in the order of each dial and of the adaptation). mAP in percent over images without a label, 100
             seeded queries per set, of kinds that were labelled and of kinds that were not. Only kinds with at least
             two more images than are labelled take part.
    verdict  ``Gallery.adapt`` on galleries of which only some images are labelled: what it finds on held-back labels,
             what it decides, and the same for labels that were shuffled, which can never help
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feedback import DATA, SETS, SHORTLIST, Set, print_table, read, subsets
from lookalike import Gallery, adapt
from lookalike.evaluate import average_precision
from lookalike.gallery.neighbourhoods import Neighbourhoods, Query, learn
from lookalike.types import Float32

LABELLED = (2, 3, 5, 10, 20)
QUERIES = 100
DIALS = ("auto", "kind")
VERDICT_SETS, VERDICT_LABELLED, SHUFFLES = ("pacs-photo", "clothing-test", "neu-det-100"), (5, 10, 20), 5


# -- what labels are worth -----------------------------------------------------------------------------------------


def gains(some: Set, each: int, *, every_kind: bool) -> dict[str, float]:
    """Mean average precisions (%) of all orders; empty where no kind has enough images."""
    random = np.random.default_rng(each)
    kinds, counts = np.unique(some.codes, return_counts=True)
    kinds = random.permutation(kinds[counts >= each + 2])
    seen = kinds if every_kind else kinds[: (len(kinds) + 1) // 2]
    if len(seen) < adapt.LEAST_LABELS:
        return {}
    labelled = np.concatenate([random.permutation(np.flatnonzero(some.codes == kind))[:each] for kind in seen])
    reducer, vectors = some.reduced()
    hoods = learn(reducer, np.arange(len(vectors)), vectors, some.taps)
    matrix = adapt.fit(vectors[labelled], some.codes[labelled])
    counted = ~np.isin(np.arange(len(vectors)), labelled)
    asked = seen if every_kind else kinds[(len(kinds) + 1) // 2 :]
    queries = random.permutation(np.flatnonzero(counted & np.isin(some.codes, asked)))[:QUERIES]
    found: dict[str, list[float]] = {}
    for query in queries.tolist():
        right = counted & (some.codes == some.codes[query])
        right[query] = False
        for name, order in orders(some, vectors, hoods, matrix, query):
            relevance = right[order[counted[order]]]
            found.setdefault(name, []).append(average_precision(relevance, int(right.sum())))
    table = {name: 100 * float(np.mean(values)) for name, values in found.items()}
    table["adapted over the best other"] = table["adapted"] - max(table[name] for name in ("plain", *DIALS))
    return table


def orders(
    some: Set, vectors: Float32, hoods: Neighbourhoods, matrix: Float32, query: int
) -> Iterator[tuple[str, NDArray[np.intp]]]:
    nearest = np.argsort(-(vectors @ vectors[query]), kind="stable")
    nearest = nearest[nearest != query][:SHORTLIST]
    yield "plain", nearest
    subject = Query(vectors[query], some.taps[query].astype(np.float32), query)
    for dial in DIALS:
        scores = hoods.rank_scores(dial, subject, vectors[nearest], nearest, some.taps[:0])
        yield dial, nearest[np.argsort(-scores, kind="stable")]
    scores = adapt.adapted_scores(matrix, vectors[query], vectors[nearest])
    yield "adapted", nearest[np.argsort(-scores, kind="stable")]


# -- what is said of it --------------------------------------------------------------------------------------------


def verdicts(name: str) -> None:
    with tempfile.TemporaryDirectory() as temporary, Gallery.create(Path(temporary) / "gallery") as gallery:
        gallery.index(DATA / name)
        id_of = {str(record.path): record.id for record in gallery.images()}
        with (DATA / name / "labels.csv").open(encoding="utf-8", newline="") as lines:
            label_of = {
                id_of[str((DATA / name / row["path"]).resolve())]: row["label"] for row in csv.DictReader(lines)
            }
        ids, labels = np.array(list(label_of)), np.array(list(label_of.values()))
        for each in VERDICT_LABELLED:
            random = np.random.default_rng(each)
            rows = np.concatenate(
                [random.permutation(np.flatnonzero(labels == kind))[:each] for kind in np.unique(labels)]
            )
            said(gallery, f"{name}, {each} of each", dict(zip(ids[rows], labels[rows], strict=True)))
            for number in range(SHUFFLES) if each == VERDICT_LABELLED[1] else ():
                shuffled = random.permutation(labels[rows])
                said(gallery, f"{name}, shuffled {number}", dict(zip(ids[rows], shuffled, strict=True)))


def said(gallery: Gallery, what: str, labels: dict[str, str]) -> None:
    batch = gallery.label_images(labels)
    report = gallery.adapt()
    gallery.undo_labels(batch)
    others = ", ".join(f"{match} {100 * value:.1f}" for match, value in report.by_match.items())
    ends = f"{100 * report.gain.low:+.1f} to {100 * report.gain.high:+.1f}"
    unnamed = "" if report.gain_unlabelled is None else f"{100 * report.gain_unlabelled.gain:+.1f}"
    verdict = "kept" if report.kept else "not kept"
    print(
        f"| {what} | {others} | {100 * report.gain.gain:+.1f} over {report.best} | {ends} | {unnamed} | {verdict} |"
        f" {report.seconds:.0f} |",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--part", choices=("gain", "verdict"))
    parser.add_argument("--features", type=Path)
    asked = parser.parse_args()
    there = [name for name in asked.set if (DATA / name / "labels.csv").is_file()]
    if asked.part in (None, "gain"):
        sets: dict[str, Set] = {}
        for name in there:
            sets[name] = read(name, asked.features)
            if name == "many-kinds":
                sets.update(subsets(sets[name]))
        for every_kind in (True, False):
            for each in LABELLED:
                title = f"{each} of {'every kind' if every_kind else 'every other kind, those without asked'}"
                columns = {name: gains(some, each, every_kind=every_kind) for name, some in sets.items()}
                print_table(title, {name: column for name, column in columns.items() if column})
    if asked.part in (None, "verdict"):
        print("\n| labelled | mAP on held-back labels | gain | 95 % | kinds without labels | verdict | seconds |")
        print("|---|---|---:|---|---:|---|---:|")
        for name in [name for name in VERDICT_SETS if name in there]:
            verdicts(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Does a gallery know what is not in it? Told by held-out images of the measuring sets, whose labels it never sees.

    python benchmarks/calibration.py [--set NAME ...] [--part strangers|subsets|rates|least]

Every set is indexed by ``Gallery.index`` into a temporary gallery; its embeddings, and those of copies that are framed
differently, then go to ``lookalike.strangers``, which is what calibrates a gallery of up to 1,000 images.

strangers   per set as a gallery: *cut* = queries that have something like them and are told that there is nothing (at
            most 10 %); *told* = others that are told so: an absent kind, and all images of each other set
subsets     the same for random subsets of many-kinds as galleries
rates       the false-match rate that is promised, and the one among pairs of different labels
least       how small a gallery may be
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import Gallery, calibrate, strangers
from lookalike.gallery import calibrating
from lookalike.gallery.copies import edited_copies, sample
from lookalike.types import Float32
from quality import DATA, SETS, read_set

MANY = "many-kinds"
DIM = 256
MOST_CUT, LEAST_TOLD = 0.10, 0.95
ABSENT = {
    "pacs-photo kind": 0.85,
    "eth80-4view category": 0.70,
    "neu-det-100 kind": 0.70,
}  # targets; others are reported
# (gallery, other set): kinds that both hold; None: too many to tell them apart. Drawn up after looking at what was not
# told, so the table also gives the figure with them, and that one is held against the target.
SHARED = {
    ("pacs-photo", "eth80-4view"): ("dog", "horse"),
    ("pacs-photo", MANY): None,
    (MANY, "pacs-photo"): None,
    (MANY, "eth80-4view"): ("dog", "car"),
    (MANY, "clothing-test"): (
        "shorts",
        "pants",
        "longsleeve",
        "outwear",
        "skirt",
    ),  # trunks, cardigan, coats, miniskirt
}
ALL = " (all)"
QUERIES = 120  # of another set
SHAPES = ((6, 30), (20, 30), (10, 15), (40, 8))  # kinds, photos of each
SEEDS = range(5)
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Photos:
    """One set: embeddings (n, D) as stored, labels by name of their meaning, and framed copies of some images."""

    name: str
    embeddings: Float32
    labels: dict[str, NDArray[Any]]
    is_query: NDArray[np.bool_]
    framed: Float32
    originals: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A gallery, queries whose like it holds, and queries whose like it does not."""

    name: str
    gallery: Rows
    right: Rows
    absent: Rows


def load(name: str, folder: Path = DATA) -> Photos:
    """Index a set as anybody would; the gallery is thrown away."""
    asked = read_set(folder / name)
    with tempfile.TemporaryDirectory() as temporary, Gallery.create(Path(temporary) / "gallery") as gallery:
        gallery.index(folder / name)
        parts = gallery._parts
        row_of = {path.resolve(): row for row, path in enumerate(asked.paths)}
        stored = {row_of[r.path]: parts.catalogue.features(int(r.id, 16)) for r in gallery.images() if r.path in row_of}
        some = sample(parts, 1000 if name == MANY else 3 * calibrating.FRAMED, calibrating.SEED)
        copies = [c for c in edited_copies(parts, some, calibrating.FRAMINGS, 0) if c.record.path in row_of]
    with (folder / name / "labels.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    labels = {"kind": np.array(asked.labels)}
    if "category" in rows[0]:
        labels = {"object": np.array(asked.labels), "category": np.array([row["category"] for row in rows])}
    is_query = np.isin(np.arange(len(rows)), asked.queries)
    embeddings = np.stack([stored[row][0] for row in range(len(rows))]).astype(np.float32)
    framed = np.stack([copy.embedding for copy in copies])
    return Photos(name, embeddings, labels, is_query, framed, np.array([row_of[c.record.path] for c in copies]))


# -- galleries -----------------------------------------------------------------------------------------------------


def cases(photos: Photos) -> Iterator[Case]:
    """A set with queries: its database. Others: a fifth left out as queries, and one kind after the other."""
    if photos.is_query.any():
        yield Case("queries", np.flatnonzero(~photos.is_query), np.flatnonzero(photos.is_query), np.zeros(0, np.intp))
        return
    for meaning, labels in photos.labels.items():
        left_out = stratified(next(iter(photos.labels.values())), 4 if meaning in ("object", "category") else 5)
        kinds = np.unique(labels)
        groups = [kinds[[i]] for i in range(len(kinds))] if len(kinds) <= 10 else np.array_split(shuffled(kinds), 5)
        groups = groups if len(labels) <= calibrating.LEFT_OUT_TOGETHER else groups[:1]  # it takes a minute
        for i, gone in enumerate(groups):
            absent = np.isin(labels, gone)
            here = left_out == i % (left_out.max() + 1)
            yield Case(meaning, *map(np.flatnonzero, (~absent & ~here, ~absent & here, absent)))


def subsets(photos: Photos) -> Iterator[Case]:
    labels = photos.labels["kind"]
    for kinds, each in SHAPES:
        for seed in SEEDS:
            random = np.random.default_rng(seed)
            chosen = random.permutation(np.unique(labels))[: kinds + 10]
            rows = [random.permutation(np.flatnonzero(labels == kind))[:each] for kind in chosen]
            asked = max(1, each // 5)
            gallery, right = (np.concatenate([r[s] for r in rows[:kinds]]) for s in (slice(asked, None), slice(asked)))
            yield Case(f"{kinds} x {each}", gallery, right, np.concatenate(rows[kinds:]))


def stratified(labels: NDArray[Any], count: int) -> Rows:
    """Number of the fold of each image."""
    random, fold = np.random.default_rng(0), np.zeros(len(labels), np.intp)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        fold[random.permutation(rows)] = (np.arange(len(rows)) + random.integers(count)) % count
    return fold


def shuffled(kinds: NDArray[Any]) -> NDArray[Any]:
    return np.random.default_rng(0).permutation(kinds)


# -- measuring -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Which queries of one case are told that there is nothing like them."""

    cut: NDArray[np.bool_]
    absent: NDArray[np.bool_]
    others: dict[str, NDArray[np.bool_]]


def measure(photos: Photos, case: Case, others: dict[str, Float32]) -> Told:
    place = np.full(len(photos.embeddings), -1)
    place[case.gallery] = np.arange(len(case.gallery))
    known = np.flatnonzero(place[photos.originals] >= 0)[: calibrating.FRAMED * len(calibrating.FRAMINGS)]
    gallery = photos.embeddings[case.gallery]
    found = strangers.crossed(gallery, photos.framed[known], place[photos.originals[known]], DIM)
    lines = strangers.fit_lines([found.as_they_are, found.framed])
    asked = [photos.embeddings[case.right], photos.embeddings[case.absent], *others.values()]
    told = strangers.falls(lines, strangers.held_out(gallery, np.concatenate(asked), DIM).evidence)
    cut, absent, *rest = np.split(told, np.cumsum([len(rows) for rows in asked])[:-1])
    return Told(cut, absent, dict(zip(others, rest, strict=True)))


def strangers_to(sets: dict[str, Photos], name: str) -> dict[str, Float32]:
    """Images of the other sets; where kinds are shared, those without them and, under " (all)", all of them."""
    found: dict[str, Float32] = {}
    for other, photos in sets.items():
        rows = np.random.default_rng(0).permutation(len(photos.embeddings))[:QUERIES]
        labels = next(reversed(photos.labels.values()))
        kinds = SHARED.get((name, other), ())
        if kinds != ():
            found[other + ALL] = photos.embeddings[rows]
        if kinds is not None and other != name:
            found[other] = photos.embeddings[rows[~np.isin(labels[rows], kinds)]]
    return found


def row_of(name: str, told: Sequence[Told]) -> tuple[list[str], list[str]]:
    """Cells of a table, and what missed its target."""
    cut = float(np.mean(np.concatenate([one.cut for one in told])))
    absent = np.concatenate([one.absent for one in told])
    rates = {other: np.mean([one.others[other].mean() for one in told]) for other in told[0].others}
    shared = {other: rate for other, rate in rates.items() if other.endswith(ALL)}
    strange = {other: rate for other, rate in rates.items() if other not in shared}
    worst = min(strange, key=strange.__getitem__)
    missed = [f"{name}: {cut:.1%} of true queries cut"] if cut > MOST_CUT else []
    # The target knows no exception: where kinds are shared, all images of the other set count.
    literal = {other: rate for other, rate in rates.items() if other + ALL not in rates}
    missed += [f"{name}: of {other} {rate:.1%} are told" for other, rate in literal.items() if rate < LEAST_TOLD]
    if len(absent) and absent.mean() < ABSENT.get(name, 0):
        missed.append(f"{name}: of an absent kind {absent.mean():.1%} are told")
    cells = [name, f"{100 * cut:.1f}", f"{100 * absent.mean():.0f}" if len(absent) else ""]
    cells += [f"{100 * np.mean(list(strange.values())):.1f}", f"{worst} {100 * strange[worst]:.1f}"]
    return [*cells, ", ".join(f"{other} {100 * rate:.0f}" for other, rate in shared.items())], missed


def show(groups: dict[str, list[Told]]) -> list[str]:
    print(
        "\n| gallery | cut, % | absent kind told, % | other sets told, % | the worst of them | sets that share kinds |"
    )
    print("|---|---:|---:|---:|---|---|")
    missed: list[str] = []
    for name, told in groups.items():
        cells, some = row_of(name, told)
        print("| " + " | ".join(cells) + " |", flush=True)
        missed += some
    return missed


def strangers_part(sets: dict[str, Photos]) -> list[str]:
    groups: dict[str, list[Told]] = defaultdict(list)
    for name, photos in sets.items():
        others = strangers_to(sets, name)
        for case in cases(photos):
            groups[f"{name} {case.name}"].append(measure(photos, case, others))
    return show(groups)


def subsets_part(sets: dict[str, Photos]) -> list[str]:
    others = strangers_to(sets, MANY)
    groups: dict[str, list[Told]] = defaultdict(list)
    for case in subsets(sets[MANY]):
        groups[f"{MANY} {case.name}"].append(measure(sets[MANY], case, others))
    return show(groups)


def least_part(sets: dict[str, Photos]) -> list[str]:
    """Galleries of very few images of one set."""
    print("\n| images | cut, % (worst set) | other sets told, % (worst gallery) |\n|---:|---:|---:|")
    names = [name for name in sets if name not in ("vpr-corridor", "deeppcb-pairs")]
    for count in (10, 15, 20, 30, 40, 60, 100):
        cut, far = {}, {}
        for name in names:
            others = {o: rows for o, rows in strangers_to(sets, name).items() if not o.endswith(ALL)}
            told = [measure(sets[name], few(sets[name], count, seed), others) for seed in SEEDS]
            cut[name] = np.mean([one.cut.mean() for one in told])
            far[name] = np.mean([np.mean([rows.mean() for rows in one.others.values()]) for one in told])
        worst, lowest = max(cut, key=cut.__getitem__), min(far, key=far.__getitem__)
        print(
            f"| {count} | {100 * np.mean(list(cut.values())):.1f} ({worst} {100 * cut[worst]:.1f})"
            f" | {100 * np.mean(list(far.values())):.1f} ({lowest} {100 * far[lowest]:.1f}) |",
            flush=True,
        )
    return []


def few(photos: Photos, count: int, seed: int) -> Case:
    """Five kinds: five queries of each, and a gallery of others, those first that there are framed copies of."""
    labels = next(reversed(photos.labels.values()))
    random = np.random.default_rng(seed)
    gallery, right = [], []
    for kind in random.permutation(np.unique(labels))[:5]:
        rows = random.permutation(np.flatnonzero(labels == kind))
        right.append(rows[:5])
        gallery.append(rows[5:][np.argsort(~np.isin(rows[5:], photos.originals), kind="stable")][: count // 5])
    return Case("few", np.concatenate(gallery), np.concatenate(right), np.zeros(0, np.intp))


def rates_part(sets: dict[str, Photos]) -> list[str]:
    """Where one in so many pairs of different labels scores as high, what rate is promised."""
    print("\n| pairs of different labels | 1 in 10 | 1 in 100 | 1 in 1,000 | 1 in 10,000 |\n|---|---:|---:|---:|---:|")
    for name, photos in sets.items():
        random = np.random.default_rng(0)
        rows = random.permutation(len(photos.embeddings))[:1000]
        for meaning, labels in photos.labels.items():
            scores, same = left_out_pairs(photos.embeddings[rows], labels[rows])
            knots, rates = calibrate.fit_rates(scores)
            promised = np.exp(
                np.interp(np.quantile(scores[~same], [0.9, 0.99, 0.999, 0.9999]), knots[::-1], np.log(rates)[::-1])
            )
            print(f"| {name}, {meaning} | " + " | ".join(f"{rate:.2g}" for rate in promised) + " |", flush=True)
    return []


def left_out_pairs(embeddings: Float32, labels: NDArray[Any]) -> tuple[Float32, NDArray[np.bool_]]:
    """Plain scores of left-out images with the others, and whether the labels are the same."""
    fold = np.random.default_rng(0).permutation(len(embeddings)) % strangers.FOLDS
    scores, same = [], []
    for part in range(strangers.FOLDS):
        here = fold == part
        scores.append(strangers.held_out(embeddings[~here], embeddings[here], DIM).scores.ravel())
        same.append((labels[here][:, None] == labels[~here][None]).ravel())
    return np.concatenate(scores), np.concatenate(same)


PARTS = {"strangers": strangers_part, "subsets": subsets_part, "rates": rates_part, "least": least_part}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", dest="sets", action="append", choices=SETS, help="only these; may be repeated")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be repeated")
    chosen = parser.parse_args()
    names = [name for name in chosen.sets or SETS if (DATA / name / "labels.csv").is_file()]
    sets = {}
    for name in names:
        print(f"reading {name}", file=sys.stderr, flush=True)
        sets[name] = load(name)
    missed: list[str] = []
    for part in chosen.part or PARTS:
        if part != "subsets" or MANY in sets:
            missed += PARTS[part](sets)
    print("\ntargets hold" if not missed else "\ntargets FAIL:\n" + "\n".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

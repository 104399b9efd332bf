"""How much work it is to label a set cluster by cluster, and how many of the labels are right.

    python benchmarks/labelling.py [--set NAME ...] [--precision P]

Somebody who knows the true kinds labels a set through ``Gallery`` alone: looks at random samples of clusters, splits
what is mixed, and checks all of it in the end. Counted are the images that were looked at, and the clicks, when 90 %
of the set is labelled. The second way leaves small mixed clusters to propagation, and labels what is still missing
one by one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clusters import KINDS, LARGE, SEEDS
from lookalike import Gallery, Settings
from quality import DATA, read_set

# -- looks ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Work:
    """What labelling a set took: images looked at, clicks, images labelled, and how many of those labels are right."""

    looks: int = 0
    clicks: int = 0
    labelled: int = 0
    right: int = 0


SMALL = 16  # mixed clusters below that are left to propagation, where it is used
FEWEST_LOOKS, MOST_LOOKS = 3, 8  # at a cluster, a quarter of it between these; all of the same kind: label it


def label_set(name: str, precision: str, seed: int, *, propagate: bool) -> Work:
    """Label a set as a person would who knows the true kinds, through ``Gallery`` alone.

    With ``propagate`` small mixed clusters are not split further: labels spread to them where that is likely right, and
    what is still missing is labelled one by one, in the order that the gallery asks for.
    """
    folder, cut = KINDS[name]
    asked = read_set(DATA / folder)
    kind_of_path = {path.resolve(): cut(text) for path, text in zip(asked.paths, asked.labels, strict=True)}
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings(precision=precision)
        with Gallery.open(Path(temporary) / "gallery", create=True, settings=settings) as gallery:
            gallery.index(DATA / folder)
            kinds = {record.id: kind_of_path.get(record.path, "") for record in gallery.images()}
            work = _label(gallery, kinds, seed, least_split=SMALL if propagate else 2)
            if propagate:
                _spread(gallery, kinds, work)
            _check(gallery, kinds, work)
            labels = {record.id: record.label for record in gallery.images() if record.label}
    work.labelled = len(labels)
    work.right = sum(kinds[image_id] == text for image_id, text in labels.items())
    return work


def _label(gallery: Gallery, kinds: dict[str, str], seed: int, least_split: int) -> Work:
    work, seen = Work(), set[str]()
    waiting = [(view.size, view.id) for view in gallery.cluster().clusters]
    done, goal = 0, 0.9 * len(kinds)
    while waiting and done < goal:
        waiting.sort()
        size, number = waiting.pop()
        wanted = min(size, max(FEWEST_LOOKS, min(MOST_LOOKS, -(-size // 4))))
        sample = [image.id for image in gallery.cluster_detail(number, sample=wanted, seed=seed).sample]
        looked, name, wrong = _look(sample, kinds, seen, work)
        work.clicks += 1
        if len(wrong) <= (looked == MOST_LOOKS):  # one of eight may be wrong: it is taken out
            report = gallery.label_cluster(number, name, inspected=looked, wrong=wrong, seed=seed)
            work.clicks += len(wrong)
            done += report.labelled
        elif size < least_split:  # what was looked at is known, one by one
            gallery.label_images({image_id: kinds[image_id] for image_id in sample[:looked]})
            work.clicks += looked
            done += looked
        else:
            parts = gallery.split_cluster(number)
            sizes = {view.id: view.size for view in gallery.clusters().clusters}
            waiting += [(sizes[part], part) for part in parts]
    return work


def _spread(gallery: Gallery, kinds: dict[str, str], work: Work) -> None:
    for _ in range(50):
        expected = gallery.propagate(0.5, dry_run=True).by_confidence  # the report says what each limit comes to
        sure = [each.min_confidence for each in expected if each.expected_precision and each.expected_precision >= 0.95]
        gallery.propagate(min(sure, default=0.99))
        labelled = sum(gallery.label_counts().values())
        if labelled >= 0.9 * len(kinds):
            return
        asked = [question.id for question in gallery.label_next(max(5, len(kinds) // 50))]
        if not asked:
            return
        work.looks += len(asked)
        work.clicks += len(asked)
        gallery.label_images({image_id: kinds[image_id] for image_id in asked})


def _look(sample: list[str], kinds: dict[str, str], seen: set[str], work: Work) -> tuple[int, str, list[str]]:
    """Look at one after the other until it is plain that there are several kinds; what was seen once is remembered.

    Returns:
        How many were looked at, the most frequent kind, and those of another.
    """
    found: list[str] = []
    for image_id in sample:
        work.looks += image_id not in seen
        seen.add(image_id)
        found.append(kinds[image_id])
        name, count = Counter(found).most_common(1)[0]
        if len(found) - count > 1:
            break
    return len(found), name, [image for image, kind in zip(sample, found, strict=False) if kind != name]


def _check(gallery: Gallery, kinds: dict[str, str], work: Work) -> None:
    """The pooled check, until it says 5 % or is done with."""
    for _ in range(5):
        sample = gallery.label_error().sample
        if not sample:
            return
        wrong = [image.id for image in sample if image.label != kinds[image.id]]
        work.looks += len(sample)
        work.clicks += len(wrong) + 1
        gallery.check_labels(len(sample), wrong)


def print_looks(names: Sequence[str], precision: str) -> None:
    print(
        "labelling 90 % of a set, means of 3 seeds; one by one takes nine looks for ten images\n\n"
        "| set | images | way | looks | share of one by one | clicks | labelled, % | right, % | target |\n"
        "|---|---:|---|---:|---:|---:|---:|---:|---|"
    )
    for name in names:
        count = len(read_set(DATA / KINDS[name][0]).paths)
        seeds = SEEDS[:1] if count >= LARGE else SEEDS[:3]
        for way, propagate in (("clusters", False), ("clusters, then propagation", True)):
            runs = [label_set(name, precision, seed, propagate=propagate) for seed in seeds]
            looks, clicks, labelled = (np.mean([getattr(w, f) for w in runs]) for f in ("looks", "clicks", "labelled"))
            right = np.mean([w.right / max(1, w.labelled) for w in runs])
            share = looks / (0.9 * count)
            holds = share <= (0.1 if count >= LARGE else 1 / 3) and right >= 0.95
            cells = [
                f"{looks:.0f}",
                f"{share:.2f}",
                f"{clicks:.0f}",
                f"{100 * labelled / count:.0f}",
                f"{100 * right:.1f}",
            ]
            print(f"| {name} | {count} | {way} | {' | '.join(cells)} | {'holds' if holds else 'FAILS'} |", flush=True)
    print("\ntarget: .33 of one by one on small sets, .10 from 5,000 images on, at 95 % right\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--precision", choices=("fp32", "bf16", "auto"), default="auto")
    options = parser.parse_args()
    print_looks([name for name in options.set if (DATA / KINDS[name][0]).is_dir()], options.precision)
    return 0


if __name__ == "__main__":
    sys.exit(main())

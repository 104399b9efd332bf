"""Giving labels of some images to others: what is learned from, what is written, and what a report says of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import propagate, reduce, rerank
from lookalike.catalogue.data import LabelChange
from lookalike.errors import GalleryError, SettingError
from lookalike.filters import parse
from lookalike.gallery import knn
from lookalike.gallery.curate import account_name
from lookalike.gallery.parts import Parts, Progress
from lookalike.propagate import Description, Propagation
from lookalike.types import Float32, Int64

METHOD = "ridge classifier on smoothed vectors, calibrated on held-back labels"
LIMITS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # of confidence, that a report looks at
_LABELLED = "label != none and source != propagated"
_STAGE = "propagate labels"
_DECIMALS = 4  # of a confidence


@dataclass(frozen=True, slots=True)
class Limit:
    """What another limit of confidence would come to.

    Attributes:
        min_confidence: The limit.
        images: How many images would get a label.
        expected_precision: How many of those labels are right, 0..1, by their confidence; None where there are none.
    """

    min_confidence: float
    images: int
    expected_precision: float | None


@dataclass(frozen=True, slots=True)
class PropagationReport:
    """What propagating came to.

    Attributes:
        gallery: Path of the gallery.
        labels: How many different labels were learned from.
        labelled: How many images bear them, copies included.
        unlabelled: How many images bear none, propagated ones aside.
        propagated: How many of those got one.
        by_label: Those by label, the most frequent first.
        min_confidence: The least confidence that was accepted.
        expected_precision: How many of the propagated labels are right, 0..1, by their confidence; None without any.
        unknown_share: How many of the images without a label seem to be of a kind that nobody has labelled, 0..1.
        rejected: How many images would have got a label that somebody took away from them, or from a copy, before.
        by_confidence: What other limits come to.
        batch: Number of the batch, for ``undo_labels``; None where nothing was written.
        retracted: Earlier batches that this one replaces.
        dry_run: Whether it was only tried.
        seconds: Wall time.
    """

    gallery: Path
    labels: int
    labelled: int
    unlabelled: int
    propagated: int
    by_label: dict[str, int]
    min_confidence: float
    expected_precision: float | None
    unknown_share: float
    rejected: int
    by_confidence: tuple[Limit, ...]
    batch: int | None
    retracted: tuple[int, ...]
    dry_run: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; shares with 3 decimals."""
        data = {**asdict(self), "gallery": str(self.gallery), "retracted": list(self.retracted)}
        data["unknown_share"] = round(self.unknown_share, 3)
        data["by_confidence"] = list(data["by_confidence"])
        for part in (data, *data["by_confidence"]):
            precision = part["expected_precision"]
            part["expected_precision"] = None if precision is None else round(precision, 3)
        return {**data, "seconds": round(self.seconds, 3)}


# -- what is learned from ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Heap:
    """All contents of a gallery, described, and what was said of some of them.

    Attributes:
        numbers: (n,) int64, ascending: each content's number.
        keys: (n,) int64, of the first image of each.
        described: Of each.
        rows: (m,) int64, ascending: the contents that bear a label.
        codes: (m,) int64, their labels: numbers of ``names``.
        groups: (m,) int64, see ``propagate.bursts``.
        names: The labels, in order.
        said: How many images bear them, copies included.
    """

    numbers: Int64
    keys: Int64
    described: Description
    rows: Int64
    codes: Int64
    groups: Int64
    names: tuple[str, ...]
    said: int

    @property
    def is_enough(self) -> bool:
        """Whether there are labels enough to propagate."""
        return propagate.is_enough(self.codes, self.groups)

    def propagated(self) -> Propagation:
        """The likeliest label of every content."""
        return propagate.propagate(self.described, self.rows, self.codes, self.groups)


def read(parts: Parts, progress: Progress) -> Heap:
    """The heap as it is now.

    Raises:
        GalleryError: there is no PCA yet.
    """
    reducer = parts.catalogue.reducer()
    if reducer is None:
        raise GalleryError(f"{parts.path} has no PCA yet", hint="finish with: lookalike index")
    contents = knn.contents(parts)
    graph = knn.neighbour_graph(parts, contents, progress)
    weights = reduce.whitening_weights(reducer, rerank.KIND_POWER)
    progress(_STAGE, 0, len(contents))
    described = propagate.describe(contents.vectors, graph.neighbours, weights)
    said = parts.catalogue.propagations.said()
    label_of = _agreed(said)
    there = np.isin(contents.numbers, np.fromiter(label_of, np.int64, len(label_of)))
    rows = np.flatnonzero(there).astype(np.int64)
    names, codes = np.unique([label_of[number] for number in contents.numbers[rows].tolist()], return_inverse=True)
    groups = propagate.bursts(rows, graph.neighbours, graph.scores)
    texts = tuple(str(name) for name in names)
    return Heap(contents.numbers, contents.keys, described, rows, codes.astype(np.int64), groups, texts, len(said))


def _agreed(said: Sequence[tuple[int, int, str]]) -> dict[int, str]:
    """Label by content; where copies of one picture were labelled differently, nobody knows what it is."""
    labels: dict[int, set[str]] = {}
    for _, content, label in said:
        labels.setdefault(content, set()).add(label)
    return {content: some.pop() for content, some in labels.items() if len(some) == 1}


# -- what is written -----------------------------------------------------------------------------------------------


def run(parts: Parts, *, min_confidence: float, dry_run: bool, by: str | None, progress: Progress) -> PropagationReport:
    """See ``Gallery.propagate``."""
    started = time.monotonic()
    if not 0 < min_confidence <= 1:
        raise SettingError(f"min_confidence: {min_confidence!r} is not above 0 and at most 1", hint="0.9, for example")
    heap = read(parts, progress)
    _refuse_few(parts, heap)
    found = heap.propagated()
    progress(_STAGE, len(heap.numbers), len(heap.numbers))
    candidates, rejected = _candidates(parts, heap, found)
    changes = _sure_enough(candidates, min_confidence)
    by_label = Counter(str(change.label) for change in changes)
    precision = _mean(changes)
    batch: int | None = None
    retracted: list[int] = []
    count = len(changes)
    if not dry_run:
        facts = {
            "method": METHOD,
            "min_confidence": min_confidence,
            "labels": len(heap.names),
            "labelled": heap.said,
            "expected_precision": precision,
            "unknown_share": round(found.unknown_share, 3),
        }
        store = parts.catalogue.propagations
        batch, retracted, count = store.replace(changes, by=by or account_name(), facts=facts)
    return PropagationReport(
        gallery=parts.path,
        labels=len(heap.names),
        labelled=heap.said,
        unlabelled=len(candidates) + len(rejected),
        propagated=count,
        by_label=dict(sorted(by_label.items(), key=lambda item: (-item[1], item[0]))),
        min_confidence=min_confidence,
        expected_precision=precision,
        unknown_share=found.unknown_share,
        rejected=len(_sure_enough(rejected, min_confidence)),
        by_confidence=tuple(_limit(candidates, limit) for limit in LIMITS),
        batch=batch,
        retracted=tuple(retracted),
        dry_run=dry_run,
        seconds=time.monotonic() - started,
    )


def _refuse_few(parts: Parts, heap: Heap) -> None:
    if not heap.is_enough:
        raise GalleryError(
            f"{parts.path} has {len(heap.names)} labels on {len(heap.rows)} different images; propagating needs"
            f" {propagate.LEAST_IMAGES} such images, bursts of near-duplicates counted once, and"
            f" {propagate.LEAST_LABELS} labels with {propagate.LEAST_EACH} images each, to hold some back",
            hint="label what decides the most: lookalike labels next",
        )


def _candidates(parts: Parts, heap: Heap, found: Propagation) -> tuple[list[LabelChange], list[LabelChange]]:
    """The likeliest label of every image that nobody labelled; apart, those that somebody took away before."""
    labelled = set(parts.catalogue.keys(parse(_LABELLED)).tolist())
    taken_away = parts.catalogue.propagations.rejected()
    keys, numbers = parts.catalogue.content_numbers()
    rows = np.minimum(np.searchsorted(heap.numbers, numbers), len(heap.numbers) - 1)
    candidates: list[LabelChange] = []
    rejected: list[LabelChange] = []
    for key, number, row in zip(keys.tolist(), numbers.tolist(), rows.tolist(), strict=True):
        if key in labelled or heap.numbers[row] != number:  # the latter came while this was worked out
            continue
        change = LabelChange(key, heap.names[found.codes[row]], round(float(found.confidences[row]), _DECIMALS))
        (rejected if (number, change.label) in taken_away else candidates).append(change)
    return candidates, rejected


def _limit(candidates: Sequence[LabelChange], limit: float) -> Limit:
    kept = _sure_enough(candidates, limit)
    return Limit(limit, len(kept), _mean(kept))


def _mean(changes: Sequence[LabelChange]) -> float | None:
    return float(np.mean([_sure(change) for change in changes])) if changes else None


def _sure_enough(changes: Sequence[LabelChange], limit: float) -> list[LabelChange]:
    return [change for change in changes if _sure(change) >= limit]


def _sure(change: LabelChange) -> float:
    return change.confidence or 0.0


def doubts(found: Propagation) -> Float32:
    """How likely the label of each content (n,) is wrong, 0..1."""
    wrong: Float32 = (1 - found.confidences).astype(np.float32)
    return wrong

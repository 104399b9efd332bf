"""Learning an adaptation from the gallery's labels, and measuring on held-back ones whether it helps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import adapt, rerank
from lookalike.adapt import Gain
from lookalike.errors import GalleryError
from lookalike.evaluate import average_precision
from lookalike.filters import parse
from lookalike.gallery import adaptation, dial
from lookalike.gallery.adaptation import ADAPTED, Adaptation
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts, Progress
from lookalike.gallery.ranking import PLAIN, SHORTLIST, Subject, candidates
from lookalike.types import Float32, Int64, parse_id

MOST_QUERIES = 400  # that an adaptation is judged by
_SCORE_DECIMALS = 6
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class AdaptReport:
    """What learning from labels came to.

    Attributes:
        gallery: Path of the gallery.
        labels: How many labels were learned from.
        images: How many different images bear them.
        by_match: Mean average precision of every order on held-back images, 0..1; "adapted" is the new one.
        best: The best order that needs no labels: what the adaptation is compared with.
        gain: On held-back images of labels that it has learned.
        gain_unlabelled: On images of labels that were held back as a whole, as if nobody had named that kind; None
            where the gallery has fewer than four labels.
        recommended: Whether it is better than the best other order for certain.
        kept: Whether it is there to be used now.
        seconds: Wall time.
    """

    gallery: Path
    labels: int
    images: int
    by_match: dict[str, float]
    best: str
    gain: Gain
    gain_unlabelled: Gain | None
    recommended: bool
    kept: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; precisions with 4 decimals."""
        return {
            "gallery": str(self.gallery),
            "labels": self.labels,
            "images": self.images,
            "by_match": {match: round(value, 4) for match, value in self.by_match.items()},
            "best": self.best,
            "gain": self.gain.to_dict(),
            "gain_unlabelled": None if self.gain_unlabelled is None else self.gain_unlabelled.to_dict(),
            "recommended": self.recommended,
            "kept": self.kept,
            "seconds": round(self.seconds, 3),
        }


def learn(parts: Parts, *, keep: bool, seed: int, progress: Progress) -> AdaptReport:
    """Learn from all labels, measure with some held back, keep what helps; see ``Gallery.adapt``."""
    started = time.monotonic()
    with parts.lock, parts.catalogue.snapshot():
        labelled = _labelled(parts)
        asked = np.random.default_rng(seed).permutation(len(labelled.codes))[:MOST_QUERIES]
        total = 2 * len(asked) if labelled.n_labels >= 2 * adapt.LEAST_LABELS else len(asked)
        told = _Told(progress, total)
        seen = _precisions(parts, labelled, asked, adapt.folds(labelled.codes, seed), told, whole_labels=False)
        unseen = _precisions(parts, labelled, asked, adapt.kind_folds(labelled.codes, seed), told, whole_labels=True)
        matrix = adapt.fit(labelled.vectors, labelled.codes)
    by_match = {match: float(values.mean()) for match, values in seen.by_match.items()}
    best = max((match for match in by_match if match != ADAPTED), key=lambda match: by_match[match])
    gain = seen.gain(best, seed)
    report = AdaptReport(
        gallery=parts.path,
        labels=labelled.n_labels,
        images=len(labelled.codes),
        by_match=by_match,
        best=best,
        gain=gain,
        gain_unlabelled=unseen.gain(best, seed) if len(unseen.kinds) else None,
        recommended=gain.helps,
        kept=gain.helps or keep,
        seconds=time.monotonic() - started,
    )
    if report.kept:
        adaptation.keep(parts, Adaptation(matrix, report.to_dict()))
    else:
        adaptation.drop(parts)
    return report


# -- labels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """Images with labels, one per content, in order of content.

    Attributes:
        keys: (n,) int64.
        contents: (n,) int64, ascending.
        codes: (n,) int64, the label of each as a number.
        vectors: (n, d) float32.
    """

    keys: Int64
    contents: Int64
    codes: Int64
    vectors: Float32

    @property
    def n_labels(self) -> int:
        return len(np.unique(self.codes))


def _labelled(parts: Parts) -> _Labelled:
    """Labels with at least two different images.

    Raises:
        GalleryError: there are too few to learn from and to measure with.
    """
    if parts.catalogue.reducer() is None:
        raise GalleryError(f"{parts.path} has no PCA yet", hint="finish with: lookalike index")
    engine, _ = synced(parts)
    records = [(parse_id(record.id), record.label) for record in parts.catalogue.all_records(parse("label != none"))]
    keys = np.array([key for key, _ in records], np.int64)
    contents, first = np.unique(parts.catalogue.contents_of(keys), return_index=True)
    _, codes, counts = np.unique(
        [str(records[row][1]) for row in first], return_inverse=True, return_counts=True
    )  # copies of one picture are one example, with the label of the first
    _refuse_few(parts, counts)
    usable = counts[codes] >= adapt.LEAST_EACH
    keys, contents, codes = keys[first][usable], contents[usable], codes[usable].astype(np.int64)
    return _Labelled(keys, contents, codes, engine.vectors(keys))


def _refuse_few(parts: Parts, counts: Int64) -> None:
    enough = np.count_nonzero(counts >= adapt.LEAST_JUDGED_EACH)
    if enough < adapt.LEAST_LABELS:
        raise GalleryError(
            f"{parts.path} has {enough} labels with {adapt.LEAST_JUDGED_EACH} different images or more;"
            f" adapting needs {adapt.LEAST_LABELS} of them, to learn from half and to measure with the other half",
            hint="label more images: lookalike labels import FILE.csv",
        )


# -- measuring -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Told:
    progress: Progress
    total: int
    done: int = 0

    def one(self) -> None:
        self.done += 1
        self.progress("measure on held-back labels", self.done, self.total)


@dataclass(frozen=True, slots=True, eq=False)
class _Precisions:
    """Average precisions (q,) by order, and the label (q,) of each query."""

    by_match: dict[str, NDArray[np.float64]]
    kinds: Int64

    def gain(self, best: str, seed: int) -> Gain:
        return adapt.gain(self.by_match[best], self.by_match[ADAPTED], self.kinds, seed)


def _precisions(
    parts: Parts,
    labelled: _Labelled,
    asked: NDArray[np.intp],
    splits: Iterable[NDArray[np.intp]],
    told: _Told,
    *,
    whole_labels: bool,
) -> _Precisions:
    """Search for held-back images as anybody would; what was learned from is no merit, so it does not count.

    Where whole labels are held back, images that were learned from stay in the ranking: they are wrong there.
    """
    rows: list[dict[str, float]] = []
    kinds: list[int] = []
    for held in splits:
        matrix = adapt.fit(*_without(labelled, held))
        counted = np.full(len(labelled.codes), True)
        if not whole_labels:
            counted[:] = False
            counted[held] = True
        for row in held[np.isin(held, asked)].tolist():
            told.one()
            right = held[(labelled.codes[held] == labelled.codes[row]) & (held != row)]
            if len(right):
                rows.append(dict(_judged(parts, labelled, row, right, counted, matrix)))
                kinds.append(int(labelled.codes[row]))
    matches = rows[0] if rows else {}
    return _Precisions({match: np.array([row[match] for row in rows]) for match in matches}, np.array(kinds, np.int64))


def _without(labelled: _Labelled, held: NDArray[np.intp]) -> tuple[Float32, Int64]:
    learned = np.setdiff1d(np.arange(len(labelled.codes)), held)
    return labelled.vectors[learned], labelled.codes[learned]


def _judged(
    parts: Parts,
    labelled: _Labelled,
    row: int,
    right: NDArray[np.intp],
    counted: NDArray[np.bool_],
    matrix: Float32,
) -> Iterator[tuple[str, float]]:
    """Average precision of one query by order."""
    subject = _subject(parts, labelled, row)
    found = candidates(parts, subject, SHORTLIST, match=PLAIN, power=None, allowed=None)
    top = slice(0, SHORTLIST)
    keys, vectors, scores = found.keys[top], found.vectors[top], found.scores[top]
    # The labelled image that each candidate is, by content; of copies the first counts.
    contents = parts.catalogue.contents_of(keys)
    place = np.minimum(np.searchsorted(labelled.contents, contents), len(labelled.contents) - 1)
    place[labelled.contents[place] != contents] = _NOBODY
    by_match = {PLAIN: scores, ADAPTED: adapt.adapted_scores(matrix, subject.vector, vectors)}
    for match in rerank.BLENDS:
        dialled = dial.rank_scores(parts, match, subject, keys, vectors)
        if dialled is not None:
            by_match[match] = dialled
    for match, rank_scores in by_match.items():
        order = place[np.lexsort((keys, -np.round(rank_scores, _SCORE_DECIMALS)))]
        order = order[order != _NOBODY]
        order = order[np.sort(np.unique(order, return_index=True)[1])]
        yield match, average_precision(np.isin(order[counted[order]], right), len(right))


def _subject(parts: Parts, labelled: _Labelled, row: int) -> Subject:
    features = parts.catalogue.features(int(labelled.keys[row]))
    assert features is not None
    content = int(labelled.contents[row])
    records = parts.catalogue.records([int(labelled.keys[row])])
    own = parts.catalogue.keys_of_content(bytes.fromhex(next(iter(records.values())).content))
    return Subject(labelled.vectors[row], features[1].astype(np.float32), content, without=own)

"""From the labels of some images to labels of the others, and how likely each is right: arrays in, arrays out.

Every image is described by its smoothed vector, which says what kind of thing it is and needs no labels, beside the
vector before smoothing. A ridge classifier learned from the labelled images gives every image a score per label. What
the scores are worth is learned from labelled images that were held back: some of every label (is the best one right?)
and whole labels (what do images of a kind look like that nobody has labelled?). See ``docs/propagation.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import rerank
from lookalike.confidence import Evidence, HeldBack, calibrated
from lookalike.errors import ShapeError
from lookalike.types import Float16, Float32, Int64, check_array

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]

LEAST_LABELS = 2  # that have LEAST_EACH images, so that one can be held back
LEAST_EACH = 2
LEAST_IMAGES = 10  # labelled, of all labels together
SAME = 0.95  # plain cosine from which on two images are of one burst: they are held back together
_EVEN_SHARE = 0.7  # weight of the unsmoothed vector beside the smoothed one
_RIDGE = 0.7
_FOLDS, _LABEL_FOLDS = 10, 5
_BLOCK_ROWS = 2**10


# -- what an image is described by ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """What labels are learned from, for n images.

    Attributes:
        smoothed: (n, d) float16 of unit length, each the mean of its neighbourhood.
        even: (n, d) float16 of unit length, before smoothing.
    """

    smoothed: Float16
    even: Float16

    def __len__(self) -> int:
        return len(self.even)

    def rows(self, which: Any) -> Float32:
        """Features (k, 2 d) of some rows: a slice, or row numbers."""
        smoothed, even = self.smoothed[which].astype(np.float32), self.even[which].astype(np.float32)
        return np.hstack([smoothed, np.float32(_EVEN_SHARE) * even])


def describe(vectors: NDArray[Any], neighbours: Int32, weights: Float32) -> Description:
    """Descriptions of all images, without any label.

    Args:
        vectors: (n, d) of unit length, plain.
        neighbours: (n, k) int32, the nearest others of each in the plain space; a row itself stands for nobody.
        weights: (d,) float32, see ``reduce.whitening_weights``, at ``rerank.KIND_POWER``.

    *Source*: ``rerank.smooth`` over the best of the plain neighbours in the evened-out space.
    """
    even = np.empty(vectors.shape, np.float16)
    for block in _blocks(len(vectors)):
        even[block] = rerank.even(vectors[block].astype(np.float32), weights)
    k = min(rerank.KIND_NEIGHBOURS, neighbours.shape[1])
    near, scores = np.empty((len(even), k), np.int32), np.empty((len(even), k), np.float32)
    for block in _blocks(len(even)):
        around = neighbours[block]
        found = np.einsum("nkd,nd->nk", even[around].astype(np.float32), even[block].astype(np.float32))
        found[around == np.arange(block.start, block.start + len(around))[:, None]] = 0
        best = np.argsort(-found, axis=1, kind="stable")[:, :k]
        near[block], scores[block] = np.take_along_axis(around, best, axis=1), np.take_along_axis(found, best, axis=1)
    return Description(rerank.smooth(even, near, scores), even)


def bursts(rows: Int64, neighbours: Int32, scores: Float32) -> Int64:
    """Which labelled images are near-duplicates of each other.

    Args:
        rows: (m,) int64, ascending: the labelled rows of a graph.
        neighbours: (n, k) int32 of the graph.
        scores: (n, k) plain cosines.

    Returns:
        (m,) int64, the same number for all of a burst.
    """
    group = np.arange(len(rows))
    place = np.searchsorted(rows, neighbours[rows])
    place = np.minimum(place, max(len(rows) - 1, 0))
    linked = (rows[place] == neighbours[rows]) & (scores[rows] >= SAME)
    one, other = np.nonzero(linked)[0], place[linked]
    while True:
        least = np.minimum(group[one], group[other])
        after = group.copy()
        np.minimum.at(after, one, least)
        np.minimum.at(after, other, least)
        if (after == group).all():
            return group.astype(np.int64)
        group = after


# -- labels of others ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Propagation:
    """The likeliest label of every image.

    Attributes:
        codes: (n,) int64.
        confidences: (n,) float32, how likely it is right, 0..1; 1 for the labelled images themselves.
        unknown_share: How many of the images without a label seem to be of a kind that nobody has labelled, 0..1.
    """

    codes: Int64
    confidences: Float32
    unknown_share: float


def propagate(described: Description, rows: Int64, codes: Int64, groups: Int64, seed: int = 0) -> Propagation:
    """Give every image its likeliest label, and say how likely it is right.

    Args:
        described: Of all n images.
        rows: (m,) int64, which of them are labelled.
        codes: (m,) int64, their labels, 0 to one less than there are labels; each has an image.
        groups: (m,) int64 from ``bursts``.
        seed: Decides what is held back together.

    Raises:
        ShapeError: too few labels to learn from; see ``is_enough``.

    *Source*: ridge regression on labels of equal weight; ``confidence`` says what its scores are worth.
    """
    check_array("codes", codes, (len(rows),), np.int64)
    if not is_enough(codes, groups):
        raise ShapeError(f"propagate: too few labels: {np.bincount(codes).tolist()} images of each")
    labelled = _Labelled.of(described.rows(rows), codes)
    every = _evidence_of_all(described, labelled.learned())
    unlabelled = np.setdiff1d(np.arange(len(described)), rows)
    confidence, share = calibrated(_held_back(labelled, groups, seed), every.take(unlabelled))
    best, confidences = every.best, confidence.of(every).astype(np.float32)
    best[rows], confidences[rows] = codes, 1
    return Propagation(best, confidences, share)


def is_enough(codes: Int64, groups: Int64) -> bool:
    """Whether these labels (m,) on images of these bursts (m,) are enough to learn from and to hold some back."""
    pairs = np.unique(np.stack([codes, groups]), axis=1)
    each = np.unique(pairs[0], return_counts=True)[1]
    return int(each.sum()) >= LEAST_IMAGES and int(np.count_nonzero(each >= LEAST_EACH)) >= LEAST_LABELS


# -- the classifier ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """Features (m, f), codes (m,), and what to learn (m, c) with which weight (m,): all labels weigh the same."""

    features: Float64
    codes: Int64
    targets: Float64
    weights: Float64

    @classmethod
    def of(cls, features: Float32, codes: Int64) -> _Labelled:
        counts = np.bincount(codes)
        targets = np.eye(len(counts))[codes] - 1 / len(counts)
        return cls(features.astype(np.float64), codes, targets, len(codes) / len(counts) / counts[codes])

    def sums(self, rows: Any) -> tuple[Float64, Float64]:
        """What a classifier needs of some rows: (f, f) and (f, c)."""
        weighted = (self.features[rows] * self.weights[rows, None]).T
        return weighted @ self.features[rows], weighted @ self.targets[rows]

    def learned(self) -> Float64:
        """The classifier (f, c) of all rows."""
        return _solved(*self.sums(slice(None)))

    def held_back(self, places: Int64) -> Iterator[tuple[NDArray[np.intp], Float64, NDArray[np.bool_]]]:
        """For each fold its rows, their scores (k, c) when they are not learned from, and which labels (c,) were."""
        folds = [np.flatnonzero(places == fold) for fold in np.unique(places)]
        parts = [self.sums(fold) for fold in folds]
        gram, target = (np.sum([part[which] for part in parts], axis=0) for which in (0, 1))
        for fold, (fold_gram, fold_target) in zip(folds, parts, strict=True):
            seen = np.bincount(self.codes, minlength=self.targets.shape[1])
            seen -= np.bincount(self.codes[fold], minlength=len(seen))
            if seen.any():
                scores = self.features[fold] @ _solved(gram - fold_gram, target - fold_target)
                yield fold, np.where(seen > 0, scores, -np.inf), seen > 0


def _solved(gram: NDArray[Any], target: NDArray[Any]) -> Float64:
    solved: Float64 = np.linalg.solve(gram + _RIDGE * np.eye(len(gram)), target)
    return solved


# -- holding back ---------------------------------------------------------------------------------------------------


def _evidence_of_all(described: Description, classifier: Float64) -> Evidence:
    matrix = classifier.astype(np.float32)
    return Evidence.joined([Evidence.of(described.rows(block) @ matrix) for block in _blocks(len(described))])


def _held_back(labelled: _Labelled, groups: Int64, seed: int) -> HeldBack:
    """Images of labels that were learned from others of them, and images of labels that were held back as a whole."""
    random = np.random.default_rng(seed)
    known, own, right, novel = [], [], [], []
    for places in (_image_folds(labelled.codes, groups, random), _label_folds(labelled.codes, random)):
        for fold, scores, seen in labelled.held_back(places):
            codes, is_known = labelled.codes[fold], seen[labelled.codes[fold]]
            known.append(Evidence.of(scores[is_known]))
            own.append(scores[is_known, codes[is_known]])
            right.append(known[-1].best == codes[is_known])
            novel.append(Evidence.of(scores[~is_known]))
    return HeldBack(Evidence.joined(known), np.concatenate(own), np.concatenate(right), Evidence.joined(novel))


def _image_folds(codes: Int64, groups: Int64, random: np.random.Generator) -> Int64:
    """Fold (m,) of each image: a tenth of every label at a time, whole bursts together."""
    bursts_, first, members = np.unique(groups, return_index=True, return_inverse=True)
    order = random.permutation(len(bursts_))
    order = order[np.argsort(codes[first][order], kind="stable")]  # those of a label in a row, so in different folds
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) % _FOLDS
    return places[members]


def _label_folds(codes: Int64, random: np.random.Generator) -> Int64:
    """Fold (m,) of each image: a fifth of the labels at a time."""
    count = int(codes.max()) + 1
    return (random.permutation(count) % min(_LABEL_FOLDS, count))[codes]


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK_ROWS, n)) for start in range(0, n, _BLOCK_ROWS))

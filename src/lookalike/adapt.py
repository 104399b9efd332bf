"""A linear map learned from labelled images, used beside the plain space: arrays in, arrays out.

``fit`` stretches the plain space where labels differ and shrinks it where images of one label differ;
``adapted_scores`` puts the nearest of a plain search in order by it. Whether that helps is never assumed:
``folds`` and ``kind_folds`` say what to hold back, ``gain`` what came out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import rerank
from lookalike.errors import ShapeError
from lookalike.types import Float32, Int64, check_array

Float64 = NDArray[np.float64]
Rows = NDArray[np.intp]

LEAST_LABELS = 2
LEAST_EACH = 2  # images of a label: one alone does not say how images of a label differ
LEAST_JUDGED_EACH = 4  # so that two can be held back and two remain
MOST_FOLDS = 5
SHARPNESS = 0.25  # what the cosine before smoothing adds to that after it, as in the dial
_RESAMPLES = 2000
_LEAST_NORM = 1e-6
_LEAST_EIGENVALUE = 1e-9
_LEAST_VARIANCE = 1e-12  # where all images of every label are alike


def fit(vectors: Float32, codes: Int64) -> Float32:
    """Learn a map from labelled images.

    It is the root of the sum of two metrics of equal weight: one evens out how images of the same label differ
    (within-class whitening), one measures only in the directions in which labels differ most in relation to that (LDA).
    The first alone gains little on the labels it has seen, the second alone ruins labels that it has not.

    Args:
        vectors: (n, d) float32 of unit length, plain vectors, one per content.
        codes: (n,) int64, the label of each; labels of fewer than ``LEAST_EACH`` images are passed over.

    Returns:
        (d, d) float32, symmetric: multiply plain vectors with it, then compare by cosine.

    Raises:
        ShapeError: fewer than two labels have two images.

    *Source*: Fisher's discriminants with the within-class covariance shrunk towards a multiple of the identity after
    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".
    """
    check_array("vectors", vectors, (None, None), np.float32)
    check_array("codes", codes, (len(vectors),), np.int64)
    _, labels, counts = np.unique(codes, return_inverse=True, return_counts=True)
    usable = counts[labels] >= LEAST_EACH
    rows, kinds = vectors[usable].astype(np.float64), np.unique(labels[usable], return_inverse=True)[1]
    if np.count_nonzero(counts >= LEAST_EACH) < LEAST_LABELS:
        raise ShapeError(f"adapt: at least {LEAST_LABELS} labels need {LEAST_EACH} images each, got {counts.tolist()}")
    means = np.stack([rows[kinds == kind].mean(axis=0) for kind in range(kinds.max() + 1)])
    whitening = _inverse_root(_shrunk(rows - means[kinds], len(rows) - len(means)))
    discriminants = _discriminants(means, whitening)
    metric = _of_equal_weight(whitening, rows) + _of_equal_weight(discriminants, rows)
    values, axes = np.linalg.eigh(metric)
    return np.asarray((axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T, np.float32)


def adapted_scores(matrix: Float32, vector: Float32, vectors: Float32) -> Float32:
    """What an adapted search orders its candidates by.

    Candidates and query are mapped; then each becomes the mean of its neighbourhood among them, a few times over, as
    the dial does it for kinds; that cosine counts, and a little of the one before it.

    Args:
        matrix: (d, d) float32 from ``fit``.
        vector: (d,) float32 of unit length, the query.
        vectors: (c, d) float32 of unit length, the nearest of the plain search.

    Returns:
        (c,) float32 in -1..1. 500 candidates take some 8 ms.
    """
    mapped = rerank.unit(np.concatenate([vector[None], vectors]) @ matrix)
    smoothed = rerank.smooth_among(mapped)
    scores = (smoothed @ smoothed[0] + SHARPNESS * (mapped @ mapped[0])) / (1 + SHARPNESS)
    clipped: Float32 = np.clip(scores[1:], -1, 1).astype(np.float32)
    return clipped


# -- does it help? -------------------------------------------------------------------------------------------------


def folds(codes: Int64, seed: int = 0) -> Iterator[Rows]:
    """Rows to hold back, a part of every label at a time, so that each row is held back once.

    Args:
        codes: (n,) int64, the label of each row.
        seed: Decides which go together.

    Yields:
        2 to ``MOST_FOLDS`` sets of rows; so many that most labels have three or more in each.
    """
    counts = np.unique(codes, return_counts=True)[1]
    count = int(np.clip(np.median(counts) // 3, 2, MOST_FOLDS))
    place = np.empty(len(codes), np.int64)
    random = np.random.default_rng(seed)
    for code in np.unique(codes):
        rows = random.permutation(np.flatnonzero(codes == code))
        place[rows] = np.arange(len(rows)) % count
    for fold in range(count):
        yield np.flatnonzero(place == fold)


def kind_folds(codes: Int64, seed: int = 0) -> Iterator[Rows]:
    """Rows to hold back, some whole labels at a time: what happens to kinds that nobody has labelled.

    Yields:
        2 to ``MOST_FOLDS`` sets of rows; none where fewer than four labels leave nothing to learn from.
    """
    kinds = np.random.default_rng(seed).permutation(np.unique(codes))
    count = min(MOST_FOLDS, len(kinds) // 2)
    for fold in range(count if len(kinds) >= 2 * LEAST_LABELS else 0):
        yield np.flatnonzero(np.isin(codes, kinds[fold::count]))


@dataclass(frozen=True, slots=True)
class Gain:
    """What a change of order brings, over queries.

    Attributes:
        without: Mean average precision before, 0..1.
        with_it: Mean average precision after.
        gain: The difference.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n_queries: How many queries there were.
    """

    without: float
    with_it: float
    gain: float
    low: float
    high: float
    n_queries: int

    @property
    def helps(self) -> bool:
        """Whether it is better for certain: the whole interval lies above 0."""
        return self.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; precisions with 4 decimals."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def gain(without: Float64, with_it: Float64, kinds: Int64, seed: int = 0) -> Gain:
    """Compare two orders query by query.

    Args:
        without: (q,) average precisions before, q at least 1.
        with_it: (q,) of the same queries after.
        kinds: (q,) int64, the label of each query: queries of one label stand or fall together.
        seed: Of the resampling.

    *Source*: paired bootstrap (Efron, Tibshirani 1993), 2,000 resamples of labels and, within them, of queries; the
    interval holds 95 %.
    """
    means = _resampled_means(with_it - without, kinds, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.025, 0.975])
    before, after = float(without.mean()), float(with_it.mean())
    return Gain(before, after, after - before, float(low), float(high), len(kinds))


def _resampled_means(values: Float64, kinds: Int64, random: np.random.Generator) -> Float64:
    """Means of resamples: as many labels as there are, drawn, and of each as many of its values as it has."""
    _, label_of, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    by_label = np.zeros((len(counts), counts.max()))
    by_label[np.sort(label_of), np.concatenate([np.arange(count) for count in counts])] = values[np.argsort(label_of)]
    sums, totals = np.zeros(_RESAMPLES), np.zeros(_RESAMPLES)
    for _ in counts:
        drawn = random.integers(len(counts), size=_RESAMPLES)
        count = counts[drawn, None]
        columns = (random.random((_RESAMPLES, counts.max())) * count).astype(np.intp)
        picked = by_label[drawn[:, None], columns]
        sums += np.where(np.arange(counts.max()) < count, picked, 0.0).sum(axis=1)
        totals += count[:, 0]
    means: Float64 = sums / totals
    return means


# -- the parts -------------------------------------------------------------------------------------------------------


def _shrunk(residuals: Float64, freedom: int) -> Float64:
    """Covariance (d, d) of residuals (n, d), pulled towards a multiple of the identity as far as it is uncertain."""
    n, d = residuals.shape
    covariance = residuals.T @ residuals / n
    mean = np.trace(covariance) / d
    spread = ((covariance - mean * np.eye(d)) ** 2).sum()
    squares = residuals**2
    uncertain = ((squares.T @ squares).sum() / n - (covariance**2).sum()) / n
    shrinkage = 1.0 if spread <= 0 else float(np.clip(uncertain / spread, 0.0, 1.0))
    shrunk: Float64 = ((1 - shrinkage) * covariance + shrinkage * mean * np.eye(d)) * (n / max(freedom, 1))
    return shrunk


def _inverse_root(covariance: Float64) -> Float64:
    values, axes = np.linalg.eigh(covariance)
    least = max(float(values[-1]) * _LEAST_EIGENVALUE, _LEAST_VARIANCE)
    root: Float64 = (axes / np.sqrt(np.maximum(values, least))) @ axes.T
    return root


def _discriminants(means: Float64, whitening: Float64) -> Float64:
    """Rows (e, d): the directions in which whitened means of labels differ; at most one fewer than labels."""
    _, spread, axes = np.linalg.svd((means - means.mean(axis=0)) @ whitening, full_matrices=False)
    kept = spread > max(float(spread[0]) * _LEAST_NORM, _LEAST_NORM)
    kept[len(means) - 1 :] = False
    rows: Float64 = axes[kept] @ whitening
    return rows


def _of_equal_weight(projection: Float64, rows: Float64) -> Float64:
    """The metric (d, d) of a projection (e, d), scaled so that rows have a mean square length of 1 in it."""
    size = ((rows @ projection.T) ** 2).sum(axis=1).mean()
    metric: Float64 = projection.T @ projection / max(float(size), _LEAST_NORM)
    return metric

"""How good a ranking is: each metric of the field, defined once.

A *ranking* is the gallery ordered by score, best first, equal scores in gallery order; the query itself is no part
of it. *Relevance* is that ranking as booleans: True where the image is relevant to the query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ShapeError
from lookalike.types import Float32, Int64

Bools = NDArray[np.bool_]

BLOCK_QUERIES = 256  # a block of scores against 100,000 images takes 100 MB


def average_precision(relevance: Bools, n_relevant: int | None = None) -> float:
    """The mean of the precision at each relevant image.

    Args:
        relevance: (n,) bool in the order of the ranking; a ranking cut short is fine where n_relevant is given.
        n_relevant: How many there are in the whole gallery; None takes those in the ranking. What the ranking does
            not hold counts as precision 0.

    Returns:
        0..1; 0 where nothing is relevant.

    *Source*: Manning, Raghavan, Schuetze, "Introduction to Information Retrieval", section 8.4 (no interpolation);
    equal to scikit-learn's average_precision_score where scores differ.
    """
    ranks = np.flatnonzero(relevance) + 1
    total = len(ranks) if n_relevant is None else n_relevant
    if total < len(ranks):
        raise ShapeError(f"average precision: {len(ranks)} relevant images are ranked, n_relevant says {total}")
    return float((np.arange(1, len(ranks) + 1) / ranks).sum() / total) if total else 0.0


def precision_at_k(relevance: Bools, k: int) -> float:
    """The fraction of the first k that is relevant; places that a short ranking leaves empty count as wrong."""
    return float(np.count_nonzero(relevance[:k]) / k)


def recall_at_k(relevance: Bools, k: int) -> float:
    """1 where the first k hold at least one relevant image, else 0 (the hit rate of the retrieval benchmarks)."""
    return float(relevance[:k].any())


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """Means over queries, each 0..1.

    Attributes:
        map: Mean average precision.
        macro_map: The mean over labels of each label's mAP, so that large kinds do not drown small ones; equal to
            ``map`` where queries carry no labels.
        precision_at_10: See ``precision_at_k``.
        recall_at_1: See ``recall_at_k``.
        recall_at_5: Likewise.
        recall_at_10: Likewise.
        n_queries: Queries that the means are over.
        n_left_out: Queries without any relevant image, which have no average precision.
    """

    map: float
    macro_map: float
    precision_at_10: float
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    n_queries: int
    n_left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; metrics with 4 decimals."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def leave_one_out(vectors: Float32, labels: Sequence[str]) -> RankingMetrics:
    """Every image is a query against all others; images with its label are relevant.

    Args:
        vectors: (n, d) float32 of unit length.
        labels: n labels.
    """
    if len(labels) != len(vectors):
        raise ShapeError(f"evaluate: {len(vectors)} vectors, {len(labels)} labels")
    codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]

    def relevances() -> Iterator[Bools]:
        for start, scores in _score_blocks(vectors, vectors):
            for row, ranking in enumerate(_rankings(scores), start):
                yield codes[ranking[ranking != row]] == codes[row]

    return _means(relevances(), codes)


def query_protocol(queries: Float32, gallery: Float32, relevant: Sequence[Sequence[int]]) -> RankingMetrics:
    """Queries from outside the gallery, each with its own list of relevant images.

    Args:
        queries: (m, d) float32 of unit length.
        gallery: (n, d) float32 of unit length.
        relevant: For each query the gallery rows that are relevant to it.
    """
    if len(relevant) != len(queries):
        raise ShapeError(f"evaluate: {len(queries)} queries, {len(relevant)} lists of relevant images")

    def relevances() -> Iterator[Bools]:
        for start, scores in _score_blocks(queries, gallery):
            for row, ranking in enumerate(_rankings(scores), start):
                wanted = np.zeros(len(gallery), bool)
                wanted[list(relevant[row])] = True
                yield wanted[ranking]

    return _means(relevances(), np.zeros(len(queries), np.int64))


def _score_blocks(queries: Float32, gallery: Float32) -> Iterator[tuple[int, Float32]]:
    for start in range(0, len(queries), BLOCK_QUERIES):
        yield start, queries[start : start + BLOCK_QUERIES] @ gallery.T


def _rankings(scores: Float32) -> Int64:
    return np.argsort(-scores, axis=1, kind="stable")


def _means(relevances: Iterator[Bools], codes: Int64) -> RankingMetrics:
    rows, kinds, left_out = [], [], 0
    for relevance, code in zip(relevances, codes, strict=True):
        if not relevance.any():
            left_out += 1
            continue
        recalls = [recall_at_k(relevance, k) for k in (1, 5, 10)]
        rows.append([average_precision(relevance), precision_at_k(relevance, 10), *recalls])
        kinds.append(code)
    if not rows:
        return RankingMetrics(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, left_out)
    table, labels = np.asarray(rows), np.asarray(kinds)
    macro = np.mean([table[labels == label, 0].mean() for label in np.unique(labels)])
    mean_ap, precision, at_1, at_5, at_10 = (float(value) for value in table.mean(axis=0))
    return RankingMetrics(mean_ap, float(macro), precision, at_1, at_5, at_10, len(rows), left_out)

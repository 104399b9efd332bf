"""How good a ranking is: each metric of the field, defined once.

A *ranking* is the gallery ordered by score, best first, equal scores in gallery order; the query itself is no part
of it. *Relevance* is that ranking as booleans: True where the image is relevant to the query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


def reciprocal_rank(relevance: Bools) -> float:
    """1 / the rank of the first relevant image; 0 where the ranking holds none."""
    return float(1 / (relevance.argmax() + 1)) if relevance.any() else 0.0


class Judgement(NamedTuple):
    """All metrics of one ranking, each 0..1."""

    average_precision: float
    precision_at_10: float
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    reciprocal_rank: float


def judge(relevance: Bools, n_relevant: int) -> Judgement | None:
    """Judge one ranking.

    Args:
        relevance: (n,) bool in the order of the ranking, which may be cut short.
        n_relevant: How many there are in the whole gallery.

    Returns:
        None where nothing is relevant: there is nothing to find then.
    """
    if not n_relevant:
        return None
    return Judgement(
        average_precision(relevance, n_relevant),
        precision_at_k(relevance, 10),
        recall_at_k(relevance, 1),
        recall_at_k(relevance, 5),
        recall_at_k(relevance, 10),
        reciprocal_rank(relevance),
    )


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
        mean_reciprocal_rank: See ``reciprocal_rank``.
        n_queries: Queries that the means are over.
        n_left_out: Queries without any relevant image, which have no average precision.
    """

    map: float
    macro_map: float
    precision_at_10: float
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mean_reciprocal_rank: float
    n_queries: int
    n_left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; metrics with 4 decimals."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def summary(judged: Iterable[Judgement | None], kinds: Iterable[Any]) -> RankingMetrics:
    """Means over queries.

    Args:
        judged: One for each query; those that are None are left out and counted.
        kinds: The label of each query, for ``macro_map``.
    """
    pairs = list(zip(judged, kinds, strict=True))
    rows = [row for row, _ in pairs if row is not None]
    if not rows:
        return RankingMetrics(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, len(pairs))
    by_kind: dict[Any, list[float]] = {}
    for row, kind in pairs:
        if row is not None:
            by_kind.setdefault(kind, []).append(row.average_precision)
    macro = float(np.mean([np.mean(values) for values in by_kind.values()]))
    mean = Judgement(*np.mean(rows, axis=0).tolist())
    return RankingMetrics(mean[0], macro, *mean[1:], len(rows), len(pairs) - len(rows))


def leave_one_out(vectors: Float32, labels: Sequence[str]) -> RankingMetrics:
    """Every image is a query against all others; images with its label are relevant.

    Args:
        vectors: (n, d) float32 of unit length.
        labels: n labels.
    """
    if len(labels) != len(vectors):
        raise ShapeError(f"evaluate: {len(vectors)} vectors, {len(labels)} labels")
    codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]

    def judged() -> Iterator[Judgement | None]:
        for row, order in _rankings(vectors, vectors):
            relevance = codes[order[order != row]] == codes[row]
            yield judge(relevance, int(relevance.sum()))

    return summary(judged(), codes.tolist())


def query_protocol(queries: Float32, gallery: Float32, relevant: Sequence[Sequence[int]]) -> RankingMetrics:
    """Queries from outside the gallery, each with its own list of relevant images.

    Args:
        queries: (m, d) float32 of unit length.
        gallery: (n, d) float32 of unit length.
        relevant: For each query the gallery rows that are relevant to it.
    """
    if len(relevant) != len(queries):
        raise ShapeError(f"evaluate: {len(queries)} queries, {len(relevant)} lists of relevant images")

    def judged() -> Iterator[Judgement | None]:
        for row, order in _rankings(queries, gallery):
            relevance = np.isin(order, np.asarray(relevant[row], np.int64))
            yield judge(relevance, int(relevance.sum()))

    return summary(judged(), [""] * len(queries))


def ranking(scores: Float32) -> Int64:
    """Places (n,) of scores (n,), best first, equal ones in order of place."""
    return np.argsort(-scores, kind="stable")


def _rankings(queries: Float32, gallery: Float32) -> Iterator[tuple[int, Int64]]:
    for start in range(0, len(queries), BLOCK_QUERIES):
        for row, scores in enumerate(queries[start : start + BLOCK_QUERIES] @ gallery.T, start):
            yield row, ranking(scores)

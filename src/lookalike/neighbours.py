"""Exact nearest neighbours by cosine: the reference that every search engine is tested against.

Scores are computed in float64 and rounded to ``SCORE_DECIMALS`` before anything is ordered, so neither the block size
nor the number of threads nor the order of the rows shows in a result; equal scores are ordered by key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.engines.base import NO_KEY
from lookalike.errors import SettingError, ShapeError
from lookalike.types import Float32, Int64

SCORE_DECIMALS = 6
_BLOCK_ROWS = 4096  # rows turned into float64 at a time
_SCORES_AT_ONCE = 2**25  # 256 MB of float64 scores


def top_k(queries: NDArray[Any], vectors: NDArray[Any], keys: Int64, k: int) -> tuple[Int64, Float32]:
    """The k nearest of each query among all rows, best first, ties by key (also at the k-th place).

    Args:
        queries: (m, d), any float type, of unit length.
        vectors: (n, d), any float type, of unit length.
        keys: (n,) int64, non-negative, distinct.
        k: At least 1; more than n is fine.

    Returns:
        keys (m, k) int64, padded with NO_KEY, and cosine similarities (m, k) float32, padded with -inf.

    Raises:
        ShapeError: the arrays do not fit together.
        SettingError: k is below 1.

    *Source*: ours; 2 m n d flop, 8 bytes for each of at most 2**25 scores at a time.
    """
    check_k(k)
    if queries.ndim != 2 or vectors.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise ShapeError(f"queries {queries.shape} and vectors {vectors.shape} are not (m, d) and (n, d)")
    if keys.shape != vectors.shape[:1]:
        raise ShapeError(f"{vectors.shape[0]} vectors, but keys of shape {keys.shape}")
    m, n = queries.shape[0], vectors.shape[0]
    found_keys, found_scores = no_matches(m, k)
    queries = queries.astype(np.float64)
    step = max(1, _SCORES_AT_ONCE // max(1, n))
    for first in range(0, m, step):
        some = queries[first : first + step]
        scores = np.empty((some.shape[0], n))
        for start in range(0, n, _BLOCK_ROWS):
            block = vectors[start : start + _BLOCK_ROWS].astype(np.float64)
            scores[:, start : start + _BLOCK_ROWS] = some @ block.T
        for i, row in enumerate(scores):
            best_keys, best_scores = best(keys, row, k)
            found_keys[first + i, : best_keys.size] = best_keys
            found_scores[first + i, : best_keys.size] = best_scores
    return found_keys, found_scores


def best(keys: Int64, scores: NDArray[Any], k: int) -> tuple[Int64, Float32]:
    """The k best of one query's candidates, in the order that every result has.

    Args:
        keys: (c,) int64, distinct.
        scores: (c,), any float type.
        k: At least 1.

    Returns:
        keys (min(k, c),) and scores (min(k, c),) float32, rounded to ``SCORE_DECIMALS``; best first, ties by key.
    """
    rounded = np.round(scores.astype(np.float64), SCORE_DECIMALS)
    if k < rounded.size:
        # Everything that equals the k-th score stays in, so that the key and not the partition decides.
        kept = np.flatnonzero(rounded >= np.partition(rounded, rounded.size - k)[rounded.size - k])
        keys, rounded = keys[kept], rounded[kept]
    order = np.lexsort((keys, -rounded))[:k]
    return keys[order], rounded[order].astype(np.float32)


def merge(parts: Sequence[tuple[Int64, NDArray[Any]]], k: int) -> tuple[Int64, Float32]:
    """One result from partial results over parts of the rows.

    Args:
        parts: Each keys (m, c) and scores (m, c) as ``top_k`` gives them (c may differ); a key that is in several
            parts counts once, with its best score.
        k: At least 1.

    Returns:
        keys (m, k) and scores (m, k), padded as in ``top_k``.

    Raises:
        ShapeError: there are no parts, or they answer different numbers of queries.
        SettingError: k is below 1.
    """
    check_k(k)
    if len({keys.shape[0] for keys, _ in parts}) != 1 or any(keys.shape != scores.shape for keys, scores in parts):
        raise ShapeError(f"partial results do not fit together: {[(a.shape, b.shape) for a, b in parts]}")
    keys = np.concatenate([part[0] for part in parts], axis=1)
    scores = np.concatenate([part[1] for part in parts], axis=1)
    found_keys, found_scores = no_matches(keys.shape[0], k)
    for i in range(keys.shape[0]):
        real = keys[i] != NO_KEY
        ordered_keys, ordered_scores = best(keys[i][real], scores[i][real], max(1, int(real.sum())))
        firsts = np.sort(np.unique(ordered_keys, return_index=True)[1])[:k]
        found_keys[i, : firsts.size] = ordered_keys[firsts]
        found_scores[i, : firsts.size] = ordered_scores[firsts]
    return found_keys, found_scores


def agreement_at_k(found: Int64, exact: Int64) -> float:
    """How much of the exact result an approximate search found, 0..1, averaged over the queries that have a result.

    Args:
        found: keys (m, k) of the search in question; NO_KEY is padding.
        exact: keys (m, k) of exact search.

    Raises:
        ShapeError: the results differ in shape.
    """
    if found.shape != exact.shape or found.ndim != 2:
        raise ShapeError(f"agreement of results of shapes {found.shape} and {exact.shape}")
    shares = []
    for got, wanted in zip(found, exact, strict=True):
        wanted = wanted[wanted != NO_KEY]
        if wanted.size:
            shares.append(np.isin(wanted, got).mean())
    return float(np.mean(shares)) if shares else 1.0


def no_matches(m: int, k: int) -> tuple[Int64, Float32]:
    """A result without matches for m queries: keys (m, k) of NO_KEY and scores (m, k) of -inf."""
    return np.full((m, k), NO_KEY, np.int64), np.full((m, k), -np.inf, np.float32)


def check_k(k: int) -> None:
    """Raise SettingError unless k is a possible number of results."""
    if k < 1:
        raise SettingError(f"k: {k!r} is below 1", hint="ask for at least one result")

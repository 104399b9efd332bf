"""The nearest neighbours of every row: exact while that is quick, through faiss above.

Memory grows with the rows, never with their pairs. The result depends on the rows alone, not on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.engines.shortlist import Int32, load_faiss
from lookalike.errors import SettingError, ShapeError
from lookalike.types import Float32

EXACT_ROWS = 20_000  # above, exact search of all pairs takes longer than learning an index
_BLOCK_SCORES = 2**24  # 64 MB of float32
_BLOCK_ROWS = 2**13
_MARGIN = 8  # candidates beyond the k-th, so that ties at its place are broken by row
_GROUP_DIMS = 4  # dimensions that one 4-bit code stands for
_LISTS_VISITED = 64
_SHORTLIST_TIMES = 8  # candidates for each neighbour that are scored again
_TRAIN_PER_LIST = 64
_SEED = 1


def nearest(rows: NDArray[Any], k: int, *, threads: int = 1, exact_rows: int = EXACT_ROWS) -> tuple[Int32, Float32]:
    """The k nearest other rows of each row, best first, ties by row.

    Args:
        rows: (n, d) of unit length, float16 or float32.
        k: At least 1; less than n are found where there are no more.
        threads: Of faiss.
        exact_rows: Up to this many rows the result is exact.

    Returns:
        Row numbers (n, min(k, n - 1)) int32 and cosine similarities float32. A place that the approximate search
        could not fill holds the row itself with score 0.

    Raises:
        ShapeError: the rows are not (n, d).
        SettingError: k is below 1.

    *Source*: above ``exact_rows`` an inverted file with 4-bit product codes (Jegou et al. 2011; fast scan: Andre et al.
    2015) whose proposals are scored again in float16; how many are found is in ``docs/dial.md``.
    """
    if rows.ndim != 2:
        raise ShapeError(f"rows: expected shape ('any', 'any'), got {rows.shape}")
    if k < 1:
        raise SettingError(f"k: {k!r} is below 1", hint="ask for at least one neighbour")
    k = min(k, len(rows) - 1)
    if k < 1:
        return np.zeros((len(rows), 0), np.int32), np.zeros((len(rows), 0), np.float32)
    return _exact(rows, k) if len(rows) <= exact_rows else _proposed(rows, k, threads)


def _exact(rows: NDArray[Any], k: int) -> tuple[Int32, Float32]:
    n = len(rows)
    neighbours, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    every = rows.astype(np.float32)
    step = max(1, _BLOCK_SCORES // n)
    for start in range(0, n, step):
        block = every[start : start + step] @ every.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        kept = min(k + _MARGIN, n - 1)
        near = np.sort(np.argpartition(block, n - kept, axis=1)[:, n - kept :], axis=1)
        found = np.take_along_axis(block, near, axis=1)
        best = np.argsort(-np.round(found, 6), axis=1, kind="stable")[:, :k]
        neighbours[start : start + step] = np.take_along_axis(near, best, axis=1)
        scores[start : start + step] = np.take_along_axis(found, best, axis=1)
    return neighbours, scores


def _proposed(rows: NDArray[Any], k: int, threads: int) -> tuple[Int32, Float32]:
    faiss = load_faiss()
    faiss.omp_set_num_threads(threads)
    index = _index(faiss, rows)
    n = len(rows)
    neighbours, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    for start in range(0, n, _BLOCK_ROWS):
        found, ids = index.search(_padded(rows[start : start + _BLOCK_ROWS]), k + 1)
        own = np.arange(start, start + len(ids))[:, None]
        last = np.argsort((ids == own) | (ids < 0), axis=1, kind="stable")[:, :k]  # itself and what is empty
        ids, found = np.take_along_axis(ids, last, axis=1), np.take_along_axis(found, last, axis=1)
        empty = (ids < 0) | (ids == own)
        neighbours[start : start + _BLOCK_ROWS] = np.where(empty, own, ids)
        scores[start : start + _BLOCK_ROWS] = np.where(empty, 0, found)
    return neighbours, scores


def _index(faiss: Any, rows: NDArray[Any]) -> Any:
    """Codes in lists that propose, and the rows in float16 that decide."""
    n, lists = len(rows), math.isqrt(len(rows))
    train = _padded(rows[:: max(1, n // (lists * _TRAIN_PER_LIST))])
    dim = train.shape[1]
    points = {"min_points_per_centroid": 1, "max_points_per_centroid": _TRAIN_PER_LIST}
    means = faiss.Kmeans(dim, lists, niter=10, seed=_SEED, spherical=True, **points)
    means.train(train)
    coarse = faiss.IndexFlatIP(dim)
    coarse.add(means.centroids)
    codes = faiss.IndexIVFPQFastScan(coarse, dim, lists, dim // _GROUP_DIMS, 4, faiss.METRIC_INNER_PRODUCT)
    codes.by_residual = False
    codes.nprobe = _LISTS_VISITED
    codes.pq.cp.seed, codes.pq.cp.min_points_per_centroid = _SEED, 1
    exact = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexRefine(codes, exact)
    index.k_factor = _SHORTLIST_TIMES
    index.train(train)
    for start in range(0, n, _BLOCK_ROWS):
        index.add(_padded(rows[start : start + _BLOCK_ROWS]))
    return index


def _padded(rows: NDArray[Any]) -> Float32:
    """Rows as float32, with zeros up to a whole number of code groups."""
    room = -rows.shape[1] % (2 * _GROUP_DIMS)
    return np.pad(rows.astype(np.float32), ((0, 0), (0, room)))

"""A map: two coordinates for every vector, so that what looks alike lies together; and how good such a map is.

Coordinates lie in the unit square; only who is near whom means something, axes and distances across do not.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import MissingExtraError, ShapeError
from lookalike.types import Float32

NEIGHBOURS = 15  # that pull on a point; this and the next measured beside others in docs/map.md
PULL_POWER = 0.7  # the r-th nearest pulls with r to the power of minus this
PLACED_BY = 10  # old points that say where a new one goes
LEAST_ROWS = 10  # fewer are laid out by PCA
_EARLY_STEPS, _LATE_STEPS = 250, 500
_LATE_GROWTH = 2  # points move apart: the last step costs as much as 1 + this many early ones
_EARLY_EXAGGERATION, _MOMENTUM = 12, 0.8
_FIRST_SPREAD = 1e-4  # standard deviation of the first coordinates, as the method wants it
_JITTER = 1e-2  # of that
_ROWS_FOR_THREADS = 10_000  # below, threads cost more than they bring
_PLACE_POWER = 4  # the nearest counts most
_LEAST_SCORE = 1e-3
_BLOCK_ROWS = 1024

Told = Callable[[int, int], None]
"""Told (work done, all work), in steps of about equal length; what it raises ends the work."""


# -- layouts -------------------------------------------------------------------------------------------------------


def pca_layout(vectors: NDArray[Any]) -> Float32:
    """The first two dimensions of plain vectors, which PCA has put in order of variance.

    Args:
        vectors: (n, d), any float type.

    Returns:
        (n, 2) in the unit square; a dimension that is not there is .5.
    """
    first = np.zeros((len(vectors), 2))
    first[:, : min(2, vectors.shape[1])] = vectors[:, :2]
    return to_unit_square(first)


def require_tsne() -> None:
    """Raise MissingExtraError unless openTSNE is there."""
    if find_spec("openTSNE") is None:
        raise MissingExtraError("a map by t-SNE (pca is the method that does without)", "map")


def tsne_layout(start: Float32, neighbours: NDArray[np.int32], *, seed: int, threads: int, told: Told) -> Float32:
    """t-SNE from given neighbours.

    How strongly each of the ``NEIGHBOURS`` nearest pulls depends on its rank alone: that keeps neighbours as well as
    a perplexity does, and needs fewer of them.

    Args:
        start: (n, 2) from ``pca_layout``: a start that has the large scale right keeps it right.
        neighbours: (n, k) rows, best first; a place that holds the row itself is empty.
        seed: Of the slight jitter that parts equal points.
        threads: At most so many; the result does not depend on it.
        told: After every few steps.

    Returns:
        (n, 2) in the unit square; fewer than ``LEAST_ROWS`` points stay where they start.

    Raises:
        MissingExtraError: openTSNE is not installed.

    *Source*: van der Maaten and Hinton 2008; gradients by Barnes and Hut or, for many points, by FFT (Linderman et al.
    2019); start and learning rate after Kobak and Berens 2019; that ranks do: Boehm et al. 2022.
    """
    require_tsne()
    import openTSNE
    from openTSNE.affinity import PrecomputedAffinities

    n, work = len(start), _EARLY_STEPS + round(_late_work(_LATE_STEPS))
    if n < LEAST_ROWS:
        return start
    first = start.astype(np.float64) - start.mean(axis=0, dtype=np.float64)
    first *= _FIRST_SPREAD / max(first[:, 0].std(), np.finfo(np.float32).tiny)
    first += np.random.default_rng(seed).normal(0, _JITTER * _FIRST_SPREAD, size=first.shape)
    points = openTSNE.TSNEEmbedding(
        first,
        PrecomputedAffinities(_pulls(neighbours[:, :NEIGHBOURS])),
        n_jobs=threads if n >= _ROWS_FOR_THREADS else 1,
        random_state=seed,
    )

    def run(count: int, exaggeration: float, done: Callable[[int], float]) -> None:
        def after(step: int, *_: Any) -> None:
            told(round(done(step)), work)

        shared: dict[str, Any] = {"use_callbacks": True, "callbacks": [after], "callbacks_every_iters": 10}
        points.optimize(count, inplace=True, exaggeration=exaggeration, momentum=_MOMENTUM, **shared)

    run(_EARLY_STEPS, _EARLY_EXAGGERATION, float)
    run(_LATE_STEPS, 1, lambda step: _EARLY_STEPS + _late_work(step))
    return to_unit_square(np.asarray(points))


def _late_work(steps: int) -> float:
    """What so many late steps cost, in early ones."""
    return steps + _LATE_GROWTH / 2 * steps**2 / _LATE_STEPS


def _pulls(neighbours: NDArray[np.int32]) -> Any:
    """How strongly each pair is pulled together, as a symmetric sparse matrix (n, n) that sums to 1."""
    from scipy.sparse import csr_matrix

    n, k = neighbours.shape
    mine, theirs = np.repeat(np.arange(n), k), neighbours.ravel()
    strengths = np.tile(np.arange(1, k + 1) ** -PULL_POWER, n)
    real = mine != theirs
    pulls = csr_matrix((strengths[real], (mine[real], theirs[real])), shape=(n, n))
    pulls = pulls + pulls.T
    return csr_matrix(pulls / pulls.sum())


def place(layout: Float32, nearest: NDArray[Any], scores: NDArray[Any]) -> Float32:
    """Where new points go among old ones, which stay where they are.

    Args:
        layout: (n, 2) of the old points.
        nearest: (m, k) rows of old points, best first; where there are fewer than k, the rest is below 0.
        scores: (m, k) cosines; what stands there is not looked at.

    Returns:
        (m, 2): each the weighted median of its nearest, along either axis; so it joins the group that most of them are
        in, and does not fall between two.
    """
    weights = np.where(nearest < 0, 0, np.maximum(scores.astype(np.float64), _LEAST_SCORE) ** _PLACE_POWER)
    return np.stack([_weighted_median(layout[nearest, axis], weights) for axis in (0, 1)], axis=1).astype(np.float32)


def _weighted_median(values: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[Any]:
    order = np.argsort(values, axis=1, kind="stable")
    values, weights = np.take_along_axis(values, order, 1), np.take_along_axis(weights, order, 1)
    middle = (np.cumsum(weights, axis=1) >= weights.sum(axis=1, keepdims=True) / 2).argmax(axis=1)
    return np.asarray(np.take_along_axis(values, middle[:, None], 1)[:, 0])


def to_unit_square(points: NDArray[Any]) -> Float32:
    """The points (n, 2) in the unit square, scaled alike along both axes; where all are in one place, in its middle."""
    if not len(points):
        return np.zeros((0, 2), np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    side = float((high - low).max())
    middle = (low + high) / 2
    scaled = (points - middle) / (side if side > 0 else 1.0) + 0.5
    return np.asarray(scaled.clip(0, 1), np.float32)


# -- how good a layout is ------------------------------------------------------------------------------------------


def trustworthiness(vectors: Float32, layout: Float32, k: int = 10) -> float:
    """How far points that the map shows together are together in truth, 0..1.

    Points that are among the k nearest on the map but not in the vectors count, by how far down they really are.

    Args:
        vectors: (n, d).
        layout: (n, 2).
        k: Neighbours; below n / 2.

    *Source*: Venna and Kaski 2001; exact, n^2 log n.
    """
    _check(vectors, layout, k)
    n, penalty = len(vectors), 0
    for rows in _blocks(n):
        ranks = np.argsort(np.argsort(_squared(vectors, rows), axis=1, kind="stable"), axis=1)
        shown = np.argsort(_squared(layout, rows), axis=1, kind="stable")[:, 1 : k + 1]
        penalty += int(np.maximum(np.take_along_axis(ranks, shown, 1) - k, 0).sum())
    return 1 - penalty * 2 / (n * k * (2 * n - 3 * k - 1))


def neighbour_preservation(vectors: Float32, layout: Float32, k: int = 10) -> float:
    """Share of each point's k nearest in the vectors that are among its k nearest on the map, 0..1; exact.

    Args:
        vectors: (n, d).
        layout: (n, 2).
        k: Neighbours; below n / 2.
    """
    _check(vectors, layout, k)
    kept = 0
    for rows in _blocks(len(vectors)):
        pair = [np.argsort(_squared(points, rows), axis=1, kind="stable")[:, 1 : k + 1] for points in (vectors, layout)]
        kept += int((pair[0][:, :, None] == pair[1][:, None, :]).sum())
    return kept / (len(vectors) * k)


def _check(vectors: Float32, layout: Float32, k: int) -> None:
    if len(vectors) != len(layout) or not 1 <= k < len(vectors) / 2:
        raise ShapeError(f"{len(vectors)} vectors, {len(layout)} points and {k} neighbours do not go together")


def _blocks(n: int) -> list[NDArray[np.intp]]:
    return [np.arange(start, min(start + _BLOCK_ROWS, n)) for start in range(0, n, _BLOCK_ROWS)]


def _squared(points: Float32, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Squared distances (r, n) from some points to all; a point's to itself is the least of all."""
    every = points.astype(np.float64)
    norms = (every**2).sum(axis=1)
    distances = norms[rows, None] + norms - 2 * every[rows] @ every.T
    distances[np.arange(len(rows)), rows] = -1
    return np.asarray(distances)

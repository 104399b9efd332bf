"""How unusual images are among others. Arrays in, arrays out.

An image is unusual where even its nearest different images are far away from it. Similarity is here the mean of two
cosines, of embeddings as they are and of centred ones. Centring tells kinds apart, but leaves only directions: a
stranger, which lies far out, then looks no further away than a rare picture of a known kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Float32, Reducer

Bools = NDArray[np.bool_]
Float64 = NDArray[np.float64]

AROUND = 10, 20  # the 11th to the 20th different neighbour count, so that groups of strangers show
NEAREST = 0, 10  # likewise, where strangers cannot be neighbours of each other
LEAST_IMAGES = 10  # different ones
TOO_ALIKE = 0.95  # plain score from which on two images are the same thing seen twice: no neighbours
_BLOCK_ROWS = 2**10
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """How far images lie from the middle of the gallery, which vectors of unit length do not say.

    Attributes:
        whole: (n,) float32, between the embedding of unit length and the mean.
        inside: (n,) float32, of that within the plain space.
    """

    whole: Float32
    inside: Float32

    def take(self, rows: Any) -> Lengths:
        """Some of the images."""
        return Lengths(self.whole[rows], self.inside[rows])


def lengths(reducer: Reducer, embeddings: NDArray[Any]) -> Lengths:
    """Of embeddings (n, D) of any float dtype and length."""
    whole, inside = np.empty(len(embeddings), np.float32), np.empty(len(embeddings), np.float32)
    for start in range(0, len(embeddings), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        rows = embeddings[block].astype(np.float32)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
        rows -= reducer.mean
        whole[block] = np.linalg.norm(rows, axis=1)
        kept = rows if reducer.components is None else rows @ reducer.components.T
        inside[block] = np.linalg.norm(kept, axis=1)
    return Lengths(whole, inside)


def similarities(scores: NDArray[Any], own: Lengths, others: Lengths) -> Float32:
    """The mean of two cosines, of embeddings as they are and of centred ones, from plain scores.

    Args:
        scores: (m, k) plain scores.
        own: Of m images.
        others: Of the other images, (m, k) or (k,).

    Returns:
        (m, k) float32 in -1..1. What the PCA left out of both images counts as unrelated, as it is but for
        near-duplicates; so images that the PCA was not learned on are treated like those that it was.
    """
    shared = own.inside[:, None] * others.inside * scores
    as_they_are = 1 - (own.whole[:, None] ** 2 + others.whole**2) / 2 + shared
    centred = shared / np.maximum(own.whole[:, None] * others.whole, _TINY)
    found: Float32 = np.clip((as_they_are + centred) / 2, -1, 1).astype(np.float32)
    return found


def distances(similar: NDArray[Any], counts: Bools, places: tuple[int, int] = AROUND) -> Float32:
    """Mean distance, 1 - similarity, to the neighbours at some places in the order of similarity.

    Args:
        similar: (m, k) similarities, in any order.
        counts: (m, k) which of them are of different images.
        places: How many of the nearest are passed over, and how many are looked at. No more than half of k are passed
            over, and at least one that counts is looked at.

    Returns:
        (m,) float32 in 0..2; 0 where none counts, which is an image with nothing but near-duplicates around it.

    *Source*: distances to nearest neighbours (Ramaswamy et al. 2000, "Efficient algorithms for mining outliers from
    large data sets"; of embeddings Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors").
    """
    first, last = min(places[0], similar.shape[1] // 2), places[1]
    away = np.where(counts, 1 - similar, np.inf)
    if last < away.shape[1]:
        away = np.partition(away, last - 1, axis=1)[:, :last]
    away = np.sort(away, axis=1)
    there = np.isfinite(away).sum(axis=1)
    place = np.arange(away.shape[1])
    taken = (place >= np.minimum(first, there - 1)[:, None]) & (place < there[:, None])
    total = np.where(taken, away, 0).sum(axis=1)
    mean: Float32 = (total / np.maximum(taken.sum(axis=1), 1)).astype(np.float32)
    return mean


def firsts(neighbours: NDArray[np.integer[Any]], scores: NDArray[Any]) -> Bools:
    """Whether each row (n,) is the first of its near-duplicates, so that a burst counts as one neighbour of others.

    Args:
        neighbours: (n, k) rows.
        scores: (n, k) plain scores with them.
    """
    own = np.arange(len(neighbours))[:, None]
    first: Bools = np.logical_not(((scores >= TOO_ALIKE) & (neighbours < own)).any(axis=1))
    return first


def percentiles(distances: NDArray[Any], reference: NDArray[Any]) -> Float64:
    """Where distances (m,) stand among reference distances (r,), 0..100: the share that is lower, with half the equal.

    *Source*: for reference distances that were each measured with its own image left out, this is a conformal p-value
    turned round (Laxhammar and Falkman 2010, "Conformal prediction for distribution-independent anomaly detection"):
    for images that are like the rest, it is spread evenly.
    """
    ordered = np.sort(reference)
    lower, upper = np.searchsorted(ordered, distances, "left"), np.searchsorted(ordered, distances, "right")
    found: Float64 = 50.0 * (lower + upper) / max(1, len(ordered))
    return found


def percentiles_among(distances: NDArray[Any]) -> Float64:
    """Where each of (n,) distances stands among the others, 0..100: the share that is lower."""
    lower = np.searchsorted(np.sort(distances), distances, "left")
    found: Float64 = 100.0 * lower / max(1, len(distances) - 1)
    return found

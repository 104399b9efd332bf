"""Which parts of a picture a score comes from.

A vector is L2 -> minus mean -> PCA -> L2 of an embedding, and an embedding is pooled from a map. For a fixed other
vector the score is therefore a sum over the places of the map, minus one number that belongs to the gallery's mean
picture and to no place in particular. That number is spread over the places as the pooling weighs them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike import reduce
from lookalike.errors import ModelError, ShapeError
from lookalike.models.graph import Pooling
from lookalike.types import Float32, Reducer

Float64 = NDArray[np.float64]

LEAST_INSIDE = 0.5  # of the embedding's values within their channel's range; below, it comes from elsewhere
_ROUNDING = 0.02  # of a value: bf16 and float16


def contributions(
    final: Float32, pooling: Pooling | None, embedding: Float32, reducer: Reducer, other: Float32
) -> Float32:
    """How much each place of a picture adds to its score with another vector; the places add up to the score.

    Args:
        final: (h, w, D) float32, the map that was pooled.
        pooling: How; None where the network pools in its own way, which is then explained to first order.
        embedding: (D,) float32, what came of it, as the gallery stores it.
        reducer: Of the gallery.
        other: (d,) float32 of unit length, the other side's vector in the plain space.

    Returns:
        (h, w) float32; places may be negative. The sum is the cosine of ``other`` and the picture's vector to 1e-5.

    Raises:
        ShapeError: arrays that do not belong together.
        ModelError: the embedding is not pooled from this map.

    *Source*: ours. Pooling with power p is homogeneous of degree 1 in the map's values, so by Euler's theorem the
    places' first-order shares of the embedding add up to it exactly, whatever p; the rest is linear. Spreading the
    mean's number by the pooling's weights was measured against other ways: docs/explain.md.
    """
    _check(final, embedding, reducer, other)
    weights = (pooling or Pooling()).weights(*final.shape[:2])
    shares = own_shares(final, embedding) if pooling is None else place_shares(final, weights, pooling.power)
    score = float(reduce.transform(reducer, embedding[None])[0].astype(np.float64) @ other.astype(np.float64))
    linear = shares @ _direction(embedding, reducer, other)
    found: Float32 = (linear + (score - linear.sum()) * weights).astype(np.float32)
    return found


def place_shares(final: Float32, weights: Float64, power: int) -> Float64:
    """What each place gives to each value of the embedding; summed over places, the embedding.

    Args:
        final: (h, w, D) float32.
        weights: (h, w) float64, summing to 1.
        power: p of the power mean; above 1, negative values count as 0.

    Returns:
        (h, w, D) float64: w_i x_i for the average, w_i x_i^p e^(1 - p) for a power mean e.
    """
    x = final.astype(np.float64)
    if power == 1:
        return weights[..., None] * x
    shares: Float64 = weights[..., None] * np.maximum(x, 0.0) ** power
    sums = shares.sum(axis=(0, 1))
    return shares * np.where(sums > 0, np.maximum(sums, np.finfo(np.float64).tiny) ** (1 / power - 1), 0.0)


def own_shares(final: Float32, embedding: Float32) -> Float64:
    """What each place gives to each value of an embedding that was pooled in an unknown way.

    A value is shared out over the places where its channel has the value's sign, in proportion: right to first order
    for the largest value, power means and the like. Where the embedding is the map's average, its shares are exact.

    Args:
        final: (h, w, D) float32.
        embedding: (D,) float32.

    Returns:
        (h, w, D) float64; channels that nowhere have the value's sign stay 0.

    Raises:
        ModelError: map and embedding have nothing to do with each other.
    """
    x = final.astype(np.float64)
    _check_inside(x, embedding)
    average: Float64 = x / (x.shape[0] * x.shape[1])
    if np.linalg.norm(average.sum(axis=(0, 1)) - embedding) <= _ROUNDING * np.linalg.norm(embedding):
        return average
    same_sign = np.maximum(x * np.sign(embedding), 0.0)
    sums = same_sign.sum(axis=(0, 1))
    shares: Float64 = same_sign * (embedding / np.where(sums > 0, sums, 1.0))
    return shares


def _check_inside(x: Float64, embedding: Float32) -> None:
    """A mean of any kind lies between the least and the largest value that it is made of."""
    least, most = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    spare = _ROUNDING * np.maximum(np.abs(least), np.abs(most))
    inside = float(((embedding >= least - spare) & (embedding <= most + spare)).mean())
    if inside < LEAST_INSIDE:
        raise ModelError(
            "the network's embedding is not pooled from its map:"
            f" only {100 * inside:.0f} % of its values lie within the map's",
            hint="name the map that is pooled as 'final' in the card's outputs",
        )


def _direction(embedding: Float32, reducer: Reducer, other: Float32) -> Float64:
    """(D,): how the score grows with the embedding while both lengths are held; 0 where the vector has no direction."""
    length = float(np.linalg.norm(embedding.astype(np.float64)))
    if length < reduce.LEAST_NORM:
        return np.zeros(len(embedding))
    centred = embedding / np.float64(length) - reducer.mean
    basis = None if reducer.components is None else reducer.components.astype(np.float64)
    span = float(np.linalg.norm(centred if basis is None else basis @ centred))
    if span < reduce.LEAST_NORM:
        return np.zeros(len(embedding))
    back = other.astype(np.float64) if basis is None else other @ basis
    direction: Float64 = back / (length * span)
    return direction


def _check(final: Float32, embedding: Float32, reducer: Reducer, other: Float32) -> None:
    d = reducer.mean.shape[0]
    if final.ndim != 3 or not final.size or embedding.shape != (d,) or other.shape != (reducer.dim,):
        got = f"{final.shape}, {embedding.shape}, {other.shape}"
        raise ShapeError(f"contributions: expected (h, w, D), ({d},), ({reducer.dim},), got {got}")
    if final.shape[2] != d:
        raise ModelError(
            f"the network's map has {final.shape[2]} channels and its embedding {d} values: no part can be told",
            hint="name the map that is pooled as 'final' in the card's outputs",
        )

"""Several examples as one query: what to search with when some images are right and others are wrong.

The answer is again one unit vector, and the ranking by cosine with it is the re-ranking: any engine does it as fast as
a plain search. Below ``FEW`` examples it is Rocchio's mean, from there on a linear classifier in closed form.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import SettingError, ShapeError
from lookalike.types import Float32, check_array

Float64 = NDArray[np.float64]

FEW = 5  # examples, right and wrong together, from which on a classifier is better than a mean
CAUTION = 5.0  # wrong examples that weigh half as much as all right ones: one alone says little
STIFFNESS = 2.0  # how much the classifier distrusts its examples; it counts once, they count each
_LEAST_NORM = 1e-6
_SAME = 1 - 1e-6  # cosine of two examples that show the same picture
_WEIGHT = re.compile(r"(?P<what>.*):(?P<weight>[+-]?(\d+(\.\d*)?|\.\d+))", re.DOTALL)


def parse_example(text: str) -> tuple[str, float]:
    """Split ``X`` or ``X:WEIGHT``.

    What follows the last colon is the weight where it is a plain decimal number; any other colon belongs to the name.
    So a file whose own name ends in a colon and a number is written with its weight: ``scan:2:1``.

    Returns:
        What the example is (a file or an id), and its weight, above 0; 1 where none is given.

    Raises:
        SettingError: nothing before the colon, or a weight that is not above 0.
    """
    found = _WEIGHT.fullmatch(text)
    what, weight = (found["what"], float(found["weight"])) if found else (text, 1.0)
    if not what:
        raise SettingError(f"example {text!r} names no image", hint="give a file or an id, as in photo.jpg:2")
    return what, check_weight(what, weight)


def check_weight(what: str, weight: float) -> float:
    """The weight of an example.

    Raises:
        SettingError: it is not above 0, or not finite.
    """
    if not (0.0 < weight < np.inf):
        raise SettingError(
            f"example {what!r} has the weight {weight:g}, it must be above 0",
            hint="what is not wanted goes to unlike; a file whose name ends in a colon and a number is written NAME:1",
        )
    return float(weight)


def combine(
    positives: Float32,
    negatives: Float32,
    variances: Float32,
    *,
    positive_weights: Float32 | None = None,
    negative_weights: Float32 | None = None,
) -> Float32:
    """The vector to search with. The picture that was asked about is a positive like any other.

    Wrong examples together weigh n / (n + CAUTION) of what the right ones weigh.

    Args:
        positives: (p, d) float32 of unit length, p at least 1; a single one without negatives is returned as it is.
        negatives: (n, d) float32 of unit length; n may be 0.
        variances: (d,) float32 of the gallery along each dimension, from its reducer.
        positive_weights: (p,) above 0; None weighs all alike. An example of weight 2 counts as two.
        negative_weights: (n,) likewise.

    Returns:
        (d,) float32 of unit length.

    Raises:
        ShapeError: the arrays are not that.
        SettingError: an example is both right and wrong, or they cancel out.

    *Source*: Rocchio (1971), "Relevance feedback in information retrieval", without its third constant: the query is
    one of the right examples. The classifier: ridge regression on +1 and -1 with the whole gallery as weak negatives,
    which its mean (0) and variances stand for, so none has to be drawn; after Hariharan, Malik, Ramanan (2012),
    "Discriminative decorrelation for clustering and classification".
    """
    check_array("positives", positives, (None, None), np.float32)
    check_array("negatives", negatives, (None, positives.shape[1]), np.float32)
    check_array("variances", variances, (positives.shape[1],), np.float32)
    for_rows = _weights(positives, positive_weights), _weights(negatives, negative_weights)
    if not len(positives):
        raise ShapeError("positives: at least one example must be right")
    if len(positives) == 1 and not len(negatives):
        only: Float32 = positives[0]
        return only
    if len(negatives) and (positives @ negatives.T).max() > _SAME:
        raise SettingError("an example is both like and unlike", hint="leave it out of one of them")
    if len(positives) + len(negatives) < FEW:
        direction = _rocchio(positives, negatives, *for_rows)
    else:
        direction = _ridge(positives, negatives, variances, *for_rows)
    length = np.linalg.norm(direction)
    if length < _LEAST_NORM:
        raise SettingError("the examples cancel out", hint="give examples that have something in common")
    return np.asarray(direction / length, np.float32)


def combine_taps(
    positives: Float32,
    negatives: Float32,
    *,
    positive_weights: Float32 | None = None,
    negative_weights: Float32 | None = None,
) -> Float32:
    """The tap that goes with ``combine``: the mean of the right ones, moved away from the mean of the wrong ones.

    Args:
        positives: (p, T) float32; a single one without negatives is returned as it is. T may be 0.
        negatives: (n, T) float32.
        positive_weights: As in ``combine``.
        negative_weights: Likewise.

    Returns:
        (T,) float32. Taps are not centred, so the parts add up to 1 and the result stays among taps.
    """
    if len(positives) == 1 and not len(negatives):
        only: Float32 = positives[0]
        return only
    weights, other_weights = _weights(positives, positive_weights), _weights(negatives, negative_weights)
    mean = weights @ _unit(positives) / weights.sum()
    if len(negatives):
        share = _share(other_weights)
        mean = (1 + share) * mean - share * (other_weights @ _unit(negatives) / other_weights.sum())
    return np.asarray(mean, np.float32)


def _rocchio(positives: Float32, negatives: Float32, weights: Float64, other_weights: Float64) -> Float64:
    mean: Float64 = _unit((weights @ positives)[None])[0]
    if len(negatives):
        mean = mean - _share(other_weights) * (other_weights @ negatives / other_weights.sum())
    return mean


def _ridge(
    positives: Float32, negatives: Float32, variances: Float32, weights: Float64, other_weights: Float64
) -> Float64:
    """Least squares for (direction, offset) over three groups: right (+1), wrong (-1) and the gallery (-1).

    Right examples weigh 1 together, the gallery 1, wrong ones their share.
    """
    rows = np.concatenate([positives, negatives]).astype(np.float64)
    targets = np.concatenate([np.ones(len(positives)), -np.ones(len(negatives))])
    shares = [weights / weights.sum()]
    if len(negatives):
        shares.append(_share(other_weights) * other_weights / other_weights.sum())
    share = np.concatenate(shares)
    gallery = variances.astype(np.float64) / max(float(variances.sum()), _LEAST_NORM)
    total = share.sum() + 1.0
    centre, target = share @ rows / total, (share @ targets - 1.0) / total
    stiffness = STIFFNESS / (weights.sum() + other_weights.sum())
    scatter = (rows.T * share) @ rows + np.diag(gallery + stiffness) - total * np.outer(centre, centre)
    direction: Float64 = np.linalg.solve(scatter, rows.T @ (share * targets) - total * target * centre)
    return direction


def _share(weights: Float64) -> float:
    """What wrong examples weigh together, 0..1."""
    total = float(weights.sum())
    return total / (total + CAUTION)


def _weights(rows: NDArray[Any], weights: Float32 | None) -> Float64:
    if weights is None:
        return np.ones(len(rows))
    if weights.shape != rows.shape[:1] or not (weights > 0).all():
        raise ShapeError(f"weights: expected {rows.shape[0]} numbers above 0, got {weights}")
    return weights.astype(np.float64)


def _unit(rows: NDArray[Any]) -> Float64:
    wide = rows.astype(np.float64)
    unit: Float64 = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), _LEAST_NORM)
    return unit

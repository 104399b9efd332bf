"""How likely the best of several scores is right, learned from held-back examples: arrays in, arrays out.

Scores become probabilities by a softmax with one label more, "none of these", whose score is constant (after Bendale
and Boult 2016, open-set recognition). How sharp it is and what that constant is are averaged over their posterior,
which keeps few examples from looking sure. How many images are of none of the labels is what the images say themselves
(Saerens et al. 2002). Where the held-back examples show that it is still too sure, or not sure enough, a logistic curve
over it puts that right (Platt 1999).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Int64

Float64 = NDArray[np.float64]

_SHARPNESS = np.array([2.0, 3, 4, 6, 8, 11, 15, 20, 28, 40])
_THRESHOLDS = np.linspace(-0.2, 0.9, 23)
_UNKNOWN_SHARE, _LEAST_UNKNOWN, _MOST_UNKNOWN = 0.15, 0.02, 0.6  # of images of none of the labels: guess, bounds
_ROUNDS, _STEPS = 3, 30
_LEAST_WEIGHT = 1e-4
_STIFFNESS = 30.0  # images: so much the curve that changes nothing weighs against those held back
_NEWTON_STEPS = 30
_LEAST_SLOPE = 0.1  # so that what is surer stays surer
_MOST_SURE = 1e-5  # from 0 and 1


@dataclass(frozen=True, slots=True, eq=False)
class HeldBack:
    """Examples that were not learned from.

    Attributes:
        known: Of k examples whose label was learned from others.
        own: (k,) their scores for that label.
        right: (k,) bool, whether it is the best one.
        novel: Of examples whose label was not.
    """

    known: Evidence
    own: Float64
    right: NDArray[np.bool_]
    novel: Evidence


def calibrated(held_back: HeldBack, unlabelled: Evidence) -> tuple[Confidence, float]:
    """What evidence is worth, and how many of the unlabelled images seem to be of none of the labels, 0..1."""
    share = _UNKNOWN_SHARE
    for _ in range(_ROUNDS):
        share = _share_unknown(_belief(held_back, share).none_of_these(unlabelled), share)
    belief = _belief(held_back, share)
    likely = np.concatenate([belief.right(held_back.known), belief.right(held_back.novel)])
    right = np.concatenate([held_back.right, np.zeros(len(held_back.novel), bool)])
    weights = np.concatenate([np.ones(len(held_back.known)), np.full(len(held_back.novel), _weight(held_back, share))])
    return Confidence(belief, *_curve(_logit(likely), right, weights)), share


# -- evidence ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What counts of the scores of n images.

    Attributes:
        best: (n,) int64, the label with the highest score.
        top: (n,) that score.
        totals: (n, s) log of the sum of exp(sharpness * score) over all labels.
    """

    best: Int64
    top: Float64
    totals: Float64

    def __len__(self) -> int:
        return len(self.top)

    @classmethod
    def of(cls, scores: NDArray[Any]) -> Evidence:
        """Of scores (n, c)."""
        best = scores.argmax(axis=1)
        top = scores.max(axis=1).astype(np.float64)
        behind = scores - top[:, None]
        sums = [np.log(np.exp(sharpness * behind).sum(axis=1)) + sharpness * top for sharpness in _SHARPNESS]
        return cls(best.astype(np.int64), top, np.stack(sums, axis=1))

    def take(self, rows: Any) -> Evidence:
        """Of some rows."""
        return Evidence(self.best[rows], self.top[rows], self.totals[rows])

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """One after another."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, len(_SHARPNESS))))
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("best", "top", "totals")))


# -- what it is worth ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Confidence:
    """What evidence is worth.

    Attributes:
        belief: By the softmax.
        slope: Of the curve over its log odds.
        shift: Likewise.
    """

    belief: _Belief
    slope: float
    shift: float

    def of(self, evidence: Evidence) -> Float64:
        """How likely the best label of each image is right, (n,) in 0..1."""
        likely: Float64 = 1 / (1 + np.exp(-(self.slope * _logit(self.belief.right(evidence)) + self.shift)))
        return likely


@dataclass(frozen=True, slots=True, eq=False)
class _Belief:
    """How likely each sharpness (s) and each threshold (t) is: weights (s, t) that add up to 1."""

    weights: Float64

    def right(self, evidence: Evidence) -> Float64:
        """How likely the best label of each image (n,) is right."""
        return self._mean(evidence, evidence.top)

    def none_of_these(self, evidence: Evidence) -> Float64:
        """How likely each image (n,) is of a kind that nobody has labelled."""
        return self._mean(evidence, None)

    def _mean(self, evidence: Evidence, scores: Float64 | None) -> Float64:
        mean = np.zeros(len(evidence))
        for (s, t), weight in np.ndenumerate(self.weights):
            if weight > _LEAST_WEIGHT:
                score = _THRESHOLDS[t] if scores is None else scores
                mean += weight * np.exp(_SHARPNESS[s] * score - _total(evidence, s, t))
        mean /= self.weights[self.weights > _LEAST_WEIGHT].sum()
        return mean


def _total(evidence: Evidence, s: int, t: int) -> Float64:
    total: Float64 = np.logaddexp(evidence.totals[:, s], _SHARPNESS[s] * _THRESHOLDS[t])
    return total


def _belief(held_back: HeldBack, share: float) -> _Belief:
    """The posterior of a flat prior, as if this share of the held-back images were of kinds without a label."""
    known, own, novel, of_novel = held_back.known, held_back.own, held_back.novel, _weight(held_back, share)
    fits = np.zeros((len(_SHARPNESS), len(_THRESHOLDS)))
    for s, t in np.ndindex(fits.shape):
        fits[s, t] = (_SHARPNESS[s] * own - _total(known, s, t)).sum()
        fits[s, t] += of_novel * (_SHARPNESS[s] * _THRESHOLDS[t] - _total(novel, s, t)).sum()
    weights = np.exp(fits - fits.max())
    return _Belief(weights / weights.sum())


def _weight(held_back: HeldBack, share: float) -> float:
    """Of one example of none of the labels, so that all of them have this share."""
    return share / (1 - share) * len(held_back.known) / max(len(held_back.novel), 1)


def _share_unknown(none_of_these: Float64, assumed: float) -> float:
    """The share that explains the images best, where their chances (n,) were worked out with an assumed one."""
    share = assumed
    for _ in range(_STEPS if len(none_of_these) else 0):
        novel, other = none_of_these * share / assumed, (1 - none_of_these) * (1 - share) / (1 - assumed)
        share = float(np.clip((novel / (novel + other)).mean(), _LEAST_UNKNOWN, _MOST_UNKNOWN))
    return share


def _curve(logits: Float64, right: NDArray[np.bool_], weights: Float64) -> tuple[float, float]:
    """Slope and shift of the logistic curve that fits best, held near 1 and 0 by a normal prior; Newton steps."""
    curve = np.array([1.0, 0.0])
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    for _ in range(_NEWTON_STEPS):
        likely = 1 / (1 + np.exp(-(design @ curve)))
        gradient = design.T @ (weights * (likely - right)) + _STIFFNESS * (curve - (1.0, 0.0))
        bend = (design.T * (weights * likely * (1 - likely))) @ design + _STIFFNESS * np.eye(2)
        curve = curve - np.linalg.solve(bend, gradient)
    return max(float(curve[0]), _LEAST_SLOPE), float(curve[1])


def _logit(likely: Float64) -> Float64:
    inside = np.clip(likely, _MOST_SURE, 1 - _MOST_SURE)
    logit: Float64 = np.log(inside / (1 - inside))
    return logit

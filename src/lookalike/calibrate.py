"""What a score means in one gallery, learned from its own images and without labels. Arrays in, arrays out.

Three questions, three answers:

    is there anything like it?   see ``strangers``
    how often is it chance?      a background of pair scores, told apart from pairs that belong together by the lower
                                 half of all pairs, where hardly any of those lie (``fit_rates``)
    is it the same picture?      the plain cosine that edited copies reach with their original
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.strangers import SHARES, Evidence, falls

Float64 = NDArray[np.float64]

SAME, NEAR, STRONG, LIKELY, CHANCE = BANDS = ("same image", "near-duplicate", "strong", "likely", "chance")
LEAST_IMAGES = 30  # fewer different ones say too little about the next
PLAIN = "plain"
CHANCE_HITS, STRONG_HITS = 1.0, 0.3  # images per search that reach a score by chance: more, and it is not that band
NEAR_HITS, SAME_HITS = 0.1, 0.01
KNOTS = 65
_MEDIAN, _LOW = 0.5, 0.05  # quantiles of all pairs that the background is fitted through
_MOST_MATES = 0.5  # of all pairs, that may belong together


@dataclass(frozen=True, slots=True)
class Curve:
    """What the rank scores of one dial are worth.

    Attributes:
        scores: The k-th is reached by as many pairs as are counted in the k-th of the rates; falling.
        strong: From here on as much alike as images that are each other's nearest.
    """

    scores: tuple[float, ...]
    strong: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What scores mean in one gallery.

    Attributes:
        n: How many different images it was learned from.
        lines: Of the tests of ``strangers.Evidence``: below any of them there is nothing like a picture from outside.
        inside: The same for an image of the gallery: the space was learned on it, so that it scores otherwise.
        same_image: The plain score from which on it is the same picture.
        near_duplicate: Likewise for an edited picture.
        rates: False-match rates at the scores of each curve; rising.
        curves: By the name of the dial; "plain" is always there.
        finds: Share of the gallery's own images, left out in turn, whose best match is in that band or a better one.
    """

    n: int
    lines: tuple[float, float, float]
    inside: tuple[float, float, float]
    same_image: float
    near_duplicate: float
    rates: tuple[float, ...]
    curves: Mapping[str, Curve]
    finds: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """What ``to_dict`` gave.

        Raises:
            KeyError, TypeError, ValueError: it was not that.
        """
        curves = {name: Curve(tuple(curve["scores"]), curve["strong"]) for name, curve in data["curves"].items()}
        fixed = {name: tuple(data[name]) for name in ("lines", "inside", "rates")}
        if not len(fixed["lines"]) == len(fixed["inside"]) == len(SHARES):
            raise ValueError(f"{len(SHARES)} lines are needed, not {fixed['lines']} and {fixed['inside']}")
        return cls(**{**data, **fixed, "curves": curves})


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What the matches of one query are worth.

    Attributes:
        bands: One of BANDS for each match, never better than that of a match before it.
        rates: (c,) float64, false-match rates.
        nothing_alike: Whether the gallery holds nothing like the query.
    """

    bands: tuple[str, ...]
    rates: Float64
    nothing_alike: bool


# -- how often is it chance? ---------------------------------------------------------------------------------------


def fit_rates(scores: NDArray[Any]) -> tuple[Float64, Float64]:
    """Plain scores and how often a random image reaches them by chance.

    All pairs of images are a mixture of a background and of pairs that belong together; in a heap of few kinds one in
    six does. Background scores lean to the right, so they are modelled as Gumbel, fitted through two quantiles of the
    lower half, where hardly a pair lies that belongs together; how many do is what lies above the background most.
    A rate is what the background gives, but never more than what is seen among all pairs.

    Args:
        scores: (p,) plain scores of pairs, each of a left-out image and one of the gallery; at least 100.

    Returns:
        Scores (k,) falling and rates (k,) rising.

    *Source*: central matching of an empirical null (Efron 2004), with a Gumbel null in place of a normal one.
    """
    ordered = np.sort(scores.astype(np.float64))[::-1]
    reached = exceedances(len(ordered))
    place, spread, mates = _background(ordered[::-1])
    knots = ordered[np.minimum((reached * len(ordered)).astype(np.intp), len(ordered) - 1)]
    rates = np.minimum(_gumbel_above(knots, place, spread), np.minimum(1.0, reached / (1 - mates)))
    return knots, np.maximum.accumulate(np.maximum(rates, np.finfo(np.float32).tiny))


def exceedances(pairs: int) -> Float64:
    """The shares of all pairs that curves are told for: (k,) from one pair to all of them."""
    return np.geomspace(1 / pairs, 1, KNOTS)


def fit_curve(rank_scores: NDArray[Any], pairs: int, shares: Float64, mates: NDArray[Any]) -> Curve:
    """What a dial's rank scores are worth: what as many pairs reach is as often chance as with plain scores.

    Args:
        rank_scores: (p,) the best ones of some queries, of ``pairs`` pairs that the queries are part of.
        pairs: Queries times images; at least p.
        shares: (k,) from ``exceedances``.
        mates: (q,) rank scores of images that are each other's nearest; may be empty.
    """
    ordered = np.sort(rank_scores.astype(np.float64))[::-1]
    places = (shares * pairs).astype(np.intp)
    knots = ordered[np.minimum(places, len(ordered) - 1)]
    strong = np.quantile(mates, 0.25) if len(mates) else knots[0]
    return Curve(tuple(np.round(knots, 6).tolist()), float(strong))


def _background(rising: Float64) -> tuple[float, float, float]:
    """Place and spread of the background, and the share of pairs that belong together."""
    place, spread, mates = 0.0, 1.0, 0.0
    above = 1 - np.arange(len(rising)) / len(rising)
    upper = slice(len(rising) // 2, None)
    for _ in range(30):
        low, middle = (np.quantile(rising, q * (1 - mates)) for q in (_LOW, _MEDIAN))
        spread = max(float(middle - low) / (_gumbel_at(_MEDIAN) - _gumbel_at(_LOW)), 1e-6)
        place = float(middle) - spread * _gumbel_at(_MEDIAN)
        chance = _gumbel_above(rising[upper], place, spread)
        more = float(np.max((above[upper] - chance) / np.maximum(1 - chance, 1e-3)))
        before, mates = mates, min(max(more, 0.0), _MOST_MATES)
        if abs(mates - before) < 1e-4:
            break
    return place, spread, mates


def _gumbel_at(quantile: float) -> float:
    return float(-np.log(-np.log(quantile)))


def _gumbel_above(scores: Float64, place: float, spread: float) -> Float64:
    above: Float64 = -np.expm1(-np.exp(np.clip((place - scores) / spread, -700, 700)))
    return above


# -- judging -------------------------------------------------------------------------------------------------------


def copy_lines(light: NDArray[Any], strong: NDArray[Any], first: NDArray[Any]) -> tuple[float, float]:
    """Plain scores from which on it is the same image, and a near-duplicate.

    Nine in ten copies of that kind score as high; but where different images do so too, the line is drawn above nearly
    all of them, and at most at what half of the copies reach.

    Args:
        light: (a,) scores of slightly edited copies (saved again, scaled) with their originals.
        strong: (b,) scores of heavily edited copies.
        first: (m,) best scores of the gallery's own images with others.
    """
    same = _copy_line(light, float(np.quantile(first, 0.99)))
    return same, min(same, _copy_line(strong, float(np.quantile(first, 0.9))))


def _copy_line(copies: NDArray[Any], others: float) -> float:
    return min(float(np.quantile(copies, 0.5)), max(float(np.quantile(copies, 0.1)), others))


def rates_of(calibration: Calibration, match: str, scores: NDArray[Any]) -> Float64:
    """False-match rates (c,) of rank scores (c,) of a dial that the calibration has a curve of."""
    knots = np.asarray(calibration.curves[match].scores)[::-1]
    logs = np.interp(scores, knots, np.log(calibration.rates)[::-1])
    rates: Float64 = np.exp(logs)
    return rates


def score_at(calibration: Calibration, rate: float, match: str = PLAIN) -> float:
    """The lowest rank score that a random image reaches that seldom."""
    return float(np.interp(np.log(rate), np.log(calibration.rates), calibration.curves[match].scores))


def judge(
    calibration: Calibration,
    found: Evidence,
    scores: NDArray[Any],
    rank_scores: NDArray[Any],
    *,
    match: str,
    searched: int,
    inside: bool = False,
    standings: NDArray[Any] | None = None,
) -> Judgement:
    """What the matches of one query are worth.

    Where there is something like the query, its first match is it, so that one is at least likely; where there is
    nothing, all is chance.

    Args:
        calibration: Of the gallery.
        found: Evidence of the one query.
        scores: (c,) plain scores in order of rank.
        rank_scores: (c,) what the order is by.
        match: The dial; one without a curve is judged by its plain scores.
        searched: How many images were searched: chance has as many goes.
        inside: Whether the query is an image of the gallery.
        standings: (c,) what a part of each image is worth as a plain score, NaN where the whole image counts; None
            where no parts were looked at.
    """
    if match not in calibration.curves:
        match, rank_scores = PLAIN, scores
    rates, sure = rates_of(calibration, match, rank_scores), rank_scores >= calibration.curves[match].strong
    by_part = np.zeros(len(scores), bool) if standings is None else ~np.isnan(standings)
    if standings is not None:
        rates[by_part] = rates_of(calibration, PLAIN, standings[by_part])
        sure[by_part] = standings[by_part] >= calibration.curves[PLAIN].strong
    levels = np.full(len(scores), BANDS.index(CHANCE))
    likely = rates * searched < CHANCE_HITS
    levels[likely] = BANDS.index(LIKELY)
    levels[(rates * searched < STRONG_HITS) & sure] = BANDS.index(STRONG)
    levels[scores >= calibration.near_duplicate] = BANDS.index(NEAR)
    levels[scores >= calibration.same_image] = BANDS.index(SAME)
    is_known = bool((levels <= BANDS.index(NEAR)).any() or (levels[by_part] <= BANDS.index(STRONG)).any())
    nothing_alike = not is_known and bool(falls(calibration.inside if inside else calibration.lines, found).all())
    if nothing_alike:
        levels[:] = BANDS.index(CHANCE)
    levels[:1] = np.minimum(levels[:1], BANDS.index(CHANCE if nothing_alike else LIKELY))
    bands = tuple(BANDS[level] for level in np.maximum.accumulate(levels))
    return Judgement(bands, np.maximum.accumulate(rates), nothing_alike)


def finished(calibration: Calibration, found: Evidence, searched: int) -> Calibration:
    """The calibration with lines of copies that chance seldom reaches, and with ``finds``.

    Args:
        calibration: With all the rest.
        found: Evidence of m images that were left out in turn; each is judged by its nearest image alone.
        searched: How many images the gallery has.
    """
    near = max(calibration.near_duplicate, score_at(calibration, NEAR_HITS / searched))
    same = max(calibration.same_image, near, score_at(calibration, SAME_HITS / searched))
    known = replace(calibration, same_image=min(same, 1.0), near_duplicate=min(near, 1.0))
    counts = dict.fromkeys(BANDS, 0)
    for i, score in enumerate(found.first):
        one, scores = found.take(slice(i, i + 1)), np.array([score])
        counts[judge(known, one, scores, scores, match=PLAIN, searched=searched).bands[0]] += 1
    shares = np.cumsum([counts[band] for band in BANDS]) / max(1, len(found.first))
    return replace(known, finds=dict(zip(BANDS, shares.tolist(), strict=True)))

"""What scores are worth: chance told from what belongs together, bands, and how they are kept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lookalike import calibrate
from lookalike.calibrate import BANDS, CHANCE, LIKELY, NEAR, SAME, STRONG, Calibration, Curve
from lookalike.strangers import Evidence

FINE = Evidence(*np.array([[0.9], [0.5], [0.9]], np.float32))
LOST = Evidence(*np.array([[0.1], [0.5], [0.9]], np.float32))


def known(strong: float = 0.6) -> Calibration:
    """Rates fall tenfold for every .2 of score from 1 at 0 to 1e-5 at 1; a dial's scores are half of that."""
    scores, rates = tuple(np.linspace(1, 0, 11).tolist()), tuple(np.geomspace(1e-5, 1, 11).tolist())
    curves = {"plain": Curve(scores, strong), "kind": Curve(tuple(s / 2 for s in scores), strong / 2)}
    return Calibration(100, (0.3, -0.5, 0.2), (0.05, -0.5, 0.2), 0.95, 0.8, rates, curves, {})


def bands(scores: list[float], *, searched: int = 100, found: Evidence = FINE, match: str = "plain") -> list[str]:
    rank_scores = np.array(scores) * (0.5 if match == "kind" else 1)
    return list(calibrate.judge(known(), found, np.array(scores), rank_scores, match=match, searched=searched).bands)


def pairs(mates: float, seed: int = 0, count: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of pairs and of those among them that do not belong together: skewed, as real backgrounds are."""
    random = np.random.default_rng(seed)
    background = random.gumbel(-0.1, 0.07, size=int(count * (1 - mates)))
    return np.concatenate([background, random.normal(0.5, 0.12, size=int(count * mates))]), background


@pytest.mark.parametrize("mates", [0.0, 0.05, 0.17])
def test_rates_are_those_of_the_background(mates: float) -> None:
    scores, background = pairs(mates)
    knots, rates = calibrate.fit_rates(scores)
    for rate in (0.1, 0.01, 0.001):
        promised = np.exp(np.interp(np.quantile(background, 1 - rate), knots[::-1], np.log(rates)[::-1]))
        assert rate / 3 < promised < rate * 3


def test_random_pairs_alone_would_not_do() -> None:
    scores, background = pairs(0.17)
    line = np.quantile(background, 0.999)
    assert (scores > line).mean() > 0.1


def test_rates_rise_as_scores_fall() -> None:
    knots, rates = calibrate.fit_rates(pairs(0.1)[0])
    assert (np.diff(knots) <= 0).all()
    assert (np.diff(rates) >= 0).all()
    assert 0 < rates[0] < rates[-1] <= 1


def test_rates_of_equal_scores() -> None:
    _, rates = calibrate.fit_rates(np.full(500, 0.4))
    assert np.isfinite(rates).all()
    assert rates[-1] <= 1


def test_a_dial_is_worth_what_as_many_pairs_reach() -> None:
    scores = np.random.default_rng(1).gumbel(0, 0.1, 10_000)
    knots, rates = calibrate.fit_rates(scores)
    curve = calibrate.fit_curve(scores / 2 - 0.2, len(scores), calibrate.exceedances(len(scores)), np.zeros(0))
    calibration = Calibration(100, (0, 0, 0), (0, 0, 0), 1, 1, tuple(rates.tolist()), {"kind": curve}, {})
    assert calibrate.rates_of(calibration, "kind", knots[::8] / 2 - 0.2) == pytest.approx(rates[::8], rel=0.05)


def test_bands_of_a_plain_order() -> None:
    assert bands([0.97, 0.85, 0.7, 0.5, 0.3]) == [SAME, NEAR, STRONG, LIKELY, CHANCE]


def test_what_chance_reaches_now_and_then_is_not_strong() -> None:
    lax = replace(known(), curves={"plain": replace(known().curves["plain"], strong=0.0)})
    scores = np.array([0.7, 0.55, 0.45])
    judged = calibrate.judge(lax, FINE, scores, scores, match="plain", searched=100)
    assert judged.bands == (STRONG, STRONG, LIKELY)


def test_bands_of_a_dial_are_those_of_its_own_scores() -> None:
    assert bands([0.97, 0.85, 0.7, 0.5, 0.3], match="kind") == [SAME, NEAR, STRONG, LIKELY, CHANCE]


def test_an_order_without_a_curve_is_judged_by_scores() -> None:
    assert bands([0.7, 0.5, 0.3], match="adapted") == [STRONG, LIKELY, CHANCE]


def test_chance_has_as_many_goes_as_there_are_images() -> None:
    assert bands([0.9, 0.5], searched=100)[1] == LIKELY
    assert bands([0.9, 0.5], searched=1000)[1] == CHANCE


def test_bands_never_get_better_down_the_list() -> None:
    found = bands([0.7, 0.97, 0.5, 0.9, 0.1])
    places = [BANDS.index(band) for band in found]
    assert places == sorted(places)
    assert found[0] == STRONG


def test_rates_never_fall_down_the_list() -> None:
    judged = calibrate.judge(
        known(), FINE, np.array([0.5, 0.9, 0.2]), np.array([0.5, 0.9, 0.2]), match="plain", searched=9
    )
    assert (np.diff(judged.rates) >= 0).all()


def test_nothing_alike_makes_all_of_it_chance() -> None:
    assert bands([0.7, 0.5], found=LOST) == [CHANCE, CHANCE]
    judged = calibrate.judge(known(), LOST, np.array([0.7]), np.array([0.7]), match="plain", searched=100)
    assert judged.nothing_alike


def test_an_image_of_the_gallery_has_lines_of_its_own() -> None:
    scores = np.array([0.7])
    judged = calibrate.judge(known(), LOST, scores, scores, match="plain", searched=100, inside=True)
    assert not judged.nothing_alike


def test_a_copy_is_something_alike() -> None:
    assert bands([0.85, 0.2], found=LOST)[0] == NEAR


def test_the_first_match_is_what_is_alike() -> None:
    assert bands([0.31, 0.3]) == [LIKELY, CHANCE]


def test_no_matches() -> None:
    judged = calibrate.judge(known(), FINE, np.zeros(0), np.zeros(0), match="plain", searched=10)
    assert judged.bands == ()


def test_lines_of_copies_lie_above_other_images() -> None:
    light, heavy = np.linspace(0.8, 1, 101), np.linspace(0.5, 0.9, 101)
    assert calibrate.copy_lines(light, heavy, np.full(100, 0.2)) == pytest.approx((0.82, 0.54))
    assert calibrate.copy_lines(light, heavy, np.full(100, 0.85)) == pytest.approx((0.85, 0.7))


def test_copies_that_chance_looks_like_are_not_told() -> None:
    lax = Calibration(100, (0.3, -0.5, 0.2), (0.05, -0.5, 0.2), 0.5, 0.4, known().rates, known().curves, {})
    finished = calibrate.finished(lax, FINE, searched=100)
    assert finished.near_duplicate == pytest.approx(calibrate.score_at(lax, calibrate.NEAR_HITS / 100))
    assert finished.same_image == pytest.approx(calibrate.score_at(lax, calibrate.SAME_HITS / 100))


def test_who_finds_something_adds_up() -> None:
    first = np.array([0.97, 0.85, 0.7, 0.5, 0.1], np.float32)
    finds = calibrate.finished(known(), Evidence(first, first, np.ones(5, np.float32)), searched=100).finds
    assert list(finds) == list(BANDS)
    assert list(finds.values()) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_it_survives_being_kept() -> None:
    assert Calibration.from_dict(json.loads(json.dumps(known().to_dict()))) == known()


@pytest.mark.parametrize("broken", [{}, {**known().to_dict(), "lines": [1.0]}, {**known().to_dict(), "extra": 1}])
def test_what_is_not_a_calibration_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Calibration.from_dict(broken)


def test_a_part_that_is_like_the_query_is_judged_by_what_it_is_worth() -> None:
    scores = np.array([0.1, 0.3, 0.2])
    standings = np.array([0.7, np.nan, 0.3])
    told = calibrate.judge(known(), LOST, scores, scores, match="plain", searched=100, standings=standings)
    assert told.bands[0] == STRONG
    assert told.bands[1:] == (CHANCE, CHANCE)
    assert told.nothing_alike is False  # a part of something here is it
    told = calibrate.judge(known(), LOST, scores, scores, match="plain", searched=100, standings=np.full(3, np.nan))
    assert told.nothing_alike is True

"""What a look at a few says of the rest: bounds on the share of wrong labels.

A sample without wrong ones does not prove that there are none; it bounds how many there can be. All bounds here hold
with the confidence 1 - ``RISK``: of a hundred bounds, at least 95 are right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike.errors import SettingError

RISK = 0.05
TARGET = 0.05  # share of wrong labels that is worth striving for unless told otherwise


def most_wrong(size: int, inspected: int, wrong: int, risk: float = RISK) -> int:
    """How many of ``size`` can be wrong at most, when ``wrong`` of ``inspected`` drawn at random are.

    The largest number under which so few wrong ones in the sample still have a probability above ``risk``.

    Raises:
        SettingError: more were inspected than there are, or more were wrong than inspected.

    *Source*: the one-sided bound of Clopper & Pearson 1934, for draws without replacement (hypergeometric).
    """
    _check(size, inspected, wrong)
    low, high = wrong, size - (inspected - wrong)  # the least and the most that the sample allows
    while low < high:  # the probability falls as the number of wrong ones rises
        middle = (low + high + 1) // 2
        if _at_most(wrong, size, middle, inspected) > risk:
            low = middle
        else:
            high = middle - 1
    return low


def error_bound(size: int, inspected: int, wrong: int, risk: float = RISK) -> float:
    """Upper bound, 0..1, on the share of wrong labels among those left when the wrong ones that were seen are out."""
    left = size - wrong
    return (most_wrong(size, inspected, wrong, risk) - wrong) / left if left else 0.0


def looks_needed(size: int, inspected: int, wrong: int, target: float = TARGET, risk: float = RISK) -> int:
    """How many more have to be inspected, none of them wrong, until the bound is at most ``target``."""
    _check(size, inspected, wrong)
    low, high = inspected, size  # looking at all leaves nothing unknown
    while low < high:
        middle = (low + high) // 2
        if error_bound(size, middle, wrong, risk) <= target:
            high = middle
        else:
            low = middle + 1
    return low - inspected


@dataclass(frozen=True, slots=True)
class Stratum:
    """One labelled cluster as a part of a whole.

    Attributes:
        size: How many images it had when it was labelled, those found wrong included.
        inspected: How many of them were inspected, in an order that chance decided.
        wrong_at: At which places of that order (from 0) the wrong ones were.
    """

    size: int
    inspected: int
    wrong_at: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Pooled:
    """What all inspections together say.

    Attributes:
        size: How many images, without those found wrong.
        looks: How many inspections count: from each stratum in proportion to its size.
        wrong: How many of those were wrong.
        bound: Upper bound on the share of wrong labels among the images that are left.
    """

    size: int
    looks: int
    wrong: int
    bound: float


def pooled(strata: list[Stratum], risk: float = RISK) -> Pooled:
    """One bound for all strata together.

    Only as many inspections count as are in proportion to the sizes: the stratum that was inspected least, for its
    size, decides. A sample of fixed shares is at least as sharp as one drawn from the whole, so the bound of the latter
    holds.

    *Source*: for counts that are no more than expected, Hoeffding 1956, "On the distribution of the number of
    successes in independent trials".
    """
    total = sum(stratum.size for stratum in strata)
    share = min((stratum.inspected / stratum.size for stratum in strata if stratum.size), default=0.0)
    counted = [min(stratum.inspected, math.ceil(share * stratum.size)) for stratum in strata]
    looks = sum(counted)
    wrong = sum(sum(at < n for at in stratum.wrong_at) for stratum, n in zip(strata, counted, strict=True))
    found = sum(len(stratum.wrong_at) for stratum in strata)
    left = total - found
    bound = max(0, most_wrong(total, looks, wrong, risk) - found) / left if left else 0.0
    return Pooled(left, looks, wrong, bound)


def allocate(strata: list[Stratum], looks: int) -> list[int]:
    """How many more of each stratum to inspect, so that ``looks`` inspections in proportion to size count."""
    total = sum(stratum.size for stratum in strata)
    share = min(1.0, looks / total) if total else 0.0
    return [max(0, math.ceil(share * stratum.size) - stratum.inspected) for stratum in strata]


def pooled_looks(strata: list[Stratum], target: float = TARGET, risk: float = RISK) -> int:
    """How many inspections in proportion to size make the pooled bound at most ``target``, if no more are wrong."""
    total = sum(stratum.size for stratum in strata)
    wrong = sum(len(stratum.wrong_at) for stratum in strata)
    return looks_needed(total, min(wrong, total), min(wrong, total), target, risk) + wrong if total else 0


def _check(size: int, inspected: int, wrong: int) -> None:
    if not 0 <= wrong <= inspected <= size:
        raise SettingError(f"{wrong} wrong of {inspected} inspected of {size}: each must be at most the next")


def _at_most(wrong: int, size: int, bad: int, drawn: int) -> float:
    """Probability of at most ``wrong`` bad ones among ``drawn`` of ``size``, of which ``bad`` are bad."""
    whole = _log_choose(size, drawn)
    return math.fsum(
        math.exp(_log_choose(bad, k) + _log_choose(size - bad, drawn - k) - whole)
        for k in range(max(0, drawn - (size - bad)), min(wrong, bad) + 1)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

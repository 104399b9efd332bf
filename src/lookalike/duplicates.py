"""Whether two pictures are the same one, saved, scaled, cut or toned differently; and groups of those that are.

Two small grey pictures are laid over each other (``alignment``), made equally sharp and toned alike. What then differs
most anywhere decides: re-saving leaves faint differences everywhere, while another moment, another piece or a defect
leaves a strong one somewhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.alignment import correlation, inverse, refined, shrink, warped
from lookalike.types import Float32, Int64

FINE_PX = 128
# See docs/duplicates.md for what lies on either side of each.
MOST_DIFFERENCE = 0.85  # in deviations of the picture, anywhere
FAINT_DIFFERENCE, MOST_OUTSTANDING = 0.4, 10.0  # a stronger one must not stand out from the others by so many times
LEAST_CORRELATION = 0.9
# Correlation of what is left when the shading is taken out; the higher one where a difference is strong.
LEAST_DETAIL, LEAST_SURE_DETAIL, STRONG_DIFFERENCE = 0.5, 0.9, 0.6
LEAST_SHARED = 0.8  # of the smaller of the two
LEAST_CUT = 0.4  # of the larger: what shows less of it is another picture
LINKED_CORRELATION, LINKED_DETAIL = 0.95, 0.85

# What one picture has laid over it: a rectangle of so much of the area, so full, with so much unchanged around it.
LEAST_COVERED, MOST_COVERED, LEAST_FILLED = 0.02, 0.25, 0.85
LEAST_UNCHANGED = 0.75

_UNCHANGED, _NOTICEABLE = 0.2, 0.1  # deviations of the picture
_LEAST_CLOSE = 0.85  # correlation at half the resolution; below, they are not looked at any more closely
_SMOOTHING_PX = 0.7  # the grain of a small JPEG
_BLURS_PX = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
_DETAIL_PX = 3.0
_TONES = 24
_TONE_WEIGHT = 2.0  # pixels that speak for leaving a tone as it is
_WINDOW_PX = 3
_EDGE_PX = 5
_LEAST_USUAL = 0.01
_EPS = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What was found of pairs of pictures.

    Attributes:
        same: (m,) bool, whether they are the same picture.
        linked: (m,) bool, whether they show so nearly the same that one gives the other away; where ``same``, always.
        difference: (m,) float32, the strongest difference of any place, in deviations of the picture; infinite where
            they could not be laid over each other.
        covered: (m,) float32, the part of the area that one of them has something laid over, which does not count as a
            difference; 0 for most.
    """

    same: NDArray[np.bool_]
    linked: NDArray[np.bool_]
    difference: Float32
    covered: Float32


def compare(first: NDArray[np.uint8], second: NDArray[np.uint8], transforms: Float32) -> Verdicts:
    """Look closely at pairs of pictures that lie about as the transforms say.

    Args:
        first: (m, 128, 128) grey.
        second: The same, turned already.
        transforms: (m, 2, 3) of second to first, good to about two pixels; see ``alignment``.

    *Source*: ours.
    """
    first_, second_ = first.astype(np.float32), second.astype(np.float32)
    halves = shrink(first, 2), shrink(second, 2)
    transforms = refined(*halves, transforms, 2)
    values, inside = warped(halves[0], transforms)
    close = correlation(values, halves[1], inside) >= _LEAST_CLOSE
    count = len(first)
    no, unknown = np.zeros(count, bool), np.full(count, np.inf, np.float32)
    found = Verdicts(no, no.copy(), unknown, np.zeros(count, np.float32))
    for row in np.flatnonzero(close).tolist():
        one = slice(row, row + 1)
        laid = _laid(first_[one], second_[one], transforms[one])
        if laid is None:
            continue
        whole, detail = _correlation(*laid), _detail_correlation(*laid)
        difference, outstanding = _strongest_difference(*laid)
        found.difference[row] = difference
        is_local = difference > FAINT_DIFFERENCE and outstanding > MOST_OUTSTANDING
        least_detail = LEAST_SURE_DETAIL if difference > STRONG_DIFFERENCE else LEAST_DETAIL
        alike = whole >= LEAST_CORRELATION and detail >= least_detail
        found.same[row] = same = alike and difference <= MOST_DIFFERENCE and not is_local
        found.linked[row] = same or (whole >= LINKED_CORRELATION and detail >= LINKED_DETAIL)
    for row in np.flatnonzero(~found.same & (unchanged(*halves) >= LEAST_UNCHANGED)).tolist():
        patch = _patch(first_[row], second_[row])
        if patch is not None:
            found.same[row] = found.linked[row] = True
            found.covered[row], found.difference[row] = patch
    return found


def unchanged(first: Float32, second: Float32) -> Float32:
    """How much (m,) of pictures (m, h, h) is the same at the same place, by the contrast of the flatter of the two."""
    contrast = np.minimum(first.std(axis=(1, 2)), second.std(axis=(1, 2)))[:, None, None]
    share: Float32 = (np.abs(first - second) <= _UNCHANGED * contrast).mean(axis=(1, 2), dtype=np.float32)
    return share


def _patch(first: Float32, second: Float32) -> tuple[float, float] | None:
    """The part of the area (h, h) that something rectangular covers, and the strongest difference beside it.

    None where the two differ in another way: in small spots, in something of another shape, or around it too.
    """
    first, second = _blurred(first, _SMOOTHING_PX), _blurred(second, _SMOOTHING_PX)
    rest = (second - first) / max(1.0, min(float(first.std()), float(second.std())))
    strength = np.sqrt(np.maximum(_box_mean(rest * rest, _WINDOW_PX), 0))
    differs = strength > FAINT_DIFFERENCE
    rows, columns = (np.flatnonzero(differs.sum(axis=axis) > 1) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    area = differs[box].size / differs.size
    around = np.ones(differs.shape, bool)
    around[tuple(slice(max(0, side.start - _EDGE_PX), side.stop + _EDGE_PX) for side in box)] = False
    filled = float((strength[box] > _NOTICEABLE).mean())  # a disc fills .79 of its box
    if not LEAST_COVERED <= area <= MOST_COVERED or filled < LEAST_FILLED or differs[around].any():
        return None
    if _detail_correlation(first, second, around) < LEAST_SURE_DETAIL:
        return None
    return area, float(strength[around].max())


_Laid = tuple[Float32, Float32, NDArray[np.bool_]]


def _laid(first: Float32, second: Float32, transform: Float32) -> _Laid | None:
    """One pair (1, h, h) laid over each other, equally sharp, and the pixels (h, h) that both show.

    None where they have too little in common.
    """
    if abs(np.linalg.det(transform[0, :, :2])) > 1:  # the one that shows less decides what is looked at
        first, second, transform = second, first, inverse(transform)
    if abs(np.linalg.det(transform[0, :, :2])) < LEAST_CUT:
        return None
    transform = refined(first, second, transform, 1, stride=2)
    values, inside_ = warped(_blurred(first[0], _SMOOTHING_PX)[None], transform)
    one, other, inside = values[0], _blurred(second[0], _SMOOTHING_PX), inside_[0]
    if inside.mean() < LEAST_SHARED:
        return None
    one, other = _equally_sharp(_standard(one, inside), _standard(other, inside), inside)
    return one, other, _box_mean(inside.astype(np.float32), _EDGE_PX) > 1 - 1e-3


def _strongest_difference(one: Float32, other: Float32, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """The strongest difference of any place, and how many times the usual one that is."""
    found = _measured(np.where(inside, other - one, 0), inside)
    if found[0] > FAINT_DIFFERENCE:  # tones may have been changed by more than brightness and contrast
        found = min(found, *(_measured(rest, inside) for rest in _untoned(one, other, inside)))
    return found


def _measured(rest: Float32, inside: NDArray[np.bool_]) -> tuple[float, float]:
    square = rest * rest
    strongest = math.sqrt(max(0.0, float(_box_mean(square, _WINDOW_PX).max())))
    usual = math.sqrt(float(square.sum()) / max(1, int(inside.sum())))
    return strongest, strongest / max(usual, _LEAST_USUAL)


def _correlation(one: Float32, other: Float32, inside: NDArray[np.bool_]) -> float:
    return float(correlation(one[None], other[None], inside[None])[0])


def _detail_correlation(one: Float32, other: Float32, inside: NDArray[np.bool_]) -> float:
    """Correlation without the shading; at half the size, where it costs a quarter."""
    half, other_half, within = (shrink(side[None], 2)[0] for side in (one, other, inside))
    detail, other_detail = (side - _blurred(side, _DETAIL_PX / 2) for side in (half, other_half))
    return _correlation(detail, other_detail, within > 1 - 1e-3)


def _standard(picture: Float32, inside: NDArray[np.bool_]) -> Float32:
    """Mean 0 and deviation 1 within, 0 outside."""
    counted = picture[inside]
    found: Float32 = np.where(inside, (picture - counted.mean()) / max(float(counted.std()), 1e-3), 0)
    return found.astype(np.float32)


def _equally_sharp(one: Float32, other: Float32, inside: NDArray[np.bool_]) -> tuple[Float32, Float32]:
    """The sharper of the two is blurred, as far as the other is."""
    sharpness = _sharpness(one, inside), _sharpness(other, inside)
    sharp = one if sharpness[0] > sharpness[1] else other
    best = sharp
    for radius in _BLURS_PX:
        blurred = _blurred(sharp, radius)
        if _sharpness(blurred, inside) < min(sharpness):
            break
        best = blurred
    return (best, other) if sharp is one else (one, best)


def _sharpness(picture: Float32, inside: NDArray[np.bool_]) -> float:
    across = (picture[1:-1, 2:] - picture[1:-1, :-2]) * inside[1:-1, 1:-1]
    down = (picture[2:, 1:-1] - picture[:-2, 1:-1]) * inside[1:-1, 1:-1]
    return float((across * across).sum() + (down * down).sum())


def _untoned(one: Float32, other: Float32, inside: NDArray[np.bool_]) -> tuple[Float32, Float32]:
    """What is left when the tones of one are made those of the other, and the other way round; 0 outside."""
    rests = (other - _toned(one, other, inside), one - _toned(other, one, inside))
    return np.where(inside, rests[0], 0), np.where(inside, rests[1], 0)


def _toned(picture: Float32, like: Float32, inside: NDArray[np.bool_]) -> Float32:
    """A picture with its tones exchanged, in their order, for those that the other has at the same places."""
    low, high = float(picture[inside].min()), float(picture[inside].max())
    place = np.clip((picture - low) * ((_TONES - 1) / max(high - low, _EPS)), 0, _TONES - 1)
    tone = np.minimum(place.astype(np.intp), _TONES - 2)
    part = place - tone
    counted, share, target = tone[inside], part[inside], like[inside]
    weights = np.bincount(counted, 1 - share, _TONES) + np.bincount(counted + 1, share, _TONES)
    sums = np.bincount(counted, (1 - share) * target, _TONES) + np.bincount(counted + 1, share * target, _TONES)
    plain = np.linspace(low, high, _TONES)
    curve = np.maximum.accumulate((sums + _TONE_WEIGHT * plain) / (weights + _TONE_WEIGHT)).astype(np.float32)
    found: Float32 = curve[tone] * (1 - part) + curve[tone + 1] * part
    return found


def _blurred(picture: Float32, radius_px: float) -> Float32:
    """A picture (h, h) through a Gaussian; at the edge the nearest pixels are repeated."""
    weights = _gaussian(radius_px)
    found: Float32 = _slid(_slid(picture, weights).T, weights).T
    return found


def _slid(picture: Float32, weights: Float32) -> Float32:
    """Weighted sums along the columns of (h, h)."""
    reach, size = len(weights) // 2, len(picture)
    padded = np.empty((size + 2 * reach, size), np.float32)
    padded[:reach], padded[reach : reach + size], padded[reach + size :] = picture[:1], picture, picture[-1:]
    total: Float32 = padded[reach : reach + size] * weights[reach]
    for step in range(1, reach + 1):
        both = padded[reach - step : reach - step + size] + padded[reach + step : reach + step + size]
        both *= weights[reach + step]
        total += both
    return total


@functools.cache
def _gaussian(radius_px: float) -> Float32:
    """The weights (2 reach + 1,) of neighbouring pixels; they add up to 1."""
    reach = math.ceil(2.5 * radius_px)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius_px) ** 2)
    found: Float32 = (weights / weights.sum()).astype(np.float32)
    return found


def _box_mean(picture: Float32, side: int) -> Float32:
    """Means over squares around each pixel of (h, h); beyond the edge is 0."""
    reach, size = side // 2, len(picture)
    padded = np.zeros((size + 2 * reach, size + 2 * reach), np.float32)
    padded[reach : reach + size, reach : reach + size] = picture
    rows = padded[:size].copy()
    for place in range(1, side):
        rows += padded[place : place + size]
    total: Float32 = rows[:, :size].copy()
    for place in range(1, side):
        total += rows[:, place : place + size]
    total /= side * side
    return total


# -- groups --------------------------------------------------------------------------------------------------------


def stars(count: int, pairs: Int64, preference: Int64, apart: Collection[frozenset[int]] = ()) -> list[list[int]]:
    """Groups in which every row is paired with the first, so that they never chain.

    Whoever has most pairs leads; who is in a group is in no other.

    Args:
        count: n, how many rows there are.
        pairs: (m, 2) rows that belong together.
        preference: (n,) which of equals leads: the lowest.
        apart: Sets of rows of which no two may share a group.

    Returns:
        Groups of two and more, in order of their leader's row; after the leader its rows ascending.
    """
    partners: dict[int, set[int]] = {}
    for first, second in pairs.tolist():
        partners.setdefault(first, set()).add(second)
        partners.setdefault(second, set()).add(first)
    barred = _sets_of(apart)
    taken = np.zeros(count, bool)
    groups = []
    for leader in sorted(partners, key=lambda row: (-len(partners[row]), int(preference[row]), row)):
        if taken[leader]:
            continue
        group = [leader]
        for row in sorted(partners[leader]):
            if not taken[row] and not any(barred.get(row, _NONE) & barred.get(other, _NONE) for other in group):
                group.append(row)
        if len(group) > 1:
            taken[group] = True
            groups.append(group)
    return sorted(groups)


def components(count: int, pairs: Int64) -> Int64:
    """A number (n,) for each row, equal for rows that any chain of pairs joins: the lowest row among them."""
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in pairs.tolist():
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return np.fromiter((root(row) for row in range(count)), np.int64, count)


def without(pairs: Int64, apart: Collection[frozenset[int]]) -> Int64:
    """Pairs (m, 2) without those of which both rows are in one of the sets."""
    barred = _sets_of(apart)
    if not barred:
        return pairs
    kept = [not barred.get(first, _NONE) & barred.get(second, _NONE) for first, second in pairs.tolist()]
    found: Int64 = pairs[np.array(kept, bool)]
    return found


_NONE: frozenset[int] = frozenset()


def _sets_of(apart: Collection[frozenset[int]]) -> dict[int, set[int]]:
    """For each row that is in any of the sets, in which."""
    found: dict[int, set[int]] = {}
    for number, rows in enumerate(apart):
        for row in rows:
            found.setdefault(row, set()).add(number)
    return found

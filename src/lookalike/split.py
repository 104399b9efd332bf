"""Dividing images into parts for training and testing so that what belongs together stays on one side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import SettingError, ShapeError
from lookalike.types import Int64, check_array

NAMES = {2: ("train", "test"), 3: ("train", "val", "test")}
_SUM_TOLERANCE = 1e-6
# How sizes are weighed against labels: with less of either, rare labels draw too much to the largest part.
_SIZE_WEIGHT = 3.0  # of a part's size against its share of a label
_LEAST_WANTED = 2.0  # what is wanted of a rare label counts as this much

Bools = NDArray[np.bool_]


def parse_fractions(text: str) -> tuple[float, ...]:
    """Read ``0.8,0.1,0.1``.

    Raises:
        SettingError: as ``check_fractions``, or something is no number.
    """
    try:
        fractions = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingError(f"split: {text!r} is no list of numbers", hint=_how()) from error
    return check_fractions(fractions)


def check_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """The fractions as they came.

    Raises:
        SettingError: they are not two or three, one is not above 0, or they do not add up to 1.
    """
    text = ",".join(f"{fraction:g}" for fraction in fractions)
    if len(fractions) not in NAMES:
        raise SettingError(f"split: {text} has {len(fractions)} parts; there must be 2 or 3", hint=_how())
    if not all(math.isfinite(fraction) and fraction > 0 for fraction in fractions):
        raise SettingError(f"split: {text}: every part must be above 0", hint=_how())
    if abs(sum(fractions) - 1) > _SUM_TOLERANCE:
        raise SettingError(f"split: {text} adds up to {sum(fractions):g}, not to 1", hint=_how())
    return tuple(fractions)


def _how() -> str:
    return "write for example 0.8,0.1,0.1 (train, val, test) or 0.8,0.2 (train, test)"


def join(groupings: Sequence[Int64]) -> Int64:
    """The finest grouping that keeps together what any of several groupings keeps together (transitive closure).

    Args:
        groupings: Each (n,) int64: rows of equal number belong together; a negative number belongs to nobody.

    Returns:
        (n,) int64: groups numbered 0, 1, ... in order of their first row.

    Raises:
        ShapeError: there is none, or they differ in length.
    """
    if not groupings or len({len(grouping) for grouping in groupings}) > 1:
        raise ShapeError(f"groupings: expected some of equal length, got {[len(g) for g in groupings]}")
    for grouping in groupings:
        check_array("grouping", grouping, (None,), np.int64)
    root = np.arange(len(groupings[0]), dtype=np.int64)
    while True:
        before = root
        for grouping in groupings:
            root = _lowered(root, grouping)
        if np.array_equal(root, before):
            break
    return np.unique(root, return_inverse=True)[1].astype(np.int64)


def _lowered(root: Int64, grouping: Int64) -> Int64:
    """Each row's root becomes the lowest root within its group, and then the root of that."""
    known = grouping >= 0
    _, codes = np.unique(grouping[known], return_inverse=True)
    lowest = np.full(codes.max(initial=-1) + 1, len(root), np.int64)
    np.minimum.at(lowest, codes, root[known])
    lowered = root.copy()
    # Roots are rows: what was the root of the group's rows gets the lowest root too, so that chains fold quickly.
    np.minimum.at(lowered, root[known], lowest[codes])
    lowered[known] = np.minimum(lowered[known], lowest[codes])
    while not np.array_equal(folded := lowered[lowered], lowered):
        lowered = folded
    return lowered


def assign(groups: Int64, labels: Int64, fractions: Sequence[float], *, seed: int = 0) -> Int64:
    """Give every group to one part, so that sizes and label mixes come as near to the fractions as groups allow.

    Args:
        groups: (n,) int64, 0 or more: rows of equal number stay together.
        labels: (n,) int64; whatever number stands for no label counts as a label of its own.
        fractions: See ``check_fractions``.
        seed: Decides between groups of equal size.

    Returns:
        (n,) int64: the part of each row, 0 for the first fraction. No part is empty where there are groups enough.

    *Source*: greedy stratification of groups, largest first, as in scikit-learn's ``StratifiedGroupKFold``, with parts
    of different sizes. What is kept small is the sum of (counted - wanted)^2 / wanted over parts, and over labels
    within parts (Pearson's statistic), where sizes weigh more than labels and rare labels less.
    """
    check_array("groups", groups, (None,), np.int64)
    check_array("labels", labels, groups.shape, np.int64)
    wanted = check_fractions(fractions)
    if not len(groups):
        return np.zeros(0, np.int64)
    _, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    _, label_of_row, totals = np.unique(labels, return_inverse=True, return_counts=True)
    mixes = _mixes(of_row, label_of_row, len(sizes))
    balance = _Balance(wanted, totals.tolist())
    part = np.zeros(len(sizes), np.int64)
    order = np.random.default_rng(seed).permutation(len(sizes))
    for group in order[np.argsort(-sizes[order], kind="stable")].tolist():
        part[group] = balance.place(mixes[group])
    _fill_empty(part, sizes, len(wanted))
    return part[of_row]


def _fill_empty(part: Int64, sizes: NDArray[np.intp], count: int) -> None:
    """An empty part gets the smallest group of the part that has the most groups, unless that has only one."""
    for empty in range(count):
        groups = np.bincount(part, minlength=count)
        if not groups[empty] and groups.max() > 1:
            own = np.flatnonzero(part == groups.argmax())
            part[own[sizes[own].argmin()]] = empty


def _mixes(of_row: NDArray[np.intp], label_of_row: NDArray[np.intp], n_groups: int) -> list[list[tuple[int, int]]]:
    """For each group its (label, how many)."""
    n_labels = int(label_of_row.max()) + 1
    cells, counts = np.unique(of_row.astype(np.int64) * n_labels + label_of_row, return_counts=True)
    mixes: list[list[tuple[int, int]]] = [[] for _ in range(n_groups)]
    for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
        mixes[cell // n_labels].append((cell % n_labels, count))
    return mixes


class _Balance:
    """What every part has and wants, of all rows and of each label."""

    def __init__(self, fractions: Sequence[float], totals: Sequence[int]) -> None:
        self._wanted = [(sum(totals) * fraction, [total * fraction for total in totals]) for fraction in fractions]
        self._have = [0 for _ in fractions]
        self._have_of = [[0] * len(totals) for _ in fractions]

    def place(self, mix: Sequence[tuple[int, int]]) -> int:
        """Add a group to the part where it does most good; the part's number."""
        part = min(range(len(self._have)), key=lambda number: (self._cost(number, mix), number))
        for label, count in mix:
            self._have[part] += count
            self._have_of[part][label] += count
        return part

    def _cost(self, part: int, mix: Sequence[tuple[int, int]]) -> float:
        """What the group adds to the sum of squares."""
        wanted, wanted_of = self._wanted[part]
        have_of = self._have_of[part]
        cost = _SIZE_WEIGHT * _added(self._have[part], sum(count for _, count in mix), wanted)
        return cost + sum(_added(have_of[label], count, wanted_of[label]) for label, count in mix)


def _added(have: int, count: int, wanted: float) -> float:
    return count * (2 * (have - wanted) + count) / max(wanted, _LEAST_WANTED)


def naive(n: int, fractions: Sequence[float], *, seed: int = 0) -> Int64:
    """The part (n,) of each row when rows are shuffled and cut, as most scripts do: what ``assign`` is held against."""
    ends = np.round(np.cumsum(check_fractions(fractions)) * n).astype(np.int64)
    return np.searchsorted(ends, np.random.default_rng(seed).permutation(n), side="right").astype(np.int64)


def torn(grouping: Int64, parts: Int64) -> Bools:
    """Which rows (n,) have another of their group in another part.

    Args:
        grouping: (n,) int64; a negative number belongs to nobody.
        parts: (n,) int64.
    """
    check_array("parts", parts, grouping.shape, np.int64)
    known = grouping >= 0
    _, codes = np.unique(grouping[known], return_inverse=True)
    size = codes.max(initial=-1) + 1
    lowest, highest = np.full(size, np.iinfo(np.int64).max), np.full(size, np.iinfo(np.int64).min)
    np.minimum.at(lowest, codes, parts[known])
    np.maximum.at(highest, codes, parts[known])
    found = np.zeros(len(grouping), np.bool_)
    found[known] = (lowest != highest)[codes]
    return found

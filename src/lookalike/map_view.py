"""What a drawing of a map shows, be it a page or a picture: points, groups, their colours, copies set apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lookalike import palette
from lookalike.types import Float32, Int64

MOST_GROUPS = 200
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_APART = 0.12  # copies of one picture, as a share of the distance that points would have in a full square


@dataclass(frozen=True, slots=True)
class MapGroup:
    """Points of one colour.

    Attributes:
        name: For example a label; other people's text.
        colour: "#rrggbb".
        count: How many points.
        rest: Whether it only gathers what belongs nowhere else.
    """

    name: str
    colour: str
    count: int
    rest: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """A map as it is shown.

    Attributes:
        title: Heading.
        facts: Names and values for the head.
        xy: (n, 2) float32 in the unit square, y upwards.
        paths: n paths as they are shown; other people's text.
        details: n lines of facts, for example size and date.
        aspects: (n,) float32, width by height.
        groups: The groups, in order of the legend.
        group_of: (n,) int64 rows of ``groups``.
        coloured_by: What a group is, for example "label"; empty where there is only one.
        named: Whether groups lie together and deserve their name on the map.
        note: A remark, for example that it is being refined; may be empty.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    xy: Float32
    paths: Sequence[str]
    details: Sequence[str]
    aspects: Float32
    groups: Sequence[MapGroup]
    group_of: Int64
    coloured_by: str = ""
    named: bool = True
    note: str = ""


def grouped(values: Sequence[str | None], *, ordered: bool, without: str) -> tuple[list[MapGroup], Int64]:
    """Groups with colours, and the group (n,) of each value.

    Args:
        values: Of each point; None where it has none.
        ordered: Whether the values have an order that colours should follow; else the largest group comes first.
        without: The name of the last group: those with no value. Values beyond the ``MOST_GROUPS`` most frequent share
            one group too.
    """
    counts = Counter(value for value in values if value is not None)
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_GROUPS]
    names = sorted(frequent) if ordered else frequent
    colours = palette.steps(len(names)) if ordered else palette.groups(len(names))
    found = [MapGroup(name, colour, counts[name]) for name, colour in zip(names, colours, strict=True)]
    at = {name: row for row, name in enumerate(names)}
    others, missing = len(counts) - len(names), len(values) - counts.total()
    if others:
        rest = counts.total() - sum(group.count for group in found)
        at |= dict.fromkeys(counts.keys() - at.keys(), len(found))
        found.append(MapGroup(f"{others:,} others", palette.NEUTRAL, rest, rest=True))
    if missing:
        found.append(MapGroup(without, palette.NEUTRAL, missing, rest=True))
    codes = [len(found) - 1 if value is None else at[value] for value in values]
    return found, np.array(codes, np.int64)


def spread_copies(xy: Float32, contents: Int64) -> Float32:
    """The points (n, 2), copies of one picture set slightly apart, in a spiral about the place that they share."""
    _, first, codes = np.unique(contents, return_index=True, return_inverse=True)
    order = np.lexsort((np.arange(len(codes)), codes))
    rank = np.empty(len(codes), np.int64)  # 0 is the first of its copies
    rank[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    radius = _APART / math.sqrt(max(1, len(first))) * np.sqrt(rank)
    spiral = np.stack([np.cos(rank * _GOLDEN_ANGLE), np.sin(rank * _GOLDEN_ANGLE)], axis=1) * radius[:, None]
    return np.asarray((xy + spiral).clip(0, 1), np.float32)

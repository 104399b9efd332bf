"""Colours and groups of a map, and the pictures that are drawn of it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookalike import map_picture, palette
from lookalike.map_view import MOST_GROUPS, MapView, grouped, spread_copies
from lookalike.types import Float32


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], float)


def view(xy: Float32, values: list[str | None] | None = None, *, ordered: bool = False) -> MapView:
    groups, group_of = grouped(values or [None] * len(xy), ordered=ordered, without="no label")
    return MapView(
        title="a map",
        facts=[],
        xy=xy,
        paths=[f"/photos/{row}.jpg" for row in range(len(xy))],
        details=[""] * len(xy),
        aspects=np.full(len(xy), 1.5, np.float32),
        groups=groups,
        group_of=group_of,
        coloured_by="label",
        named=not ordered,
    )


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")


# -- colours -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colours", [palette.groups(60), palette.steps(60), palette.steps(1), palette.groups(0)])
def test_colours_are_colours_and_neither_nearly_white_nor_nearly_black(colours: list[str]) -> None:
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    for colour in colours:
        assert 60 < rgb(colour) @ [0.21, 0.72, 0.07] < 225


def test_groups_can_be_told_apart_and_steps_follow_one_another() -> None:
    first = np.stack([rgb(colour) for colour in palette.groups(8)])
    away = np.linalg.norm(first[:, None] - first, axis=2)[~np.eye(8, dtype=bool)]
    assert away.min() > 50
    assert palette.groups(20)[:8] == palette.groups(8)  # more groups do not change the colours of the first
    steps = np.stack([rgb(colour) for colour in palette.steps(30)])
    lightness = steps @ [0.21, 0.72, 0.07]
    assert np.diff(lightness).min() > -1
    assert lightness[-1] > lightness[0] + 60


# -- groups --------------------------------------------------------------------------------------------------------


def test_groups_are_in_order_of_size_or_of_their_names() -> None:
    values = ["b", "a", None, "b", "c", "c", "c"]
    groups, codes = grouped(values, ordered=False, without="no label")
    assert [(group.name, group.count, group.rest) for group in groups] == [
        ("c", 3, False),
        ("b", 2, False),
        ("a", 1, False),
        ("no label", 1, True),
    ]
    assert [groups[code].name for code in codes] == [value or "no label" for value in values]
    groups, codes = grouped(values, ordered=True, without="no date")
    assert [group.name for group in groups] == ["a", "b", "c", "no date"]
    assert [groups[code].name for code in codes] == [value or "no date" for value in values]


def test_very_many_groups_are_gathered_and_nothing_is_lost() -> None:
    values: list[str | None] = [f"{number:04d}" for number in range(MOST_GROUPS + 50)] + ["0000", None]
    groups, codes = grouped(values, ordered=False, without="no label")
    assert [group.name for group in groups[-2:]] == ["50 others", "no label"]
    assert sum(group.count for group in groups) == len(values)
    np.testing.assert_array_equal(np.bincount(codes), [group.count for group in groups])


def test_nothing_has_no_groups() -> None:
    groups, codes = grouped([], ordered=False, without="none")
    assert groups == []
    assert len(codes) == 0


def test_copies_are_set_slightly_apart_and_the_first_stays() -> None:
    xy = np.array([[0.2, 0.2], [0.8, 0.8], [0.2, 0.2], [0.2, 0.2]], np.float32)
    spread = spread_copies(xy, np.array([7, 3, 7, 7]))
    np.testing.assert_array_equal(spread[:2], xy[:2])
    assert len(np.unique(spread, axis=0)) == 4
    assert np.abs(spread - xy).max() < 0.15
    np.testing.assert_array_equal(spread_copies(xy[:2], np.array([7, 3])), xy[:2])
    assert spread_copies(xy[:0], np.zeros(0, np.int64)).shape == (0, 2)


# -- pictures ------------------------------------------------------------------------------------------------------


def test_a_dot_of_its_groups_colour_lies_where_the_point_is() -> None:
    xy = np.array([[0, 0], [1, 1], [0, 1]], np.float32)
    drawn = replace(view(xy, ["left", "right", None]), named=False)
    picture = np.asarray(opened(map_picture.dots(drawn)), float)
    side = picture.shape[0]
    edge = map_picture._EDGE_PX
    for (x, y), code in zip(xy, drawn.group_of, strict=True):
        row, column = int(edge + (1 - y) * (side - 2 * edge)), int(edge + x * (side - 2 * edge))
        near = picture[row - 9 : row + 10, column - 9 : column + 10].reshape(-1, 3)
        assert np.abs(near - rgb(drawn.groups[code].colour)).sum(axis=1).min() < 120
    assert picture.shape[1] > side  # a legend
    assert np.asarray(opened(map_picture.dots(view(xy)))).shape[:2] == (side, side)  # one group needs none


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_any_number_of_points_can_be_drawn(count: int) -> None:
    xy = np.random.default_rng(0).random((count, 2), np.float32)
    values: list[str | None] = [f"\u202e{number % 70}\x1b[31m" + "x" * 60 for number in range(count)]
    assert opened(map_picture.dots(view(xy, values))).height == 2400


def test_a_wall_shows_each_picture_near_its_place() -> None:
    xy = np.array([[0, 0], [1, 1], [0, 1], [0, 1]], np.float32)
    colours = ["#ff0000", "#00ff00", "#0000ff", "#ff00ff"]
    asked: list[tuple[int, int]] = []

    def thumbnail_of(row: int, size: tuple[int, int]) -> Image.Image:
        asked.append(size)
        return Image.new("RGB", size, colours[row])

    picture = np.asarray(opened(map_picture.wall(view(xy), thumbnail_of)))
    assert all(width > height for width, height in asked)  # the aspect is kept, the middle is cut out
    where = {}
    for row, colour in enumerate(colours):
        rows, columns = np.nonzero((picture == rgb(colour)).all(axis=2))
        where[row] = (columns.mean(), rows.mean())
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # a whole tile, nothing over it
    assert where[0][0] < where[1][0]
    assert where[0][1] > where[1][1]
    assert where[2] != where[3]


def test_a_wall_leaves_out_what_has_no_picture_or_no_room() -> None:
    xy = np.full((300, 2), 0.5, np.float32)
    shown = []

    def thumbnail_of(row: int, size: tuple[int, int]) -> Image.Image | None:
        shown.append(row)
        return None if row == 0 else Image.new("RGB", size, "red")

    map_picture.wall(view(xy), thumbnail_of)
    assert len(shown) == len(set(shown)) == 81  # four tiles each way, all there is within reach

"""Whether two pictures are the same, and groups of those that are."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike import alignment, duplicates, edits
from lookalike.gallery.candidates import turned_each

SIZE = duplicates.FINE_PX
SAME = (
    "jpeg 75",
    "jpeg 30",
    "jpeg 10",
    "crop 90%",
    "crop 70%",
    "scale 50%",
    "scale 25%",
    "rotate 5",
    "blur",
    "grey",
    "darker",
)


def scene(seed: int) -> Image.Image:
    """A picture with enough in it to be told from others."""
    random = np.random.default_rng(seed)
    field = Image.fromarray(random.integers(0, 256, (7, 9, 3), np.uint8)).resize((480, 360), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(field)
    for _ in range(14):
        x, y, w, h = (int(v) for v in random.integers((0, 0, 20, 20), (440, 320, 110, 110)))
        pen.ellipse((x, y, x + w, y + h), fill=tuple(random.integers(0, 256, 3).tolist()))
    return field


def small(picture: Image.Image) -> np.ndarray:
    """As a gallery sees it: a small JPEG, in grey, squeezed into a square."""
    thumbnail = picture.convert("RGB")
    thumbnail.thumbnail((256, 256))
    out = io.BytesIO()
    thumbnail.save(out, "JPEG", quality=80)
    return np.asarray(Image.open(out).convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def compare(first: Image.Image, second: Image.Image) -> duplicates.Verdicts:
    a, b = small(first)[None], small(second)[None]
    coarse = [alignment.shrink(side, SIZE // alignment.COARSE_PX) for side in (a, b)]
    laid, _ = alignment.searched(*coarse)
    return duplicates.compare(a, b, alignment.refined(*coarse, laid, 4))


def edited(picture: Image.Image, name: str, seed: int) -> Image.Image:
    return Image.fromarray(edits.apply(name, np.asarray(picture), seed))


@pytest.mark.parametrize("name", SAME)
def test_an_edited_copy_is_the_same_picture_either_way_round(name: str) -> None:
    for seed in range(3):
        original = scene(seed)
        copy = edited(original, name, seed)
        for verdict in (compare(original, copy), compare(copy, original)):
            assert verdict.same[0], (name, seed, verdict)
            assert verdict.linked[0]
            assert verdict.covered[0] == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_small_strong_difference_makes_another_picture_that_is_still_linked(seed: int) -> None:
    board = Image.new("RGB", (640, 640), "white")
    random = np.random.default_rng(seed)
    pen = ImageDraw.Draw(board)
    for _ in range(12):
        x, y = (int(v) for v in random.integers(0, 560, 2))
        pen.line((x, y, x + int(random.integers(60, 400)), y), fill="black", width=22)
        pen.ellipse((y, x, y + 60, x + 60), fill="black")
    sister = board.copy()
    x, y = (int(v) for v in random.integers(150, 450, 2))
    ImageDraw.Draw(sister).ellipse(
        (x, y, x + 18, y + 18), fill="white" if board.getpixel((x + 9, y + 9))[0] < 128 else "black"
    )
    for copy in (board, edited(board, "jpeg 30", seed), edited(board, "darker", seed)):
        assert compare(board, copy).same[0]
        verdict = compare(copy, sister)
        assert not verdict.same[0]
        assert verdict.linked[0]
        assert verdict.difference[0] > duplicates.FAINT_DIFFERENCE


def test_other_pictures_are_neither_the_same_nor_linked() -> None:
    for seed in range(6):
        verdict = compare(scene(seed), scene(seed + 100))
        assert not verdict.same[0]
        assert not verdict.linked[0]


def test_plain_surfaces_are_not_the_same_for_being_plain() -> None:
    shade = np.linspace(60, 180, 300)[None, :, None] * np.ones((300, 1, 3))
    surfaces = [
        Image.fromarray(
            (shade + np.random.default_rng(seed).normal(0, 12, (300, 300, 1))).clip(0, 255).astype(np.uint8)
        )
        for seed in range(4)
    ]
    assert compare(surfaces[0], edited(surfaces[0], "jpeg 75", 1)).same[0]
    for other in surfaces[1:]:
        assert not compare(surfaces[0], other).same[0]


def test_a_small_cut_out_is_another_picture() -> None:
    picture = scene(1)
    part = picture.crop((0, 0, 240, 180))
    a, b = small(picture)[None], small(part)[None]
    there = np.array([[[0.5, 0, -0.5], [0, 0.5, -0.5]]], np.float32)
    assert not duplicates.compare(a, b, there).same[0]
    assert not duplicates.compare(b, a, alignment.inverse(there)).linked[0]


def test_whole_turns_are_undone_before() -> None:
    pictures = np.stack([small(scene(seed)) for seed in range(3)])
    turned = np.stack([alignment.turned(pictures[0], 0), alignment.turned(pictures[1], 5), pictures[2]])
    back = next(t for t in range(8) if (alignment.turned(turned[1], t) == pictures[1]).all())
    again = turned_each(turned, np.array([0, back, 0], np.int8))
    assert duplicates.compare(pictures, again, alignment.identity(3)).same.all()


def test_no_pictures_give_no_verdicts(draw: Callable[..., Image.Image]) -> None:
    none = np.zeros((0, SIZE, SIZE), np.uint8)
    assert len(duplicates.compare(none, none, alignment.identity(0)).same) == 0


# -- groups --------------------------------------------------------------------------------------------------------


def pairs(*given: tuple[int, int]) -> np.ndarray:
    return np.array(given, np.int64).reshape(-1, 2)


def test_groups_never_chain() -> None:
    chain = pairs(*[(row, row + 1) for row in range(9)])
    groups = duplicates.stars(10, chain, np.zeros(10, np.int64))
    known = {frozenset(pair) for pair in chain.tolist()}
    for leader, *others in groups:
        assert all(frozenset((leader, row)) in known for row in others)
    assert max(len(group) for group in groups) == 3
    rows = [row for group in groups for row in group]
    assert len(rows) == len(set(rows))


def test_who_has_most_pairs_leads_then_whom_is_preferred() -> None:
    star = pairs((0, 3), (1, 3), (2, 3), (0, 1))
    assert duplicates.stars(4, star, np.zeros(4, np.int64)) == [[3, 0, 1, 2]]
    assert duplicates.stars(2, pairs((0, 1)), np.array([5, 4])) == [[1, 0]]
    assert duplicates.stars(3, pairs(), np.zeros(3, np.int64)) == []


def test_rows_that_were_set_apart_are_in_no_group_together() -> None:
    star = pairs((0, 1), (0, 2), (0, 3))
    zeros = np.zeros(4, np.int64)
    apart = [frozenset((1, 2))]
    assert duplicates.stars(4, duplicates.without(star, apart), zeros, apart) == [[0, 1, 3]]
    apart = [frozenset((0, 2, 3))]
    assert duplicates.stars(4, duplicates.without(star, apart), zeros, apart) == [[0, 1]]
    np.testing.assert_array_equal(duplicates.without(star, []), star)


def test_components_join_every_chain() -> None:
    assert duplicates.components(6, pairs((4, 2), (2, 0), (3, 5))).tolist() == [0, 1, 0, 3, 0, 3]
    assert duplicates.components(3, pairs()).tolist() == [0, 1, 2]


def test_what_is_laid_over_a_picture_leaves_it_the_same() -> None:
    for seed in range(6):
        picture = scene(seed)
        verdict = compare_in_place(picture, edited(picture, "overlay", seed))
        assert verdict.same[0]
        assert verdict.linked[0]
        assert 0.05 < verdict.covered[0] < 0.2
        assert verdict.difference[0] < duplicates.FAINT_DIFFERENCE


def test_what_covers_too_much_or_is_no_rectangle_or_changes_more_is_a_difference() -> None:
    picture = scene(7)
    disc, half, spots, other = picture.copy(), picture.copy(), picture.copy(), scene(8)
    ImageDraw.Draw(disc).ellipse((100, 100, 300, 260), fill="red")
    ImageDraw.Draw(half).rectangle((0, 0, 480, 200), fill="white")
    for x, y in ((20, 30), (300, 60), (120, 280), (420, 320)):
        ImageDraw.Draw(spots).rectangle((x, y, x + 30, y + 30), fill="white")
    other.paste(picture.crop((0, 0, 200, 360)), (0, 0))
    for changed in (disc, half, spots, other):
        assert not compare_in_place(picture, changed).same[0]


def compare_in_place(first: Image.Image, second: Image.Image) -> duplicates.Verdicts:
    return duplicates.compare(small(first)[None], small(second)[None], alignment.identity(1))

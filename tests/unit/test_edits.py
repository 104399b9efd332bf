"""Edits change what they say, where they say, the same way every time."""

import numpy as np
import pytest

from lookalike import edits
from lookalike.errors import SettingError, ShapeError

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def pixels(draw):
    return np.array(draw(kind=3, seed=1, size_px=(WIDTH, HEIGHT)))


def off(a, b):
    return np.abs(a.astype(int) - b.astype(int))


@pytest.mark.parametrize("name", edits.EDITS)
def test_an_edit_changes_the_picture_the_same_way_every_time_and_leaves_the_original(name, pixels):
    before = pixels.copy()
    once, again = (edits.apply(name, pixels, 7) for _ in range(2))
    assert np.array_equal(once, again)
    assert np.array_equal(pixels, before)
    assert once.dtype == np.uint8
    assert once.shape != pixels.shape or not np.array_equal(once, pixels)


@pytest.mark.parametrize("name", edits.EDITS)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 2)])
def test_the_smallest_pictures_can_be_edited(name, size):
    edited = edits.apply(name, np.full((*size, 3), 90, np.uint8), 0)
    assert edited.ndim == 3
    assert min(edited.shape) >= 1


def test_the_table_covers_what_happens_to_copies():
    assert {name.split()[0] for name in edits.EDITS} == {
        *("jpeg", "crop", "scale", "rotate", "flip", "blur", "grey", "darker", "brighter", "overlay")
    }
    assert all(name == edit.name and edit.what for name, edit in edits.EDITS.items())


def test_a_lower_jpeg_quality_is_further_from_the_original(pixels):
    errors = [off(edits.apply(f"jpeg {q}", pixels, 0), pixels).mean() for q in (75, 50, 30, 10)]
    assert errors == sorted(errors)
    assert errors[-1] > 1.5 * errors[0] > 0


@pytest.mark.parametrize("percent", [90, 70, 50])
def test_a_crop_is_a_part_of_that_area_and_aspect_at_a_seeded_place(percent, pixels):
    crops = [edits.apply(f"crop {percent}%", pixels, seed) for seed in range(6)]
    height, width, _ = crops[0].shape
    assert height * width / (HEIGHT * WIDTH) == pytest.approx(percent / 100, abs=0.02)
    assert width / height == pytest.approx(WIDTH / HEIGHT, abs=0.02)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (height, width, 3))[:, :, 0]
    places = {tuple(np.argwhere((windows == crop).all(axis=(2, 3, 4)))[0]) for crop in crops}
    assert len(places) > 1


def test_scaling_shortens_both_sides(pixels):
    assert edits.apply("scale 50%", pixels, 0).shape == (60, 80, 3)
    assert edits.apply("scale 25%", pixels, 0).shape == (30, 40, 3)


def test_a_quarter_turn_loses_nothing_and_goes_either_way(pixels):
    turned = [edits.apply("rotate 90", pixels, seed) for seed in range(8)]
    quarters = [np.rot90(pixels, 1), np.rot90(pixels, -1)]
    ways = {next(i for i, q in enumerate(quarters) if np.array_equal(t, q)) for t in turned}
    assert ways == {0, 1}


@pytest.mark.parametrize("degrees", [5, 15])
def test_a_slight_turn_keeps_the_frame_and_blackens_the_corners(degrees, pixels):
    turned = edits.apply(f"rotate {degrees}", pixels, 0)
    assert turned.shape == pixels.shape
    assert (turned[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert pixels[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 30
    assert off(turned, pixels)[HEIGHT // 2, WIDTH // 2].max() < 30


def test_flip_swaps_left_and_right(pixels):
    assert np.array_equal(edits.apply("flip", pixels, 0), pixels[:, ::-1])


def test_grey_has_three_equal_channels(pixels):
    grey = edits.apply("grey", pixels, 0)
    assert (grey == grey[..., :1]).all()


def test_brightness_is_halved_or_half_as_much_again(pixels):
    assert off(edits.apply("darker", pixels, 0), pixels // 2).max() <= 1
    assert off(edits.apply("brighter", pixels, 0), np.minimum(pixels * 1.5, 255).astype(np.uint8)).max() <= 1


def test_blur_takes_out_detail_and_is_relative_to_the_size(pixels):
    def detail(image):
        return np.abs(np.diff(image.astype(int), axis=0)).mean()

    assert detail(edits.apply("blur", pixels, 0)) < 0.5 * detail(pixels)
    edge = np.zeros((400, 400, 3), np.uint8)
    edge[:, 200:] = 255
    ramp = edits.apply("blur", edge, 0)[200, :, 0]
    small = edits.apply("blur", edge[::4, ::4], 0)[50, :, 0]
    grey, small_grey = (np.count_nonzero((row > 25) & (row < 230)) for row in (ramp, small))
    assert grey > 2 * small_grey > 0


def test_an_overlay_covers_a_tenth_and_nothing_else_changes():
    plain = np.full((200, 300, 3), 128, np.uint8)
    shares, kinds = [], set()
    for seed in range(10):
        changed = (edits.apply("overlay", plain, seed) != plain).any(axis=2)
        shares.append(changed.mean())
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        kinds.add("bar" if len(columns) == 300 else "square")
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert shares == pytest.approx([0.1] * 10, abs=0.01)
    assert kinds == {"bar", "square"}


def test_an_unknown_edit_names_those_there_are(pixels):
    with pytest.raises(SettingError, match="sepia") as caught:
        edits.apply("sepia", pixels, 0)
    assert "rotate 15" in caught.value.hint


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_other_arrays_are_refused(shape):
    with pytest.raises(ShapeError, match="expected"):
        edits.apply("flip", np.zeros(shape, np.uint8), 0)

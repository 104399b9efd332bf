"""Windows on a map, the shape of a query, codes, and how a region's score counts."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import reduce, regions
from lookalike.errors import ShapeError


def a_map(height: int, width: int, depth: int = 6) -> np.ndarray:
    return np.random.default_rng(1).random((depth, height, width), np.float32)


def test_every_window_lies_inside_and_together_they_cover_everything():
    seen = np.zeros((100, 100), bool)
    for x0, y0, x1, y1 in regions.BOXES:
        assert 0 <= x0 < x1 <= 1 + 1e-9
        assert 0 <= y0 < y1 <= 1 + 1e-9
        seen[round(y0 * 100) : round(y1 * 100), round(x0 * 100) : round(x1 * 100)] = True
    assert seen.all()
    assert len(set(regions.BOXES)) == regions.COUNT == 14


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5), (1, 3), (7, 9)])
def test_a_plain_map_gives_the_same_embedding_everywhere(shape):
    final = np.broadcast_to(np.array([3.0, 0.5], np.float32)[:, None, None], (2, *shape))
    assert regions.pool_regions(final) == pytest.approx(np.tile([3.0, 0.5], (regions.COUNT, 1)), rel=1e-5)


def test_pooling_is_the_power_mean_over_the_window():
    final = a_map(8, 8)
    expected = np.sqrt(np.square(final[:, 2:6, 4:8]).mean(axis=(1, 2)))
    assert regions.pool_box(final, (0.5, 0.25, 1.0, 0.75)) == pytest.approx(expected, rel=1e-5)


def test_a_place_that_the_window_cuts_counts_in_part():
    final = np.array([[[1.0, 3.0]]], np.float32)
    expected = np.sqrt((1 * 1 + 0.5 * 9) / 1.5)
    assert regions.pool_box(final, (0.0, 0.0, 0.75, 1.0))[0] == pytest.approx(expected, rel=1e-5)


def test_negative_values_count_as_nothing():
    assert regions.pool_box(np.array([[[-5.0, 2.0]]], np.float32), (0, 0, 1, 1))[0] == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0, 0, 1.5, 1), (0.6, 0, 0.4, 1)])
def test_a_box_that_is_none_is_refused(box):
    with pytest.raises(ShapeError, match="box"):
        regions.pool_box(a_map(4, 4), box)


def test_only_the_windows_on_a_thing_change_when_it_changes():
    before = np.ones((3, 8, 8), np.float32)
    after = before.copy()
    after[0, 0, 0] = 9  # the first place
    changed = np.abs(regions.pool_regions(after) - regions.pool_regions(before)).max(axis=1) > 0
    assert changed.tolist() == [x0 == 0 and y0 == 0 for x0, y0, _, _ in regions.BOXES]


@pytest.mark.parametrize("shape", [(256, 256), (192, 320), (299, 225)])
def test_a_shrunk_picture_lies_in_the_middle_of_plain_ground(shape):
    height, width = shape
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2] = (200, 10, 60)
    framed = regions.shrunk(pixels, (127, 127, 126))
    assert framed.shape == pixels.shape
    assert (framed[0] == (127, 127, 126)).all()
    assert (framed[:, 0] == (127, 127, 126)).all()
    assert framed[height // 4 + 8, width // 2].tolist() == [200, 10, 60]
    assert framed[3 * height // 4 - 8, width // 2].tolist() == [0, 0, 0]
    is_ground = (framed == (127, 127, 126)).all(axis=2)
    assert (~is_ground).sum() == (height // 2) * (width // 2)


def test_codes_lose_next_to_nothing():
    vectors = np.random.default_rng(2).standard_normal((300, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = regions.to_codes(vectors)
    assert codes.dtype == np.int8
    back = regions.from_codes(codes)
    assert (back * vectors).sum(axis=1).min() > 0.9998
    assert (regions.to_codes(back) == codes).all()


def test_region_vectors_are_evened_out_unit_vectors():
    embeddings = np.abs(np.random.default_rng(3).standard_normal((400, 32))) * np.linspace(3, 0.2, 32)
    moments = reduce.Moments(32)
    moments.add(embeddings)
    space = reduce.fit(moments, dim=16)
    vectors = regions.transform(space, embeddings)
    assert vectors.shape == (400, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(400), abs=1e-6)
    plain = reduce.transform(space, embeddings)
    assert vectors[:, 0].std() / vectors[:, -1].std() < plain[:, 0].std() / plain[:, -1].std()


# ---------------------------------------------------------------- what a region's score counts


def test_a_sure_region_counts_in_full_and_a_doubtful_one_less():
    scores = np.array([0.9, regions.SURE, 0.3, 0.0], np.float32)
    counted = regions.standing(scores)
    assert counted[:2].tolist() == scores[:2].tolist()
    assert counted[2:] == pytest.approx([0.15, -0.45])
    assert (np.diff(counted) < 0).all()


def test_in_a_plain_order_a_region_counts_like_a_score():
    scores = np.array([0.8, 0.5, 0.2, 0.1], np.float32)
    wanted = np.array([-np.inf, 0.6, 0.1, 0.95], np.float32)
    assert regions.lift(scores, scores, wanted) == pytest.approx([0.8, 0.6, 0.2, 0.95], abs=1e-6)


def test_a_region_must_stand_out_from_a_crowd_of_others():
    alone = np.array([0.6, 0.3], np.float32)
    crowd = np.concatenate([alone, np.full(regions.CROWD - 1, 0.55, np.float32)])
    far_off = np.concatenate([alone, np.full(100, 0.1, np.float32)])
    assert regions.standing(alone)[0] == regions.standing(far_off)[0] == alone[0]
    assert regions.standing(crowd)[0] == alone[0]  # all but so many: the one at 0.3
    assert regions.standing(np.append(crowd, np.float32(0.55)))[0] == pytest.approx(
        0.6 - (0.55 + regions.CONTRAST - 0.6)
    )


def test_in_any_other_order_it_stays_behind_all_with_a_higher_score():
    scores = np.array([0.8, 0.5, 0.4, 0.1], np.float32)
    rank_scores = np.array([1.0, 1.1, 0.7, 0.3], np.float32)  # of some dial

    def lifted(standing: float) -> np.ndarray:
        return regions.lift(scores, rank_scores, np.array([-np.inf] * 3 + [standing], np.float32))

    assert lifted(0.6)[:3].tolist() == rank_scores[:3].tolist()
    assert 0.7 < lifted(0.6)[3] <= 1.0  # ahead of what is behind all of higher score anyway
    assert lifted(0.85)[3] > 1.1


def test_nothing_sinks_and_nothing_moves_without_a_region():
    rng = np.random.default_rng(4)
    scores, rank_scores = (rng.uniform(-1, 1, 50).astype(np.float32) for _ in range(2))
    lifted = regions.lift(scores, rank_scores, rng.uniform(-1, 1, 50).astype(np.float32))
    assert (lifted >= rank_scores).all()
    assert (lifted > rank_scores).any()
    highest = np.full(50, scores.max() + 0.1, np.float32)
    assert (regions.lift(scores, rank_scores, highest) > rank_scores.max()).all()
    assert (regions.lift(scores, rank_scores, np.full(50, -np.inf, np.float32)) == rank_scores).all()

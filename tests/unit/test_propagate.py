from __future__ import annotations

import numpy as np
import pytest

from lookalike import propagate
from lookalike.engines import graph
from lookalike.errors import ShapeError
from lookalike.propagate import Description, bursts, describe, is_enough
from lookalike.types import Float32, Int64

D = 24


def unit(rows: np.ndarray) -> Float32:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def drawn(kinds: int, each: int, spread: float, seed: int = 0) -> tuple[Float32, Int64]:
    """Kinds around random centres; with a greater spread they run into each other."""
    random = np.random.default_rng(seed)
    centres = unit(random.normal(size=(kinds, D)))
    codes = np.repeat(np.arange(kinds), each).astype(np.int64)
    return unit(centres[codes] + spread * random.normal(size=(len(codes), D)) / np.sqrt(D)), codes


def described(vectors: Float32) -> tuple[Description, np.ndarray, Float32]:
    neighbours, scores = graph.nearest(vectors, 32)
    return describe(vectors, neighbours, np.ones(vectors.shape[1], np.float32)), neighbours, scores


def some_of_each(codes: Int64, each: int, seed: int = 0) -> Int64:
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(codes == code))[:each] for code in np.unique(codes)]
    return np.sort(np.concatenate(rows)).astype(np.int64)


def propagated(vectors: Float32, rows: Int64, codes: Int64) -> propagate.Propagation:
    description, neighbours, scores = described(vectors)
    return propagate.propagate(description, rows, codes, bursts(rows, neighbours, scores))


def test_labels_reach_the_images_around_them_and_labelled_ones_keep_theirs() -> None:
    vectors, codes = drawn(6, 40, 0.8)
    rows = some_of_each(codes, 4)
    found = propagated(vectors, rows, codes[rows])
    assert (found.codes == codes).mean() > 0.98
    np.testing.assert_array_equal(found.codes[rows], codes[rows])
    np.testing.assert_array_equal(found.confidences[rows], 1)
    assert found.unknown_share < 0.1


@pytest.mark.parametrize("spread", [0.9, 1.1, 1.3, 1.6])
def test_confidence_says_how_often_a_label_is_right(spread: float) -> None:
    sure, right = [], []
    for seed in range(6):
        vectors, codes = drawn(8, 40, spread, seed)
        rows = some_of_each(codes, 5, seed)
        found = propagated(vectors, rows, codes[rows])
        others = np.setdiff1d(np.arange(len(codes)), rows)
        sure.append(found.confidences[others])
        right.append((found.codes == codes)[others])
    confidences, correct = np.concatenate(sure), np.concatenate(right)
    assert abs(confidences.mean() - correct.mean()) < 0.1
    accepted = confidences >= 0.9
    if accepted.sum() > 50:
        assert correct[accepted].mean() >= 0.88
    assert confidences[correct].mean() > confidences[~correct].mean() + 0.05


def test_images_of_kinds_without_a_label_are_not_given_one_for_sure() -> None:
    vectors, codes = drawn(10, 40, 0.7)
    rows = some_of_each(codes, 5)
    rows = rows[codes[rows] < 5]
    found = propagated(vectors, rows, codes[rows])
    known = codes < 5
    assert found.unknown_share > 0.4  # 200 of 375
    accepted = found.confidences >= 0.9
    assert accepted[known].mean() > 0.6
    assert accepted[~known].mean() < 0.05


def test_a_frequent_label_does_not_swallow_a_rare_one() -> None:
    vectors, codes = drawn(4, 80, 1.5)
    few = some_of_each(codes, 3)
    many = np.flatnonzero(codes == 0)[:70]
    rows = np.union1d(few, many).astype(np.int64)
    found = propagated(vectors, rows, codes[rows])
    others = np.setdiff1d(np.arange(len(codes)), rows)
    assert (found.codes[others] == 0).mean() < (codes[others] == 0).mean() + 0.1


def test_the_same_labels_give_the_same_result() -> None:
    vectors, codes = drawn(5, 20, 1.5)
    rows = some_of_each(codes, 4)
    one, other = (propagated(vectors, rows, codes[rows]) for _ in range(2))
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.confidences, other.confidences)


def test_shuffled_labels_make_nothing_sure() -> None:
    vectors, codes = drawn(6, 40, 1.0)
    rows = some_of_each(codes, 6)
    shuffled = np.random.default_rng(0).permutation(codes[rows])
    found = propagated(vectors, rows, shuffled)
    others = np.setdiff1d(np.arange(len(codes)), rows)
    assert (found.confidences[others] >= 0.8).mean() < 0.02


def test_two_labels_are_enough_and_labels_of_one_image_do_no_harm() -> None:
    vectors, codes = drawn(3, 30, 0.8)
    two = some_of_each(codes[:60], 6)
    found = propagated(vectors, two, codes[two])
    assert (found.codes[:60] == codes[:60]).mean() > 0.95
    lone = np.append(two, 60).astype(np.int64)
    assert (propagated(vectors, lone, codes[lone]).codes == codes).mean() > 0.9


def test_too_few_labels_are_refused() -> None:
    vectors, codes = drawn(6, 10, 0.8)
    for rows in (some_of_each(codes[:10], 8), some_of_each(codes, 1), some_of_each(codes[:20], 4)):
        with pytest.raises(ShapeError, match="too few labels"):
            propagated(vectors, rows, codes[rows])
    ten, alone = np.repeat([0, 1], 5).astype(np.int64), np.arange(10)
    assert is_enough(ten, alone)
    assert not is_enough(ten, np.repeat([0, 1], 5))  # two bursts are two pictures


def test_a_burst_is_one_group_however_long_the_chain() -> None:
    angles = np.r_[np.arange(8) * 0.2, 3.0]
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    neighbours, scores = graph.nearest(vectors, 4)
    groups = bursts(np.arange(9), neighbours, scores)
    assert len(set(groups[:8].tolist())) == 1
    assert groups[8] != groups[0]
    apart = bursts(np.array([0, 7], np.int64), neighbours, scores)  # what links them is not labelled
    assert apart[0] != apart[1]


def test_places_that_hold_nobody_are_passed_over() -> None:
    vectors, _ = drawn(2, 10, 0.5)
    neighbours, _ = graph.nearest(vectors, 8)
    own = np.arange(20, dtype=np.int32)[:, None]
    padded = np.hstack([neighbours, np.repeat(own, 4, axis=1)])
    weights = np.ones(D, np.float32)
    np.testing.assert_allclose(
        describe(vectors, padded, weights).smoothed, describe(vectors, neighbours, weights).smoothed, atol=2e-3
    )


def test_a_heap_of_one_image_has_a_description() -> None:
    one = unit(np.ones((1, D)))
    description = describe(one, np.zeros((1, 0), np.int32), np.ones(D, np.float32))
    assert len(description) == 1
    assert np.isfinite(description.rows(slice(None))).all()

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.errors import SettingError, ShapeError
from lookalike.feedback import FEW, combine, combine_taps, parse_example
from lookalike.types import Float32

D = 32
VARIANCES = np.linspace(1.0, 0.05, D).astype(np.float32)
NONE = np.zeros((0, D), np.float32)


def unit(rows: np.ndarray) -> Float32:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def drawn(n: int, kind: int, seed: int = 0, spread: float = 0.6) -> Float32:
    """Images of one kind: around a centre of its own, with the gallery's variances."""
    centre = np.random.default_rng([99, kind]).normal(size=D)
    noise = np.random.default_rng([seed, kind, 7]).normal(size=(n, D))
    return unit((centre + spread * noise) * np.sqrt(VARIANCES))


# -- X:WEIGHT ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo.jpg", ("photo.jpg", 1.0)),
        ("photo.jpg:2", ("photo.jpg", 2.0)),
        ("photo.jpg:0.5", ("photo.jpg", 0.5)),
        ("photo.jpg:.5", ("photo.jpg", 0.5)),
        ("0123456789abcdef:3", ("0123456789abcdef", 3.0)),
        ("a:b.jpg", ("a:b.jpg", 1.0)),  # another colon belongs to the name
        ("C:\\pictures\\a.jpg", ("C:\\pictures\\a.jpg", 1.0)),
        ("12:30:45.jpg", ("12:30:45.jpg", 1.0)),
        ("scan:2", ("scan", 2.0)),
        ("scan:2:1", ("scan:2", 1.0)),  # a file whose own name ends in a colon and a number
        ("photo:", ("photo:", 1.0)),
        ("photo:nan", ("photo:nan", 1.0)),
        ("line\nbreak:2", ("line\nbreak", 2.0)),
    ],
)
def test_an_example_is_a_name_and_perhaps_a_weight(text: str, expected: tuple[str, float]) -> None:
    assert parse_example(text) == expected


@pytest.mark.parametrize("text", ["photo.jpg:0", "photo.jpg:-1", ":2", "", "photo.jpg:" + "9" * 400])
def test_an_example_without_name_or_with_a_useless_weight_is_refused(text: str) -> None:
    with pytest.raises(SettingError) as error:
        parse_example(text)
    assert error.value.hint


@given(st.text(min_size=1), st.floats(0.001, 1000))
def test_any_name_can_be_given_with_a_weight(name: str, weight: float) -> None:
    assert parse_example(f"{name}:{weight:.3f}") == (name, float(f"{weight:.3f}"))


# -- vectors -------------------------------------------------------------------------------------------------------


def test_one_example_alone_is_the_plain_search() -> None:
    only = drawn(1, 0)
    np.testing.assert_array_equal(combine(only, NONE, VARIANCES), only[0])
    np.testing.assert_array_equal(combine(only, NONE, VARIANCES, positive_weights=np.array([7], np.float32)), only[0])


@pytest.mark.parametrize(("right", "wrong"), [(2, 0), (1, 1), (2, 2), (3, 2), (5, 0), (10, 10), (40, 3)])
def test_the_result_has_unit_length_and_is_nearer_to_what_is_right(right: int, wrong: int) -> None:
    positives, negatives = drawn(right, 0), drawn(wrong, 1)
    vector = combine(positives, negatives, VARIANCES)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    if wrong:
        assert (drawn(50, 0, seed=1) @ vector).mean() > (drawn(50, 1, seed=1) @ vector).mean()


@pytest.mark.parametrize("count", [2, FEW])
def test_more_right_examples_find_more_of_their_kind(count: int) -> None:
    gallery = np.concatenate([drawn(40, kind, seed=3, spread=1.5) for kind in range(6)])
    is_right = np.repeat(np.arange(6), 40) == 0

    def found(vector: Float32) -> int:
        return int(is_right[np.argsort(-(gallery @ vector), kind="stable")[:40]].sum())

    examples = drawn(count, 0, seed=4, spread=1.5)
    alone = np.mean([found(example) for example in examples])
    assert found(combine(examples, NONE, VARIANCES)) > alone


@pytest.mark.parametrize("count", [2, FEW])
def test_wrong_examples_push_their_kind_down(count: int) -> None:
    right, wrong = drawn(count, 0), drawn(count, 1)
    without, with_them = (combine(right, some, VARIANCES) for some in (NONE, wrong))
    kind = drawn(100, 1, seed=5)
    assert (kind @ with_them).mean() < (kind @ without).mean() - 0.05


@pytest.mark.parametrize(("right", "wrong"), [(1, 2), (4, 4)])
def test_an_example_of_weight_two_counts_as_two(right: int, wrong: int) -> None:
    positives, negatives = drawn(right, 0), drawn(wrong, 1)
    twice_right, twice_wrong = np.full(right, 2, np.float32), np.ones(wrong, np.float32)
    twice_wrong[0] = 2
    weighted = combine(positives, negatives, VARIANCES, positive_weights=twice_right, negative_weights=twice_wrong)
    if right + wrong >= FEW:
        repeated = combine(np.repeat(positives, 2, axis=0), negatives[[0, *range(wrong)]], VARIANCES)
    else:  # repeating them would make them many
        share = twice_wrong.sum() / (twice_wrong.sum() + 5)
        repeated = unit(positives[0] - share * (twice_wrong @ negatives / twice_wrong.sum()))
    np.testing.assert_allclose(weighted, repeated, atol=1e-6)


def test_the_classifier_is_the_minimum_that_it_claims_to_be() -> None:
    """Against a plain solution of the weighted least squares, with drawn images for the gallery."""
    positives, negatives = drawn(6, 0).astype(float), drawn(4, 1).astype(float)
    # Rows of which the mean is 0 and the covariance is exactly the diagonal one.
    gallery = np.concatenate([np.diag(np.sqrt(VARIANCES * D)), -np.diag(np.sqrt(VARIANCES * D))]) / np.sqrt(
        VARIANCES.sum()
    )
    share = 4 / (4 + 5)
    groups = [(positives, 1.0, 1.0), (negatives, -1.0, share), (gallery, -1.0, 1.0)]
    rows = np.concatenate([np.c_[some, np.ones(len(some))] * np.sqrt(weight / len(some)) for some, _, weight in groups])
    targets = np.concatenate([np.full(len(some), y * np.sqrt(weight / len(some))) for some, y, weight in groups])
    stiff = np.c_[np.sqrt(2 / 10) * np.eye(D), np.zeros(D)]
    solution = np.linalg.lstsq(np.concatenate([rows, stiff]), np.concatenate([targets, np.zeros(D)]), rcond=None)[0][:D]
    vector = combine(positives.astype(np.float32), negatives.astype(np.float32), VARIANCES)
    np.testing.assert_allclose(vector, unit(solution), atol=1e-5)


def test_the_order_of_examples_does_not_matter() -> None:
    right, wrong = drawn(6, 0), drawn(3, 1)
    np.testing.assert_allclose(
        combine(right, wrong, VARIANCES), combine(right[::-1].copy(), wrong[::-1].copy(), VARIANCES), atol=1e-6
    )


def test_a_gallery_without_variances_will_do() -> None:
    vector = combine(drawn(4, 0), drawn(4, 1), np.zeros(D, np.float32))
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_an_example_that_is_both_right_and_wrong_is_refused() -> None:
    right, wrong = drawn(3, 0), drawn(3, 1)
    with pytest.raises(SettingError, match="both like and unlike"):
        combine(right, np.concatenate([wrong, right[1:2]]), VARIANCES)


def test_examples_that_cancel_out_are_refused() -> None:
    right = drawn(2, 0)[:1]
    opposite = np.concatenate([right, -right])
    with pytest.raises(SettingError, match="cancel out"):
        combine(opposite, NONE, VARIANCES)


def test_without_a_right_example_nothing_can_be_searched() -> None:
    with pytest.raises(ShapeError, match="at least one"):
        combine(NONE, drawn(2, 1), VARIANCES)


@pytest.mark.parametrize("weights", [np.array([1.0], np.float32), np.array([1.0, 0.0], np.float32)])
def test_weights_must_fit(weights: Float32) -> None:
    with pytest.raises(ShapeError, match="weights"):
        combine(drawn(2, 0), NONE, VARIANCES, positive_weights=weights)


# -- taps ----------------------------------------------------------------------------------------------------------


def test_taps_move_from_wrong_to_right_and_stay_among_taps() -> None:
    right, wrong = np.abs(drawn(3, 0)) + 0.1, np.abs(drawn(2, 1)) + 0.1
    tap = combine_taps(right, wrong)
    only_right = combine_taps(right, NONE)
    np.testing.assert_allclose(only_right, unit(right).mean(axis=0), atol=1e-6)
    assert np.linalg.norm(tap - unit(wrong).mean(axis=0)) > np.linalg.norm(only_right - unit(wrong).mean(axis=0))
    away = tap - only_right
    np.testing.assert_allclose(away, 2 / 7 * (only_right - unit(wrong).mean(axis=0)), atol=1e-6)


def test_one_tap_alone_stays_as_it_is_and_no_taps_are_fine() -> None:
    only = drawn(1, 0) * 3
    np.testing.assert_array_equal(combine_taps(only, NONE), only[0])
    assert combine_taps(np.zeros((2, 0), np.float32), np.zeros((1, 0), np.float32)).shape == (0,)

"""Laying one small picture over another."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import alignment

SIZE = alignment.COARSE_PX


def smooth(seed: int, size: int = SIZE, waves: int = 6) -> np.ndarray:
    """A soft random picture as a function of place, so that it can be drawn anywhere: (h, h) float32 in 0..255."""
    return drawn(seed, np.eye(2, 3), size, waves)


def drawn(seed: int, transform: np.ndarray, size: int = SIZE, waves: int = 6) -> np.ndarray:
    """The same picture, where place (x, y) shows what is at ``transform`` of it."""
    random = np.random.default_rng(seed)
    axis = np.linspace(1 / size - 1, 1 - 1 / size, size)
    x, y = np.meshgrid(axis, axis)
    u = transform[0, 0] * x + transform[0, 1] * y + transform[0, 2]
    v = transform[1, 0] * x + transform[1, 1] * y + transform[1, 2]
    total = np.zeros((size, size))
    for _ in range(waves * 3):
        a, b = random.uniform(-waves, waves, 2)
        total += random.normal() * np.sin(a * u + b * v + random.uniform(0, 6.3))
    return (128 + 22 * total).clip(0, 255).astype(np.float32)


def moved(scale: float, degrees: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[scale * c, -scale * s, x], [scale * s, scale * c, y]])


def test_eight_turns_are_all_ways_in_which_a_square_can_lie() -> None:
    picture = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    turned = {alignment.turned(picture, turn).tobytes() for turn in range(alignment.TURNS)}
    assert len(turned) == alignment.TURNS
    np.testing.assert_array_equal(alignment.turned(picture, alignment.UPRIGHT), picture)


def test_nothing_moved_changes_nothing() -> None:
    picture = smooth(1)[None]
    values, inside = alignment.warped(picture, alignment.identity(1))
    assert inside.all()
    np.testing.assert_allclose(values, picture, atol=0.3)
    assert alignment.correlation(values, picture, inside)[0] == pytest.approx(1, abs=1e-4)


def test_the_way_back_undoes_a_transform() -> None:
    there = moved(0.8, 12, 0.1, -0.2)[None].astype(np.float32)
    back = alignment.inverse(there)
    linear = there[0, :, :2] @ back[0, :, :2]
    np.testing.assert_allclose(linear, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(there[0, :, :2] @ back[0, :, 2] + there[0, :, 2], 0, atol=1e-6)


@pytest.mark.parametrize("turn", range(alignment.TURNS))
def test_the_turn_of_a_copy_is_found(turn: int) -> None:
    pictures = np.stack([smooth(seed) for seed in range(6)]).round().astype(np.uint8)
    pictures[1] = alignment.turned(pictures[0], turn)
    turns, scores = alignment.best_turns(alignment.signatures(pictures), np.array([0, 2]), np.array([1, 3]))
    again = alignment.turned(pictures[1:2], int(turns[0]))
    np.testing.assert_array_equal(again[0], pictures[0])
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert scores[1] < 0.9


@pytest.mark.parametrize(
    ("scale", "degrees", "x", "y"),
    [(1, 0, 0, 0), (0.95, 0, 0.05, -0.04), (0.84, 0, 0.15, 0.1), (0.72, 0, -0.25, 0.25), (1, 5, 0, 0), (1, -15, 0, 0)],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_cut_or_turned_copy_is_laid_where_it_belongs(
    scale: float, degrees: float, x: float, y: float, swapped: bool
) -> None:
    true = moved(scale, degrees, x, y)
    originals = np.stack([smooth(seed) for seed in range(12)])
    copies = np.stack([drawn(seed, true) for seed in range(12)]) * 0.6 + 10
    first, second = (copies, originals) if swapped else (originals, copies)
    found, peaks = alignment.searched(first, second)
    found = alignment.refined(first, second, found, 5)
    expected = alignment.inverse(true[None].astype(np.float32))[0] if swapped else true
    right = np.abs(found - expected).max(axis=(1, 2)) < 0.05
    assert right.mean() >= 0.8
    assert (peaks > 0.3).all()
    values, inside = alignment.warped(first[right], found[right])
    assert alignment.correlation(values, second[right], inside).min() > 0.98


def test_pictures_of_something_else_are_not_alike_however_they_are_laid() -> None:
    first, second = (
        np.stack([smooth(s, waves=14) for s in range(8)]),
        np.stack([smooth(s + 50, waves=14) for s in range(8)]),
    )
    found, _ = alignment.searched(first, second)
    found = alignment.refined(first, second, found, 5)
    values, inside = alignment.warped(first, found)
    alike = alignment.correlation(values, second, inside) * (inside.mean(axis=(1, 2)) > 0.4)
    assert alike.max() < 0.88


def test_plain_pictures_give_numbers_and_no_warnings() -> None:
    plain = np.full((2, SIZE, SIZE), 128, np.float32)
    found, peaks = alignment.searched(plain, plain)
    found = alignment.refined(plain, plain, found, 3)
    assert np.isfinite(found).all()
    assert np.isfinite(peaks).all()
    values, inside = alignment.warped(plain, found)
    assert (alignment.correlation(values, plain, inside) == 0).all()
    assert np.isfinite(alignment.signatures(plain.astype(np.uint8))).all()

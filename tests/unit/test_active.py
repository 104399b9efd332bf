from __future__ import annotations

import numpy as np

from lookalike import active
from lookalike.active import most_decisive
from lookalike.types import Float16, Int64

D = 16
NOBODY = np.zeros(0, np.int64)


def drawn(sizes: list[int], spread: float = 0.3, seed: int = 0) -> tuple[Float16, Int64]:
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
    rows = np.eye(D)[codes] + spread * random.normal(size=(len(codes), D)) / np.sqrt(D)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16), codes


def test_without_labels_every_kind_is_asked_once_the_largest_first() -> None:
    rows, codes = drawn([40, 30, 20, 10])
    chosen, decides = most_decisive(rows, rows, np.ones(100, np.float32), NOBODY, 4)
    assert codes[chosen].tolist() == [0, 1, 2, 3]
    assert (np.diff(decides) < 0).all()
    assert 25 < decides[0] < 45


def test_what_a_labelled_image_settles_is_not_asked_again() -> None:
    rows, codes = drawn([40, 30, 20])
    chosen, _ = most_decisive(rows, rows, np.ones(90, np.float32), np.array([3], np.int64), 2)
    assert codes[chosen].tolist() == [1, 2]


def test_doubtful_images_come_before_sure_ones() -> None:
    rows, codes = drawn([40, 30])
    doubts = np.where(codes == 0, 0.05, 0.9).astype(np.float32)
    chosen, decides = most_decisive(rows, rows, doubts, NOBODY, 1)
    assert codes[chosen].tolist() == [1]
    assert decides[0] < 30 * 0.9 + 1


def test_no_two_are_near_duplicates_and_labelled_ones_are_not_asked() -> None:
    few, _ = drawn([1] * 6)
    rows = np.repeat(few, 5, axis=0)
    chosen, _ = most_decisive(rows, rows, np.ones(30, np.float32), np.array([0], np.int64), 30)
    assert sorted(set((chosen // 5).tolist())) == sorted((chosen // 5).tolist())
    assert 0 not in chosen
    nobody, none = most_decisive(rows, rows, np.ones(30, np.float32), np.arange(30), 5)
    assert len(nobody) == len(none) == 0


def test_a_large_heap_is_represented_by_a_sample(monkeypatch: object) -> None:
    rows, codes = drawn([400, 300, 200, 100])
    whole, of_all = most_decisive(rows, rows, np.ones(1000, np.float32), NOBODY, 4)
    monkeypatch.setattr(active, "MOST_REFERENCES", 150)  # type: ignore[attr-defined]
    chosen, decides = most_decisive(rows, rows, np.ones(1000, np.float32), NOBODY, 4)
    assert sorted(codes[chosen].tolist()) == sorted(codes[whole].tolist()) == [0, 1, 2, 3]
    np.testing.assert_allclose(decides, of_all, atol=60)
    again, _ = most_decisive(rows, rows, np.ones(1000, np.float32), NOBODY, 4)
    np.testing.assert_array_equal(chosen, again)

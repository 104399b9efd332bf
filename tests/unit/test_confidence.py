from __future__ import annotations

import numpy as np
import pytest

from lookalike.confidence import Evidence, HeldBack, calibrated

LABELS = 5


def drawn(n: int, novel: float, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, c) and the true label of each, -1 for those of none."""
    random = np.random.default_rng(seed)
    truth = np.where(random.random(n) < novel, -1, random.integers(LABELS, size=n))
    scores = random.normal(0.1, 0.1, size=(n, LABELS))
    scores[np.arange(n)[truth >= 0], truth[truth >= 0]] += sharpness * random.random(int((truth >= 0).sum()))
    return scores, truth


def held_back(n: int, sharpness: float) -> HeldBack:
    scores, truth = drawn(n, 0.0, sharpness, seed=1)
    novel, _ = drawn(n, 1.0, sharpness, seed=2)
    evidence = Evidence.of(scores)
    return HeldBack(evidence, scores[np.arange(n), truth], evidence.best == truth, Evidence.of(novel))


@pytest.mark.parametrize("novel", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("sharpness", [0.5, 1.0])
def test_confidence_and_the_share_of_unknown_kinds_come_out_true(novel: float, sharpness: float) -> None:
    scores, truth = drawn(3000, novel, sharpness)
    evidence = Evidence.of(scores)
    confidence, share = calibrated(held_back(400, sharpness), evidence)
    likely, right = confidence.of(evidence), evidence.best == truth
    assert abs(share - novel) < 0.1
    assert abs(likely.mean() - right.mean()) < 0.08
    for low in (0.5, 0.8, 0.9):
        some = likely >= low
        assert right[some].mean() > low - 0.02
    assert ((likely >= 0) & (likely <= 1)).all()


def test_few_examples_make_nothing_look_sure() -> None:
    evidence = Evidence.of(np.array([[0.9, 0.0, 0.0, 0.0, 0.0]]))
    few, many = (calibrated(held_back(n, 1.0), evidence)[0].of(evidence)[0] for n in (4, 400))
    assert few < many


def test_without_anything_held_back_as_a_whole_or_unlabelled_it_still_works() -> None:
    known = held_back(50, 1.0)
    none = Evidence.joined([])
    confidence, share = calibrated(HeldBack(known.known, known.own, known.right, none), none)
    assert 0 < share < 1
    assert np.isfinite(confidence.of(known.known)).all()

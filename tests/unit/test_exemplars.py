"""What is shown of a cluster: centre, variety, edge, strangers."""

from __future__ import annotations

import numpy as np

from lookalike import exemplars


def unit(rows: object) -> np.ndarray:
    array = np.asarray(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_standing_is_the_cosine_with_the_mean_of_each_cluster() -> None:
    rows = unit([[1, 0.2], [1, -0.2], [0, 1], [0.3, 1]])
    found = exemplars.standing(rows, np.array([0, 0, 1, 1]), 2)
    centres = unit([rows[:2].mean(axis=0), rows[2:].mean(axis=0)])
    np.testing.assert_allclose(found.centres, centres, atol=1e-6)
    np.testing.assert_allclose(found.own, np.einsum("nd,nd->n", rows, centres[[0, 0, 1, 1]]), atol=1e-6)
    np.testing.assert_allclose(found.other, np.einsum("nd,nd->n", rows, centres[[1, 1, 0, 0]]), atol=1e-6)
    assert (found.margin > 0).all()
    assert exemplars.border(found.margin, 1).tolist() == [int(found.margin.argmin())]
    assert exemplars.central(found.own, 2)[0] == found.own.argmax()


def test_a_single_cluster_has_no_others() -> None:
    found = exemplars.standing(unit([[1, 0], [0, 1]]), np.array([0, 0]), 1)
    assert found.other.tolist() == [-1, -1]


def test_variety_covers_every_group_within_a_cluster_before_it_repeats_one() -> None:
    random = np.random.default_rng(0)
    groups = unit(np.repeat(np.eye(4, 6) + 0.6, 10, axis=0) + 0.01 * random.normal(size=(40, 6)))
    own = exemplars.standing(groups, np.zeros(40, np.int64), 1).own
    picked = exemplars.diverse(groups, own, 4)
    assert sorted((picked // 10).tolist()) == [0, 1, 2, 3]
    assert picked[0] == own.argmax()
    assert len(set(exemplars.diverse(groups, own, 100).tolist())) == 36  # the tenth furthest out is left out


def test_strangers_are_those_nearer_elsewhere_or_far_out_and_nobody_else() -> None:
    own = np.array([0.90, 0.91, 0.89, 0.90, 0.92, 0.90, 0.20, 0.88], np.float32)
    margin = np.array([0.5, 0.5, 0.5, -0.1, 0.5, 0.5, 0.1, 0.5], np.float32)
    assert exemplars.strangers(own, margin).tolist() == [6, 3]
    assert len(exemplars.strangers(np.full(5, 0.9, np.float32), np.full(5, 0.5, np.float32))) == 0

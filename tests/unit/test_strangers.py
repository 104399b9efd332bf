"""Whether a gallery knows what is not in it, on made-up embeddings of kinds that are apart."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import reduce, strangers
from lookalike.strangers import Evidence
from lookalike.types import Float32

DIM, KINDS, EACH = 64, 8, 25


def some(kinds: Float32, each: int, seed: int, spread: float = 0.5) -> Float32:
    """Embeddings (kinds * each, DIM) around the directions of their kinds."""
    noise = np.random.default_rng(seed).normal(size=(len(kinds) * each, DIM)) / np.sqrt(DIM)
    return (np.repeat(kinds, each, axis=0) + spread * noise).astype(np.float32)


@pytest.fixture(scope="module")
def kinds() -> Float32:
    return strangers.unit(np.random.default_rng(0).normal(size=(2 * KINDS, DIM)))


@pytest.fixture(scope="module")
def gallery(kinds: Float32) -> Float32:
    return some(kinds[:KINDS], EACH, seed=1)


@pytest.fixture(scope="module")
def lines(gallery: Float32) -> tuple[float, float, float]:
    found = strangers.crossed(gallery, gallery[:40] * 2, np.arange(40), DIM)
    return strangers.fit_lines([found.as_they_are, found.framed])


def told(lines: tuple[float, float, float], gallery: Float32, queries: Float32) -> float:
    return float(strangers.falls(lines, strangers.held_out(gallery, queries, DIM).evidence).mean())


def test_few_true_queries_are_cut(lines: tuple[float, float, float], gallery: Float32, kinds: Float32) -> None:
    assert told(lines, gallery, some(kinds[:KINDS], 40, seed=2)) <= 0.1


def test_absent_kinds_are_told(lines: tuple[float, float, float], gallery: Float32, kinds: Float32) -> None:
    assert told(lines, gallery, some(kinds[KINDS:], 40, seed=3)) >= 0.95


def test_an_image_left_out_is_unknown_to_the_space(gallery: Float32) -> None:
    """In the space of all images it scores as no query does: there it spans a dimension of its own."""
    few = gallery[::5]
    crossed = strangers.crossed(few, few[:1], np.zeros(1, int), DIM)
    reducer = reduce.fit(moments(few), dim=DIM)
    vectors = reduce.transform(reducer, few)
    among = vectors @ vectors.T - 2 * np.eye(len(few), dtype=np.float32)
    queries = strangers.held_out(few, gallery[1::5], DIM).evidence.first
    as_query = abs(np.median(crossed.as_they_are.first) - np.median(queries))
    assert as_query < abs(np.median(among.max(axis=1)) - np.median(queries))


def moments(rows: Float32) -> reduce.Moments:
    made = reduce.Moments(rows.shape[1])
    made.add(rows)
    return made


@pytest.mark.parametrize("n", [5, 40, 200])
def test_the_space_is_that_of_a_gallery(gallery: Float32, kinds: Float32, n: int) -> None:
    queries = some(kinds, 2, seed=4)
    reducer = reduce.fit(moments(gallery[:n]), dim=16)
    expected = reduce.transform(reducer, queries) @ reduce.transform(reducer, gallery[:n]).T
    assert np.allclose(strangers.held_out(gallery[:n], queries, 16).scores, expected, atol=2e-5)


def test_evidence_by_hand() -> None:
    found = strangers.evidence(np.array([[0.9, 0.5]]), np.array([[0.4, 0.6]]), np.array([[0.3, 0.8, 0.1]]))
    assert found.tests[0] == pytest.approx([0.9, 0.7 - 0.5, 0.8])


def test_copies_do_not_shrink_a_radius() -> None:
    scores = np.array([[1.0, 0.96, 0.5, 0.4, 0.3, 0.2, 0.1, -0.5], [1.0] * 8, [-np.inf] * 8])
    assert strangers.radius(scores) == pytest.approx([0.3, strangers.TOO_ALIKE, strangers.TOO_ALIKE])


def test_lines_cut_what_they_should() -> None:
    random = np.random.default_rng(5)
    group = Evidence(*random.normal(size=(3, 2000)).astype(np.float32))
    share = strangers.falls(strangers.fit_lines([group]), group).mean()
    assert strangers.CUT_SHARE - 0.01 < share <= strangers.CUT_SHARE


def test_the_most_lenient_line_counts() -> None:
    random = np.random.default_rng(6)
    group = Evidence(*random.normal(size=(3, 500)).astype(np.float32))
    lower = Evidence(group.first - 1, group.crowd + 1, group.raw - 2)
    first, crowd, raw = strangers.fit_lines([group])
    assert strangers.fit_lines([group, lower]) == pytest.approx((first - 1, crowd, raw - 2), abs=1e-5)


def test_a_test_without_a_value_is_passed() -> None:
    found = Evidence(*np.array([[0.9, 0.1], [0.1, 0.1], [np.nan, np.nan]], np.float32))
    assert strangers.falls((0.5, 0.0, 0.5), found).tolist() == [False, True]


def test_everybody_is_left_out_once(gallery: Float32) -> None:
    found = strangers.crossed(gallery, gallery[:7], np.arange(7), DIM)
    n = len(gallery)
    assert found.as_they_are.tests.shape == (n, 3)
    assert found.framed.tests.shape == (7, 3)
    assert len(found.pairs) == n * n - sum(size**2 for size in [n // 10] * 10)
    # A copy is left out with its original, so it cannot find it.
    assert found.framed.first.max() < 0.95

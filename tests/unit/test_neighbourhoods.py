"""What the dial knows of a gallery: against a naive reading of its formulas, with rows that came later, from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike import reduce, rerank
from lookalike.errors import GalleryFormatError
from lookalike.gallery.neighbourhoods import Neighbourhoods, Query, learn, load, save
from lookalike.types import Reducer

KINDS, EACH, DIM, TAP = 8, 12, 24, 10
N = KINDS * EACH
NO_TAPS = np.zeros((0, 0), np.float16)
Drawn = tuple[Reducer, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """A reducer, vectors (N + 1, d) and taps (N + 1, T) of a few kinds; the last row is of the first kind."""
    random = np.random.default_rng(0)
    kind = np.append(np.repeat(np.arange(KINDS), EACH), 0)
    embeddings = random.normal(size=(KINDS, DIM))[kind] + 0.6 * random.normal(size=(N + 1, DIM))
    taps = 2 + random.normal(size=(KINDS, TAP))[kind] + 0.8 * random.normal(size=(N + 1, TAP))
    moments = reduce.Moments(DIM)
    moments.add(embeddings[:N])
    reducer = reduce.fit(moments)
    return reducer, reduce.transform(reducer, embeddings), taps.astype(np.float16)


@pytest.fixture(scope="module")
def hoods(drawn: Drawn) -> Neighbourhoods:
    reducer, vectors, taps = drawn
    return learn(reducer, np.arange(N) * 3 + 5, vectors[:N], taps[:N])


def of(hoods: Neighbourhoods, drawn: Drawn, match: str, query: int, row: int) -> np.ndarray:
    """Rank scores of all contents."""
    _, vectors, taps = drawn
    return hoods.rank_scores(match, Query(vectors[query], taps[query], row), vectors[:N], np.arange(N), NO_TAPS)


# -- the formulas, read naively -------------------------------------------------------------------------------------


def unit(row: np.ndarray) -> np.ndarray:
    return row / np.linalg.norm(row)


class Naive:
    """All of it for one query, row by row, in float64; the query is row ``query``, in the gallery or the last."""

    def __init__(self, drawn: Drawn) -> None:
        reducer, vectors, taps = drawn
        moments = reduce.Moments(TAP)
        moments.add(taps[:N])
        tap_reducer = reduce.fit(moments, dim=128)
        kind, thing = (reduce.whitening_weights(reducer, power) for power in (0.4, 0.5))
        tap_weights = reduce.whitening_weights(tap_reducer, 0.5)
        reduced = reduce.transform(tap_reducer, taps)
        self.even = [unit(v.astype(np.float64) * kind) for v in vectors]
        self.fused = [
            np.concatenate([unit(v * thing), unit(t * tap_weights)]).astype(np.float64) / np.sqrt(2)
            for v, t in zip(vectors, reduced, strict=True)
        ]
        self.smoothed = self.even[:N]
        near = [self.nearest(self.even, i, 10) for i in range(N)]
        for _ in range(6):
            self.smoothed = [self.mean(self.smoothed[i], self.even[i], near[i], self.smoothed) for i in range(N)]
        self.near = [self.nearest(self.fused, i, 7) for i in range(N)]
        first = [self.circle(i, [j for j in self.near[i] if i in self.near[j]]) for i in range(N)]
        self.circles = [self.joined(first[i], first[self.near[i][0]]) for i in range(N)]

    @staticmethod
    def nearest(rows: list[np.ndarray], i: int, k: int) -> list[int]:
        scores = [(-float(rows[i] @ rows[j]), j) for j in range(N) if j != i]
        return [j for _, j in sorted(scores)[:k]]

    def mean(self, own: np.ndarray, before: np.ndarray, near: list[int], rows: list[np.ndarray]) -> np.ndarray:
        return unit(own + sum(max(float(before @ self.even[j]), 0) ** 2 * rows[j] for j in near))

    def circle(self, i: int, friends: list[int]) -> dict[int, float]:
        shares = {i: 1.0} | {j: float(np.exp(-3 * (1 - self.fused[i] @ self.fused[j]))) for j in friends}
        return {j: share / sum(shares.values()) for j, share in shares.items()}

    @staticmethod
    def joined(one: dict[int, float], other: dict[int, float]) -> dict[int, float]:
        return {j: (one.get(j, 0) + other.get(j, 0)) / 2 for j in one.keys() | other.keys()}

    def scores(self, match: str, query: int) -> np.ndarray:
        smoothed, circle = (self.smoothed[query], self.circles[query]) if query < N else self.outside(query)
        blend = rerank.BLENDS[match]
        scores = []
        for j in range(N):
            common = sum(min(share, self.circles[j].get(i, 0)) for i, share in circle.items())
            scores.append(
                blend.even * (self.even[query] @ self.even[j])
                + blend.smoothed * (smoothed @ self.smoothed[j])
                + blend.fused * (self.fused[query] @ self.fused[j])
                + blend.reciprocal * common / (2 - common)
            )
        return np.array(scores)

    def outside(self, query: int) -> tuple[np.ndarray, dict[int, float]]:
        near = self.nearest(self.even, query, 10)
        smoothed = self.mean(self.even[query], self.even[query], near, self.smoothed)
        near = self.nearest(self.fused, query, 7)
        far = [float(self.fused[j] @ self.fused[self.near[j][-1]]) for j in near]
        friends = [j for j, reach in zip(near, far, strict=True) if self.fused[query] @ self.fused[j] >= reach]
        return smoothed, self.joined(self.circle(query, friends), self.circles[near[0]])


@pytest.mark.parametrize("match", rerank.BLENDS)
@pytest.mark.parametrize("query", [4, 50, N])
def test_scores_are_what_a_naive_reading_gives(match: str, query: int, drawn: Drawn, hoods: Neighbourhoods) -> None:
    found = of(hoods, drawn, match, query, query if query < N else -1)
    assert found.dtype == np.float32
    assert np.abs(found).max() <= 1
    np.testing.assert_allclose(found, Naive(drawn).scores(match, query), atol=2e-3)  # rows are kept in 16 bits


# -- what must not matter, and what must hardly ---------------------------------------------------------------------


@pytest.mark.parametrize("match", rerank.BLENDS)
def test_the_order_of_contents_and_of_candidates_does_not_matter(
    match: str, drawn: Drawn, hoods: Neighbourhoods
) -> None:
    reducer, vectors, taps = drawn
    order = np.random.default_rng(1).permutation(N)
    other = learn(reducer, np.arange(N), vectors[order], taps[order])
    query = Query(vectors[N], taps[N])
    there = other.rank_scores(match, query, vectors[order], np.arange(N), NO_TAPS)
    np.testing.assert_allclose(there, of(hoods, drawn, match, N, -1)[order], atol=2e-5)
    some = order[:40]
    few = hoods.rank_scores(match, query, vectors[some], some, NO_TAPS)
    again = hoods.rank_scores(match, query, vectors[some[::-1]], some[::-1], NO_TAPS)
    np.testing.assert_allclose(few, again[::-1], atol=1e-6)


@pytest.mark.parametrize("match", rerank.BLENDS)
def test_contents_that_came_later_are_ranked_among_the_others(match: str, drawn: Drawn, hoods: Neighbourhoods) -> None:
    reducer, vectors, taps = drawn
    old = np.setdiff1d(np.arange(N), np.arange(3, N, EACH))  # one of each kind came later
    earlier = learn(reducer, old, vectors[old], taps[old])
    rows = np.full(N, -1)
    rows[old] = np.arange(len(old))
    query = Query(vectors[N], taps[N])
    found = earlier.rank_scores(match, query, vectors[:N], rows, taps[:N][rows < 0])
    known = of(hoods, drawn, match, N, -1)
    assert np.isfinite(found).all()
    assert np.corrcoef(found, known)[0, 1] > 0.97
    new_of_its_kind, best_of_others = found[3], np.delete(found, np.arange(EACH)).max()
    assert new_of_its_kind > best_of_others


def test_a_gallery_of_which_nothing_is_known_any_more_is_still_ranked(drawn: Drawn, hoods: Neighbourhoods) -> None:
    _, vectors, taps = drawn
    query = Query(vectors[N], taps[N])
    for match in rerank.BLENDS:
        none = hoods.rank_scores(match, query, vectors[:0], np.zeros(0, np.int64), NO_TAPS)
        assert none.shape == (0,)
        all_new = hoods.rank_scores(match, query, vectors[:N], np.full(N, -1), taps[:N])
        assert np.isfinite(all_new).all()
        assert all_new[:EACH].mean() > all_new[EACH:].mean()


def test_a_query_without_a_tap_is_compared_by_its_vector(drawn: Drawn, hoods: Neighbourhoods) -> None:
    _, vectors, _ = drawn
    without = hoods.rank_scores("object", Query(vectors[N], np.zeros(0)), vectors[:N], np.arange(N), NO_TAPS)
    assert np.isfinite(without).all()
    assert without[:EACH].mean() > without[EACH:].mean()


def test_a_network_without_taps_orders_by_vectors_alone(drawn: Drawn, tmp_path: Path) -> None:
    reducer, vectors, _ = drawn
    no_taps = np.zeros((N, 0), np.float16)
    learned = learn(reducer, np.arange(N), vectors[:N], no_taps)
    save(tmp_path / "dial", learned, "space")
    kept = load(tmp_path / "dial", "space")
    assert kept is not None
    for match in rerank.BLENDS:
        query = Query(vectors[N], no_taps[0])
        found = kept.rank_scores(match, query, vectors[:N], np.arange(N), NO_TAPS)
        assert found[:EACH].mean() > found[EACH:].mean() + 0.2
        np.testing.assert_array_equal(found, learned.rank_scores(match, query, vectors[:N], np.arange(N), NO_TAPS))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_a_handful_of_contents_can_be_learned(n: int, drawn: Drawn) -> None:
    reducer, vectors, taps = drawn
    learned = learn(reducer, np.arange(n), vectors[:n], taps[:n])
    for match in rerank.BLENDS:
        found = learned.rank_scores(match, Query(vectors[N], taps[N]), vectors[:n], np.arange(n), NO_TAPS)
        assert np.isfinite(found).all()


def test_many_contents_that_look_the_same_do_no_harm(drawn: Drawn) -> None:
    reducer, vectors, taps = drawn
    rows = np.concatenate([np.zeros(40, np.int64), np.arange(N)])
    learned = learn(reducer, np.arange(len(rows)), vectors[rows], taps[rows])
    for match in rerank.BLENDS:
        query = Query(vectors[0], taps[0], row=0)
        found = learned.rank_scores(match, query, vectors[rows], np.arange(len(rows)), NO_TAPS)
        assert np.isfinite(found).all()
        assert found[:41].min() > found[41:].max()


# -- the file -------------------------------------------------------------------------------------------------------


def test_what_was_kept_gives_the_same_scores(tmp_path: Path, drawn: Drawn, hoods: Neighbourhoods) -> None:
    save(tmp_path / "dial", hoods, "this space")
    kept = load(tmp_path / "dial", "this space")
    assert kept is not None
    assert kept.numbers.tolist() == hoods.numbers.tolist()
    for match in rerank.BLENDS:
        for query, row in ((2, 2), (N, -1)):
            expected = of(hoods, drawn, match, query, row)
            np.testing.assert_array_equal(of(kept, drawn, match, query, row), expected)
    assert load(tmp_path / "dial", "another space") is None


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_a_damaged_file_is_refused_wherever_it_is_damaged(tmp_path: Path, share: float, hoods: Neighbourhoods) -> None:
    file = tmp_path / "dial"
    save(file, hoods, "space")
    data = bytearray(file.read_bytes())
    place = next(i for i in range(int(share * len(data)), len(data)) if data[i])
    data[place] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(GalleryFormatError):
        load(file, "space")
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(GalleryFormatError):
        load(file, "space")


def burst(of: np.ndarray, count: int, noise: float, seed: int) -> np.ndarray:
    rows = of + noise * np.random.default_rng(seed).normal(size=(count, *of.shape)) / np.sqrt(of.shape[-1])
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows.astype(np.float32)


@pytest.mark.parametrize("match", list(rerank.BLENDS))
def test_a_burst_hides_nothing_else_of_its_kind(drawn: Drawn, hoods: Neighbourhoods, match: str) -> None:
    reducer, vectors, taps = drawn
    shots = burst(vectors[0], 40, 0.15, seed=3)
    every = np.concatenate([vectors[:N], shots])
    learned = learn(reducer, np.arange(len(every)), every, np.concatenate([taps[:N], np.repeat(taps[:1], 40, axis=0)]))
    assert len(np.unique(learned.leaders[[0, *range(N, N + 40)]])) == 1
    assert len(learned.smoothed) == len(hoods.smoothed)
    query = Query(shots[0], taps[0], row=N)
    after = learned.rank_scores(match, query, every, np.arange(len(every)), NO_TAPS)[:N]
    before = hoods.rank_scores(match, Query(vectors[0], taps[0], row=0), vectors[:N], np.arange(N), NO_TAPS)
    assert np.corrcoef(after, before)[0, 1] > 0.98


def test_neighbours_that_differ_lead_themselves(hoods: Neighbourhoods) -> None:
    assert hoods.leaders.tolist() == list(range(N))

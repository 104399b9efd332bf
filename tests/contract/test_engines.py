"""What every search engine must do: one body, run over every way in which the local engine can search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lookalike.engines.base import NO_KEY, EngineState, SearchEngine
from lookalike.engines.local import LocalEngine
from lookalike.errors import ImageNotFoundError, SettingError, ShapeError
from lookalike.neighbours import agreement_at_k, top_k

DIM = 32


@dataclass
class Kind:
    """One implementation: how to open it, and whether what was committed is looked at through a second opening."""

    open: Callable[[], SearchEngine]
    reopens: bool = False


def kinds(folder: Path) -> dict[str, Kind]:
    return {
        "local exact": Kind(lambda: LocalEngine(None)),
        "local approximate": Kind(lambda: LocalEngine(None, exact_limit=0)),
        "local exact, reopened": Kind(lambda: LocalEngine(folder), reopens=True),
        "local approximate, reopened": Kind(lambda: LocalEngine(folder, exact_limit=0, threads=1), reopens=True),
        "local scan, reopened": Kind(lambda: LocalEngine(folder, exact_limit=0, scan=True), reopens=True),
    }


class Bench:
    """An engine under test; ``commit`` goes through whatever the kind demands and hands over what to look at."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.engine = kind.open()
        self.generation = 0

    def commit(self) -> SearchEngine:
        self.generation += 1
        self.engine.commit(EngineState("space", self.generation))
        if self.kind.reopens:
            self.engine.close()
            self.engine = self.kind.open()
        return self.engine

    def holding(self, keys: np.ndarray, vectors: np.ndarray) -> SearchEngine:
        self.engine.upsert(keys, vectors)
        return self.commit()


@pytest.fixture(params=list(kinds(Path())))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(kinds(tmp_path / "cache")[request.param])
    yield made
    made.engine.close()


def unit(seed: int, n: int, d: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def some_keys(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(2**40, n, replace=False) * 2**22 + 7


def found(engine: SearchEngine, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> list[int]:
    return engine.search(query[None], k, allowed)[0][0].tolist()


def test_a_new_engine_is_empty(bench):
    assert len(bench.engine) == 0
    assert bench.engine.state == EngineState()
    keys, scores = bench.engine.search(unit(0, 2), 3)
    assert keys.tolist() == [[NO_KEY] * 3] * 2
    assert (scores == -np.inf).all()


def test_the_state_is_what_was_committed(bench):
    bench.engine.upsert(some_keys(0, 3), unit(0, 3))
    assert bench.engine.state == EngineState()
    assert bench.commit().state == EngineState("space", 1)


def test_a_commit_without_a_write_moves_the_state(bench):
    bench.holding(some_keys(0, 3), unit(0, 3))
    engine = bench.commit()
    assert engine.state == EngineState("space", 2)
    assert len(engine) == 3


def test_an_empty_gallery_can_be_committed(bench):
    engine = bench.commit()
    assert len(engine) == 0
    assert engine.state == EngineState("space", 1)


def test_every_row_finds_itself_first(bench):
    keys, vectors = some_keys(1, 400), unit(1, 400)
    engine = bench.holding(keys, vectors)
    got, scores = engine.search(vectors, 1)
    assert got[:, 0].tolist() == keys.tolist()
    assert scores[:, 0] == pytest.approx(np.ones(400), abs=2e-5)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_results_agree_with_exact_search(bench, k):
    keys, vectors, queries = some_keys(2, 3000), unit(2, 3000), unit(3, 30)
    engine = bench.holding(keys, vectors)
    exact = top_k(queries, vectors, keys, k)
    got = engine.search(queries, k)
    assert got[0].dtype == np.int64
    assert got[1].dtype == np.float32
    assert agreement_at_k(got[0], exact[0]) >= 0.98
    assert (np.diff(got[1], axis=1) <= 0).all()


def test_scores_are_cosine_similarities(bench):
    keys, vectors, queries = some_keys(4, 500), unit(4, 500), unit(5, 5)
    engine = bench.holding(keys, vectors)
    row = dict(zip(keys.tolist(), vectors, strict=True))
    for query, got, scores in zip(queries, *engine.search(queries, 20), strict=True):
        assert scores == pytest.approx([row[key] @ query for key in got.tolist()], abs=1e-4)


def test_more_than_there_are_is_all_of_them(bench):
    keys, vectors = some_keys(6, 5), unit(6, 5)
    got, scores = bench.holding(keys, vectors).search(vectors[:1], 8)
    assert sorted(got[0, :5].tolist()) == sorted(keys.tolist())
    assert got[0, 5:].tolist() == [NO_KEY] * 3
    assert np.isfinite(scores[0, :5]).all()
    assert (scores[0, 5:] == -np.inf).all()


def test_one_row_is_enough(bench):
    key, vector = np.array([2**63 - 1]), unit(7, 1)
    engine = bench.holding(key, vector)
    assert found(engine, vector[0], 2) == [2**63 - 1, NO_KEY]
    assert engine.vectors(key)[0] == pytest.approx(vector[0], abs=1e-4)


def test_ties_are_in_order_of_key_also_at_the_last_place(bench):
    vectors = np.vstack([np.repeat(unit(8, 1), 60, axis=0), unit(9, 60)])
    keys = np.random.default_rng(8).permutation(120)
    engine = bench.holding(keys, vectors)
    same = sorted(keys[:60].tolist())
    assert found(engine, vectors[0], 60) == same
    assert found(engine, vectors[0], 13) == same[:13]


def test_the_order_of_writing_does_not_show(bench):
    keys, vectors, queries = some_keys(10, 900), unit(10, 900), unit(11, 10)
    one = bench.holding(keys, vectors).search(queries, 25)
    bench.engine.clear()
    for part in np.array_split(np.random.default_rng(12).permutation(900), 7):
        bench.engine.upsert(keys[part], vectors[part])
    two = bench.commit().search(queries, 25)
    assert (one[0] == two[0]).all()
    assert (one[1] == two[1]).all()


def test_asking_again_gives_the_same(bench):
    engine = bench.holding(some_keys(13, 2000), unit(13, 2000))
    queries = unit(14, 20)
    first = engine.search(queries, 30)
    for _ in range(3):
        again = engine.search(queries, 30)
        assert (again[0] == first[0]).all()
        assert (again[1] == first[1]).all()


def test_queries_asked_together_or_alone_get_the_same(bench):
    engine = bench.holding(some_keys(15, 2000), unit(15, 2000))
    queries = unit(16, 20)
    together = engine.search(queries, 15)
    for i in range(len(queries)):
        alone = engine.search(queries[i : i + 1], 15)
        assert (alone[0][0] == together[0][i]).all()
        assert (alone[1][0] == together[1][i]).all()


def test_no_queries_get_no_results(bench):
    engine = bench.holding(some_keys(17, 5), unit(17, 5))
    keys, scores = engine.search(np.empty((0, DIM), np.float32), 3)
    assert keys.shape == scores.shape == (0, 3)


def test_writing_a_key_again_replaces_its_vector(bench):
    keys, vectors = some_keys(18, 300), unit(18, 300)
    bench.holding(keys, vectors)
    moved = unit(19, 20)
    engine = bench.holding(keys[:20], moved)
    assert len(engine) == 300
    assert engine.search(moved, 1)[0][:, 0].tolist() == keys[:20].tolist()
    assert engine.vectors(keys[:20]) == pytest.approx(moved, abs=1e-4)
    assert keys[0] not in engine.search(vectors[:1], 299)[0][0, :1]


def test_the_last_write_of_a_key_counts(bench):
    keys, vectors = some_keys(20, 3), unit(20, 9)
    for part in range(3):
        bench.engine.upsert(keys, vectors[3 * part : 3 * part + 3])
    bench.engine.delete(keys[2:])
    bench.engine.delete(keys[1:2])
    bench.engine.upsert(keys[1:2], vectors[:1])
    engine = bench.commit()
    assert len(engine) == 2
    assert engine.vectors(keys[:2]) == pytest.approx(np.vstack([vectors[6], vectors[0]]), abs=1e-4)


def test_deleted_rows_are_never_found(bench):
    keys, vectors = some_keys(21, 600), unit(21, 600)
    bench.holding(keys, vectors)
    bench.engine.delete(keys[::3])
    engine = bench.commit()
    assert len(engine) == 400
    everything = engine.search(vectors[:6], 600)[0]
    assert not np.isin(everything, keys[::3]).any()
    assert ((everything != NO_KEY).sum(axis=1) == 400).all()
    assert not np.isin(engine.search(vectors[::3], 5)[0], keys[::3]).any()


def test_deleting_all_that_is_near_still_fills_the_result(bench):
    near = np.repeat(unit(22, 1), 700, axis=0)
    keys, far = some_keys(22, 1000), unit(23, 300)
    bench.holding(keys, np.vstack([near, far]))
    bench.engine.delete(keys[:700])
    got = found(bench.commit(), near[0], 10)
    assert got == top_k(near[:1], far, keys[700:], 10)[0][0].tolist()


def test_deleting_what_is_not_there_is_passed_over(bench):
    engine = bench.holding(some_keys(24, 4), unit(24, 4))
    engine.delete(np.array([1, 2, 3]))
    engine.delete(np.array([], np.int64))
    assert len(bench.commit()) == 4


def test_everything_can_be_deleted_and_written_again(bench):
    keys, vectors = some_keys(25, 50), unit(25, 50)
    bench.holding(keys, vectors)
    bench.engine.delete(keys)
    engine = bench.commit()
    assert len(engine) == 0
    assert found(engine, vectors[0], 2) == [NO_KEY, NO_KEY]
    engine = bench.holding(keys[:5], vectors[:5])
    assert found(engine, vectors[3], 1) == [keys[3]]


def test_clear_takes_out_everything_and_the_state(bench):
    keys, vectors = some_keys(26, 50), unit(26, 50)
    engine = bench.holding(keys, vectors)
    engine.clear()
    assert len(engine) == 0
    assert engine.state == EngineState()
    assert found(engine, vectors[0], 1) == [NO_KEY]
    # Vectors of another space may be of another length.
    other = unit(27, 8, d=DIM + 3)
    engine = bench.holding(keys[:8], other)
    assert len(engine) == 8
    assert found(engine, other[2], 1) == [keys[2]]


def test_a_filter_is_exact(bench):
    keys, vectors, queries = some_keys(28, 2000), unit(28, 2000), unit(29, 8)
    engine = bench.holding(keys, vectors)
    for size in (1, 30, 1500):
        chosen = np.random.default_rng(size).choice(2000, size, replace=False)
        got = engine.search(queries, 20, keys[chosen])
        exact = top_k(queries, vectors[chosen], keys[chosen], 20)
        assert agreement_at_k(got[0], exact[0]) >= 0.99  # neighbours closer than the storage error may swap
        assert np.isin(got[0][got[0] != NO_KEY], keys[chosen]).all()
        assert ((got[0] != NO_KEY) == (exact[0] != NO_KEY)).all()


def test_a_filter_with_unknown_deleted_and_repeated_keys(bench):
    keys, vectors = some_keys(30, 100), unit(30, 100)
    bench.holding(keys, vectors)
    bench.engine.delete(keys[:1])
    engine = bench.commit()
    allowed = np.concatenate([keys[:3], keys[:3], [5, 6]])
    assert sorted(found(engine, vectors[0], 4, allowed)) == sorted([NO_KEY, NO_KEY, *keys[1:3].tolist()])
    assert found(engine, vectors[0], 2, np.array([], np.int64)) == [NO_KEY, NO_KEY]


def test_vectors_come_in_the_order_asked_for(bench):
    keys, vectors = some_keys(31, 200), unit(31, 200)
    engine = bench.holding(keys, vectors)
    order = np.random.default_rng(32).permutation(200)[:90]
    got = engine.vectors(keys[order])
    assert got.dtype == np.float32
    assert got == pytest.approx(vectors[order], abs=1e-4)
    assert np.linalg.norm(got, axis=1) == pytest.approx(np.ones(90), abs=1e-6)
    assert engine.vectors(np.array([], np.int64)).shape[0] == 0


def test_a_vector_that_is_not_there_is_an_error_that_names_it(bench):
    keys = some_keys(33, 5)
    bench.holding(keys, unit(33, 5))
    bench.engine.delete(keys[4:])
    engine = bench.commit()
    for missing in (255, int(keys[4])):
        with pytest.raises(ImageNotFoundError, match=f"{missing:016x}"):
            engine.vectors(np.array([keys[0], missing]))


def test_vectors_taken_out_and_written_again_change_nothing(bench):
    keys, vectors = some_keys(34, 300), unit(34, 300)
    engine = bench.holding(keys, vectors)
    before = engine.vectors(keys)
    engine.clear()
    after = bench.holding(keys, before).vectors(keys)
    assert (after == before).all()


def test_many_small_writes_add_up(bench):
    keys, vectors = some_keys(35, 2600), unit(35, 2600)
    for start in range(0, 2600, 130):
        bench.engine.upsert(keys[start : start + 130], vectors[start : start + 130])
        if start % 520 == 0:
            bench.commit()
    engine = bench.commit()
    assert len(engine) == 2600
    assert engine.search(vectors, 1)[0][:, 0].tolist() == keys.tolist()


def test_what_was_handed_over_may_be_changed_afterwards(bench):
    keys, vectors = some_keys(36, 10), unit(36, 10)
    given_keys, given_vectors = keys.copy(), vectors.copy()
    bench.engine.upsert(given_keys, given_vectors)
    given_keys[:], given_vectors[:] = 0, 0
    gone = keys[:1].copy()
    bench.engine.delete(gone)
    gone[:] = keys[1]
    assert sorted(found(bench.commit(), vectors[1], 9)) == sorted(keys[1:].tolist())


@pytest.mark.parametrize(
    ("keys", "vectors"),
    [
        (np.array([1, 2]), unit(0, 3)),
        (np.array([1, 2], np.int32), unit(0, 2)),
        (np.array([-4, 2]), unit(0, 2)),
        (np.array([1, 2]), unit(0, 2).astype(np.float64)),
        (np.array([1, 2]), unit(0, 2) * 2),
        (np.array([1, 2]), unit(0, 2) * 0),
        (np.array([1, 2]), unit(0, 2) * np.nan),
    ],
)
def test_writes_that_break_the_contract_are_refused_and_change_nothing(bench, keys, vectors):
    bench.engine.upsert(np.array([9]), unit(1, 1))
    with pytest.raises(ShapeError):
        bench.engine.upsert(keys, vectors)
    assert len(bench.commit()) == 1


def test_vectors_of_another_length_are_refused(bench):
    engine = bench.holding(some_keys(37, 5), unit(37, 5))
    with pytest.raises(ShapeError, match=f"{DIM}"):
        engine.upsert(np.array([1]), unit(0, 1, d=DIM + 1))
    with pytest.raises(ShapeError):
        engine.search(unit(0, 1, d=DIM + 1), 1)


def test_a_result_of_no_places_is_refused(bench):
    engine = bench.holding(some_keys(38, 5), unit(38, 5))
    with pytest.raises(SettingError, match="k"):
        engine.search(unit(0, 1), 0)

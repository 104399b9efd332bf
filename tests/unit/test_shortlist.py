"""Shortlists from faiss: complete enough, and the same whatever the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.engines import shortlist
from lookalike.engines.base import EngineState
from lookalike.engines.local import LocalEngine
from lookalike.engines.shortlist import Shortlist, deal
from lookalike.engines.table import Rows
from lookalike.neighbours import agreement_at_k, top_k

DIM = 24


def unit(seed: int, n: int, d: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def keys_of(n: int) -> np.ndarray:
    return np.random.default_rng(99).permutation(n) * 1000 + 1


def state(generation: int, space: str = "space") -> EngineState:
    return EngineState(space, generation)


@pytest.mark.parametrize(("dims", "groups"), [(1, 128), (2, 128), (3, 128), (5, 4), (31, 128), (256, 128), (300, 128)])
def test_dimensions_are_dealt_once_each(dims, groups):
    dealt = deal(np.random.default_rng(0).random(dims), groups)
    assert sorted(dealt[dealt >= 0].tolist()) == list(range(dims))
    assert len(dealt) % max(1, min(groups, dims // 2)) == 0


def test_dealing_evens_out_the_variance_of_the_groups():
    variances = 1 / np.arange(1.0, 257)
    products = np.log(variances[deal(variances, 128)].reshape(128, 2)).sum(axis=1)
    in_order = np.log(variances.reshape(128, 2)).sum(axis=1)
    assert np.ptp(products) < np.ptp(in_order) / 2


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 65, 300])
@pytest.mark.parametrize("n", [1, 15, 600])
def test_any_number_of_dimensions_and_rows_can_be_searched_through_faiss(dim, n):
    vectors = unit(8, n, dim)
    engine = LocalEngine(None, exact_limit=0)
    engine.upsert(keys_of(n), vectors)
    engine.commit(state(1))
    assert agreement_at_k(engine.search(vectors, 3)[0], top_k(vectors, vectors, keys_of(n), 3)[0]) > 0.95


def test_the_number_of_threads_changes_no_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(shortlist, "FLAT_ROWS", 1000)  # so that k-means takes part
    for threads in (1, 2, 3):
        engine = LocalEngine(tmp_path / str(threads), exact_limit=0, threads=threads)
        engine.upsert(keys_of(3000), unit(9, 3000))
        engine.commit(state(1))
    for name in ("rows.bin", "index.bin"):
        assert len({(tmp_path / str(threads) / name).read_bytes() for threads in (1, 2, 3)}) == 1


def test_lists_agree_with_exact_search_and_survive_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(shortlist, "FLAT_ROWS", 1000)
    centres = unit(10, 60)
    rng = np.random.default_rng(11)
    vectors = centres[rng.integers(0, 60, 6000)] + 0.08 * rng.standard_normal((6000, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    keys, queries = keys_of(6000), vectors[::100]
    engine = LocalEngine(tmp_path, exact_limit=0)
    for end in (4000, 6000):
        engine.upsert(keys[end - 4000 : end], vectors[end - 4000 : end])
        engine.commit(state(end))
        exact = top_k(queries, vectors[:end], keys[:end], 10)
        assert agreement_at_k(engine.search(queries, 10)[0], exact[0]) > 0.95
    again = LocalEngine(tmp_path, exact_limit=0)
    assert (again.search(queries, 12)[0] == engine.search(queries, 12)[0]).all()


def test_rows_that_were_replaced_are_found_once_after_folding():
    keys, vectors, others = keys_of(3000), unit(26, 3000), unit(27, 500)
    engine = LocalEngine(None, exact_limit=0)
    engine.upsert(keys, vectors)
    engine.commit(state(1))
    engine.upsert(keys[:500], others)
    engine.delete(keys[500:550])
    engine.upsert(keys[-100:] + 500, unit(28, 100))
    engine.commit(state(2))
    assert not len(engine._held[0].changes)
    assert engine._held[1].trained_on == 3000  # the same codes, not learned again
    got = engine.search(np.vstack([others, vectors[550:]]), 5)[0]
    assert got[:, 0].tolist() == [*keys[:500].tolist(), *keys[550:].tolist()]
    assert all(len(set(row)) == 5 for row in got.tolist())
    assert not np.isin(engine.search(vectors[:550], 5)[0], keys[500:550]).any()


def test_an_index_that_moved_finds_what_was_added_and_not_what_is_gone():
    old, vectors = keys_of(900), unit(17, 900)
    rows = Rows.pack(np.sort(old), vectors)
    index = Shortlist.build(rows, threads=1)
    kept = rows.take(np.arange(0, 900, 2))
    new = Rows.pack(np.array([0, 5_000_000]), unit(18, 2))
    base = Rows(
        np.concatenate([new.keys[:1], kept.keys, new.keys[1:]]),
        np.concatenate([new.codes[:1], kept.codes, new.codes[1:]]),
        np.concatenate([new.scales[:1], kept.scales, new.scales[1:]]),
    )
    moved = index.moved(base, base.find(rows.keys), np.array([0, 451]), threads=1)
    assert 0 in moved.search(unit(18, 2)[:1], 5, 1)
    assert 451 in moved.search(unit(18, 2)[1:], 5, 1)
    every = moved.search(vectors[2:3], 902, 1)[0]
    assert sorted(every[every >= 0].tolist()) == list(range(452))
    assert 2 in moved.search(vectors[2:3], 5, 1)  # row 2 was kept as the second, behind the new first

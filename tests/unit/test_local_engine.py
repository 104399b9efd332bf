"""What is the local engine's own: storage, memory, threads. What every engine does is in the contract tests."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from lookalike.engines.base import NO_KEY, EngineState
from lookalike.engines.local import LocalEngine
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


def test_packed_rows_are_nearer_to_the_original_than_float16():
    vectors, queries = unit(3, 500, 256), unit(4, 20, 256).astype(np.float64)
    exact = vectors.astype(np.float64) @ queries.T
    rows = Rows.pack(np.arange(500), vectors)
    packed = np.stack([rows.scores(query) for query in queries], axis=1)
    halved = vectors.astype(np.float16).astype(np.float64) @ queries.T
    assert np.abs(packed - exact).max() < 3e-5
    assert np.sqrt(np.mean((packed - exact) ** 2)) < np.sqrt(np.mean((halved - exact) ** 2)) / 4


@pytest.mark.parametrize("exact_limit", [0, 20_000])
def test_eight_bits_take_half_the_room_and_find_the_same(tmp_path, exact_limit):
    keys, vectors, queries = keys_of(4000), unit(40, 4000, 64), unit(41, 30, 64)
    sizes, found = {}, {}
    for bits in (8, 16):
        engine = LocalEngine(tmp_path / str(bits), exact_limit=exact_limit, bits=bits)
        engine.upsert(keys[:3000], vectors[:3000])
        engine.commit(state(1))
        engine.upsert(keys[3000:], vectors[3000:])
        engine.delete(keys[:10])
        engine.commit(state(2))
        again = LocalEngine(tmp_path / str(bits), exact_limit=exact_limit, bits=bits)
        assert again.state == state(2)
        found[bits] = again.search(queries, 10)
        sizes[bits] = (tmp_path / str(bits) / "rows.bin").stat().st_size
        assert np.abs(again.vectors(keys[10:]) - vectors[10:]).max() < {8: 5e-3, 16: 2e-5}[bits]
    assert sizes[8] < sizes[16] * 0.6
    assert agreement_at_k(found[8][0], found[16][0]) > 0.97
    assert found[8][1] == pytest.approx(found[16][1], abs=5e-3)


def test_packing_eight_bits_again_changes_nothing():
    rows = Rows.pack(np.arange(200), unit(42, 200), bits=8)
    again = Rows.pack(rows.keys, rows.unpack(), bits=8)
    assert rows.codes.dtype == np.int8
    assert (again.codes == rows.codes).all()
    assert np.linalg.norm(rows.unpack(), axis=1) == pytest.approx(np.ones(200), abs=1e-6)


def test_files_of_another_width_count_as_absent(tmp_path):
    engine = LocalEngine(tmp_path, bits=8)
    engine.upsert(keys_of(50), unit(43, 50))
    engine.commit(state(1))
    other = LocalEngine(tmp_path)
    assert (len(other), other.state) == (0, EngineState())


def test_exact_results_are_those_of_the_reference_on_the_stored_vectors():
    engine = LocalEngine(None)
    engine.upsert(keys_of(5000), unit(5, 5000))
    keys = np.sort(keys_of(5000))
    queries = unit(6, 40)
    stored = engine.vectors(keys)
    for k in (1, 10, 700):
        got, exact = engine.search(queries, k), top_k(queries, stored, keys, k)
        assert got[1] == pytest.approx(exact[1], abs=1.1e-6)
        assert agreement_at_k(got[0], exact[0]) > 0.999  # the scale of a row is a float32: the last digit may differ


def test_more_ties_than_fit_into_one_block_are_resolved_by_key():
    keys = keys_of(20_000)
    engine = LocalEngine(None)
    engine.upsert(keys, np.repeat(unit(7, 1), 20_000, axis=0))
    assert engine.search(unit(7, 1), 5)[0][0].tolist() == np.sort(keys)[:5].tolist()


def test_a_large_result_is_exact():
    keys, vectors = keys_of(4000), unit(12, 4000)
    engine = LocalEngine(None, exact_limit=0)
    engine.upsert(keys, vectors)
    engine.commit(state(1))
    exact = top_k(vectors[:3], vectors, keys, 3000)
    assert agreement_at_k(engine.search(vectors[:3], 3000)[0], exact[0]) > 0.999


@pytest.mark.parametrize("kind", ["none", "file", "below a file"])
def test_without_a_folder_to_write_to_everything_works_in_memory(tmp_path, kind):
    (tmp_path / "file").write_text("in the way")
    folder = {"none": None, "file": tmp_path / "file", "below a file": tmp_path / "file" / "cache"}[kind]
    engine = LocalEngine(folder, exact_limit=0)
    keys, vectors = keys_of(3000), unit(25, 3000)
    for i, part in enumerate(np.array_split(np.arange(3000), 3)):
        engine.upsert(keys[part], vectors[part])
        engine.commit(state(i))
    engine.delete(keys[:5])
    engine.commit(state(7))
    assert engine.state == state(7)
    assert engine.search(vectors[5:], 1)[0][:, 0].tolist() == keys[5:].tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_scanning_engine_never_loads_faiss_and_leaves_the_index_to_others(tmp_path):
    engine = LocalEngine(tmp_path, exact_limit=0)
    engine.upsert(keys_of(800), unit(1, 800))
    engine.commit(state(1))
    before = (tmp_path / "index.bin").read_bytes()
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from lookalike.engines.base import EngineState\n"
        "from lookalike.engines.local import LocalEngine\n"
        "engine = LocalEngine(Path(sys.argv[1]), exact_limit=0, scan=True)\n"
        "engine.upsert(np.arange(2000), np.tile(np.eye(1, 24, dtype=np.float32), (2000, 1)))\n"
        "engine.commit(EngineState('space', 3))\n"
        "assert engine.search(np.eye(1, 24, dtype=np.float32), 3)[0].tolist() == [[0, 1, 2]]\n"
        "assert 'faiss' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / "index.bin").read_bytes() == before
    engine = LocalEngine(tmp_path, exact_limit=0)
    assert engine.state == state(3)
    assert engine.search(np.eye(1, DIM, dtype=np.float32), 3)[0].tolist() == [[0, 1, 2]]


def test_searches_in_threads_see_whole_writes_only():
    engine = LocalEngine(None, exact_limit=0)
    keys, first, second = keys_of(1500), unit(30, 1500), unit(31, 1500)
    engine.upsert(keys, first)
    engine.commit(state(1))
    wrong: list[object] = []
    stop = threading.Event()

    def look() -> None:
        try:
            while not stop.is_set():
                got, scores = engine.search(first[:20], 1500)
                if not ((got != NO_KEY).sum(axis=1) == 1500).all() or not np.isfinite(scores).all():
                    wrong.append(got)
                engine.vectors(keys[:100])
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for generation in range(2, 14):
        part = np.random.default_rng(generation).choice(1500, 400, replace=False)
        engine.upsert(keys[part], (first if generation % 2 else second)[part])
        engine.commit(state(generation))
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []

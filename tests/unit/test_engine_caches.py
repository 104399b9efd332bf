"""The files of the local engine: whatever happens to them, it never holds what its state does not say."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lookalike.engines import cachefile, caches
from lookalike.engines.base import EngineState
from lookalike.engines.local import LocalEngine
from lookalike.neighbours import agreement_at_k

FILES = ("changes.bin", "index.bin", "rows.bin")
DIM = 24

WRITER = """
import sys
import numpy as np
from pathlib import Path
from lookalike.engines.base import EngineState
from lookalike.engines.local import LocalEngine
folder, rows, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
engine = LocalEngine(folder, exact_limit=0, threads=1)
for generation in range(1, last + 1):
    vectors = np.random.default_rng(generation).standard_normal((rows, 24)).astype(np.float32)
    engine.upsert(np.arange(rows) + generation % 3, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    engine.commit(EngineState("space", generation))
    print(generation, flush=True)
"""


def unit(seed: int, n: int, d: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def keys_of(n: int) -> np.ndarray:
    return np.random.default_rng(99).permutation(n) * 1000 + 1


def state(generation: int, space: str = "space") -> EngineState:
    return EngineState(space, generation)


def same(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    return bool((one[0] == other[0]).all() and (one[1] == other[1]).all())


def answers(engine: LocalEngine, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return engine.search(queries, 12)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A folder with all three files: 800 rows at generation 1, some of them changed at generation 2."""
    folder = tmp_path / "cache"
    engine = LocalEngine(folder, exact_limit=0)
    engine.upsert(keys_of(800), unit(1, 800))
    engine.commit(state(1))
    engine.upsert(keys_of(800)[:50], unit(2, 50))
    engine.delete(keys_of(800)[50:80])
    engine.commit(state(2))
    assert sorted(os.listdir(folder)) == list(FILES)
    return folder


def test_a_few_changes_leave_the_large_files_alone(filled):
    before = {name: (filled / name).stat().st_ino for name in FILES}
    engine = LocalEngine(filled, exact_limit=0)
    engine.upsert(keys_of(1000)[900:], unit(13, 100))
    engine.commit(state(3))
    after = {name: (filled / name).stat().st_ino for name in FILES}
    assert [name for name in FILES if before[name] != after[name]] == ["changes.bin"]
    assert LocalEngine(filled).state == state(3)
    assert same(answers(LocalEngine(filled), unit(14, 30)), answers(engine, unit(14, 30)))


def test_a_commit_of_nothing_writes_nothing(filled):
    before = {name: (filled / name).stat().st_ino for name in FILES}
    LocalEngine(filled, exact_limit=0).commit(state(2))
    assert {name: (filled / name).stat().st_ino for name in FILES} == before


def test_many_changes_are_folded_in_and_the_index_grows_with_them(filled):
    keys, vectors = np.arange(1, 2000) * 7_000_003, unit(15, 1999)
    engine = LocalEngine(filled, exact_limit=0)
    for i, part in enumerate(np.array_split(np.arange(1999), 4)):
        engine.upsert(keys[part], vectors[part])
        engine.commit(state(3 + i))
    assert len(engine) == 770 + 1999
    assert engine.search(vectors, 1)[0][:, 0].tolist() == keys.tolist()
    again = LocalEngine(filled, exact_limit=0)
    assert len(again) == len(engine)
    assert same(answers(again, unit(16, 50)), answers(engine, unit(16, 50)))
    exact = LocalEngine(filled, scan=True).search(unit(16, 50), 10)
    assert agreement_at_k(again.search(unit(16, 50), 10)[0], exact[0]) > 0.98


def test_results_after_changes_are_those_of_a_fresh_engine(filled):
    fresh = LocalEngine(None)
    fresh.upsert(keys_of(800)[80:], unit(1, 800)[80:])
    fresh.upsert(keys_of(800)[:50], unit(2, 50))
    queries = np.vstack([unit(19, 30), unit(1, 800)[:90], unit(2, 50)])
    assert same(answers(LocalEngine(filled), queries), answers(fresh, queries))


def known(folder: Path, queries: np.ndarray) -> dict[EngineState, tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """By each state that the files may bring: how many rows, and the answers."""
    whole = LocalEngine(folder, scan=True)
    (folder / "changes.bin").rename(folder / "aside")
    older = LocalEngine(folder, scan=True)
    (folder / "aside").rename(folder / "changes.bin")
    empty = LocalEngine(None)
    return {engine.state: (len(engine), answers(engine, queries)) for engine in (whole, older, empty)}


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_out_or_harmless(filled, name):
    queries = unit(20, 10)
    truth = known(filled, queries)
    assert [s.generation for s in truth] == [2, 1, 0]
    whole = (filled / name).read_bytes()
    rng = np.random.default_rng(FILES.index(name))
    seen = set()
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        (filled / name).write_bytes(damaged)
        engine = LocalEngine(filled, exact_limit=0)
        n, expected = truth[engine.state]
        assert len(engine) == n
        assert agreement_at_k(answers(engine, queries)[0], expected[0]) > 0.99
        seen.add(engine.state.generation)
    assert seen == {"changes.bin": {1, 2}, "index.bin": {2}, "rows.bin": {0, 2}}[name]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.9999])
def test_a_file_that_is_cut_short_counts_as_absent(filled, name, share):
    queries = unit(20, 10)
    truth = known(filled, queries)
    whole = (filled / name).read_bytes()
    (filled / name).write_bytes(whole[: int(share * len(whole))])
    engine = LocalEngine(filled, exact_limit=0)
    assert engine.state.generation == {"changes.bin": 1, "index.bin": 2, "rows.bin": 0}[name]
    assert same(answers(engine, queries), truth[engine.state][1])


@pytest.mark.parametrize("name", FILES)
def test_the_next_commit_repairs_a_damaged_file(filled, name):
    queries = unit(21, 10)
    damaged = bytearray((filled / name).read_bytes())
    damaged[-1] ^= 1
    (filled / name).write_bytes(damaged)
    engine = LocalEngine(filled, exact_limit=0)
    # As a gallery does: bring it up to date from whatever state it has.
    if engine.state == EngineState():
        engine.upsert(keys_of(800), unit(1, 800))
    if engine.state != state(2):
        engine.upsert(keys_of(800)[:50], unit(2, 50))
        engine.delete(keys_of(800)[50:80])
    engine.commit(state(2))
    again = LocalEngine(filled, exact_limit=0)
    assert again.state == state(2)
    assert same(answers(again, queries), answers(engine, queries))
    assert not again._caches.damaged


def test_files_of_another_gallery_or_in_the_wrong_place_are_not_mixed_in(filled, tmp_path):
    other = LocalEngine(tmp_path / "other", exact_limit=0)
    other.upsert(keys_of(800), unit(22, 800))
    other.commit(state(1, "other"))
    other.delete(keys_of(800)[:1])
    other.commit(state(2, "other"))
    queries = unit(23, 10)
    expected = answers(LocalEngine(filled, scan=True), queries)
    shutil.copy(tmp_path / "other" / "index.bin", filled / "index.bin")
    assert same(answers(LocalEngine(filled, exact_limit=0), queries), expected)
    shutil.copy(tmp_path / "other" / "changes.bin", filled / "changes.bin")
    assert LocalEngine(filled).state == state(1)
    shutil.copy(tmp_path / "other" / "rows.bin", filled / "rows.bin")
    assert LocalEngine(filled).state == state(2, "other")
    shutil.copy(filled / "index.bin", filled / "rows.bin")
    assert LocalEngine(filled).state == EngineState()


def test_what_another_process_has_brought_further_stays(filled):
    late, early = LocalEngine(filled, exact_limit=0), LocalEngine(filled, exact_limit=0)
    late.delete(keys_of(800)[100:101])
    late.commit(state(9))
    early.delete(keys_of(800)[101:102])
    early.commit(state(5))
    assert LocalEngine(filled).state == state(9)
    assert len(early) == 769
    # After clear() the files are known to be wrong, whatever they say.
    early.clear()
    early.upsert(keys_of(800)[:3], unit(24, 3))
    early.commit(state(4))
    assert LocalEngine(filled).state == state(4)
    assert len(LocalEngine(filled)) == 3


def test_a_file_replaced_by_another_process_just_after_writing_is_not_taken_for_ones_own(filled, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    shutil.copy(filled / "rows.bin", tmp_path / "other" / "rows.bin")

    def overtaken(path: Path, *arguments: object) -> str:
        written = cachefile.write(path, *arguments)
        shutil.copy(tmp_path / "other" / "rows.bin", tmp_path / "new.bin")
        (tmp_path / "new.bin").replace(path)
        return written

    monkeypatch.setattr(caches, "write", overtaken)
    engine = LocalEngine(tmp_path / "cache two", exact_limit=0)
    engine.upsert(np.arange(30), unit(32, 30))
    engine.commit(state(1))
    assert len(engine) == 30
    assert engine.search(unit(32, 30), 1)[0][:, 0].tolist() == list(range(30))


def expected_after(rows: int, generation: int) -> dict[int, np.ndarray]:
    held: dict[int, np.ndarray] = {}
    for g in range(1, generation + 1):
        held.update(zip((np.arange(rows) + g % 3).tolist(), unit(g, rows), strict=True))
    return held


def check_against(engine: LocalEngine, rows: int) -> None:
    held = expected_after(rows, engine.state.generation)
    assert len(engine) == len(held)
    if held:
        keys = np.array(sorted(held))
        assert engine.vectors(keys) == pytest.approx(np.stack([held[key] for key in keys.tolist()]), abs=1e-4)
        assert engine.search(engine.vectors(keys), 1)[0][:, 0].tolist() == keys.tolist()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill that way")
@pytest.mark.parametrize("trial", range(6))
def test_a_killed_writer_leaves_a_state_that_was_committed(tmp_path, trial):
    rng = np.random.default_rng(trial)
    rows = [300, 1500][trial % 2]  # changes alone, or folded on every commit
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(rows), "1000"], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    acknowledged = 0
    for _ in range(int(rng.integers(1, 6))):
        acknowledged = int(writer.stdout.readline())
    threading.Event().wait(float(rng.random()) * 0.03)
    writer.kill()
    acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    engine = LocalEngine(tmp_path, exact_limit=0)
    assert engine.state.generation >= acknowledged
    check_against(engine, rows)


def test_two_processes_that_write_at_once_leave_one_of_their_states(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path), "1200", "12"]
    writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        check_against(LocalEngine(tmp_path, exact_limit=0), 1200)
    assert [writer.returncode for writer in writers] == [0, 0]
    engine = LocalEngine(tmp_path, exact_limit=0)
    assert engine.state.generation in range(1, 13)
    check_against(engine, 1200)
    assert not list(tmp_path.glob(".*.tmp"))

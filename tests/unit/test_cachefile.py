"""The cache file: whatever is not exactly what was written is found out before it is used."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lookalike.engines.cachefile import CacheFile, write
from lookalike.errors import GalleryFormatError

KIND = "toy 1"
CODES = np.random.default_rng(0).integers(-9, 9, (700, 3)).astype(np.int16)
KEYS = np.arange(700)


def written(path: Path) -> Path:
    write(path, KIND, {"space": "a"}, {"codes": [CODES[:300], CODES[300:]], "keys": [KEYS], "none": [KEYS[:0]]})
    return path


def contents(path: Path, *, mapped: bool = False) -> list[np.ndarray]:
    with CacheFile(path, KIND) as file:
        assert file.facts == {"space": "a"}
        types = {"codes": "<i2", "keys": "<i8", "none": "<i8"}
        return [file.array(name, dtype, mapped=mapped) for name, dtype in types.items()]


@pytest.mark.parametrize("mapped", [False, True])
def test_what_was_written_is_read(tmp_path, mapped):
    codes, keys, none = contents(written(tmp_path / "f"), mapped=mapped)
    assert (codes == CODES).all()
    assert (keys == KEYS).all()
    assert none.shape == (0,)
    assert os.listdir(tmp_path) == ["f"]


def test_a_mapped_array_outlives_the_file_and_its_replacement(tmp_path):
    codes = contents(written(tmp_path / "f"), mapped=True)[0]
    write(tmp_path / "f", KIND, {}, {"codes": [CODES * 0]})
    assert (codes == CODES).all()
    assert not codes.flags.writeable


def test_equal_content_has_the_same_id_and_other_content_another(tmp_path):
    ids = []
    for name, facts in (("a", {}), ("b", {}), ("c", {"more": 1})):
        write(tmp_path / name, KIND, facts, {"keys": [KEYS]})
        with CacheFile(tmp_path / name, KIND) as file:
            ids.append(file.id)
    assert ids[0] == ids[1] != ids[2]


def test_a_flipped_bit_anywhere_is_found_or_in_padding(tmp_path):
    path = written(tmp_path / "f")
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    harmless = 0
    for _ in range(300):
        place, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            arrays = contents(path)
        except GalleryFormatError:
            continue
        harmless += 1
        assert whole[place] == 0
        assert (arrays[0] == CODES).all()
        assert (arrays[1] == KEYS).all()
    assert 0 < harmless < 200


def test_every_cut_and_every_addition_is_found(tmp_path):
    path = written(tmp_path / "f")
    whole = path.read_bytes()
    for length in (0, 1, 43, 44, 100, 4095, 4096, 4097, 6000, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(GalleryFormatError):
            contents(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(GalleryFormatError):
        contents(path)


def test_files_of_another_kind_are_refused(tmp_path):
    path = written(tmp_path / "f")
    with pytest.raises(GalleryFormatError, match="toy 1"):
        CacheFile(path, "toy 2")
    path.write_bytes(b"\x89PNG" + bytes(9000))
    with pytest.raises(GalleryFormatError):
        CacheFile(path, KIND)
    with pytest.raises(FileNotFoundError):
        CacheFile(tmp_path / "missing", KIND)


def test_an_array_that_is_not_there_or_of_another_type_is_refused(tmp_path):
    with CacheFile(written(tmp_path / "f"), KIND) as file:
        for name, dtype in (("vectors", "<f4"), ("keys", "<f8")):
            with pytest.raises(GalleryFormatError, match=name):
                file.array(name, dtype)


@pytest.mark.parametrize("header", [[], {"kind": KIND}, {"kind": KIND, "bytes": 8192}])
def test_a_header_of_another_make_is_refused(tmp_path, header):
    text = json.dumps(header).encode()
    start = b"lookcach" + hashlib.sha256(text).digest() + len(text).to_bytes(4, "little") + text
    (tmp_path / "f").write_bytes(start.ljust(8192, b"\0"))
    with pytest.raises(GalleryFormatError):
        CacheFile(tmp_path / "f", KIND)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = written(tmp_path / "f")

    def blocks():
        yield CODES
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write(path, KIND, {}, {"codes": blocks()})
    assert (contents(path)[0] == CODES).all()
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill that way")
def test_a_writer_killed_halfway_leaves_the_old_file_and_is_cleared_away_later(tmp_path):
    path = written(tmp_path / "f")
    code = (
        "import os, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from lookalike.engines.cachefile import write\n"
        "def blocks():\n"
        "    yield np.zeros((5000, 3), np.int16)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "    yield np.zeros((5000, 3), np.int16)\n"
        f"write(Path(sys.argv[1]), {KIND!r}, {{}}, {{'codes': blocks()}})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (contents(path)[0] == CODES).all()
    left = [p for p in tmp_path.iterdir() if p != path]
    assert len(left) == 1
    written(path)
    assert left[0].exists()  # another writer may be at work on it
    os.utime(left[0], (1, 1))
    written(path)
    assert [p.name for p in tmp_path.iterdir()] == ["f"]

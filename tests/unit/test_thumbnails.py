from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.thumbnails import Thumbnails

ONE, TWO = b"1" * 32, b"2" * 32


def test_what_was_put_is_got_also_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "thumbnails.sqlite"
    cache = Thumbnails(path)
    cache.put([(ONE, b"jpeg one"), (TWO, b"")])
    assert (cache.get(ONE), cache.get(TWO), len(cache)) == (b"jpeg one", None, 1)
    cache.close()
    again = Thumbnails(path)
    assert again.get(ONE) == b"jpeg one"
    again.close()


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "thumbnails.sqlite"
    path.write_bytes(damage)
    cache = Thumbnails(path)
    assert cache.get(ONE) is None
    cache.put([(ONE, b"jpeg")])
    assert cache.get(ONE) == b"jpeg"
    cache.close()


def test_a_folder_that_cannot_be_made_costs_only_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    cache = Thumbnails(tmp_path / "file" / "thumbnails.sqlite")
    cache.put([(ONE, b"jpeg")])
    cache.close()
    assert (tmp_path / "file").read_bytes() == b"in the way"

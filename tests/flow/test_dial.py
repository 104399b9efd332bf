"""The dial's state in a gallery: kept, stale, damaged, gone, and made again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery
from lookalike.gallery import dial

Picture = Callable[..., Path]
KINDS, EACH = 8, 5


@pytest.fixture
def folder(tmp_path: Path, album: Callable[..., list[Path]]) -> Path:
    """40 drawn pictures: 8 kinds of 5."""
    album(tmp_path / "photos", kinds=KINDS, each=EACH)
    return tmp_path / "photos"


@pytest.fixture
def gallery(tmp_path: Path, folder: Path) -> Iterator[Gallery]:
    with Gallery.create(tmp_path / "gallery") as opened:
        opened.index(folder)
        yield opened


def kept(gallery: Gallery) -> Path:
    return gallery.path / "cache" / "dial" / "neighbourhoods.bin"


def state(gallery: Gallery) -> tuple[int, int]:
    status = kept(gallery).stat()
    return status.st_ino, status.st_mtime_ns


def order(gallery: Gallery, query: Path, match: str = "auto") -> list[Path]:
    result = gallery.search(query, k=100, match=match, stacks=False)
    assert result.match == match
    return [found.path for found in result]


def test_a_few_new_and_lost_images_need_no_new_state(gallery: Gallery, folder: Path, picture: Picture) -> None:
    before = state(gallery)
    gone = next(folder.glob("ring*-01.jpg"))
    gone.unlink()
    new = [picture(folder / f"new-{kind}.jpg", kind=kind, seed=50) for kind in (0, 1)]
    gallery.index(folder)
    assert state(gallery) == before
    for match in ("kind", "object", "auto"):
        found = order(gallery, next(folder.glob("disc*-02.jpg")), match)
        assert sorted(found) == sorted(folder.glob("*.jpg"))
        assert found.index(new[0]) < found.index(new[1])  # a disc came, and a square
        assert order(gallery, new[1], match)[0] == new[1]


def test_many_changes_and_a_new_space_make_it_again(gallery: Gallery, folder: Path, picture: Picture) -> None:
    before, space = state(gallery), gallery.info()["space"]
    for kind in range(5):
        picture(folder / f"new-{kind}.jpg", kind=kind, seed=50)
    gallery.index(folder)
    assert gallery.info()["space"] == space
    assert state(gallery) != before
    hoods = dial.opened(gallery._parts)
    assert hoods is not None
    assert len(hoods) == KINDS * EACH + 5
    before = state(gallery)
    gallery.doctor(refit=True)
    assert gallery.info()["space"] != space
    assert state(gallery) != before
    assert len(order(gallery, next(folder.glob("disc*-02.jpg")))) == KINDS * EACH + 5


def test_copies_of_files_are_one_content(gallery: Gallery, folder: Path) -> None:
    before = state(gallery)
    for number in range(30):
        shutil.copy(next(folder.glob("star*-03.jpg")), folder / f"copy-{number}.jpg")
    gallery.index(folder)
    assert state(gallery) == before
    for match in ("kind", "object", "auto"):
        found = order(gallery, next(folder.glob("star*-00.jpg")), match)
        places = [found.index(folder / f"copy-{number}.jpg") for number in range(30)]
        assert max(places) - min(places) <= 30  # together with their original, nothing between
        assert sum(path.name.startswith(("star", "copy")) for path in found[:35]) == 35


@pytest.mark.parametrize("harm", ["gone", "cut", "changed", "foreign"])
def test_without_a_sound_state_the_order_is_plain_until_it_is_repaired(
    gallery: Gallery, folder: Path, harm: str
) -> None:
    file, query = kept(gallery), next(folder.glob("disc*-02.jpg"))
    wanted = order(gallery, query)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.unlink()
    if harm != "gone":
        file.write_bytes({"cut": data[:5000], "changed": data, "foreign": b"something else"}[harm])
    plain = gallery.search(query, k=100, stacks=False)
    assert plain.match == "plain"
    assert "lookalike index" in dial.why_plain(gallery._parts)
    assert [found.rank_score for found in plain] == [found.score for found in plain]
    gallery.doctor(repair=True)
    assert dial.why_plain(gallery._parts) == ""
    assert order(gallery, query) == wanted
    kept(gallery).unlink()
    gallery.index(folder)  # a run over unchanged files mends it as well
    assert order(gallery, query) == wanted


def test_another_process_may_learn_it_again(gallery: Gallery, folder: Path, picture: Picture) -> None:
    with Gallery.open(gallery.path) as other:
        assert len(order(other, next(folder.glob("disc*-02.jpg")))) == KINDS * EACH
        for seed in range(50, 60):
            picture(folder / f"new-{seed}.jpg", kind=3, seed=seed)
        gallery.index(folder)
        assert len(order(other, next(folder.glob("disc*-02.jpg")))) == KINDS * EACH + 10
        ours, theirs = dial.opened(gallery._parts), dial.opened(other._parts)
        assert ours is not None
        assert theirs is not None
        np.testing.assert_array_equal(ours.numbers, theirs.numbers)


def test_a_gallery_that_shrinks_below_the_least_has_a_plain_order(gallery: Gallery, folder: Path) -> None:
    for path in sorted(folder.glob("*.jpg"))[20:]:
        path.unlink()
    gallery.index(folder)
    assert not kept(gallery).exists()
    assert gallery.search(next(folder.glob("*.jpg"))).match == "plain"
    assert "20 different images are too few" in dial.why_plain(gallery._parts)


def test_the_same_folder_gives_the_same_order_whatever_the_threads(
    gallery: Gallery, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = next(folder.glob("cross*-02.jpg"))
    monkeypatch.setenv("LOOKALIKE_THREADS", "1")
    with Gallery.create(tmp_path / "other") as other:
        other.index(folder)
        for match in ("kind", "object", "auto"):
            assert order(other, query, match) == order(gallery, query, match)

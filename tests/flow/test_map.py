"""The map of a gallery, from the command line and from Python: kept, added to, drawn."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery
from lookalike.errors import (
    EmptyGalleryError,
    FilterError,
    GalleryError,
    GalleryLockedError,
    LookalikeError,
    MissingExtraError,
    SettingError,
)
from lookalike.gallery import mapping
from lookalike.gallery.lock import writer_lock
from tests.flow.conftest import Cli


@pytest.fixture
def gallery(tmp_path: Path, photos: Path) -> Iterator[Gallery]:
    """12 drawn pictures: 3 kinds of 4."""
    with Gallery.open(tmp_path / "gallery", create=True) as opened:
        opened.index(photos)
        yield opened


def places(drawn: mapping.GalleryMap) -> dict[str, tuple[float, float]]:
    return {record.path.name: (float(x), float(y)) for record, (x, y) in zip(drawn.records, drawn.xy, strict=True)}


def page_data(file: Path) -> Any:
    return json.loads(file.read_text().partition('id="data">')[2].partition("</script>")[0])


def test_a_map_has_every_image_and_kinds_lie_together(gallery: Gallery) -> None:
    drawn = gallery.map()
    assert [record.id for record in drawn.records] == [record.id for record in gallery.images()]
    assert drawn.xy.shape == (12, 2)
    assert 0 <= drawn.xy.min() < drawn.xy.max() <= 1
    assert (drawn.method, drawn.seed, drawn.placed, drawn.new) == ("tsne", 0, 0, 0)
    data = drawn.to_dict()
    assert (data["images"], data["contents"]) == (12, 12)
    first = data["points"][0]
    assert first == {"id": drawn.records[0].id, "path": str(drawn.records[0].path), "x": first["x"], "y": first["y"]}


def test_the_map_is_kept_and_new_images_are_placed_without_moving_old_ones(
    gallery: Gallery, photos: Path, picture: Callable[..., Path]
) -> None:
    before = gallery.map()
    again = gallery.map()
    assert places(again) == places(before)
    assert again.made_at == before.made_at

    for number in range(3):
        picture(photos / f"new-{number}.jpg", kind=number, seed=50 + number)
    (photos / next(iter(places(before)))).unlink()
    gallery.index(photos)
    added = gallery.map()
    assert (added.new, added.placed, len(added.records)) == (3, 3, 14)
    moved = {name for name, place in places(added).items() if places(before).get(name, place) != place}
    assert moved == set()
    assert not added.is_stale
    later = gallery.map()
    assert (later.new, later.placed) == (0, 3)
    assert places(later) == places(added)

    fresh = gallery.map(again=True)
    assert (fresh.placed, len(fresh.records)) == (0, 14)
    assert places(fresh) != places(added)


def test_a_map_outlives_a_new_pca_and_images_that_come_back(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    before = gallery.map()
    gallery.doctor(refit=True)
    assert places(gallery.map()) == places(before)
    name = next(iter(places(before)))
    shutil.move(photos / name, tmp_path / "aside.jpg")
    gallery.index(photos)
    assert name not in places(gallery.map())
    shutil.move(tmp_path / "aside.jpg", photos / name)
    gallery.index(photos)
    assert places(gallery.map()) == places(before)


def test_a_map_of_mostly_placed_images_says_so(
    cli: Cli, photos: Path, picture: Callable[..., Path], gallery: Gallery
) -> None:
    gallery.map()
    for number in range(13):
        picture(photos / f"new-{number}.jpg", kind=number % 8, seed=70 + number)
    gallery.index(photos)
    assert gallery.map().is_stale
    assert "--again" in cli("map").stderr.decode()
    assert not gallery.map(again=True).is_stale


def test_copies_share_a_place_and_are_drawn_apart(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    first = sorted(photos.iterdir())[0]
    shutil.copy(first, photos / "zz-copy.jpg")
    gallery.index(photos)
    drawn = gallery.map(html=tmp_path / "map.html")
    assert places(drawn)["zz-copy.jpg"] == places(drawn)[first.name]
    assert drawn.to_dict()["contents"] == 12
    data = page_data(tmp_path / "map.html")
    assert data["count"] == 13
    assert len({data["xy"]}) == 1


def test_another_seed_lays_out_anew_and_none_keeps_what_is_there(gallery: Gallery) -> None:
    first = gallery.map()
    other = gallery.map(seed=7)
    assert other.seed == 7
    assert places(other) != places(first)
    assert places(gallery.map()) == places(other)
    assert places(gallery.map(seed=0)) == places(first)


def test_pca_needs_no_extra_and_does_not_replace_a_map_by_tsne(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_tsne = gallery.map()
    coarse = gallery.map(method="pca")
    assert coarse.method == "pca"
    assert places(coarse) != places(by_tsne)
    assert places(gallery.map()) == places(by_tsne)
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    assert places(gallery.map()) == places(by_tsne)  # what is kept can still be shown
    assert gallery.map(method="pca", again=True).method == "pca"
    with pytest.raises(MissingExtraError, match="t-SNE"):
        gallery.map(again=True)


def test_a_filter_chooses_what_is_shown_not_what_is_laid_out(gallery: Gallery) -> None:
    drawn = gallery.map(where="name ~ 'disc*'")
    assert len(drawn.records) == 4
    every = places(gallery.map())
    assert places(drawn) == {name: every[name] for name in places(drawn)}
    assert len(gallery.map(where="width >= 99999").records) == 0
    with pytest.raises(FilterError):
        gallery.map(where="nonsense")


# -- drawings ------------------------------------------------------------------------------------------------------


def test_the_page_and_the_picture_are_written_and_coloured_by_label(gallery: Gallery, tmp_path: Path) -> None:
    page, png = tmp_path / "map.html", tmp_path / "map.png"
    gallery.map(html=page, png=png)
    assert len(page_data(page)["groups"]) == 1
    with Image.open(png) as image:
        size = image.size
    gallery.label_images({record.id: record.path.stem.split("-")[0] for record in list(gallery.images())[:10]})
    gallery.map(html=page, png=png)
    data = page_data(page)
    assert data["coloured_by"] == "label"
    assert [group["count"] for group in data["groups"]] == [4, 4, 2, 2]
    assert data["groups"][-1]["name"] == "no label"
    assert data["pictures"] == 12
    with Image.open(png) as image:
        assert image.width > size[0]
    gallery.map(png=png, wall=True)
    with Image.open(png) as image:
        assert len(image.convert("RGB").getcolors(2**24)) > 1000  # the pictures themselves


@pytest.mark.parametrize(("colour", "groups"), [("root", 1), ("none", 1), ("label", 1), ("date", 2)])
def test_colours_say_what_images_share(
    gallery: Gallery, photos: Path, tmp_path: Path, colour: str, groups: int
) -> None:
    for number, file in enumerate(sorted(photos.iterdir())):
        day = 1_700_000_000 + (number % 2) * 86_400
        os.utime(file, (day, day))
    gallery.index(photos)
    gallery.map(html=tmp_path / "map.html", colour=colour)
    data = page_data(tmp_path / "map.html")
    assert len(data["groups"]) == groups
    assert data["named"] is (colour != "date")
    if colour == "date":
        assert [group["name"] for group in data["groups"]] == ["2023-11-14", "2023-11-15"]


def test_the_pca_picture_is_there_at_once_and_an_interrupted_layout_changes_nothing(
    gallery: Gallery, tmp_path: Path
) -> None:
    page = tmp_path / "map.html"
    before = places(gallery.map())

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "lay out" and done > 100:
            assert "being laid out" in page.read_text()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gallery.map(html=page, again=True, progress=stop)
    assert page_data(page)["count"] == 12
    assert places(gallery.map(html=page)) == before
    assert "being laid out" not in page.read_text()


def test_progress_says_how_much_is_left(gallery: Gallery, tmp_path: Path) -> None:
    said: list[tuple[str, int, int | None]] = []
    gallery.map(html=tmp_path / "map.html", progress=lambda *told: said.append(told))
    for stage in ("find neighbours", "lay out", "draw pictures"):
        own = [(done, total) for name, done, total in said if name == stage]
        assert own[-1][0] == own[-1][1]


# -- what cannot be done -------------------------------------------------------------------------------------------


def test_photo_folders_are_never_written_to(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    before = sorted(photos.iterdir())
    for file in (
        photos / "map.html",
        photos / "deep" / ".." / "map.html",
        tmp_path / "gallery" / ".." / "photos" / "x",
    ):
        with pytest.raises(SettingError, match=r"photo folder|no such folder"):
            gallery.map(html=file)
        with pytest.raises(SettingError, match=r"photo folder|no such folder"):
            gallery.map(png=file)
    assert sorted(photos.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "umap"}, "umap"),
        ({"colour": "pink"}, "pink"),
        ({"html": "nowhere/at/all.html"}, "nowhere"),
        ({"png": "."}, "cannot be written"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(
    gallery: Gallery, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        gallery.map(**arguments)
    assert mapping.load(gallery._parts, "tsne") is None


def test_an_empty_gallery_has_no_map_and_a_tiny_one_has(tmp_path: Path, picture: Callable[..., Path]) -> None:
    with Gallery.create(tmp_path / "gallery") as gallery:
        with pytest.raises(EmptyGalleryError):
            gallery.map()
        picture(tmp_path / "photos" / "one.jpg")
        gallery.index(tmp_path / "photos")
        drawn = gallery.map(html=tmp_path / "map.html", png=tmp_path / "map.png")
        np.testing.assert_array_equal(drawn.xy, [[0.5, 0.5]])
        gallery.map(png=tmp_path / "map.png", wall=True)
        (tmp_path / "photos" / "one.jpg").unlink()
        picture(tmp_path / "photos" / "two.jpg", kind=3)
        gallery.index(tmp_path / "photos")
        assert len(gallery.map().records) == 1  # nothing is left of what was laid out


def test_an_indexing_that_was_stopped_must_be_finished_first(tmp_path: Path, photos: Path) -> None:
    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "learn what varies":
            raise KeyboardInterrupt

    with Gallery.create(tmp_path / "stopped") as stopped:
        with pytest.raises(KeyboardInterrupt):
            stopped.index(photos, progress=stop)
        with pytest.raises(GalleryError, match="no PCA yet"):
            stopped.map(method="pca")
        stopped.index()
        assert len(stopped.map(method="pca").records) == 12


def test_one_long_job_at_a_time_but_a_kept_map_can_be_shown(gallery: Gallery) -> None:
    with writer_lock(gallery.path, "index"), pytest.raises(GalleryLockedError):
        gallery.map()
    drawn = gallery.map()
    with writer_lock(gallery.path, "index"):
        assert places(gallery.map()) == places(drawn)


def test_a_damaged_map_is_laid_out_again(gallery: Gallery) -> None:
    drawn = gallery.map()
    catalogue = gallery._parts.catalogue
    kept = catalogue.derived("map tsne")
    assert kept is not None
    for damaged in (b"", kept[1][:-30], b"{}\n", b"[]\n" + kept[1], kept[1].replace(b'"n": 12', b'"n": "x"')):
        catalogue.set_derived("map tsne", kept[0], damaged)
        assert places(gallery.map()) == places(drawn)


# -- the command line ----------------------------------------------------------------------------------------------


def test_the_command_line_writes_what_python_says(gallery: Gallery, cli: Cli, tmp_path: Path) -> None:
    page, png = tmp_path / "map.html", tmp_path / "map.png"
    printed = cli.json("map", "--html", page, "--png", png, "--colour", "date", "--where", "width >= 1")
    expected = gallery.map().to_dict()
    assert {**printed, "seconds": 0} == {**expected, "seconds": 0}
    assert page_data(page)["coloured_by"] == "date"
    done = cli("map", "--method", "pca", "--png", png, "--wall", "--again", "--seed", "3")
    assert f"wrote {png}" in done.stderr.decode()
    assert b"method    pca" in done.stdout
    assert b"images    12" in done.stdout
    cli("map", "--html", tmp_path / "photos" / "map.html", code=2)


def test_the_command_names_the_extra_that_is_missing(gallery: Gallery, cli: Cli, tmp_path: Path) -> None:
    hidden = tmp_path / "site"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys; sys.modules['openTSNE'] = None")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")]))
        done = cli("map", code=1)
        assert b"lookalike[map]" in done.stderr
        assert b"pca" in done.stderr
        cli("map", "--method", "pca")


def test_a_file_that_cannot_be_written_is_an_error_with_a_reason(gallery: Gallery, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "map.png").mkdir()
    with pytest.raises(LookalikeError, match=r"map\.png"):
        gallery.map(png=locked / "map.png")

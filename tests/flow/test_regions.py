"""Parts of images through a whole gallery: on, off, learned, found, followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery
from lookalike.errors import SettingError
from lookalike.gallery import regions
from lookalike.results import Match, SearchResult
from tests.flow.conftest import Cli

BOX = (0.55, 0.05, 0.95, 0.45)  # where the picture is pasted into its scene


@pytest.fixture
def scenes(tmp_path: Path, draw: Callable[..., Image.Image]) -> tuple[Path, Path]:
    """A folder with a picture pasted into noise, beside drawn pictures; and that picture, alone, elsewhere."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for kind in (0, 1, 2, 4):
        for seed in range(4):
            draw(kind, seed, (320, 320)).save(folder / f"plain-{kind}-{seed}.jpg", quality=92)
    picture = draw(6, 77, (256, 256))
    picture.save(tmp_path / "query.png")
    ground = Image.fromarray(np.random.default_rng(3).integers(0, 255, (640, 640, 3), np.uint8))
    ground.paste(picture, (round(BOX[0] * 640), round(BOX[1] * 640)))
    ground.save(folder / "scene.jpg", quality=92)
    return folder, tmp_path / "query.png"


def the(name: str, result: SearchResult) -> Match:
    """The match of that name."""
    return next(match for match in result if match.path.name == name)


def region_of_scene(gallery: Gallery, query: Path) -> tuple[float, float, float, float] | None:
    return the("scene.jpg", gallery.search(query, 20)).region


def test_a_part_is_found_and_named(tmp_path: Path, scenes: tuple[Path, Path]) -> None:
    folder, query = scenes
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder, regions=True)
        found = gallery.search(query, 20)
        scene = the("scene.jpg", found)
        assert scene.region is not None
        x0, y0, x1, y1 = scene.region
        assert BOX[0] < (x0 + x1) / 2 < BOX[2]
        assert BOX[1] < (y0 + y1) / 2 < BOX[3]
        whole = gallery.search(query, 20, regions=False)
        assert all(match.region is None for match in whole)
        assert {m.id: m.score for m in whole} == pytest.approx({m.id: m.score for m in found}, abs=1e-6)
        assert scene.rank < the("scene.jpg", whole).rank
        assert scene.rank_score > the("scene.jpg", whole).rank_score
        assert [match.region for match in gallery.search(query, where="width = 640")] == [scene.region]


def test_regions_come_go_and_come_back(tmp_path: Path, scenes: tuple[Path, Path]) -> None:
    folder, query = scenes
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder)
        assert gallery.info()["regions"] is None
        assert region_of_scene(gallery, query) is None
        vectors = gallery.vectors()
        report = gallery.index(regions=True)
        assert (report.unchanged, report.added) == (17, 0)
        assert gallery.info()["regions"] == 17
        assert region_of_scene(gallery, query) is not None
        assert gallery.vectors()[0] == vectors[0]
        assert (gallery.vectors()[1] == vectors[1]).all()  # the plain space is as it was
        gallery.index()
        assert gallery.info()["regions"] == 17
        gallery.index(regions=False)
        assert gallery.info()["regions"] is None
        assert region_of_scene(gallery, query) is None
    with Gallery.open(tmp_path / "gallery") as gallery:
        gallery.index(regions=True)
        assert region_of_scene(gallery, query) is not None


def test_the_engine_follows_what_comes_and_goes(tmp_path: Path, scenes: tuple[Path, Path]) -> None:
    folder, query = scenes
    with Gallery.create(tmp_path / "gallery") as gallery, Gallery.open(tmp_path / "gallery") as other:
        gallery.index(folder, regions=True)
        assert region_of_scene(other, query) is not None
        (folder / "scene.jpg").rename(tmp_path / "away.jpg")
        gallery.index()
        assert all(match.path.name != "scene.jpg" for match in other.search(query, 20))
        (tmp_path / "away.jpg").rename(folder / "back.jpg")
        gallery.index()
        for each in (gallery, other):
            assert the("back.jpg", each.search(query, 20)).region is not None


def test_copies_share_their_regions(tmp_path: Path, scenes: tuple[Path, Path]) -> None:
    folder, query = scenes
    (folder / "copy.jpg").write_bytes((folder / "scene.jpg").read_bytes())
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder, regions=True)
        found = gallery.search(query, 20, stacks=False)
        assert the("scene.jpg", found).region == the("copy.jpg", found).region is not None


def test_the_space_settles_once_there_is_enough_and_nothing_is_lost(
    tmp_path: Path, scenes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regions, "ENOUGH", 10)
    folder, query = scenes
    with Gallery.create(tmp_path / "gallery") as gallery:
        store = gallery._parts.catalogue.regions
        late = [
            path for path in sorted(folder.iterdir()) if path.name == "scene.jpg" or path.name.startswith("plain-4")
        ]
        for path in late:
            path.rename(tmp_path / path.name)
        gallery.index(folder, regions=True)
        assert store.count_drafts() == (0, 0)  # 12 are enough: only codes are kept
        space = gallery._parts.catalogue.derived("region space")
        for path in late:
            (tmp_path / path.name).rename(path)
        gallery.index()
        assert (store.count(), store.count_drafts()) == (17, (0, 0))
        assert gallery._parts.catalogue.derived("region space") == space
        assert region_of_scene(gallery, query) is not None


def test_a_run_that_was_killed_goes_on(
    tmp_path: Path, scenes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, query = scenes
    with Gallery.create(tmp_path / "gallery") as gallery:
        with monkeypatch.context() as patch:
            patch.setattr(regions, "learn", lambda parts: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                gallery.index(folder, regions=True)
        assert region_of_scene(gallery, query) is None  # embedded, but no space yet
        assert gallery.index().unchanged == 17
        assert region_of_scene(gallery, query) is not None


def test_doctor_rebuilds_the_engine_of_regions(tmp_path: Path, scenes: tuple[Path, Path]) -> None:
    folder, query = scenes
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder, regions=True)
        before = region_of_scene(gallery, query)
    (tmp_path / "gallery" / "cache" / "regions" / "rows.bin").write_bytes(b"damaged")
    with Gallery.open(tmp_path / "gallery") as gallery:
        gallery.doctor(repair=True)
        assert region_of_scene(gallery, query) == before is not None
    assert (tmp_path / "gallery" / "cache" / "regions" / "rows.bin").stat().st_size > 1000


def test_a_box_searches_by_that_part(tmp_path: Path, scenes: tuple[Path, Path]) -> None:
    folder, query = scenes
    Image.open(query).save(folder / "original.png")
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder)
        boxed = gallery.search(folder / "scene.jpg", box=BOX)
        assert boxed[0].path.name == "original.png"
        assert boxed[0].score > 0.8
        assert gallery.search(folder / "scene.jpg")[0].path.name == "scene.jpg"
        with pytest.raises(SettingError, match="covers"):
            gallery.search(folder / "scene.jpg", box=(0.5, 0.5, 0.501, 0.501))


def test_the_command_line_switches_regions(cli: Cli, scenes: tuple[Path, Path]) -> None:
    folder, query = scenes
    cli.json("index", folder, "--regions")
    assert cli.json("info")["regions"] == 17
    found = cli.json("search", query, "-k", 20)["results"]
    assert [len(match["region"]) for match in found if match["path"].endswith("scene.jpg")] == [4]
    assert all(match["region"] is None for match in cli.json("search", query, "--no-regions")["results"])
    cli.json("index", "--no-regions")
    assert cli.json("info")["regions"] is None

"""What scores mean in a gallery: learned while indexing, told with every match, from Python and the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery, Settings
from lookalike.calibrate import BANDS, CHANCE, LEAST_IMAGES, NEAR, SAME
from lookalike.errors import EmptyGalleryError, GalleryError
from lookalike.gallery import calibration
from lookalike.gallery.parts import no_progress
from tests.flow.conftest import Cli

Album = Callable[..., list[Path]]
KINDS, EACH = 8, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, album: Album) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    album(folder, kinds=KINDS, each=EACH)
    return folder


@pytest.fixture(scope="module")
def gallery(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    path = tmp_path_factory.mktemp("galleries") / "gallery"
    with Gallery.create(path, settings=Settings(precision="fp32")) as made:
        made.index(folder)
        yield made


def stranger() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


@pytest.mark.parametrize("match", ["plain", "kind", "object", "auto"])
def test_every_match_says_what_it_means(gallery: Gallery, folder: Path, match: str) -> None:
    found = gallery.search(folder / "disc0-00.jpg", k=20, match=match, stacks=False)
    places = [BANDS.index(one.band) for one in found if one.band is not None]
    assert len(places) == len(found) == 20
    assert places == sorted(places)
    assert found[0].band == SAME
    assert all(one.false_match_rate is not None and 0 < one.false_match_rate <= 1 for one in found)
    assert found.nothing_alike is False


def test_an_edited_copy_is_told_as_one(gallery: Gallery, folder: Path) -> None:
    with Image.open(folder / "star6-02.jpg") as image:
        smaller = image.resize((120, 90))
    assert gallery.search(smaller)[0].band in (SAME, NEAR)


@pytest.mark.parametrize("match", ["plain", "auto"])
def test_a_stranger_is_told_so(gallery: Gallery, match: str) -> None:
    found = gallery.search(stranger(), match=match)
    assert found.nothing_alike is True
    assert {one.band for one in found} == {CHANCE}
    assert len(gallery.search(stranger(), match=match, min_score="auto")) == 0


def test_auto_cuts_at_chance(gallery: Gallery, folder: Path) -> None:
    everything = gallery.search(folder / "disc0-00.jpg", k=KINDS * EACH, stacks=False)
    kept = gallery.search(folder / "disc0-00.jpg", k=KINDS * EACH, stacks=False, min_score="auto")
    assert [one.id for one in kept] == [one.id for one in everything if one.band != CHANCE]
    assert 0 < len(kept) < len(everything)


def test_an_image_of_the_gallery_is_judged_without_itself(gallery: Gallery) -> None:
    alone = [gallery.similar(record.id).nothing_alike for record in gallery.images()]
    assert np.mean(alone) <= 0.2


def test_it_is_learned_again_only_when_much_has_changed(folder: Path, tmp_path: Path, album: Album) -> None:
    with Gallery.create(tmp_path / "gallery", settings=Settings(precision="fp32")) as made:
        made.index(folder)
        parts = made._parts
        before = parts.catalogue.derived(calibration.NAME)
        assert before is not None
        assert not calibration.run_if_due(parts, no_progress)
        album(tmp_path / "more", kinds=2, each=3)
        for file in (tmp_path / "more").iterdir():
            shutil.move(file, tmp_path / "more" / f"new-{file.name}")
            with Image.open(tmp_path / "more" / f"new-{file.name}") as image:
                image.rotate(180).save(tmp_path / "more" / f"new-{file.name}")
        made.index(tmp_path / "more")
        assert parts.catalogue.derived(calibration.NAME) == before
        album(tmp_path / "many", kinds=16, each=3)
        shutil.rmtree(tmp_path / "more")
        made.index(tmp_path / "many")
        known = calibration.load(parts)
        assert known is not None
        assert known.n > KINDS * EACH


def test_too_few_images(cli: Cli, photos: Path, tmp_path: Path) -> None:
    cli("index", photos)
    with Gallery.open(tmp_path / "gallery") as opened:
        assert opened.search(photos / "disc0-00.jpg")[0].band is None
        assert opened.search(photos / "disc0-00.jpg").nothing_alike is None
    done = cli("calibrate", code=1)
    assert f"{LEAST_IMAGES} are needed" in done.stderr.decode()
    with Gallery.open(tmp_path / "gallery") as opened:
        assert opened._parts.catalogue.derived(calibration.NAME) is None


def test_an_empty_gallery(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "empty") as made, pytest.raises(EmptyGalleryError):
        made.calibrate()


def test_files_that_are_gone(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "photos")
    with Gallery.create(tmp_path / "gallery", settings=Settings(precision="fp32")) as made:
        made.index(tmp_path / "photos")
        before = made._parts.catalogue.derived(calibration.NAME)
        (tmp_path / "photos").rename(tmp_path / "elsewhere")
        with pytest.raises(GalleryError, match="can be read"):
            made.calibrate()
        assert made._parts.catalogue.derived(calibration.NAME) == before


def test_the_report_and_the_command(gallery: Gallery, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    before = calibration.load(gallery._parts)
    report = gallery.calibrate()
    assert calibration.load(gallery._parts) == before  # the same gallery learns the same
    assert list(report) == ["images", "learned_from", "bands", "orders"]
    assert [row["band"] for row in report["bands"]] == list(BANDS[:-1])
    scores, finds = ([row[name] for row in report["bands"]] for name in ("from_score", "finds"))
    assert scores == sorted(scores, reverse=True)
    assert finds == sorted(finds)
    cli.gallery = gallery.path
    monkeypatch.setenv("LOOKALIKE_PRECISION", "fp32")  # as the gallery was made, also where the processor has bf16
    assert cli.json("calibrate") == report

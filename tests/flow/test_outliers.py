"""Quality, the list of images, outliers and novelty, from the command line and from Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from lookalike import Gallery, Settings
from lookalike.errors import EmptyGalleryError, FilterError, GalleryError, SettingError
from lookalike.results import Outlier, OutlierReport

KINDS, EACH = 3, 14


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Iterator[Gallery]:
    """42 drawn pictures of 3 kinds; then, in a run of their own, flawed ones and a stranger that is there thrice."""
    folder = tmp_path_factory.mktemp("outliers")
    drawn = album(folder / "photos", KINDS, EACH)
    with Gallery.create(folder / "gallery") as opened:
        opened.index(folder / "photos")
        with Image.open(drawn[0]) as picture:
            flawed = {
                "blurred": picture.filter(ImageFilter.GaussianBlur(4)),
                "dark": picture.point(lambda value: value // 10),
                "bright": picture.point(lambda value: 240 + value // 20),
                "plain": Image.new("RGB", picture.size, (120, 130, 140)),
            }
        for name, changed in flawed.items():
            changed.save(folder / "photos" / f"new-{name}.png")
        stranger(0).save(folder / "photos" / "new-stranger.png")
        shutil.copy(folder / "photos" / "new-stranger.png", folder / "photos" / "new-stranger-copy.png")
        stranger(1).save(folder / "photos" / "new-stranger-again.png")
        opened.index()
        yield opened


def stranger(brighter: int) -> Image.Image:
    """A picture unlike the drawn ones: coloured noise in large blocks."""
    blocks = np.random.default_rng(3).integers(0, 200, (24, 32, 3)).astype(np.uint8) + np.uint8(brighter)
    return Image.fromarray(blocks).resize((256, 192), Image.Resampling.NEAREST)


def run(gallery: Gallery, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lookalike", "-g", str(gallery.path), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def run_json(gallery: Gallery, *arguments: str) -> Any:
    return json.loads(run(gallery, *arguments, "--json").stdout)


def stems(found: Any) -> list[str]:
    return [Path(each.path).stem for each in found]


# -- quality -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flaw", "expected"), [("dark", "new-dark"), ("bright", "new-bright"), ("plain", "new-plain")])
def test_flawed_pictures_are_found_by_a_word(gallery: Gallery, flaw: str, expected: str) -> None:
    assert expected in stems(gallery.images(f"quality = {flaw}"))
    assert not [stem for stem in stems(gallery.images(f"quality = {flaw}")) if not stem.startswith("new-")]
    assert expected not in stems(gallery.images(f"quality != {flaw}"))
    assert expected not in stems(gallery.images("quality = none"))


def test_a_blurred_picture_is_less_sharp_than_its_original(gallery: Gallery) -> None:
    by_name = {record.path.stem: record for record in gallery.images()}
    original, blurred = by_name["disc0-00"].quality, by_name["new-blurred"].quality
    assert original is not None
    assert blurred is not None
    assert blurred.sharpness is None or original.sharpness is None or blurred.sharpness < original.sharpness / 2
    assert blurred.information < original.information


def test_searches_take_the_filters_too(gallery: Gallery) -> None:
    found = gallery.search(None, 50, like=[next(gallery.images()).id], where="quality = dark", stacks=False)
    assert stems(found) == ["new-dark"]


def test_images_are_listed_in_order_from_python_and_the_command_line(gallery: Gallery) -> None:
    records = list(gallery.images(sort="brightness", descending=True))
    values = [record.quality.brightness for record in records if record.quality is not None]
    assert values == sorted(values, reverse=True)
    printed = run_json(gallery, "images", "--sort", "brightness", "--descending", "-n", "5")
    assert [image["id"] for image in printed["images"]] == [record.id for record in records[:5]]
    assert printed["images"][0]["brightness"] == round(values[0], 3)
    assert set(printed["images"][0]) >= {"path", "sharpness", "brightness", "contrast", "information", "label"}
    lines = run(gallery, "images", "--where", "quality = dark", "-f").stdout.decode().splitlines()
    assert lines == [str(record.path) for record in gallery.images("quality = dark")]
    table = run(gallery, "images", "--where", "name = new-plain.png")
    cells = table.stdout.decode().rstrip("\n").split("\t")
    assert cells[0] == "-"  # one colour: no edges
    assert cells[-1].endswith("new-plain.png")
    assert "1 images" in table.stderr.decode()
    sizes = [record.size_bytes for record in gallery.images(sort="size")]
    assert sizes == sorted(sizes)


def test_what_cannot_be_sorted_or_filtered_by_is_refused(gallery: Gallery) -> None:
    with pytest.raises(SettingError, match="no field 'beauty'"):
        gallery.images(sort="beauty")
    with pytest.raises(FilterError, match="blurry"):
        gallery.images("quality = blurry")
    assert "blurred" in run(gallery, "images", "--where", "quality = blurry", code=2).stderr.decode()


def test_info_counts_the_flawed(gallery: Gallery) -> None:
    counted = gallery.info()["quality"]
    assert counted == {flaw: len(list(gallery.images(f"quality = {flaw}"))) for flaw in counted}
    assert list(counted) == ["blurred", "dark", "bright", "plain"]
    assert f"{counted['dark']} dark" in run(gallery, "info").stdout.decode()


def test_quality_is_measured_without_thumbnails_too(tmp_path: Path, photos: Path) -> None:
    with Gallery.create(tmp_path / "plain", settings=Settings(thumbnails=False)) as plain:
        plain.index(photos)
        records = list(plain.images())
        assert all(record.quality is not None for record in records)
        assert plain.thumbnail(records[0].id) is None


# -- outliers ------------------------------------------------------------------------------------------------------


def the_stranger(report: OutlierReport) -> Outlier:
    (found,) = (o for o, stem in zip(report, stems(report), strict=True) if stem.startswith("new-stranger"))
    return found


def test_strange_pictures_come_first_and_copies_count_once(gallery: Gallery) -> None:
    report = gallery.outliers(5)
    assert stems(report)[0] == "new-plain"  # among drawn shapes, one colour is stranger still
    strange = the_stranger(report)
    assert strange.rank == 2
    assert strange.percentile > 95
    assert len(strange.stack) == 1  # the near-copy; the exact one is the same content
    assert gallery.image(strange.stack[0]).path.stem.startswith("new-stranger")
    assert strange.nearest is not None
    assert not gallery.image(strange.nearest[0]).path.stem.startswith("new-stranger")
    scores = [outlier.score for outlier in report]
    assert scores == sorted(scores, reverse=True)
    assert [outlier.percentile for outlier in report] == sorted((o.percentile for o in report), reverse=True)
    everything = gallery.outliers(1000)
    assert everything.judged == len({record.content for record in gallery.images()}) == KINDS * EACH + 6
    assert everything.judged == len(everything) + sum(len(outlier.stack) for outlier in everything)
    assert everything[-1].percentile < 10


def test_a_filter_chooses_what_is_listed_not_what_it_is_compared_with(gallery: Gallery) -> None:
    every = {outlier.id: outlier for outlier in gallery.outliers(1000)}
    some = gallery.outliers(3, where="name ~ disc*")
    assert all(stem.startswith("disc") for stem in stems(some))
    assert [o.score for o in some] == [every[o.id].score for o in some]
    assert len(gallery.outliers(3, where="width > 99999")) == 0
    only_copy = gallery.outliers(3, where="name = new-stranger-copy.png")
    assert stems(only_copy) == ["new-stranger-copy"]


def test_the_command_line_tells_the_same_and_writes_a_page(gallery: Gallery, tmp_path: Path) -> None:
    report = gallery.outliers(4)
    printed = run_json(gallery, "outliers", "-n", "4", "--html", str(tmp_path / "page.html"))
    assert printed == report.to_dict()
    assert set(printed["outliers"][0]) == {"rank", "id", "path", "score", "percentile", "nearest", "stack"}
    assert set(printed["outliers"][0]["nearest"]) == {"id", "score"}
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<li>") == 4
    assert page.count("data:image/jpeg") == 8  # each with the one that is most like it
    assert "http" not in page.split("</head>")[1]
    done = run(gallery, "outliers", "-n", "2")
    assert [line.split("\t")[4] for line in done.stdout.decode().splitlines()] == [o.id for o in report.outliers[:2]]
    assert "48 images, compared with 47" in done.stderr.decode()


def test_no_page_is_written_among_the_photos(gallery: Gallery) -> None:
    folder = Path(gallery.info()["roots"][0]["folder"])
    with pytest.raises(SettingError, match="never written to"):
        gallery.write_outliers(gallery.outliers(1), folder / "page.html")
    assert not (folder / "page.html").exists()


# -- what is new ---------------------------------------------------------------------------------------------------


def test_new_images_are_held_against_the_older_ones(gallery: Gallery) -> None:
    report = gallery.outliers(20, last_run=True)
    assert report.compared_with == KINDS * EACH
    assert report.judged == 6  # the exact copy is no other picture
    assert all(stem.startswith("new-") for stem in stems(report))
    strange = the_stranger(report)
    assert strange.percentile == 100
    assert strange.nearest is not None
    assert not gallery.image(strange.nearest[0]).path.stem.startswith("new-")
    assert run_json(gallery, "outliers", "--last-run") == report.to_dict()


def test_a_repeat_of_known_kinds_is_nothing_new(
    tmp_path: Path, album: Callable[..., list[Path]], picture: Callable[..., Path]
) -> None:
    photos = tmp_path / "photos"
    drawn = album(photos, KINDS, EACH)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(photos)
        for kind in range(KINDS):
            for seed in range(100, 106):
                picture(photos / f"later-{kind}-{seed}.jpg", kind=kind, seed=seed)
        shutil.copy(drawn[0], photos / "later-copy.jpg")
        gallery.index()
        report = gallery.outliers(50, last_run=True)
        ordinary = [outlier.percentile for outlier in report]
        assert report.judged == 18  # the copy was known
        assert 25 < np.mean(ordinary) < 75
        since_ever = gallery.outliers(50, since="2999")
        assert (len(since_ever), since_ever.judged) == (0, 0)
        gallery.index()  # nothing to read: what was new stays what was new
        assert gallery.outliers(50, last_run=True) == report


def test_a_date_says_what_is_new(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    with gallery._parts.catalogue.write() as db:  # type: ignore[attr-defined]
        db.execute("UPDATE images SET added_at = '2024-03-01T12:00:00Z' WHERE CAST(path AS TEXT) NOT LIKE 'new-%'")
    by_run, by_date = gallery.outliers(9, last_run=True), gallery.outliers(9, since="2024-03-01T12:01")
    assert isinstance(by_date, OutlierReport)
    assert by_date == by_run
    assert run_json(gallery, "outliers", "-n", "9", "--since", "2024-04") == by_date.to_dict()
    with pytest.raises(GalleryError, match="0 different images from before"):
        gallery.outliers(9, since="2024-03")


def test_questions_without_an_answer_are_refused(
    gallery: Gallery, tmp_path: Path, picture: Callable[..., Path]
) -> None:
    with pytest.raises(SettingError, match="not both"):
        gallery.outliers(since="2024", last_run=True)
    with pytest.raises(SettingError, match="below 1"):
        gallery.outliers(0)
    with pytest.raises(FilterError, match="'yesterday' is no date"):
        gallery.outliers(since="yesterday")
    with Gallery.create(tmp_path / "few") as few:
        with pytest.raises(EmptyGalleryError):
            few.outliers()
        picture(tmp_path / "one" / "a.jpg")
        few.index(tmp_path / "one")
        with pytest.raises(GalleryError, match="1 different images"):
            few.outliers()

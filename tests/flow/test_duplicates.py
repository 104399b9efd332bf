"""Duplicates through a whole gallery and the command line: found, grouped, told apart, written; nothing deleted."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike import Gallery
from lookalike.errors import EmptyGalleryError, ImageNotFoundError, SettingError
from lookalike.gallery import duplicating
from lookalike.gallery.duplicate_report import DuplicateGroup, DuplicateReport
from lookalike.gallery.parts import no_progress
from tests.flow.conftest import Cli


def rich(seed: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """A picture with enough in it to be told from others."""
    random = np.random.default_rng(seed)
    field = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(field)
    for _ in range(10):
        x, y, w, h = (int(v) for v in random.integers((0, 0, 30, 30), (420, 300, 140, 140)))
        pen.rectangle((x, y, x + w, y + h), fill=tuple(random.integers(0, 256, 3).tolist()))
    return field


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: one picture in five files, another in two, a board and its defective sister, six others."""
    folder = tmp_path_factory.mktemp("shown")
    one, two = rich(1), rich(2)
    one.save(folder / "one.png")
    one.save(folder / "one-small.jpg", quality=40)
    one.resize((240, 180)).save(folder / "one-tiny.jpg", quality=80)
    one.crop((20, 15, 460, 345)).save(folder / "one-cut.jpg", quality=90)
    shutil.copyfile(folder / "one-small.jpg", folder / "one-copy.jpg")
    two.save(folder / "two.jpg", quality=90)
    shutil.copyfile(folder / "two.jpg", folder / "=two.jpg")
    board = Image.new("L", (480, 480), 240)
    pen = ImageDraw.Draw(board)
    for row in range(6):
        pen.line((20 + 30 * row, 40 + 70 * row, 440, 60 + 65 * row), fill=10, width=18)
    board.save(folder / "board.png")
    pen.ellipse((250, 20, 268, 38), fill=10)
    board.save(folder / "board-defect.png")
    for seed in range(10, 16):
        rich(seed).save(folder / f"other-{seed}.jpg", quality=90)
    return folder


@pytest.fixture
def gallery(tmp_path: Path, shown: Path) -> Iterator[Gallery]:
    with Gallery.create(tmp_path / "gallery") as opened:
        opened.index(shown)
        yield opened


def names(group: DuplicateGroup) -> list[str]:
    return [image.path.name for image in group.images]


def the(report: DuplicateReport, name: str) -> DuplicateGroup:
    return next(group for group in report.groups if name in names(group))


def together(report: DuplicateReport, *wanted: str) -> bool:
    return any(set(wanted) <= set(names(group)) for group in report.groups)


def test_groups_hold_the_same_picture_and_say_which_to_keep(gallery: Gallery, shown: Path) -> None:
    before = {path: path.stat() for path in shown.iterdir()}
    report = gallery.duplicates()
    assert [group.kind for group in report.groups] == ["exact", "near"]
    exact, near = report.groups
    assert sorted(names(exact)) == ["=two.jpg", "two.jpg"]
    assert exact.why in ("first by path", "oldest")
    assert sorted(names(near)) == ["one-copy.jpg", "one-cut.jpg", "one-small.jpg", "one-tiny.jpg", "one.png"]
    assert near.keep.path.name == "one.png"
    assert near.why == "most pixels, then largest file"
    assert (near.keep.width_px, near.keep.height_px) == (480, 360)
    assert near.keep.size_bytes == (shown / "one.png").stat().st_size
    scores = [image.score for image in near.images[1:]]
    assert scores == sorted(scores, reverse=True)
    assert max(image.score for image in near.images) == 1.0
    assert all(0 <= image.difference < 1 for image in near.images)
    assert (report.searched, report.images, report.spare, report.unread) == (15, 7, 5, 0)
    assert report.spare_bytes == sum(i.size_bytes for g in report.groups for i in g.images if i is not g.keep)
    assert {path: path.stat() for path in shown.iterdir()} == before


def test_each_kind_for_itself_and_only_among_some(gallery: Gallery) -> None:
    exact = gallery.duplicates(kind="exact")
    assert sorted(sorted(names(group)) for group in exact.groups) == [
        ["=two.jpg", "two.jpg"],
        ["one-copy.jpg", "one-small.jpg"],
    ]
    assert [group.kind for group in gallery.duplicates(kind="near").groups] == ["near"]
    some = gallery.duplicates(where="format = JPEG and width >= 480")
    assert "one.png" not in names(the(some, "one-small.jpg"))
    assert gallery.duplicates(where="format = GIF").groups == ()
    with pytest.raises(SettingError, match="kind 'same'"):
        gallery.duplicates(kind="same")
    with Gallery.create(gallery.path.parent / "empty") as empty, pytest.raises(EmptyGalleryError):
        empty.duplicates()


def test_a_second_look_is_kept_and_damage_or_lost_thumbnails_only_cost_time(gallery: Gallery, shown: Path) -> None:
    first = gallery.duplicates()
    told: list[str] = []
    again = gallery.duplicates(progress=lambda stage, *_: told.append(stage))
    assert told == []
    assert again.groups == first.groups
    file = gallery.path / "cache" / "graph" / "pairs.bin"
    data = bytearray(file.read_bytes())
    data[-1] ^= 0xFF
    file.write_bytes(data)
    assert gallery.duplicates().groups == first.groups
    file.unlink()
    where = gallery.path
    gallery.close()
    (where / "cache" / "thumbnails.sqlite").unlink()
    with Gallery.open(where) as opened:
        assert [sorted(names(group)) for group in opened.duplicates().groups] == [
            sorted(names(group)) for group in first.groups
        ]


def test_what_cannot_be_looked_at_is_counted_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        rich(seed).save(folder / f"{seed}.jpg", quality=90)
    rich(1).save(folder / "1-again.jpg", quality=50)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder)
    (tmp_path / "gallery" / "cache" / "thumbnails.sqlite").unlink()
    away = tmp_path / "away.jpg"
    (folder / "1.jpg").rename(away)
    with Gallery.open(tmp_path / "gallery") as gallery:
        report = gallery.duplicates()
        assert (report.unread, report.groups) == (1, ())
        away.rename(folder / "1.jpg")
        again = gallery.duplicates()
        assert (again.unread, len(again.groups)) == (0, 1)


def test_a_decision_is_remembered_through_everything_and_can_be_taken_back(tmp_path: Path, shown: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(shown, folder)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder)
        ids = {record.path.name: record.id for record in gallery.images()}
        number = gallery.not_duplicates([ids["one.png"], ids["one-tiny.jpg"]], by="ann")
        assert not together(gallery.duplicates(), "one.png", "one-tiny.jpg")
        (folder / "moved").mkdir()
        (folder / "one-tiny.jpg").rename(folder / "moved" / "renamed.jpg")
        shutil.copyfile(folder / "one.png", folder / "one-again.png")
        gallery.index(folder)
        report = gallery.duplicates()
        assert together(report, "one.png", "one-again.png")
        assert not together(report, "one.png", "renamed.jpg")
        (folder / "moved" / "renamed.jpg").rename(tmp_path / "kept.jpg")
        gallery.index(folder)
        assert together(gallery.duplicates(), "one.png", "one-small.jpg", "one-cut.jpg")
        (tmp_path / "kept.jpg").rename(folder / "back.jpg")
        gallery.index(folder)
        assert not together(gallery.duplicates(), "one.png", "back.jpg")
        (said,) = gallery.duplicate_decisions()
        assert (said.number, said.by, len(said.ids)) == (number, "ann", 3)
        assert gallery.undo_not_duplicates() == (number, 2)
        assert together(gallery.duplicates(), "one.png", "back.jpg")
        with pytest.raises(SettingError):
            gallery.not_duplicates([ids["two.jpg"], ids["=two.jpg"]])
        for unknown in ("zz", "0" * 16):
            with pytest.raises(ImageNotFoundError):
                gallery.not_duplicates([ids["two.jpg"], unknown])


def test_what_must_stay_together_in_a_split(gallery: Gallery) -> None:
    numbers, groups = duplicating.linked(gallery._parts, no_progress)
    assert (numbers[1:] > numbers[:-1]).all()
    assert set(groups) <= set(numbers)
    parts = gallery._parts
    of = {
        record.path.name: int(
            groups[np.searchsorted(numbers, parts.catalogue.contents_of(np.array([int(record.id, 16)]))[0])]
        )
        for record in gallery.images()
    }
    assert len({of[name] for name in of if name.startswith("one")}) == 1
    assert of["board.png"] == of["board-defect.png"]
    others = [of[name] for name in of if name.startswith("other")]
    assert len(set(others)) == len(others)
    assert of["one.png"] not in others
    ids = {record.path.name: record.id for record in gallery.images()}
    gallery.not_duplicates([ids["one.png"], ids["one-tiny.jpg"]])
    np.testing.assert_array_equal(duplicating.linked(parts, no_progress)[1], groups)


def test_page_and_table_are_whole_and_harmless(gallery: Gallery, shown: Path, tmp_path: Path) -> None:
    report = gallery.duplicates()
    gallery.write_duplicates(report, html=tmp_path / "page.html", csv=tmp_path / "table.csv")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('class="file keep"') == 2
    assert page.count("data:image/jpeg;base64,") == report.images
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == report.images
    assert [row["keep"] for row in rows].count("keep") == len(report.groups)
    assert {row["id"] for row in rows} == {image.id for group in report.groups for image in group.images}
    for file in ("page.html", "table.csv"):
        with pytest.raises(SettingError, match="never written to"):
            gallery.write_duplicates(report, **{"html" if file.endswith("html") else "csv": shown / file})
    assert not (shown / "page.html").exists()


def test_the_command_line_says_the_same(cli: Cli, gallery: Gallery, tmp_path: Path) -> None:
    report = gallery.duplicates()
    printed = cli.json("duplicates")
    assert [group["ids"] for group in printed["groups"]] == [[i.id for i in g.images] for g in report.groups]
    assert [group["kind"] for group in printed["groups"]] == ["exact", "near"]
    for group in printed["groups"]:
        assert len(group["paths"]) == len(group["scores"]) == len(group["ids"])
        assert group["keep"] == group["ids"][0]
    table = cli("duplicates", "--kind", "near", "--html", tmp_path / "d.html", "--csv", tmp_path / "d.csv")
    assert len(table.stdout.decode().splitlines()) == len(the(report, "one.png").images)
    assert b"nothing was deleted" in table.stderr
    assert (tmp_path / "d.html").is_file()
    assert (tmp_path / "d.csv").is_file()

    one, small = printed["groups"][1]["ids"][:2]
    assert cli.json("duplicates", "differ", one, small, "--by", "ann")["decision"] == 1
    now = cli.json("duplicates", "--kind", "near")["groups"]
    assert not any({one, small} <= set(group["ids"]) for group in now)
    assert cli.json("duplicates", "decisions")["decisions"][0]["by"] == "ann"
    assert b"ann" in cli("duplicates", "decisions").stdout
    assert cli.json("duplicates", "undo") == {"decision": 1, "contents": 2}
    assert {one, small} <= set(cli.json("duplicates", "--kind", "near")["groups"][0]["ids"])
    assert b"no decision" in cli("duplicates", "undo", code=1).stderr
    assert b"hint" in cli("duplicates", "differ", one, one, code=2).stderr
    cli("duplicates", "differ", one, "0123456789abcdef", code=1)


def test_the_smallest_galleries_have_duplicates_too(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    with Gallery.create(tmp_path / "gallery") as gallery:
        rich(1).save(folder / "a.png")
        gallery.index(folder)
        assert gallery.duplicates().groups == ()
        numbers, groups = duplicating.linked(gallery._parts, no_progress)
        np.testing.assert_array_equal(numbers, groups)
        shutil.copyfile(folder / "a.png", folder / "b.png")
        gallery.index(folder)
        assert [group.kind for group in gallery.duplicates().groups] == ["exact"]
        rich(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "c.jpg", quality=60)
        gallery.index(folder)
        (group,) = gallery.duplicates().groups
        assert (group.kind, names(group)) == ("near", ["a.png", "b.png", "c.jpg"])

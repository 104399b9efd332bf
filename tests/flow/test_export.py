"""Exports from the command line and from Python: what is in them, what is left out, and splits that do not leak."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery
from lookalike.catalogue.data import LabelChange
from lookalike.errors import GalleryError
from lookalike.export.formats import FORMATS
from lookalike.types import parse_id
from tests.flow.conftest import Cli

KINDS, EACH, VERSIONS = 4, 6, 4
NASTY = "=cmd|'/c calc'!A1"
SPLIT = (0.6, 0.2, 0.2)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Iterator[Gallery]:
    """24 drawn pictures, each four times: original, copy, saved again, smaller; three kinds bear a label."""
    folder = tmp_path_factory.mktemp("export")
    for number, original in enumerate(album(folder / "drawn", KINDS, EACH, (320, 240))):
        place = folder / "photos" / f"site{number % 3}" / f"asset{number}"
        place.mkdir(parents=True)
        elsewhere = folder / "photos" / "other" / "deeper" / "still"
        elsewhere.mkdir(parents=True, exist_ok=True)
        picture = Image.open(original)
        for path in (place / original.name, elsewhere / f"copy of {original.name}"):
            path.write_bytes(original.read_bytes())
        picture.save(elsewhere / f"{original.stem}.again.jpg", quality=85)
        picture.resize((288, 216)).save(place / f"{original.stem}-small.png")
    with Gallery.create(folder / "gallery") as opened:
        opened.index(folder / "photos")
        label(opened)
        yield opened


def kind_of(path: Path) -> str:
    return next(kind for kind in ("disc", "square", "triangle", "cross") if kind in path.name)


def original_of(path: str) -> str:
    """Which drawn picture a file is a version of."""
    name = Path(path).name.removeprefix("copy of ")
    return name.removesuffix("-small.png").removesuffix(".again.jpg").removesuffix(".jpg")


def label(gallery: Gallery) -> None:
    """Discs by people, squares from a file, triangles propagated, crosses not at all."""
    by_kind: dict[str, list[str]] = {}
    for record in gallery.images():
        by_kind.setdefault(kind_of(record.path), []).append(record.id)
    gallery.label_images(dict.fromkeys(by_kind["disc"], NASTY), by="me")
    add = gallery._parts.catalogue.add_labels
    add([LabelChange(key(image), "Square") for image in by_kind["square"]], by="you", source="import")
    add([LabelChange(key(image), "square", 0.75) for image in by_kind["triangle"]], by="it", source="propagated")


def key(image_id: str) -> int:
    found = parse_id(image_id)
    assert found is not None
    return found


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


# -- splits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_gallery_full_of_copies_is_divided_without_a_leak_where_a_naive_split_leaks(
    gallery: Gallery, tmp_path: Path, seed: int
) -> None:
    report = gallery.export(tmp_path / "all.csv", split=SPLIT, seed=seed)
    assert report.exported == KINDS * EACH * VERSIONS
    assert report.split is not None
    assert report.split.leaks == 0
    sides: dict[str, set[str]] = {}
    rows = rows_of(tmp_path / "all.csv")
    for row in rows:
        sides.setdefault(original_of(row["path"]), set()).add(row["split"])
    assert len(sides) == KINDS * EACH
    assert {len(side) for side in sides.values()} == {1}
    sizes = Counter(row["split"] for row in rows)
    for name, fraction in zip(("train", "val", "test"), SPLIT, strict=True):
        # A group is never divided, so a part can be off by as much as the largest one.
        assert sizes[name] / len(rows) == pytest.approx(fraction, abs=report.split.largest_group / len(rows))
        assert report.by_split[name] == Counter(row["label"].removeprefix("'") for row in rows if row["split"] == name)
    shuffled = np.random.default_rng(seed).permutation([original_of(row["path"]) for row in rows])
    train, test = set(shuffled[: len(rows) // 2]), set(shuffled[len(rows) // 2 :])
    assert train & test  # what most scripts do tears versions of one picture apart
    assert report.split.naive_leaks > len(rows) / 4


def test_what_shares_a_field_stays_together_and_so_do_its_near_duplicates(gallery: Gallery, tmp_path: Path) -> None:
    report = gallery.export(tmp_path / "a.csv", split=(0.5, 0.5), group_by="{site}/{asset}/*", where="path ~ 'site*'")
    rows = rows_of(tmp_path / "a.csv")
    assert {(row["field_site"], row["field_asset"]) for row in rows} == {
        tuple(row["relative_path"].split("/")[:2]) for row in rows
    }
    assert report.unmatched == 0
    by_site = gallery.export(tmp_path / "b.csv", split="0.5,0.5", group_by="{site}/**")
    assert by_site.split is not None
    assert by_site.split.groups == 1  # every site has versions of its pictures in "other"
    assert by_site.by_split["test"] == {}
    assert any("train has 100.0 % of the images, not 50.0 %" in note for note in by_site.notes)
    some = gallery.export(tmp_path / "c.csv", split="0.5,0.5", group_by="{site}/{asset}/*")
    assert some.unmatched == KINDS * EACH * VERSIONS / 2
    assert all(example.startswith("other/") for example in some.unmatched_examples)
    for row in rows_of(tmp_path / "c.csv"):
        assert (row["field_site"] == "") == row["relative_path"].startswith("other/")


def test_fields_are_columns_without_a_split_too(gallery: Gallery, tmp_path: Path) -> None:
    report = gallery.export(tmp_path / "a.jsonl", group_by="{site}/**")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert {line["field_site"] for line in lines} == {"site0", "site1", "site2", "other"}
    assert {line["split"] for line in lines} == {line["group"] for line in lines} == {None}
    assert report.split is None
    assert list(report.by_split) == [""]


def test_the_same_seed_gives_the_same_export(gallery: Gallery, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        gallery.export(tmp_path / name, split=SPLIT, seed=3)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


# -- what is exported ----------------------------------------------------------------------------------------------


def test_rows_say_what_a_label_is_and_where_it_comes_from(gallery: Gallery, tmp_path: Path) -> None:
    gallery.export(tmp_path / "a.jsonl")
    lines = {line["id"]: line for line in map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())}
    for record in gallery.images():
        line, kind = lines[record.id], kind_of(record.path)
        assert (line["path"], line["sha256"]) == (str(record.path), record.content)
        assert (line["width_px"], line["height_px"]) == (record.width_px, record.height_px)
        expected = {
            "disc": (NASTY, "person", "me", None, False),
            "square": ("Square", "import", "you", None, False),
            "triangle": ("square", "propagated", "it", 0.75, False),
            "cross": (None, None, None, None, None),
        }[kind]
        columns = ("label", "source", "by", "confidence", "changed_since_labelled")
        assert tuple(line[column] for column in columns) == expected


@pytest.mark.parametrize("form", FORMATS)
def test_counts_add_up_and_a_card_says_them(gallery: Gallery, cli: Cli, tmp_path: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    cli.gallery = gallery.path
    target = tmp_path / f"out.{form}"
    report = cli.json("export", target, "--format", form, "--split", "0.6,0.2,0.2")
    images, without = KINDS * EACH * VERSIONS, EACH * VERSIONS
    assert report["found"] == images == report["exported"] + sum(report["left_out"].values())
    assert report["left_out"] == ({"no label": without} if FORMATS[form].needs_labels else {})
    assert report["labels"] == dict.fromkeys((NASTY, "Square", "square"), without)
    assert report["unlabelled"] == (0 if FORMATS[form].needs_labels else without)
    assert sum(part["images"] for part in report["by_split"].values()) == report["exported"]
    assert report["sources"] == dict.fromkeys(("person", "import", "propagated"), without)
    assert report["split"]["leaks"] == 0 < report["split"]["naive_leaks"]
    assert report["error_bound"] is None
    card = Path(report["card"]).read_text(encoding="utf-8")
    assert f"{report['exported']} images" in card
    assert "0 leaks; shuffling and cutting would have leaked" in card
    assert "efficientnet-lite0" in card
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "photos") == sorted(
        {target.name, Path(report["card"]).name if not FORMATS[form].is_folder else target.name}
    )
    only = cli.json("export", tmp_path / "only", "--format", form, "--labelled-only", "--where", "path ~ 'site0/*'")
    assert only["unlabelled"] == 0
    assert only["left_out"] == {"no label": only["found"] - only["exported"]}


def test_the_command_says_in_words_what_came_out(gallery: Gallery, cli: Cli, tmp_path: Path) -> None:
    cli.gallery = gallery.path
    done = cli("export", tmp_path / "out", "--format", "imagefolder", "--split", "0.8,0.2")
    told = done.stderr.decode()
    assert "exported 72 of 96 images as imagefolder" in told
    assert "left out 24: no label" in told
    assert "0 leaks; shuffling and cutting would have leaked" in told
    assert str(tmp_path / "out" / "README.md") in told
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert {row[0] for row in rows} == {NASTY, "Square", "square"}
    assert all(int(row[1]) == int(row[2]) + int(row[3]) == 24 for row in rows)


def test_spreadsheets_run_nothing_and_labels_come_back(gallery: Gallery, tmp_path: Path) -> None:
    gallery.export(tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert f",'{NASTY}," in text
    assert f",{NASTY}," not in text
    before = gallery.label_counts()
    gallery.import_labels(tmp_path / "a.csv")
    assert gallery.label_counts() == before
    gallery.undo_labels()


def test_names_that_are_no_utf8_are_written_with_escapes_and_counted(
    tmp_path: Path, picture: Callable[..., Path]
) -> None:
    folder = tmp_path / "photos"
    picture(folder / "a.jpg", 0, 0)
    try:
        (folder / "a.jpg").rename(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder)
        gallery.label_images({record.id: "x/" for record in gallery.images()})
        for form in FORMATS:
            if form != "parquet":
                report = gallery.export(tmp_path / form, form)
                assert report.escaped_paths == 1
        assert rows_of(tmp_path / "csv")[0]["relative_path"] == "caf\\xe9.jpg"
        assert rows_of(tmp_path / "imagefolder" / "manifest.csv")[0]["file"] == "x_/caf_.jpg"
        assert (tmp_path / "imagefolder" / "x_" / "caf_.jpg").is_file()


def test_every_folder_has_a_manifest_that_leads_back_to_the_photos(gallery: Gallery, tmp_path: Path) -> None:
    contents = {record.id: record for record in gallery.images()}
    for form, some in FORMATS.items():
        if some.is_folder:
            report = gallery.export(tmp_path / form, form, files="copy", split=SPLIT)
            rows = rows_of(tmp_path / form / "manifest.csv")
            assert len(rows) == report.exported
            assert len({row["file"] for row in rows}) == len(rows)
            for row in rows:
                copy = tmp_path / form / row["file"]
                assert copy.read_bytes() == contents[row["id"]].path.read_bytes()


def test_an_empty_gallery_has_nothing_to_export_and_one_image_is_enough(
    tmp_path: Path, picture: Callable[..., Path]
) -> None:
    with Gallery.create(tmp_path / "gallery") as gallery:
        for split in (None, "0.8,0.1,0.1"):
            with pytest.raises(GalleryError, match="there is nothing to export"):
                gallery.export(tmp_path / "out.csv", split=split)
        picture(tmp_path / "photos" / "one.jpg")
        gallery.index(tmp_path / "photos")
        report = gallery.export(tmp_path / "out.csv", split="0.8,0.1,0.1")
    assert {part: sum(labels.values()) for part, labels in report.by_split.items()} == {"train": 1, "val": 0, "test": 0}
    assert report.split is not None
    assert report.split.leaks == report.split.naive_leaks == 0


def test_images_that_changed_since_they_were_labelled_are_counted(tmp_path: Path, picture: Callable[..., Path]) -> None:
    file = picture(tmp_path / "photos" / "one.jpg", 0, 0)
    picture(tmp_path / "photos" / "two.jpg", 1, 0)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(tmp_path / "photos")
        gallery.label_images({record.id: "disc" for record in gallery.images()})
        picture(file, 0, 1)
        gallery.index()
        report = gallery.export(tmp_path / "out.csv")
    assert report.changed_since_labelled == 1
    flags = {Path(row["path"]).stem: row["changed_since_labelled"] for row in rows_of(tmp_path / "out.csv")}
    assert flags == {"one": "true", "two": "false"}
    assert "1 images have changed since they were labelled" in report.card.read_text(encoding="utf-8")


def test_python_and_the_command_line_write_the_same(gallery: Gallery, cli: Cli, tmp_path: Path) -> None:
    cli.gallery = gallery.path
    options: dict[str, Any] = {"split": "0.6,0.4", "group_by": "{site}/**", "where": "width < 300", "seed": 2}
    gallery.export(tmp_path / "a.csv", **options)
    cli("export", tmp_path / "b.csv", *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()

"""Every format is loaded back with the reader that it is meant for, where that is installed."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery
from lookalike.catalogue.data import LabelChange
from lookalike.errors import MissingExtraError
from lookalike.export import listings
from lookalike.types import ImageRecord, parse_id

KINDS, EACH = 4, 5
LABELS = {"disc": "disc, round", "square": "2024-05-17", "triangle": 'tri & "angle" <3>'}  # crosses get none
SPLIT = (0.6, 0.2, 0.2)
PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Iterator[Gallery]:
    """20 drawn pictures in two folders, some of them of one name; triangles have propagated labels."""
    folder = tmp_path_factory.mktemp("readers")
    for number, path in enumerate(album(folder / "drawn", KINDS, EACH)):
        kind, seed = path.stem.split("-")
        place = folder / "photos" / kind[:-1] / ("2024-05-17" if int(seed) else "no date")
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / ("scan", "a b.jpg", "p#1.v2.jpg", "ä.jpg", "a b.jpeg")[number % EACH])
    with Gallery.create(folder / "gallery") as opened:
        opened.index(folder / "photos")
        by_people = {r.id: LABELS[kind] for r in opened.images() if (kind := kind_of(r)) in ("disc", "square")}
        opened.label_images(by_people, by="me")
        guesses = [
            LabelChange(parse_id(r.id) or 0, LABELS["triangle"], 0.875)
            for r in opened.images()
            if kind_of(r) == "triangle"
        ]
        opened._parts.catalogue.add_labels(guesses, by="it", source="propagated")
        yield opened


def kind_of(record: ImageRecord) -> str:
    return record.relative_path.split("/")[0]


@pytest.fixture
def expected(gallery: Gallery) -> Counter[tuple[str, str]]:
    """(label, SHA-256 of the pixels) of all labelled images."""
    return Counter((str(r.label), pixels(r.path)) for r in gallery.images() if r.label)


def pixels(path: Path | str) -> str:
    with Image.open(path) as picture:
        return hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()


def need(package: str) -> None:
    """Skip where a package that reads in a process of its own is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"reading this format needs the package {package}")


def read_with(program: str, folder: Path) -> Any:
    """What another library reads, in a process of its own without any connection."""
    home = {"HOME": str(folder.parent / "home"), "HF_HOME": str(folder.parent / "home" / "hf")}
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    quiet = {"FIFTYONE_DO_NOT_TRACK": "true"}
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(
        command, env={**os.environ, **home, **offline, **quiet}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# -- tables --------------------------------------------------------------------------------------------------------


def test_csv_by_pythons_own_reader(gallery: Gallery, tmp_path: Path) -> None:
    gallery.export(tmp_path / "a.csv", split=SPLIT)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as lines:
        rows = {row["id"]: row for row in csv.DictReader(lines, strict=True)}
    assert {record.id: record.label or "" for record in gallery.images()} == {
        i: row["label"] for i, row in rows.items()
    }
    assert all(int(row["width_px"]) > 0 and row["split"] in PARTS for row in rows.values())
    assert {float(row["confidence"]) for row in rows.values() if row["confidence"]} == {0.875}


def test_npz_by_numpy_without_pickle(gallery: Gallery, tmp_path: Path) -> None:
    gallery.export(tmp_path / "a.npz", split=SPLIT)
    ids, vectors = gallery.vectors()
    row_of = {image_id: row for row, image_id in enumerate(ids)}
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"ids", "paths", "labels", "splits", "vectors", "space"}
        assert arrays["vectors"].dtype == np.float32
        np.testing.assert_array_equal(arrays["vectors"], vectors[[row_of[image_id] for image_id in arrays["ids"]]])
        for image_id, path, label, split in zip(
            *(arrays[n] for n in ("ids", "paths", "labels", "splits")), strict=True
        ):
            record = gallery.image(str(image_id))
            assert (str(record.path), record.label or "") == (path, label)
            assert split in PARTS
        assert str(arrays["space"]) == gallery.info()["space"]
    gallery.export(tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz", allow_pickle=False) as arrays:
        assert set(arrays["splits"].tolist()) == {""}


def test_parquet_by_pyarrow(gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    monkeypatch.setattr(listings, "_ROWS_PER_GROUP", 8)
    gallery.export(tmp_path / "a.parquet", split=SPLIT, group_by="{kind}/{date}/*")
    table = parquet.read_table(tmp_path / "a.parquet")
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3
    rows = {row["id"]: row for row in table.to_pylist()}
    for record in gallery.images():
        row = rows[record.id]
        assert (row["label"], row["width_px"], row["sha256"]) == (record.label, record.width_px, record.content)
        assert (row["field_kind"], row["field_date"]) == tuple(record.relative_path.split("/")[:2])
    assert {row["confidence"] for row in rows.values()} == {0.875, None}
    assert {row["changed_since_labelled"] for row in rows.values()} == {False, None}


def test_without_pyarrow_the_extra_is_named(gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as error:
        gallery.export(tmp_path / "a.parquet")
    assert "lookalike[parquet]" in error.value.hint
    assert list(tmp_path.iterdir()) == []


# -- folders -------------------------------------------------------------------------------------------------------


def image_folder(folder: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    """As torchvision's ``ImageFolder`` reads one: classes are the folders in order, images go by suffix."""
    suffixes = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    found = []
    for number, name in enumerate(classes):
        for where, _, names in sorted(os.walk(folder / name, followlinks=True)):
            found += [(Path(where, file), number) for file in sorted(names) if file.lower().endswith(suffixes)]
    return classes, found


@pytest.mark.parametrize("files", ["copy", "hardlink", "symlink"])
def test_image_folders_have_the_same_classes_in_every_split(
    gallery: Gallery, tmp_path: Path, expected: Counter[tuple[str, str]], files: str
) -> None:
    gallery.export(tmp_path / "out", "imagefolder", split=SPLIT, files=files)
    with (tmp_path / "out" / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        label_of = {row["file"]: row["label"] for row in csv.DictReader(lines)}
    read, classes = Counter[tuple[str, str]](), []
    for part in PARTS:
        names, images = image_folder(tmp_path / "out" / part)
        classes.append(names)
        read += Counter((label_of[str(file.relative_to(tmp_path / "out"))], pixels(file)) for file, _ in images)
    assert read == expected
    assert classes == [["2024-05-17", "disc, round", "tri & _angle_ _3_"]] * 3


def test_an_image_folder_without_split(gallery: Gallery, tmp_path: Path) -> None:
    gallery.export(tmp_path / "out", "imagefolder")
    classes, images = image_folder(tmp_path / "out")
    assert classes == ["2024-05-17", "disc, round", "tri & _angle_ _3_"]
    assert Counter(number for _, number in images) == {0: EACH, 1: EACH, 2: EACH}


HUGGING_FACE = """
import hashlib, json, sys
import datasets
datasets.disable_progress_bars()
loaded = datasets.load_dataset("imagefolder", data_dir=sys.argv[1])
rows = {
    part: [{**row, "at": str(row.get("at")), "image": hashlib.sha256(row["image"].convert("RGB").tobytes()).hexdigest()}
           for row in data]
    for part, data in loaded.items()
}
print(json.dumps({"rows": rows, "features": {part: str(data.features) for part, data in loaded.items()}}))
"""


@pytest.mark.parametrize("split", [SPLIT, None])
def test_hugging_face_by_datasets(
    gallery: Gallery, tmp_path: Path, expected: Counter[tuple[str, str]], split: tuple[float, ...] | None
) -> None:
    need("datasets")
    report = gallery.export(tmp_path / "out", "huggingface", split=split, group_by="{kind}/{date}/*")
    read = read_with(HUGGING_FACE, tmp_path / "out")
    parts = {"train": "train", "validation": "val", "test": "test"} if split else {"train": ""}
    assert set(read["rows"]) == set(parts)
    rows = [row for part in read["rows"].values() for row in part]
    assert Counter((row["label"].rstrip(" "), row["image"]) for row in rows) == expected
    for part, name in parts.items():
        assert len(read["rows"][part]) == sum(report.by_split[name].values())
    assert {row["field_date"].rstrip(" ") for row in rows} == {"2024-05-17", "no date"}
    assert {row["source"] for row in rows} == {"person", "propagated"}
    assert len(set(read["features"].values())) == 1


def test_coco_by_pycocotools(gallery: Gallery, tmp_path: Path, expected: Counter[tuple[str, str]]) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="reading COCO files needs pycocotools")
    gallery.export(tmp_path / "out", "coco", split=SPLIT)
    read = Counter[tuple[str, str]]()
    categories = []
    for part in PARTS:
        loaded = coco.COCO(str(tmp_path / "out" / f"{part}.json"))
        names = {category["id"]: category["name"] for category in loaded.loadCats(loaded.getCatIds())}
        categories.append(names)
        for image in loaded.loadImgs(loaded.getImgIds()):
            (annotation,) = loaded.loadAnns(loaded.getAnnIds(imgIds=[image["id"]]))
            file = tmp_path / "out" / "images" / image["file_name"]
            with Image.open(file) as picture:
                assert (image["width"], image["height"]) == picture.size
            assert annotation["bbox"] == [0, 0, image["width"], image["height"]]
            assert annotation["attributes"]["source"] == gallery_source(annotation["attributes"]["image"], gallery)
            read[names[annotation["category_id"]], pixels(file)] += 1
    assert read == expected
    assert categories[0] == categories[1] == categories[2]


def gallery_source(image_id: str, gallery: Gallery) -> str:
    return "propagated" if kind_of(gallery.image(image_id)) == "triangle" else "person"


def test_coco_can_refer_to_photos_where_they_are(gallery: Gallery, tmp_path: Path) -> None:
    gallery.export(tmp_path / "out", "coco", files="reference")
    assert not (tmp_path / "out" / "images").exists()
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    paths = {record.relative_path for record in gallery.images(where="label != none")}
    assert {image["file_name"] for image in document["images"]} == paths


def test_label_studio_tasks(gallery: Gallery, tmp_path: Path) -> None:
    report = gallery.export(tmp_path / "out", "labelstudio", split=SPLIT)
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    interface = ET.parse(tmp_path / "out" / "label_config.xml").getroot()
    choices = {choice.attrib["value"] for choice in interface.iter("Choice")}
    assert choices == set(LABELS.values())
    (control,) = interface.iter("Choices")
    (picture,) = interface.iter("Image")
    assert control.attrib["toName"] == picture.attrib["name"]
    assert len(tasks) == KINDS * EACH
    photos = gallery.path.parent / "photos"
    for task in tasks:
        record = gallery.image(task["data"]["id"])
        prefix, _, place = task["data"][picture.attrib["value"].removeprefix("$")].partition("?d=")
        assert prefix == "/data/local-files/"
        assert photos / urllib.parse.unquote(place) == record.path
        said = {"annotations": ("disc", "square"), "predictions": ("triangle",)}
        for kind, whose in said.items():
            results = [result for opinion in task.get(kind, ()) for result in opinion["result"]]
            assert [result["value"]["choices"] for result in results] == (
                [[record.label]] if kind_of(record) in whose else []
            )
            for result in results:
                assert (result["type"], result["from_name"], result["to_name"]) == (
                    "choices",
                    control.attrib["name"],
                    picture.attrib["name"],
                )
        if "predictions" in task:
            assert task["predictions"][0]["score"] == 0.875
    assert any(str(photos) in note for note in report.notes)
    copied = gallery.export(tmp_path / "copied", "labelstudio", files="copy", url_prefix="http://localhost/x/")
    for task in json.loads((tmp_path / "copied" / "tasks.json").read_text()):
        place = urllib.parse.unquote(task["data"]["image"].removeprefix("http://localhost/x/"))
        assert pixels(tmp_path / "copied" / place) == pixels(gallery.image(task["data"]["id"]).path)
    assert copied.exported == KINDS * EACH


def fiftyone_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    """As FiftyOne's documents describe ``FiftyOneImageClassificationDataset``: label and file of every sample."""
    labels = json.loads((folder / "labels.json").read_text())
    if (folder / "data").is_dir():
        files = {file.stem: file for file in (folder / "data").iterdir()}
    else:
        places = json.loads((folder / "data.json").read_text())
        files = {os.path.splitext(name)[0]: Path(place) for name, place in places.items()}
    assert set(files) == set(labels["labels"])
    for name, number in labels["labels"].items():
        yield labels["classes"][number], files[name]


FIFTYONE = """
import json, sys
from fiftyone.utils.data.importers import FiftyOneImageClassificationDatasetImporter as Importer
found = []
for part in ("train", "val", "test"):
    where = None if "copy" in sys.argv[1] else "data.json"
    with Importer(dataset_dir=f"{sys.argv[1]}/{part}", data_path=where) as importer:
        found += [(label.label, path) for path, _, label in importer]
print(json.dumps(found))
"""


@pytest.mark.parametrize("files", ["copy", "reference"])
@pytest.mark.parametrize("reader", ["documented", "fiftyone"])
def test_fiftyone_by_its_importer_and_as_documented(
    gallery: Gallery, tmp_path: Path, expected: Counter[tuple[str, str]], reader: str, files: str
) -> None:
    target = tmp_path / files
    gallery.export(target, "fiftyone", split=SPLIT, files=files)
    if reader == "fiftyone":
        need("fiftyone")
        found = read_with(FIFTYONE, target)
    else:
        found = [pair for part in PARTS for pair in fiftyone_folder(target / part)]
    assert Counter((label, pixels(path)) for label, path in found) == expected

"""What ``evaluate`` says of the measuring images: the same as the benchmarks, and nothing that cannot be."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery
from lookalike.evaluate import leave_one_out, query_protocol

pytestmark = pytest.mark.external

Indexed = Callable[[str], Gallery]


@pytest.fixture(scope="module")
def indexed(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexed]:
    """``indexed(folder)``: a gallery of a folder of the measuring images."""
    with ExitStack() as stack:

        def index(folder: str) -> Gallery:
            if not (data_dir / folder).is_dir():
                pytest.skip(f"the set {folder} is not here")
            path = tmp_path_factory.mktemp("galleries") / "gallery"
            gallery = stack.enter_context(Gallery.create(path))
            assert not gallery.index(data_dir / folder).failed
            return gallery

        yield index


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def vectors_of(gallery: Gallery, paths: list[Path]) -> np.ndarray:
    ids, vectors = gallery.vectors()
    place = {gallery.image(image_id).path: i for i, image_id in enumerate(ids)}
    return vectors[[place[path.resolve()] for path in paths]]


def test_labels_give_the_map_of_the_benchmark(indexed: Indexed, data_dir: Path) -> None:
    gallery, folder = indexed("pacs-photo"), data_dir / "pacs-photo"
    rows = table(folder / "labels.csv")
    expected = leave_one_out(
        vectors_of(gallery, [folder / row["path"] for row in rows]), [row["label"] for row in rows]
    )
    report = gallery.evaluate(folder / "labels.csv", match="plain")
    assert report.n_queries == len(rows) == expected.n_queries
    for metric in ("map", "macro_map", "precision_at_10", "recall_at_1"):
        assert report.metrics[metric] == pytest.approx(getattr(expected, metric), abs=1e-4)


def test_queries_give_the_map_of_the_benchmark_whether_they_are_in_the_gallery_or_not(
    indexed: Indexed, data_dir: Path
) -> None:
    folder = data_dir / "vpr-corridor"
    gallery, apart = indexed("vpr-corridor"), indexed("vpr-corridor/ref")
    rows = table(folder / "queries.csv")
    database = sorted({path for row in rows for path in row["relevant"].split(";")})
    relevant = [[database.index(path) for path in row["relevant"].split(";")] for row in rows]
    queries, found = (vectors_of(gallery, [folder / p for p in ps]) for ps in ([r["query"] for r in rows], database))
    expected = query_protocol(queries, found, relevant)
    report = gallery.evaluate(queries=folder / "queries.csv", match="plain")
    assert report.n_queries == len(rows)
    assert report.metrics["map"] == pytest.approx(expected.map, abs=1e-3)
    assert report.metrics["recall_at_1"] == pytest.approx(expected.recall_at_1, abs=1e-4)
    outside = apart.evaluate(queries=folder / "queries.csv", match="plain")
    assert (outside.n_queries, outside.n_images, outside.unreadable) == (len(rows), len(apart), ())
    assert outside.metrics["map"] == pytest.approx(report.metrics["map"], abs=0.05)  # the PCA saw other images


def test_edited_photos_find_their_originals_and_harder_edits_score_less(indexed: Indexed) -> None:
    report = indexed("photos-200").evaluate(sample=30)
    assert report.n_queries == 30 * len(report.by_edit)
    assert min(row["recall_at_10"] for row in report.by_edit.values()) >= 0.9
    assert report.metrics["recall_at_1"] >= 0.97
    score = {edit: row["median_score"] for edit, row in report.by_edit.items()}
    for easier, harder in (
        *(("jpeg 75", "jpeg 50"), ("jpeg 50", "jpeg 30"), ("jpeg 30", "jpeg 10")),
        *(("crop 90%", "crop 70%"), ("crop 70%", "crop 50%"), ("scale 50%", "scale 25%")),
        *(("rotate 5", "rotate 15"), ("rotate 15", "rotate 90")),
    ):
        assert score[easier] > score[harder]

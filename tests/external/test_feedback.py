"""Marks and labels help on real photos, as docs/feedback.md says."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from lookalike import Gallery, adapt, feedback
from lookalike.evaluate import average_precision
from lookalike.gallery.follow import synced
from lookalike.types import Float32, Int64

pytestmark = pytest.mark.external

SET = "clothing-test"


@pytest.fixture(scope="module")
def photos(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Float32, Int64, Float32]:
    """Vectors (n, d), labels (n,) as numbers, and variances (d,) of product photos of 10 kinds."""
    folder = data_dir / SET
    if not (folder / "labels.csv").is_file():
        pytest.skip(f"the set {SET} is not here")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as lines:
        label_of = {(folder / row["path"]).resolve(): row["label"] for row in csv.DictReader(lines)}
    with Gallery.create(tmp_path_factory.mktemp("feedback") / "gallery") as gallery:
        gallery.index(folder)
        ids, vectors = gallery.vectors()
        name_of = {record.id: label_of.get(record.path) for record in gallery.images()}
        _, reducer = synced(gallery._parts)
    labelled = [row for row, image_id in enumerate(ids) if name_of[image_id] is not None]
    codes = np.unique([str(name_of[ids[row]]) for row in labelled], return_inverse=True)[1]
    return vectors[labelled], codes.astype(np.int64), reducer.variances


def test_more_marks_find_more(photos: tuple[Float32, Int64, Float32], monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, codes, variances = photos

    def mean_ap(marks: int, few: int = feedback.FEW) -> float:
        """Of what nobody has marked, after the first results of a plain search were."""
        monkeypatch.setattr(feedback, "FEW", few)
        values = []
        for query in range(0, len(vectors), 3):
            order = np.argsort(-(vectors @ vectors[query]), kind="stable")
            order = order[order != query]
            right = codes[order[:marks]] == codes[query]
            chosen = [query, *order[:marks][right]]
            vector = feedback.combine(vectors[chosen], vectors[order[:marks][~right]], variances)
            rest = order[20:]  # the same for every number of marks
            rest = rest[np.argsort(-(vectors[rest] @ vector), kind="stable")]
            if (codes[rest] == codes[query]).any():
                values.append(average_precision(codes[rest] == codes[query]))
        return 100 * float(np.mean(values))

    measured = [mean_ap(marks) for marks in (0, 3, 10, 20)]
    assert np.all(np.diff(measured) > 2), measured
    assert mean_ap(20) > mean_ap(20, few=10**9) + 1  # what the classifier adds to Rocchio


def test_ten_labels_of_each_kind_help_images_without_a_label(photos: tuple[Float32, Int64, Float32]) -> None:
    vectors, codes, _ = photos
    random = np.random.default_rng(0)
    labelled = np.concatenate([random.permutation(np.flatnonzero(codes == kind))[:10] for kind in np.unique(codes)])
    matrix = adapt.fit(vectors[labelled], codes[labelled])
    rest = np.setdiff1d(np.arange(len(vectors)), labelled)

    def mean_ap(map_: Float32) -> float:
        values = []
        for query in rest[::3]:
            others = rest[rest != query]
            scores = adapt.adapted_scores(map_, vectors[query], vectors)[others]
            values.append(average_precision(codes[others[np.argsort(-scores, kind="stable")]] == codes[query]))
        return 100 * float(np.mean(values))

    assert mean_ap(matrix) > mean_ap(np.eye(vectors.shape[1], dtype=np.float32)) + 4

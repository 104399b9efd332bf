"""Sharpness, outliers and novelty on real photos, as docs/quality.md and docs/outliers.md say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery

pytestmark = pytest.mark.external


def files(folder: Path, count: int, seed: int = 0) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp"))
    return [found[i] for i in np.random.default_rng(seed).permutation(len(found))[:count]]


def copied(paths: list[Path], folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        shutil.copy(path, folder / f"{name}-{number:03d}{path.suffix}")


@pytest.mark.parametrize("name", ["photos-200", "clothing-test", "neu-det-100"])
def test_sharp_photos_measure_sharper_than_blurred_ones_of_other_things(
    data_dir: Path, require_sets: Callable[..., None], load_benchmark: Callable[[str], ModuleType], name: str
) -> None:
    require_sets(name)
    bench = load_benchmark("sharpness")
    sharp, blurred = [], []
    for file in files(data_dir / name, 20):
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        for values, version in ((sharp, picture), (blurred, bench.blurred(picture, 2))):
            values.append(bench.MEASURES["sharpness"](np.asarray(bench.thumbnail(version).convert("L"), float)))
    assert bench.auc(np.array(sharp), np.array(blurred)) > 97


def test_strangers_among_photos_are_found_and_new_ones_are_told_from_ordinary_ones(
    data_dir: Path, require_sets: Callable[..., None], tmp_path: Path
) -> None:
    require_sets("pacs-photo", "neu-det-100", "clothing-test")
    photos, ordinary = tmp_path / "photos", files(data_dir / "pacs-photo", 200)
    copied(ordinary[:130], photos, "ordinary")
    copied(files(data_dir / "neu-det-100", 6), photos, "steel")
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(photos)
        most = [outlier.path.name.startswith("steel") for outlier in gallery.outliers(6)]
        assert sum(most) >= 4  # six of 136 by chance: 0.3
        copied(ordinary[130:], photos, "later")
        copied(files(data_dir / "clothing-test", 20), photos, "clothes")
        gallery.index()
        report = gallery.outliers(1000, last_run=True)
        assert report.judged == 90
        later = np.array([o.percentile for o in report if o.path.name.startswith("later")])
        clothes = np.array([o.percentile for o in report if o.path.name.startswith("clothes")])
        assert 38 < later.mean() < 62
        assert (later >= 95).mean() < 0.15
        assert np.median(clothes) > 90

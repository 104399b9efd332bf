"""Copies of real photos are told from look-alikes; a board and its defective sister are different pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery, edits
from lookalike.gallery import duplicating
from lookalike.gallery.parts import no_progress

pytestmark = pytest.mark.external

EDITS = ("jpeg 30", "crop 90%", "scale 50%", "flip", "grey", "darker")
PHOTOS, BOARDS, PLATES = 20, 20, 40


@pytest.fixture(scope="module")
def folder(data_dir: Path, require_sets: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some photos with edited copies, boards with their templates, plain steel."""
    require_sets("photos-200", "deeppcb-pairs", "neu-det-100")
    made = tmp_path_factory.mktemp("material")
    for number, path in enumerate(photos(data_dir)):
        with Image.open(path) as image:
            picture = image.convert("RGB")
        picture.save(made / f"photo-{number}-original.jpg", quality=95)
        for name in EDITS:
            copy = Image.fromarray(edits.apply(name, np.asarray(picture), number))
            copy.save(made / f"photo-{number}-{name.split()[0]}.jpg", quality=90)
    for path in sorted((data_dir / "deeppcb-pairs").rglob("*_test.jpg"))[:BOARDS]:
        for end in ("_test.jpg", "_temp.jpg"):
            shutil.copyfile(path.with_name(path.name.replace("_test.jpg", end)), made / f"board-{path.stem[:8]}{end}")
    for path in sorted((data_dir / "neu-det-100").rglob("*.jpg"))[:: 600 // PLATES][:PLATES]:
        shutil.copyfile(path, made / f"plate-{path.name}")
    return made


def photos(data_dir: Path) -> list[Path]:
    return sorted(path for path in (data_dir / "photos-200").rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[
        :PHOTOS
    ]


def test_copies_are_found_and_look_alikes_are_not(folder: Path, tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(folder)
        report = gallery.duplicates()
        numbers, groups = duplicating.linked(gallery._parts, no_progress)
        keys = {record.path.name: int(record.id, 16) for record in gallery.images()}
        contents = gallery._parts.catalogue.contents_of(np.array(list(keys.values()), np.int64))
        linked = dict(zip(keys, groups[np.searchsorted(numbers, contents)].tolist(), strict=True))
    sources = [{name_of(image.path) for image in group.images} for group in report.groups]
    assert all(len(each) == 1 for each in sources), "a group holds different pictures"
    of_photos = [group for group, each in zip(report.groups, sources, strict=True) if next(iter(each))[:5] == "photo"]
    grouped = sum(len(group.images) for group in of_photos)
    assert grouped >= 0.95 * PHOTOS * (1 + len(EDITS))
    assert len(of_photos) <= PHOTOS + 1
    assert not any(next(iter(each)).startswith("board") for each in sources)
    sisters = [linked[name] == linked[name.replace("_test", "_temp")] for name in linked if name.endswith("_test.jpg")]
    assert np.mean(sisters) >= 0.9
    sizes = np.bincount([group for name, group in linked.items() if not name.startswith("photo")])
    assert sizes.max() <= 4, "plain surfaces and boards are chained together"


def name_of(path: Path) -> str:
    """What a file shows: the photo, the board in one state, the plate."""
    return "-".join(path.stem.split("-")[:2]) if path.stem.startswith("photo") else path.stem

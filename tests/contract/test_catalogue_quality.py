"""What every catalogue must do with measures of quality: keep, filter, place in the gallery, sort, count."""

from __future__ import annotations

import pytest

from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.filters import parse
from lookalike.quality import Quality
from tests.contract.catalogues import good, ids, run

QUALITIES = {
    "sharp.jpg": Quality(0.9, 0.5, 0.2, 2.0),
    "soft.jpg": Quality(0.7, 0.6, 0.2, 1.5),
    "blurred.jpg": Quality(0.2, 0.5, 0.2, 0.9),
    "night.jpg": Quality(0.8, 0.05, 0.03, 0.5),
    "snow.jpg": Quality(0.8, 0.95, 0.03, 0.5),
    "wall.jpg": Quality(None, 0.5, 0.01, 0.6),
    "lid.jpg": Quality(None, 0.01, 0.001, 0.0),
}


@pytest.fixture
def gallery(catalogue: SqliteCatalogue) -> SqliteCatalogue:
    files = {path: lambda file, found=found: good(file, file.path, quality=found) for path, found in QUALITIES.items()}
    run(catalogue, {**files, "unmeasured.jpg": "U"})
    return catalogue


def found(catalogue: SqliteCatalogue, expression: str) -> set[str]:
    conditions = parse(expression)
    paths = {record.relative_path.removesuffix(".jpg") for record in catalogue.all_records(conditions)}
    assert len(catalogue.keys(conditions)) == len(paths)
    return paths


def test_measures_come_back_as_they_were(gallery: SqliteCatalogue) -> None:
    records = {record.relative_path: record for record in gallery.all_records()}
    assert {path: records[path].quality for path in QUALITIES} == QUALITIES
    assert records["unmeasured.jpg"].quality is None
    told = records["wall.jpg"].to_dict()
    assert (told["sharpness"], told["brightness"], told["contrast"], told["information"]) == (None, 0.5, 0.01, 0.6)
    assert "quality" not in told
    assert records["unmeasured.jpg"].to_dict()["brightness"] is None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("sharpness < 0.75", {"soft", "blurred"}),
        ("sharpness = none", {"wall", "lid", "unmeasured"}),
        ("brightness = none", {"unmeasured"}),
        ("brightness >= .5 and contrast > 0.1", {"sharp", "soft", "blurred"}),
        ("quality = blurred", {"blurred"}),
        ("quality = dark", {"night", "lid"}),
        ("quality = bright", {"snow"}),
        ("quality = plain", {"wall", "lid"}),
        ("quality != plain", {"sharp", "soft", "blurred", "night", "snow", "unmeasured"}),
        ("quality = none", {"sharp", "soft", "unmeasured"}),
        ("quality != none", {"blurred", "night", "snow", "wall", "lid"}),
        ("quality = dark and quality = plain", {"lid"}),
    ],
)
def test_measures_and_flaws_can_be_filtered_by(gallery: SqliteCatalogue, expression: str, expected: set[str]) -> None:
    assert found(gallery, expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("sharpness < 0%", set()),
        ("sharpness < 20%", {"blurred"}),  # of five
        ("sharpness < 40%", {"blurred", "soft"}),
        ("sharpness >= 80%", {"sharp"}),
        ("sharpness <= 100%", {"blurred", "soft", "night", "snow", "sharp"}),
        ("brightness < 29%", {"lid", "night"}),  # of seven
    ],
)
def test_a_place_in_the_gallery_is_counted_from_below(
    gallery: SqliteCatalogue, expression: str, expected: set[str]
) -> None:
    assert found(gallery, expression) == expected


def test_a_place_counts_what_is_there_now_and_copies_once(gallery: SqliteCatalogue) -> None:
    files = {path: lambda file, found=found: good(file, file.path, quality=found) for path, found in QUALITIES.items()}
    del files["blurred.jpg"]
    copy = {"copy.jpg": lambda file: good(file, "soft.jpg", quality=QUALITIES["soft.jpg"])}
    run(gallery, {**files, **copy, "unmeasured.jpg": "U"})
    assert found(gallery, "sharpness < 30%") == {"soft", "copy"}  # of four: 0.7, 0.8, 0.8, 0.9


def test_blurred_means_softer_than_is_usual_in_this_gallery(catalogue: SqliteCatalogue) -> None:
    """Where all pictures have soft edges, those of the usual softness are not blurred."""
    soft = {
        f"{i}.jpg": lambda file, i=i: good(file, file.path, quality=Quality(0.3 + i / 100, 0.5, 0.2, 1))
        for i in range(9)
    }
    run(catalogue, {**soft, "blurred.jpg": lambda file: good(file, "B", quality=Quality(0.2, 0.5, 0.2, 1))})
    assert found(catalogue, "quality = blurred") == {"blurred"}


@pytest.mark.parametrize(
    ("by", "descending", "expected"),
    [
        ("sharpness", False, "blurred soft night snow sharp lid unmeasured wall"),
        ("sharpness", True, "sharp night snow soft blurred lid unmeasured wall"),
        ("brightness", False, "lid night blurred sharp wall soft snow unmeasured"),
        ("information", True, "sharp soft blurred wall night snow lid unmeasured"),
        ("path", True, "wall unmeasured soft snow sharp night lid blurred"),
    ],
)
def test_keys_come_in_order_and_what_has_no_value_last(
    gallery: SqliteCatalogue, by: str, descending: bool, expected: str
) -> None:
    path_of = {int(image_id, 16): path.removesuffix(".jpg") for path, image_id in ids(gallery).items()}
    keys = gallery.sorted_keys((), by, descending=descending).tolist()
    assert [path_of[key] for key in keys] == expected.split()
    some = gallery.sorted_keys(parse("sharpness != none"), by, descending=descending).tolist()
    assert [path_of[key] for key in some] == [
        path for path in expected.split() if path not in ("lid", "unmeasured", "wall")
    ]


def test_flaws_are_counted_by_image(gallery: SqliteCatalogue) -> None:
    assert gallery.facts()["quality"] == {"blurred": 1, "dark": 2, "bright": 1, "plain": 2}


def test_without_any_measure_nothing_is_flawed(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    assert found(catalogue, "quality = none") == {"a"}
    assert found(catalogue, "sharpness < 50%") == set()
    assert sum(catalogue.facts()["quality"].values()) == 0

"""Explaining matches of a real gallery with the real network: numbers that add up, files in one folder, hints."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from lookalike import Gallery, Settings, reduce
from lookalike.errors import LookalikeError, ModelError, SettingError
from lookalike.gallery import explaining, pages, picture
from lookalike.gallery.explaining import Explanation
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.results import Match, SearchResult
from lookalike.types import DecodedImage, Float32


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Path:
    """12 drawn pictures that no test changes."""
    folder = tmp_path_factory.mktemp("explained") / "photos"
    album(folder)
    return folder


@pytest.fixture(scope="module")
def parts(photos: Path) -> Iterator[Parts]:
    with indexed(photos.parent / "gallery", photos) as opened:
        yield opened


@contextmanager
def indexed(folder: Path, photos: Path) -> Iterator[Parts]:
    with Gallery.create(folder) as gallery:
        gallery.index(photos)
    opened = Parts(folder, Settings.from_environment())
    try:
        yield opened
    finally:
        opened.close()


def asked(parts: Parts, data: bytes) -> tuple[Float32, DecodedImage]:
    decoded = picture.decode(parts, "query", data)
    embedding, _ = picture.embed(parts.embedder(throughput=False), decoded)
    return reduce.transform(synced(parts)[1], embedding[None])[0], decoded


def matches(parts: Parts, vector: Float32) -> list[Match]:
    engine, _ = synced(parts)
    records = list(parts.catalogue.all_records())
    scores = engine.vectors(np.array([int(record.id, 16) for record in records])) @ vector
    order = np.argsort(-scores, kind="stable")
    return [
        Match(rank, records[i].id, records[i].path, float(scores[i]), float(scores[i]))
        for rank, i in enumerate(order.tolist(), 1)
    ]


def explained(parts: Parts, data: bytes) -> list[Explanation]:
    vector, decoded = asked(parts, data)
    return explaining.explain(parts, matches(parts, vector), vector, decoded)


def as_bytes(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_both_maps_of_every_match_add_up_to_its_score(parts: Parts, draw: Callable[..., Image.Image]) -> None:
    vector, decoded = asked(parts, as_bytes(draw(1, 77, (300, 120))))
    found = matches(parts, vector)
    explanations = explaining.explain(parts, found, vector, decoded)
    assert [(e.rank, e.id, e.path) for e in explanations] == [(m.rank, m.id, m.path) for m in found]
    for match, explanation in zip(found, explanations, strict=True):
        assert explanation.score == pytest.approx(match.score, abs=1e-4)
        for part in (explanation.query, explanation.match):
            assert part is not None
            assert part.sum == pytest.approx(match.score, abs=1e-4)
        assert explanation.notes == ()
    assert explanations[0].query is not None
    assert explanations[0].query.aspect == pytest.approx(300 / 120)


def test_the_side_that_shows_the_same_thing_adds_more(
    tmp_path: Path, parts: Parts, draw: Callable[..., Image.Image], photos: Path
) -> None:
    scene = Image.new("RGB", (320, 160))
    scene.paste(draw(1, 900, (160, 160)), (0, 0))
    scene.paste(draw(2, 901, (160, 160)), (160, 0))
    for kind, left in ((1, True), (2, False)):
        vector, decoded = asked(parts, as_bytes(scene))
        same_kind = [match for match in matches(parts, vector) if f"{kind}-" in match.path.name]
        explanation = explaining.explain(parts, same_kind[:1], vector, decoded)[0]
        assert explanation.query is not None
        values = explanation.query.contributions
        halves = values[:, : values.shape[1] // 2].sum(), values[:, (values.shape[1] + 1) // 2 :].sum()
        assert (halves[0] > halves[1]) == left


def test_plain_data_has_scores_contributions_and_boxes_that_cover_the_picture(parts: Parts, photos: Path) -> None:
    explanation = explained(parts, next(iter(sorted(photos.iterdir()))).read_bytes())[0]
    data = explanation.to_dict()
    assert data["score"] == pytest.approx(1, abs=1e-3)
    side = data["match"]
    assert np.sum(side["contributions"]) == pytest.approx(data["score"], abs=1e-3)
    boxes = np.array(side["boxes"])
    assert boxes.shape == (*np.shape(side["contributions"]), 4)
    areas = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    assert areas.sum() == pytest.approx(1, abs=1e-3)
    assert boxes[0, 0, :2].tolist() == [0, 0]
    assert boxes[-1, -1, 2:].tolist() == [1, 1]


def test_a_box_is_explained_inside_the_box(parts: Parts, draw: Callable[..., Image.Image]) -> None:
    vector, decoded = asked(parts, as_bytes(draw(0, 5, (100, 100))))
    whole = DecodedImage(decoded.pixels, 400, 200, "PNG", None, b"")
    box = (0.5, 0.0, 0.75, 0.5)
    explanation = explaining.explain(parts, matches(parts, vector)[:1], vector, whole, box)[0]
    assert explanation.query is not None
    assert explanation.query.seen == box
    assert explanation.query.aspect == pytest.approx(1)
    assert explanation.query.boxes()[-1, -1, 2:].tolist() == [0.75, 0.5]


def test_several_examples_explain_the_match_alone_and_say_so(parts: Parts, photos: Path) -> None:
    first, last = sorted(photos.iterdir())[0], sorted(photos.iterdir())[-1]
    vector = asked(parts, first.read_bytes())[0] + asked(parts, last.read_bytes())[0]
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    for match, explanation in zip(
        found := matches(parts, vector), explaining.explain(parts, found, vector, None), strict=True
    ):
        assert explanation.query is None
        assert explanation.match is not None
        assert explanation.match.sum == pytest.approx(match.score, abs=1e-4)
        assert any("not one picture" in note for note in explanation.notes)


def test_a_file_that_is_gone_or_changed_costs_only_its_own_map(
    tmp_path: Path, album: Callable[..., list[Path]]
) -> None:
    gone, changed, kept = album(tmp_path / "photos", kinds=3, each=1)
    data = kept.read_bytes()
    with indexed(tmp_path / "gallery", tmp_path / "photos") as parts:
        gone.unlink()
        changed.write_bytes(data)
        by_name = {explanation.path.name: explanation for explanation in explained(parts, data)}
    assert by_name[kept.name].match is not None
    for path, word in ((gone, "no such file"), (changed, "changed since")):
        explanation = by_name[path.name]
        assert explanation.match is None
        assert any(word in note for note in explanation.notes), explanation.notes
        assert explanation.query is not None
        assert explanation.query.sum == pytest.approx(explanation.score, abs=1e-4)


def test_a_search_and_a_search_by_id_explain_themselves(
    tmp_path: Path, album: Callable[..., list[Path]], draw: Callable[..., Image.Image]
) -> None:
    first, *_ = album(tmp_path / "photos", kinds=3, each=2)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(tmp_path / "photos")
        results = [
            gallery.search(draw(1, 50, (200, 100)), k=3),
            gallery.search(draw(1, 50, (200, 100)), k=3, box=(0.1, 0.1, 0.9, 0.9)),
            gallery.similar(next(image.id for image in gallery.images() if image.path.name == first.name), k=3),
        ]
        for result in results:
            for match, explanation in zip(result, gallery.explain(result, tmp_path / "why"), strict=True):
                for part in (explanation.query, explanation.match):
                    assert part is not None
                    assert part.sum == pytest.approx(match.score, abs=1e-4)
        assert len(list((tmp_path / "why").iterdir())) >= 3
        first.unlink()
        for explanation in gallery.explain(results[-1]):
            assert explanation.query is None
            assert "the query cannot be shown: no such file" in explanation.notes[0]
            assert explanation.match is not None


def test_a_match_that_left_the_gallery_is_said_to_have(parts: Parts, photos: Path) -> None:
    vector, decoded = asked(parts, next(photos.iterdir()).read_bytes())
    unknown = Match(1, "00000000000000ff", Path("x.jpg"), 0.5, 0.5)
    explanation = explaining.explain(parts, [unknown], vector, decoded)[0]
    assert (explanation.query, explanation.match, explanation.score) == (None, None, 0.5)
    assert "left the gallery" in explanation.notes[0]


def test_a_score_of_a_part_is_told_apart_from_that_of_the_whole_pictures(parts: Parts, photos: Path) -> None:
    vector, decoded = asked(parts, next(photos.iterdir()).read_bytes())
    best = matches(parts, vector)[0]
    by_region = Match(1, best.id, best.path, best.score - 0.25, best.score)
    explanation = explaining.explain(parts, [by_region], vector, decoded)[0]
    assert explanation.score == pytest.approx(best.score, abs=1e-4)
    assert f"{best.score - 0.25:.3f}" in explanation.notes[0]


# -- files --------------------------------------------------------------------------------------------------------


def test_each_match_becomes_one_picture_and_other_files_stay(tmp_path: Path, parts: Parts, photos: Path) -> None:
    folder = tmp_path / "deep" / "why"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    explanations = explained(parts, next(photos.iterdir()).read_bytes())[:3]
    files = explaining.write(parts, explanations, folder)
    assert [file.name for file in files] == [f"{e.rank:03d}-{e.path.name}.png" for e in explanations]
    for file in files:
        with Image.open(file) as image:
            assert image.width > image.height
    before = [file.read_bytes() for file in files]
    assert explaining.write(parts, explanations, folder) == files
    assert [file.read_bytes() for file in files] == before
    assert (folder / "notes.txt").read_text() == "mine"


def test_photo_folders_are_never_written_to(tmp_path: Path, parts: Parts, photos: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    before = sorted(photos.iterdir())
    for folder in (photos, photos / "why", tmp_path / "link" / "why", photos / ".." / "photos"):
        with pytest.raises(SettingError, match="never written to"):
            explaining.write(parts, [], folder)
    assert sorted(photos.iterdir()) == before


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, parts: Parts, photos: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingError, match="not a folder"):
        explaining.check_folder(parts, tmp_path / "file")
    explanations = explained(parts, next(photos.iterdir()).read_bytes())[:1]
    with pytest.raises(LookalikeError, match="cannot write"):
        explaining.write(parts, explanations, tmp_path / "file" / "below")


def test_a_link_in_the_folder_is_replaced_and_never_written_through(tmp_path: Path, parts: Parts, photos: Path) -> None:
    explanations = explained(parts, next(photos.iterdir()).read_bytes())[:1]
    folder, victim = tmp_path / "why", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("precious")
    (folder / explaining.file_name(explanations[0])).symlink_to(victim)
    [file] = explaining.write(parts, explanations, folder)
    assert victim.read_text() == "precious"
    assert not file.is_symlink()


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.jpg", "a\x1b[31m\u202e.jpg", "-rf.jpg", os.fsdecode(b"\xff\xfe.jpg"), "x" * 300, "..", ""],
)
def test_file_names_stay_in_the_folder_and_are_plain(name: str) -> None:
    made = explaining.file_name(Explanation(7, "0" * 16, Path(name), 0.5, None, None))
    assert made.startswith("007-")
    assert made.endswith(".png")
    assert len(made) < 80
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_a_page_shows_maps_stacks_and_notes(tmp_path: Path, parts: Parts, photos: Path) -> None:
    vector, decoded = asked(parts, next(photos.iterdir()).read_bytes())
    first, *folded = matches(parts, vector)[:4]
    found = replace(first, band="strong", false_match_rate=0.01, stack=tuple(match.id for match in folded))
    result = SearchResult("q", (found,), 12, {"search": 0.1}, lambda _: None, match="auto", nothing_alike=False)
    explanations = explaining.explain(parts, [found], vector, decoded)
    pages.write_report(parts, [result, result], tmp_path / "page.html", "", [explanations])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 2
    assert page.count(f"parts add up to {explaining.total(explanations[0])}") == 1
    assert page.count("3 more almost like it") == 2
    assert all(match.path.name in page for match in folded)
    assert page.count("about 1 in 100 random images") == 2
    assert "ordered by kind and by object at once" in page


# -- other networks -----------------------------------------------------------------------------------------------


@contextmanager
def foreign(tmp_path: Path, photos: Path, **changes: object) -> Iterator[Parts]:
    """A gallery of a small network of another kind: 8 channels of 4 x 4 pixels, pooled as its card says."""
    kernel = np.random.default_rng(0).normal(size=(8, 3, 4, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["map"], strides=[4, 4], kernel_shape=[4, 4]),
        helper.make_node("GlobalMaxPool", ["map"], ["largest"]),
        helper.make_node("Flatten", ["largest"], ["own"]),
        helper.make_node("Slice", ["map", "zero", "four", "one"], ["other"]),
    ]
    values = {"zero": [0], "four": [4], "one": [1]}
    constants = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in values.items()]
    shapes = {"map": ["n", 8, "a", "b"], "own": ["n", 8], "other": ["n", 4, "a", "b"]}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items()],
        [numpy_helper.from_array(kernel, "kernel"), *constants],
    )
    file = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    card = {
        **{"dim": 8, "shapes": [[32, 48]], "mean": [120.0, 110.0, 100.0], "std": [60.0, 50.0, 40.0]},
        **{"outputs": {"embedding": "map", "final": "map"}, "pooling": "mean", "licence": "CC0-1.0"},
    }
    file.with_suffix(".json").write_text(json.dumps({**card, **changes}), encoding="utf-8")
    with Gallery.create(tmp_path / "foreign", model=str(file)) as gallery:
        gallery.index(photos)
    opened = Parts(tmp_path / "foreign", Settings.from_environment())
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"pooling": "mean"},
        {"pooling": "gem3"},
        {"pooling": "gem2-centre"},
        {"pooling": "none", "outputs": {"embedding": "own", "final": "map"}},
        {"crop_fraction": 0.8},
    ],
    ids=str,
)
def test_other_networks_add_up_too(tmp_path: Path, photos: Path, changes: dict[str, object]) -> None:
    with foreign(tmp_path, photos, **changes) as parts:
        vector, decoded = asked(parts, next(photos.iterdir()).read_bytes())
        for match, explanation in zip(
            found := matches(parts, vector), explaining.explain(parts, found, vector, decoded), strict=True
        ):
            for part in (explanation.query, explanation.match):
                assert part is not None
                assert part.sum == pytest.approx(match.score, abs=1e-4)
        assert part is not None
        crop = float(str(changes.get("crop_fraction", 1.0)))
        height, width = decoded.pixels.shape[:2]
        shown_x, shown_y = part.seen[2] - part.seen[0], part.seen[3] - part.seen[1]
        assert max(shown_x, shown_y) == pytest.approx(crop)
        if crop < 1:
            assert decoded.width_px * shown_x / (decoded.height_px * shown_y) == pytest.approx(width / height)
            assert part.aspect == pytest.approx(width / height)


def test_a_network_without_a_fitting_map_is_refused_with_a_hint(tmp_path: Path, photos: Path) -> None:
    cases = {
        "no map": {"embedding": "own"},
        "4 channels": {"embedding": "own", "final": "other"},
    }
    for i, (words, outputs) in enumerate(cases.items()):
        folder = tmp_path / str(i)
        folder.mkdir()
        with foreign(folder, photos, pooling="none", outputs=outputs) as parts:
            vector, decoded = asked(parts, next(photos.iterdir()).read_bytes())
            with pytest.raises(ModelError, match=words) as caught:
                explaining.explain(parts, matches(parts, vector), vector, decoded)
            assert "card's outputs" in caught.value.hint

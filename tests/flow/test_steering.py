"""Steering a search: the dial, a box, examples, stacks; from Python and from the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery
from lookalike.errors import ImageNotFoundError, SettingError
from tests.flow.conftest import Cli


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Iterator[Gallery]:
    """40 drawn pictures, 8 kinds of 5: enough for neighbourhoods."""
    folder = tmp_path_factory.mktemp("steering")
    album(folder / "photos", kinds=8, each=5)
    with Gallery.create(folder / "gallery") as opened:
        opened.index(folder / "photos")
        yield opened


def paths(gallery: Gallery) -> list[Path]:
    return sorted(record.path for record in gallery.images())


def id_of(gallery: Gallery, path: Path) -> str:
    return next(record.id for record in gallery.images() if record.path == path)


@pytest.mark.parametrize("match", ["auto", "kind", "object", "plain"])
def test_every_setting_of_the_dial_finds_all_and_says_what_it_did(gallery: Gallery, match: str) -> None:
    query = paths(gallery)[7]
    result = gallery.search(query, k=40, match=match, stacks=False)
    assert result.match == match
    assert sorted(found.path for found in result) == paths(gallery)
    assert result[0].path == query
    rank_scores = [found.rank_score for found in result]
    assert rank_scores[1:] == sorted(rank_scores[1:], reverse=True)
    plain = {found.id: found.score for found in gallery.search(query, k=40, match="plain", stacks=False)}
    assert {found.id: found.score for found in result} == pytest.approx(plain)  # the score never depends on the dial


def test_the_dial_by_kind_puts_the_kind_first(gallery: Gallery) -> None:
    right = {"plain": 0, "kind": 0}
    for match in right:
        for query in paths(gallery):
            found = gallery.search(query, k=5, match=match, stacks=False)
            right[match] += sum(m.path.name.split("-")[0] == query.name.split("-")[0] for m in found)
    assert right["kind"] >= right["plain"]
    assert right["kind"] >= 0.9 * 5 * 40


def test_a_small_gallery_keeps_the_plain_order_and_says_so(tmp_path: Path, photos: Path) -> None:
    with Gallery.create(tmp_path / "small") as small:
        small.index(photos)
        result = small.search(sorted(photos.iterdir())[0], match="kind")
        assert result.match == "plain"
        assert [m.rank_score for m in result] == [m.score for m in result]


def test_a_lost_cache_costs_the_dial_but_no_answer_and_doctor_brings_it_back(tmp_path: Path, gallery: Gallery) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(gallery.path, copy)
    query = paths(gallery)[0]
    expected = gallery.search(query, k=10, match="kind").to_dict()["results"]
    shutil.rmtree(copy / "cache")
    with Gallery.open(copy) as opened:
        assert opened.search(query, k=10, match="kind").match == "plain"
        opened.doctor(repair=True)
        assert opened.search(query, k=10, match="kind").to_dict()["results"] == expected


def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, gallery: Gallery) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(gallery.path, copy)
    file = copy / "cache" / "dial" / "neighbourhoods.bin"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with Gallery.open(copy) as opened:
        result = opened.search(paths(gallery)[0], k=10, match="object")
        assert result.match == "plain"
        assert len(result) == 10


def test_images_that_came_later_are_put_in_order_too(
    tmp_path: Path, gallery: Gallery, picture: Callable[..., Path]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(gallery.path, copy)
    late = picture(tmp_path / "late" / "disc0-late.jpg", kind=0, seed=77)
    with Gallery.open(copy) as opened:
        before = (copy / "cache" / "dial").stat().st_mtime_ns, sorted((copy / "cache" / "dial").iterdir())
        opened.index(late.parent)
        after = (copy / "cache" / "dial").stat().st_mtime_ns, sorted((copy / "cache" / "dial").iterdir())
        assert before == after  # one image among forty does not make neighbourhoods old
        disc = next(path for path in paths(opened) if path.name.startswith("disc0"))
        found = opened.search(disc, k=6, match="auto", stacks=False)
        assert found.match == "auto"
        assert late in [match.path for match in found]


def test_a_box_searches_by_that_part_alone(tmp_path: Path, gallery: Gallery) -> None:
    left, right = (path for path in paths(gallery) if path.name in ("disc0-00.jpg", "stripes5-00.jpg"))
    pasted = Image.new("RGB", (320, 120), "grey")
    pasted.paste(Image.open(left), (0, 0))
    pasted.paste(Image.open(right), (160, 0))
    pasted.save(tmp_path / "both.png")
    for box, original in (((0, 0, 0.5, 1), left), ((0.5, 0, 1, 1), right)):
        found = gallery.search(tmp_path / "both.png", k=1, box=box, match="plain")
        assert found[0].path == original
        assert found[0].score > 0.9


@pytest.mark.parametrize(
    "box",
    [(0.1, 0.1, 0.9), (0.5, 0, 0.5, 1), (0, 0.9, 1, 0.1), (-0.1, 0, 1, 1), (0, 0, 1, 1.2), (0, 0, float("nan"), 1)],
)
def test_a_box_that_cannot_be_names_itself_and_the_remedy(gallery: Gallery, box: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match=f"box {box[0]:g}") as caught:
        gallery.search(paths(gallery)[0], box=box)
    assert "fractions" in caught.value.hint


def test_examples_pull_towards_what_is_right_and_away_from_what_is_wrong(gallery: Gallery) -> None:
    discs = [path for path in paths(gallery) if path.name.startswith("disc0")]
    rings = [path for path in paths(gallery) if path.name.startswith("ring")]
    alone = gallery.search(None, k=40, like=[discs[0]], match="plain", stacks=False)
    plain = gallery.search(discs[0], k=40, match="plain", stacks=False)
    assert [m.id for m in alone] == [m.id for m in plain]
    both = gallery.search(discs[0], k=40, like=[(rings[0], 1.0)], match="plain", stacks=False)
    score, before = ({m.path: m.score for m in found} for found in (both, plain))
    assert score[rings[0]] > before[rings[0]] + 0.3
    assert {m.path for m in both.matches[:2]} == {discs[0], rings[0]}
    unlike = [discs[1], id_of(gallery, discs[2])]
    without = gallery.search(discs[0], k=40, unlike=unlike, match="plain", stacks=False)
    score = {m.path: m.score for m in without}
    assert all(score[path] < before[path] for path in discs[1:3])
    assert without[0].path == discs[0]


def test_wrong_examples_are_refused(gallery: Gallery) -> None:
    query = paths(gallery)[0]
    with pytest.raises(ImageNotFoundError, match="0123456789abcdef"):
        gallery.search(query, like=["0123456789abcdef"])
    with pytest.raises(SettingError, match="weight 0"):
        gallery.search(query, like=[(query, 0)])
    with pytest.raises(SettingError, match="nothing to be like"):
        gallery.search(None, unlike=[query])


def test_copies_and_near_copies_are_one_result_that_names_them(
    tmp_path: Path, album: Callable[..., list[Path]]
) -> None:
    photos = tmp_path / "photos"
    files = album(photos, kinds=8, each=5)
    Image.open(files[0]).save(photos / "again.png")
    shutil.copy(files[0], photos / "copy.jpg")
    with Gallery.create(tmp_path / "gallery") as opened:
        opened.index(photos)
        stacked = opened.search(files[0], k=42)
        folded = {m.id: m.stack for m in stacked if m.stack}
        names = {record.id: record.path.name for record in opened.images()}
        first = stacked[0]
        together = {names[first.id], *(names[i] for i in first.stack or ())}
        assert together >= {files[0].name, "again.png", "copy.jpg"}
        everything = [m.id for m in stacked] + [i for stack in folded.values() for i in stack]
        assert sorted(everything) == sorted(names)  # nothing is dropped, nothing comes twice
        alone = opened.search(files[0], k=42, stacks=False)
        assert len(alone) == 42
        assert all(m.stack is None for m in alone)


def test_the_command_line_steers_the_same_way(gallery: Gallery) -> None:
    cli = Cli(gallery.path)
    query, other, wrong = paths(gallery)[:3]
    answer = cli.json("search", query, "-k", 5, "--match", "object", "--like", f"{other}:2", "--unlike", wrong)
    expected = gallery.search(query, k=5, match="object", like=[(other, 2.0)], unlike=[wrong]).to_dict()
    assert answer["match"] == "object"
    assert answer["results"] == expected["results"]
    part = cli.json("search", query, "--box", "0.1,0.1,0.8,0.8", "--no-stacks")
    assert part["results"] == gallery.search(query, box=(0.1, 0.1, 0.8, 0.8), stacks=False).to_dict()["results"]
    assert b"not four numbers" in cli("search", query, "--box", "left", code=2).stderr
    assert b"nothing to be like" in cli("search", code=2).stderr
    assert b"'kinds' is not one of" in cli("search", query, "--match", "kinds", code=2).stderr
    assert b"weight" in cli("search", query, "--like", f"{other}:0", code=2).stderr


def test_vectors_of_examples_are_those_of_the_gallery(gallery: Gallery) -> None:
    ids, vectors = gallery.vectors()
    result = gallery.search(None, like=[ids[3]], k=1, match="plain")
    assert result.query_vector is not None
    assert np.dot(result.query_vector, vectors[3]) == pytest.approx(1.0, abs=1e-3)
    assert result[0].id == ids[3]


def test_a_page_knows_the_query_file_however_its_path_is_written(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = paths(gallery)[0]
    monkeypatch.chdir(query.parent)
    gallery.write_report([gallery.search(query.name, k=3)], tmp_path / "page.html")
    assert "the same file" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("match", "says"), [("kind", True), ("auto", False), ("plain", False)])
def test_who_asks_for_an_order_by_name_hears_why_it_is_not_there(
    tmp_path: Path, photos: Path, match: str, says: bool
) -> None:
    with Gallery.create(tmp_path / "small") as small:
        small.index(photos)
        result = small.search(sorted(photos.iterdir())[0], match=match)
        assert ("30 are needed" in result.why_plain) is says
        assert result.to_dict()["why_plain"] == result.why_plain

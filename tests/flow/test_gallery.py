"""The whole way, from Python: index, search, change, index again."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Gallery, Settings
from lookalike.errors import (
    EmptyGalleryError,
    FilterError,
    GalleryExistsError,
    GalleryLockedError,
    GalleryNotFoundError,
    ImageDecodeError,
    ImageNotFoundError,
    ImageReadError,
    SettingError,
    ShapeError,
    SpaceMismatchError,
    UnknownPluginError,
)

Album = Callable[..., list[Path]]
Picture = Callable[..., Path]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.create(tmp_path / "gallery", settings=Settings(precision="fp32")) as made:
        yield made


def counts(report: object) -> dict[str, int]:
    names = ("found", "added", "updated", "reused", "unchanged", "removed", "failed", "ignored")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_each_picture_finds_itself_first_and_then_its_kind(gallery: Gallery, photos: Path) -> None:
    assert counts(gallery.index(photos)) == {"found": 12, "added": 12}
    kinds_right = 0
    for path in sorted(photos.iterdir()):
        result = gallery.search(path, k=4)
        assert [match.rank for match in result] == [1, 2, 3, 4]
        assert result[0].path == path
        assert result[0].score == pytest.approx(1.0, abs=1e-3)
        assert all(a.score >= b.score for a, b in zip(result.matches, result.matches[1:], strict=False))
        kinds_right += sum(match.path.name.split("-")[0] == path.name.split("-")[0] for match in result.matches[1:])
    assert kinds_right >= 30  # of 36


def test_all_kinds_of_query_give_the_same_answer(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    path = sorted(photos.iterdir())[5]
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    queries = (path, str(path), path.read_bytes(), picture, np.asarray(picture))
    answers = [[(m.id, round(m.score, 3)) for m in gallery.search(query, k=5)] for query in queries]
    assert all(answer == answers[0] for answer in answers)


def test_an_unchanged_folder_is_not_opened(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    before = {path: path.stat().st_atime_ns for path in photos.iterdir()}
    for path in photos.iterdir():  # an access time in the past shows any reading
        os.utime(path, ns=(1, path.stat().st_mtime_ns))
    assert counts(gallery.index(photos)) == {"found": 12, "unchanged": 12}
    assert counts(gallery.index()) == {"found": 12, "unchanged": 12}
    assert {path.stat().st_atime_ns for path in photos.iterdir()} == {1}, before


def test_changes_on_disk_reach_the_results(gallery: Gallery, photos: Path, picture: Picture) -> None:
    gallery.index(photos)
    files = sorted(photos.iterdir())
    ids = {record.path: record.id for record in gallery.images()}
    gallery.label_images({ids[files[0]]: "disc"})
    moved = files[0].rename(photos / "renamed.jpg")
    files[1].unlink()
    shutil.copy(files[2], photos / "copy.jpg")
    picture(files[3], kind=6, seed=99)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (photos / "notes.txt").write_text("no picture either")
    report = gallery.index(photos)
    assert counts(report) == {
        "found": 13, "updated": 1, "reused": 2, "unchanged": 9, "removed": 1, "failed": 1, "ignored": 1
    }  # fmt: skip
    now = {record.path: record for record in gallery.images()}
    assert now[moved].id == ids[files[0]]
    assert now[moved].label == "disc"
    assert now[files[3]].id == ids[files[3]]
    assert now[photos / "copy.jpg"].content == now[files[2]].content
    found = [match.path for match in gallery.search(files[2], k=12, stacks=False)]
    assert found[:2] == [files[2], photos / "copy.jpg"]  # the very file first, then its copy
    assert files[1] not in found
    assert gallery.search(files[3], k=1)[0].path == files[3]
    (failure,) = gallery.failures()
    assert failure.path == photos / "broken.jpg"
    assert failure.stage == "decode"


def test_a_gallery_that_grew_equals_a_fresh_one(tmp_path: Path, album: Album) -> None:
    photos = tmp_path / "photos"
    album(photos / "first", kinds=3, each=4)
    with Gallery.create(tmp_path / "grown") as grown:
        grown.index(photos)
        album(photos / "second", kinds=7, each=4)
        (photos / "first").rename(photos / "third")
        grown.index(photos)
        grown.doctor(refit=True)
        with Gallery.create(tmp_path / "fresh") as fresh:
            fresh.index(photos)
            for gallery in (grown, fresh):
                assert len(gallery) == len(gallery.vectors()[0]) == 40
            one = {g.image(i).path: v for g in (grown,) for i, v in zip(*g.vectors(), strict=True)}
            two = {fresh.image(i).path: v for i, v in zip(*fresh.vectors(), strict=True)}
    assert set(one) == set(two)
    assert min(float(one[path] @ two[path]) for path in one) > 0.9999


def test_the_reducer_is_learned_and_learned_again_when_the_gallery_doubles(
    gallery: Gallery, photos: Path, album: Album
) -> None:
    gallery.index(photos)
    first = gallery.info()
    assert (first["fitted_on"], first["dim"]) == (12, 11)
    album(photos / "few", kinds=1, each=6, size_px=(200, 120))
    gallery.index(photos)
    assert gallery.info()["space"] == first["space"]
    album(photos / "more", kinds=4, each=5, size_px=(120, 220))
    gallery.index(photos)
    second = gallery.info()
    assert second["fitted_on"] == second["images"] == 38
    assert second["space"] != first["space"]
    ids, vectors = gallery.vectors()
    assert vectors.shape == (38, 37)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert len(set(ids)) == 38


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_galleries_search(tmp_path: Path, album: Album, count: int) -> None:
    paths = album(tmp_path / "photos", kinds=count, each=1)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(tmp_path / "photos")
        for path in paths:
            result = gallery.search(path)
            assert len(result) == count
            assert result[0].path == path
            assert result[0].score == pytest.approx(1.0, abs=1e-3)


def test_filters_hold_and_an_image_of_the_gallery_is_left_out_of_its_own_results(
    gallery: Gallery, photos: Path
) -> None:
    gallery.index(photos)
    target = next(gallery.images("name ~ disc*"))
    result = gallery.similar(target.id, k=20)
    assert len(result) == 11
    assert target.id not in {match.id for match in result}
    only = gallery.similar(target.id, k=20, where="name ~ disc*")
    assert len(only) == 3
    assert {match.path.name.split("-")[0] for match in only} == {"disc0"}
    assert [m.score for m in only] == [m.score for m in result if m.path.name.startswith("disc0")]
    assert len(gallery.search(target.path, where="name = nothing.jpg")) == 0
    high = gallery.search(target.path, k=20, min_score=0.5)
    assert all(match.score >= 0.5 for match in high)


def test_the_dial_changes_the_order_but_not_the_score(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    path = sorted(photos.iterdir())[0]
    plain = {m.id: m for m in gallery.search(path, k=12, power=0.0)}
    steered = gallery.search(path, k=12, power=1.0)
    assert all(m.score == pytest.approx(plain[m.id].score, abs=1e-6) for m in steered)
    assert any(abs(m.rank_score - m.score) > 1e-3 for m in steered)
    ranks = [m.rank_score for m in steered]
    assert ranks == sorted(ranks, reverse=True)


def test_bad_questions_are_refused_by_name(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    path = sorted(photos.iterdir())[0]
    with pytest.raises(EmptyGalleryError, match="holds no images"):
        gallery.search(path)
    gallery.index(photos)
    with pytest.raises(SettingError, match="k is 0"):
        gallery.search(path, k=0)
    with pytest.raises(SettingError, match="power is 2"):
        gallery.search(path, power=2.0)
    with pytest.raises(FilterError, match="'widht'"):
        gallery.search(path, where="widht > 3")
    with pytest.raises(ImageReadError, match=r"nowhere\.jpg"):
        gallery.search(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageDecodeError):
        gallery.search(b"this is no picture")
    with pytest.raises(ShapeError, match=r"\(h, w, 3\)"):
        gallery.search(np.zeros((4, 4), np.uint8))
    with pytest.raises(SettingError, match="cannot search with a int"):
        gallery.search(3)
    for unknown in ("no-id", "0" * 16, "f" * 16):
        with pytest.raises(ImageNotFoundError, match=unknown):
            gallery.similar(unknown)
    with pytest.raises(SettingError, match="is not there"):
        gallery.index(tmp_path / "nowhere")
    assert len(gallery) == 12


def test_creating_and_opening(tmp_path: Path) -> None:
    with pytest.raises(GalleryNotFoundError, match="no gallery"):
        Gallery.open(tmp_path / "gallery")
    with pytest.raises(UnknownPluginError, match="efficientnet"):
        Gallery.create(tmp_path / "gallery", model="efficientnet-lite9")
    assert not (tmp_path / "gallery").exists()
    Gallery.create(tmp_path / "gallery").close()
    with pytest.raises(GalleryExistsError):
        Gallery.create(tmp_path / "gallery")
    with Gallery.open(tmp_path / "gallery", create=True) as gallery:
        assert len(gallery) == 0
        with pytest.raises(SettingError, match="no folder was given"):
            gallery.index()


def test_a_photo_folder_does_not_become_a_gallery(photos: Path) -> None:
    before = sorted(photos.iterdir())
    with pytest.raises(SettingError, match="photo folders are never written to"):
        Gallery.create(photos)
    assert sorted(photos.iterdir()) == before


def test_a_gallery_of_another_network_is_not_mixed(gallery: Gallery) -> None:
    with gallery._parts.catalogue.write() as db:
        db.execute(
            "UPDATE meta SET value = replace(value, '\"pooling\": \"', '\"pooling\": \"other-') WHERE name = 'model'"
        )
    with pytest.raises(SpaceMismatchError, match="cannot be compared"):
        Gallery.open(gallery.path, model="efficientnet-lite0")


def test_one_writer_at_a_time_and_the_second_is_told_who(gallery: Gallery, photos: Path) -> None:
    with Gallery.open(gallery.path) as second:
        inside, leave = threading.Event(), threading.Event()

        def progress(stage: str, done: int, total: int | None) -> None:
            inside.set()
            leave.wait(30)

        first = threading.Thread(target=lambda: gallery.index(photos, progress=progress))
        first.start()
        assert inside.wait(30)
        with pytest.raises(GalleryLockedError, match=f"'index' of process {os.getpid()}"):
            second.index(photos)
        leave.set()
        first.join()
        assert counts(second.index(photos)) == {"found": 12, "unchanged": 12}


def test_searching_and_labelling_work_while_indexing_runs(
    tmp_path: Path, gallery: Gallery, photos: Path, album: Album
) -> None:
    gallery.index(photos)
    album(photos / "more", kinds=4, each=4, size_px=(100, 160))
    query, seen = sorted(p for p in photos.iterdir() if p.is_file())[0], []
    with Gallery.open(gallery.path) as reader:
        target = next(reader.images()).id

        def progress(stage: str, done: int, total: int | None) -> None:
            if stage == "embed images":
                seen.append(reader.search(query, k=1)[0].path)
                reader.label_images({target: f"label {done}"})

        gallery.index(photos, progress=progress)
        assert seen
        assert set(seen) == {query}
        assert reader.image(target).label is not None
        assert len(reader.search(query, k=100)) == 28


def test_a_search_before_the_first_fit_uses_what_is_there(gallery: Gallery, photos: Path) -> None:
    query, answers = sorted(photos.iterdir())[0], []
    with Gallery.open(gallery.path) as reader:

        def progress(stage: str, done: int, total: int | None) -> None:
            if stage == "embed images" and done == total:
                assert reader.info()["fitted_on"] is None
                answers.append([match.path for match in reader.search(query, k=3)])

        gallery.index(photos, progress=progress)
    assert len(answers) == 1
    assert answers[0][0] == query


def test_roots_that_overlap_become_one(gallery: Gallery, tmp_path: Path, album: Album) -> None:
    album(tmp_path / "all/one", kinds=1, each=2)
    album(tmp_path / "all/two", kinds=2, each=2, size_px=(90, 90))
    gallery.index(tmp_path / "all/one")
    gallery.index(tmp_path / "all/two", tmp_path / "all/one")
    ids = {record.id for record in gallery.images()}
    assert counts(gallery.index(tmp_path / "all", tmp_path / "all/two")) == {"found": 6, "unchanged": 6}
    assert {record.id for record in gallery.images()} == ids
    assert [root["folder"] for root in gallery.info()["roots"]] == [str(tmp_path / "all")]
    assert counts(gallery.index(tmp_path / "all/one/disc0-00.jpg")) == {"found": 1, "unchanged": 1}
    assert len(gallery) == 6


def test_excludes_are_remembered_with_the_folder(gallery: Gallery, photos: Path) -> None:
    assert gallery.index(photos, excludes=["disc*"]).found == 8
    assert gallery.index(photos).found == 8
    assert gallery.index(photos, excludes=[]).found == 12


def test_a_folder_that_moved_is_told_to_the_doctor(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    gallery.index(photos)
    ids = {record.id for record in gallery.images()}
    new = photos.rename(tmp_path / "elsewhere")
    report = gallery.doctor()
    assert not report["ok"]
    assert report["absent_folders"] == [str(photos)]
    assert len(report["missing"]) == 12
    with pytest.raises(SettingError, match="is not there"):
        gallery.index()
    assert len(gallery) == 12
    assert gallery.doctor(move_root=("photos", str(new)))["ok"]
    assert counts(gallery.index()) == {"found": 12, "unchanged": 12}
    assert {record.id for record in gallery.images()} == ids


def test_the_doctor_finds_what_is_wrong_and_deleted_caches_come_back(gallery: Gallery, photos: Path) -> None:
    gallery.index(photos)
    files = sorted(photos.iterdir())
    assert gallery.doctor()["ok"]
    expected = [match.id for match in gallery.search(files[0])]
    files[1].unlink()
    files[2].write_bytes(files[2].read_bytes() + b"longer")
    report = gallery.doctor()
    assert (report["missing"], report["changed"]) == ([str(files[1])], [str(files[2])])
    shutil.rmtree(gallery.path / "cache")
    with Gallery.open(gallery.path) as again:
        assert [match.id for match in again.search(files[0])] == expected
        assert again.doctor(repair=True)["repaired"]


def test_nothing_is_written_to_the_photos(gallery: Gallery, photos: Path) -> None:
    before = [(p, p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(photos.parent.glob("photos/**/*"))]
    gallery.index(photos)
    gallery.search(before[0][0])
    gallery.doctor(repair=True)
    assert [(p, p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(photos.parent.glob("photos/**/*"))] == before


def test_results_show_themselves_in_notebooks(gallery: Gallery, photos: Path, picture: Picture) -> None:
    picture(photos / "<script>alert(1).jpg", kind=5, seed=7)
    gallery.index(photos)
    page = gallery.search(sorted(photos.iterdir())[0], k=20)._repr_html_()
    assert page.count("data:image/jpeg;base64,/9j/") == 13
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_labels_from_a_file_reach_images_by_any_path(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    gallery.index(photos)
    files = sorted(photos.iterdir())
    table = tmp_path / "labels.csv"
    rows = (
        f"{files[0]},absolute",
        f"{files[1].name},from root",
        f"photos/{files[2].name},from file",
        "nowhere.jpg,lost",
    )
    table.write_text("\n".join(("path,label", *rows)) + "\n")
    outcome = gallery.import_labels(table, by="me")
    assert (outcome["labelled"], outcome["unknown"]) == (3, ["nowhere.jpg"])
    assert gallery.label_counts() == {"absolute": 1, "from file": 1, "from root": 1}
    assert next(gallery.images("label = 'from root'")).path == files[1]
    gallery.undo_labels()
    assert gallery.label_counts() == {}
    table.write_text("file,label\nx,y\n")
    with pytest.raises(SettingError, match="no column path"):
        gallery.import_labels(table)

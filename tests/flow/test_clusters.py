"""Sorting a gallery: clusters that are right, stay put, and can be changed; labels with a known error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike import Gallery
from lookalike.errors import GalleryError, SettingError
from tests.flow.conftest import Cli

KINDS, EACH = 4, 8


@pytest.fixture
def photos(tmp_path: Path, album: Callable[..., list[Path]]) -> Path:
    album(tmp_path / "photos", kinds=KINDS, each=EACH)
    return tmp_path / "photos"


@pytest.fixture
def gallery(tmp_path: Path, photos: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery", create=True) as opened:
        opened.index(photos)
        yield opened


def kind(path: Path) -> str:
    return path.name.split("-")[0]


def kinds_of(gallery: Gallery, cluster: int) -> list[str]:
    return sorted(kind(record.path) for record in gallery.images(f"cluster = {cluster}"))


def cluster_of(gallery: Gallery, path: Path) -> int | None:
    for view in gallery.clusters().clusters:
        if any(record.path == path for record in gallery.images(f"cluster = {view.id}")):
            return view.id
    return None


def test_the_kinds_of_an_album_become_clusters_without_being_told_how_many(gallery: Gallery) -> None:
    found = gallery.cluster()
    assert found.automatic == len(found.clusters) == KINDS
    assert found.n_unassigned == 0
    assert found.n_images == KINDS * EACH
    for view in found.clusters:
        assert view.size == EACH
        assert len(set(kinds_of(gallery, view.id))) == 1
        assert view.label is None
        assert 0.3 < view.cohesion <= 1
        assert len({image.id for image in view.exemplars}) == len(view.exemplars) == 6
        assert len(view.similar) == 3
        assert view.id not in [other for other, _ in view.similar]
    assert [view.id for view in found.clusters] == sorted(view.id for view in found.clusters)
    assert gallery.clusters() == found


def test_sorting_twice_gives_the_same_clusters_and_ids(gallery: Gallery) -> None:
    first = gallery.cluster()
    again = gallery.cluster(again=True)
    assert [(v.id, v.size) for v in again.clusters] == [(v.id, v.size) for v in first.clusters]
    assert again.run > first.run


def test_the_dial_of_granularity_cuts_and_keeps_ids_where_clusters_go_on(gallery: Gallery) -> None:
    auto = gallery.cluster()
    coarse = gallery.cluster(2)
    assert len(coarse.clusters) == 2
    assert coarse.asked == 2
    assert coarse.automatic == KINDS
    assert {v.id for v in coarse.clusters} <= {v.id for v in auto.clusters}
    fine = gallery.cluster(8)
    assert sum(view.size for view in fine.clusters) + fine.n_unassigned == KINDS * EACH
    assert len(fine.clusters) + fine.n_unassigned == 8  # whoever is alone is no cluster
    back = gallery.cluster()
    assert sorted(v.size for v in back.clusters) == [EACH] * KINDS
    assert back.run == auto.run


def test_a_split_and_a_merge_take_each_other_back(gallery: Gallery) -> None:
    gallery.cluster()
    before = {view.id: kinds_of(gallery, view.id) for view in gallery.clusters().clusters}
    one, other = list(before)[:2]
    merged = gallery.merge_clusters(one, other)
    assert merged == min(one, other)
    assert kinds_of(gallery, merged) == sorted(before[one] + before[other])
    assert len(gallery.clusters().clusters) == KINDS - 1
    parts = gallery.split_cluster(merged)
    assert parts[0] == merged
    assert sorted(kinds_of(gallery, part) for part in parts) == sorted([before[one], before[other]])
    first, second = gallery.split_cluster(parts[0])
    sizes = {view.id: view.size for view in gallery.clusters().clusters}
    assert sizes[first] >= sizes[second] >= 1
    assert sizes[first] + sizes[second] == EACH


def test_what_cannot_be_split_or_merged_is_said(gallery: Gallery) -> None:
    with pytest.raises(GalleryError, match="not sorted"):
        gallery.clusters()
    gallery.cluster()
    number = gallery.clusters().clusters[0].id
    with pytest.raises(SettingError, match="there is no cluster 999"):
        gallery.split_cluster(999)
    with pytest.raises(SettingError, match="two different"):
        gallery.merge_clusters(number, number)
    with pytest.raises(SettingError, match="granularity 0"):
        gallery.cluster(0)
    while len(kinds_of(gallery, number)) > 1:
        gallery.split_cluster(number)
    with pytest.raises(SettingError, match="single image"):
        gallery.split_cluster(number)


def test_new_images_join_their_kind_strangers_wait_and_nobody_else_moves(
    gallery: Gallery, photos: Path, picture: Callable[..., Path]
) -> None:
    gallery.cluster()
    before = {record.path: cluster_of(gallery, record.path) for record in gallery.images()}
    known = [picture(photos / f"disc0-{n}.jpg", kind=0, seed=n) for n in range(100, 106)]
    strange = [picture(photos / f"strange-{n}.jpg", kind=7, seed=n) for n in range(3)]
    gallery.index(photos)
    after = {record.path: cluster_of(gallery, record.path) for record in gallery.images()}
    assert {path: after[path] for path in before} == before
    home = before[photos / "disc0-00.jpg"]
    joined = [after[path] for path in known]
    assert set(joined) <= {home, None}
    assert joined.count(home) >= 3
    assert [after[path] for path in strange] == [None] * 3
    assert {record.path for record in gallery.unassigned()} >= set(strange)
    again = gallery.cluster(again=True)
    assert {after[path] for path in before} <= {view.id for view in again.clusters}
    assert again.n_unassigned == 0


def test_clusters_survive_a_new_space_moves_and_files_that_come_back(gallery: Gallery, photos: Path) -> None:
    gallery.cluster()
    before = {view.id: view.size for view in gallery.clusters().clusters}
    home = cluster_of(gallery, photos / "disc0-00.jpg")
    (photos / "moved").mkdir()
    (photos / "disc0-00.jpg").rename(photos / "moved" / "other.jpg")
    gone = photos / "disc0-01.jpg"
    data = gone.read_bytes()
    gone.unlink()
    gallery.index(photos)
    gallery.doctor(refit=True)
    assert cluster_of(gallery, photos / "moved" / "other.jpg") == home
    assert {v.id: v.size for v in gallery.clusters().clusters} == {**before, home: before[home] - 1}
    gone.write_bytes(data)
    gallery.index(photos)
    assert {v.id: v.size for v in gallery.clusters().clusters} == before


def test_a_few_images_are_too_few(tmp_path: Path, picture: Callable[..., Path]) -> None:
    for seed in range(3):
        picture(tmp_path / "few" / f"{seed}.jpg", seed=seed)
    with Gallery.open(tmp_path / "small", create=True) as opened:
        opened.index(tmp_path / "few")
        with pytest.raises(GalleryError, match="3 different images: too few"):
            opened.cluster()


# -- labelling -----------------------------------------------------------------------------------------------------


def test_a_cluster_is_labelled_with_a_bound_and_the_wrong_ones_are_left_out(gallery: Gallery) -> None:
    gallery.cluster()
    number = gallery.clusters().clusters[0].id
    detail = gallery.cluster_detail(number, sample=5, seed=3)
    assert [i.id for i in detail.sample] == [i.id for i in gallery.cluster_detail(number, sample=8, seed=3).sample[:5]]
    assert [i.id for i in detail.sample] != [i.id for i in gallery.cluster_detail(number, sample=5, seed=4).sample]
    wrong = detail.sample[2].id
    report = gallery.label_cluster(number, " bolt ", inspected=5, wrong=[wrong], seed=3, by="Ada")
    assert report.labelled == EACH - 1
    assert report.label == "bolt"
    assert 0 < report.bound < 1
    assert report.more_looks == 3  # in so small a cluster only looking at all of it is enough
    assert gallery.image(wrong).label is None
    assert gallery.image(wrong) in gallery.unassigned()
    view = next(v for v in gallery.clusters().clusters if v.id == number)
    assert (view.label, view.labelled, view.size) == ("bolt", EACH - 1, EACH - 1)
    event = gallery.label_events()[0]
    assert (event.by, event.source) == ("Ada", "cluster")
    assert event.facts["cluster"] == number
    assert event.facts["inspected"] == 5
    assert event.facts["wrong_at"] == [2]
    assert event.facts["run"] == gallery.clusters().run
    assert gallery.undo_labels() == (report.batch, EACH - 1)
    assert gallery.label_counts() == {}


def test_a_mixed_cluster_is_not_labelled_unless_forced(gallery: Gallery) -> None:
    gallery.cluster(2)
    view = gallery.clusters().clusters[0]
    sample = gallery.cluster_detail(view.id, sample=10).sample
    wrong = [image.id for image in sample if kind(image.path) != kind(sample[0].path)]
    assert len(wrong) > 2
    failed = gallery.label_cluster(view.id, "bolt", inspected=10, wrong=wrong)
    assert failed.failed
    assert failed.batch is None
    assert gallery.label_counts() == {}
    forced = gallery.label_cluster(view.id, "bolt", inspected=10, wrong=wrong, force=True)
    assert forced.labelled == view.size - len(wrong)


def test_a_wrong_one_must_have_been_inspected(gallery: Gallery) -> None:
    gallery.cluster()
    number = gallery.clusters().clusters[0].id
    last = gallery.cluster_detail(number, sample=EACH).sample[-1].id
    with pytest.raises(SettingError, match="not among the first 3"):
        gallery.label_cluster(number, "bolt", inspected=3, wrong=[last])
    with pytest.raises(SettingError, match="9 inspected of 8"):
        gallery.label_cluster(number, "bolt", inspected=9)
    with pytest.raises(SettingError, match="empty"):
        gallery.label_cluster(number, "  ", inspected=3)
    assert gallery.label_events() == []


def test_labels_belong_to_images_and_survive_sorting_anew(gallery: Gallery) -> None:
    gallery.cluster()
    view = gallery.clusters().clusters[0]
    gallery.label_cluster(view.id, "bolt", inspected=0)
    coarse = gallery.cluster(1)
    assert (coarse.clusters[0].label, coarse.clusters[0].labelled) == (None, EACH)
    back = gallery.cluster(again=True)
    assert [v.labelled for v in back.clusters if v.label == "bolt"] == [EACH]


def test_one_bound_for_all_labels_grows_sharper_with_every_check(gallery: Gallery) -> None:
    assert gallery.label_error().bound is None
    gallery.cluster()
    views = gallery.clusters().clusters
    for view in views:
        gallery.label_cluster(view.id, f"kind {view.id}", inspected=2)
    first = gallery.label_error(target=0.1)
    assert (first.clusters, first.images, first.looks, first.wrong) == (KINDS, KINDS * EACH, 2 * KINDS, 0)
    assert first.bound > 0.1
    assert len(first.sample) > 0
    assert len({image.id for image in first.sample}) == len(first.sample)
    wrong = first.sample[0].id
    second = gallery.check_labels(len(first.sample), [wrong], target=0.1, by="Ada")
    assert gallery.image(wrong).label is None
    assert second.images == KINDS * EACH - 1
    assert second.wrong == 1
    assert second.looks == 2 * KINDS + len(first.sample)
    assert second.sample
    third = gallery.check_labels(len(second.sample), target=0.1)
    assert third.bound <= 0.1
    assert third.sample == ()
    # Taking the check back brings the label back, and what it taught is gone.
    gallery.undo_labels()
    gallery.undo_labels()
    assert gallery.label_error(target=0.1) == first


def test_images_that_were_labelled_anew_no_longer_count(gallery: Gallery) -> None:
    gallery.cluster()
    view = gallery.clusters().clusters[0]
    gallery.label_cluster(view.id, "bolt", inspected=4)
    ids = [image.id for image in gallery.cluster_detail(view.id, sample=EACH).sample]
    gallery.label_images({ids[0]: "nut", ids[5]: "nut"})
    report = gallery.label_error()
    assert (report.images, report.looks) == (EACH - 2, 3)
    with pytest.raises(SettingError, match="inspected of a sample"):
        gallery.check_labels(100)
    with pytest.raises(SettingError, match="not inspected"):
        gallery.check_labels(1, [report.sample[-1].id])


def test_copies_get_a_label_on_request_and_changes_are_flagged(
    gallery: Gallery, photos: Path, picture: Callable[..., Path]
) -> None:
    first = photos / "disc0-00.jpg"
    (photos / "copy.jpg").write_bytes(first.read_bytes())
    gallery.index(photos)
    id_of = {record.path: record.id for record in gallery.images()}
    gallery.label_images({id_of[first]: "disc"})
    assert gallery.label_counts() == {"disc": 1}
    gallery.label_images({id_of[first]: "disc"}, copies=True)
    assert gallery.label_counts() == {"disc": 2}
    picture(first, kind=5, seed=9)
    gallery.index(photos)
    assert [record.path for record in gallery.images("changed = yes")] == [first]
    assert gallery.image(id_of[first]).label == "disc"
    gallery.label_images({id_of[first]: "dots"})
    assert list(gallery.images("changed = yes")) == []


def test_an_export_states_the_bound_of_its_labels_from_clusters(gallery: Gallery, tmp_path: Path) -> None:
    gallery.cluster()
    one, other = gallery.clusters().clusters[:2]
    gallery.label_cluster(one.id, "bolt", inspected=EACH)
    assert gallery.export(tmp_path / "sure.csv").error_bound == 0
    gallery.label_cluster(other.id, "nut", inspected=4)
    report = gallery.export(tmp_path / "both.csv")
    assert report.error_bound == pytest.approx(gallery.label_error().bound)
    # All wrong ones may be in the part that is exported.
    half = gallery.export(tmp_path / "half.csv", where="label = nut")
    assert half.error_bound == pytest.approx(min(1, 2 * report.error_bound))
    assert "at 95 % confidence" in report.card.read_text()
    assert gallery.export(tmp_path / "none.csv", where="label = none").error_bound is None


def test_the_map_is_coloured_by_cluster_where_there_are_no_labels(gallery: Gallery, tmp_path: Path) -> None:
    gallery.cluster()
    gallery.map(html=tmp_path / "map.html", method="pca")
    page = (tmp_path / "map.html").read_text()
    for view in gallery.clusters().clusters:
        assert f"cluster {view.id}" in page


# -- the command line ----------------------------------------------------------------------------------------------


def test_the_command_line_says_the_same_as_python(cli: Cli, photos: Path, tmp_path: Path) -> None:
    cli("index", photos)
    made = cli.json("cluster")
    assert made["n_clusters"] == KINDS == len(made["clusters"])
    assert set(made["clusters"][0]) >= {"id", "size", "label", "exemplars", "cohesion", "similar"}
    assert cli.json("cluster") == made
    with Gallery.open(cli.gallery) as gallery:
        assert gallery.clusters().to_dict() == made
    number = made["clusters"][0]["id"]
    shown = cli.json("cluster", "show", number, "--sample", 4, "--seed", 2)
    assert len(shown["sample"]) == 4
    assert shown["looks_needed"] == EACH
    refused = cli("label", number, "bolt", code=2)
    assert b"was not inspected" in refused.stderr
    wrong = shown["sample"][1]["id"]
    done = cli.json("label", number, "bolt", "--inspected", 4, "--wrong-ids", wrong, "--seed", 2, "--force")
    assert done["labelled"] == EACH - 1
    assert done["wrong"] == [wrong]
    listed = cli.json("labels", "list")
    assert listed["labels"] == {"bolt": EACH - 1}
    check = cli.json("labels", "check")
    assert check["images"] == EACH - 1
    assert 0 < check["bound"] <= 1
    cli.json("labels", "check", "--inspected", len(check["sample"]))
    assert cli.json("labels", "check")["bound"] < check["bound"]
    assert cli.json("labels", "set", "nut", wrong, "--by", "Ada")["labelled"] == 1
    assert cli.json("labels", "list")["labels"] == {"bolt": EACH - 1, "nut": 1}
    assert cli.json("labels", "set", "", wrong)["labelled"] == 1
    assert cli.json("labels", "list")["labels"] == {"bolt": EACH - 1}
    cli("labels", "set", "nut", "no-such-id", code=1)
    out = cli.json("cluster", "--unassigned")
    assert len(out["unassigned"]) == 1
    parts = cli.json("cluster", "split", number)["clusters"]
    assert sum(part["size"] for part in parts) == EACH - 1
    merged = cli.json("cluster", "merge", parts[0]["id"], parts[1]["id"])
    assert merged == {"id": number, "size": EACH - 1}
    cli.json("cluster", "--granularity", 2)
    cli("cluster", "--granularity", "many", code=2)
    cli("cluster", "split", 999, code=2)


def test_contact_sheets_are_written_and_mixed_clusters_fail(cli: Cli, photos: Path, tmp_path: Path) -> None:
    cli("index", photos)
    html, png = tmp_path / "all.html", tmp_path / "all.png"
    cli("cluster", "--granularity", 2, "--html", html, "--png", png)
    assert html.read_text().count("<section") == 2
    assert png.read_bytes().startswith(b"\x89PNG")
    number = cli.json("cluster")["clusters"][0]["id"]
    one = tmp_path / "one.html"
    shown = cli.json("cluster", "show", number, "--sample", 6, "--html", one)
    for image in shown["sample"]:
        assert image["id"] in one.read_text()
    wrong = [i["id"] for i in shown["sample"] if kind(Path(i["path"])) != kind(Path(shown["sample"][0]["path"]))]
    assert wrong
    failed = cli("label", number, "bolt", "--inspected", 6, "--wrong-ids", ",".join(wrong), code=1)
    assert f"cluster split {number}".encode() in failed.stderr
    missing = tmp_path / "no" / "such" / "folder.html"
    assert b"cannot write" in cli("cluster", "--html", missing, code=1).stderr

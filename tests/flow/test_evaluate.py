"""How good a gallery is: by labels, by a table of queries, by edited copies; from Python and the command line."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lookalike import Gallery, Settings
from lookalike.edits import EDITS
from lookalike.errors import EmptyGalleryError, ImageNotFoundError, SettingError

Album = Callable[..., list[Path]]
KINDS, EACH = 8, 5
Rows = list[tuple[str, ...]]


def write(file: Path, columns: tuple[str, ...], rows: Rows) -> Path:
    with file.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([columns, *rows])
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, album: Album) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    album(folder, kinds=KINDS, each=EACH)
    return folder


@pytest.fixture(scope="module")
def gallery(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    path = tmp_path_factory.mktemp("galleries") / "gallery"
    with Gallery.create(path, settings=Settings(precision="fp32")) as made:
        made.index(folder)
        yield made


@pytest.fixture(scope="module")
def another(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """A second gallery of the same folder, which tests may label."""
    path = tmp_path_factory.mktemp("galleries") / "another"
    with Gallery.create(path, settings=Settings(precision="fp32")) as made:
        made.index(folder)
        yield made


@pytest.fixture(scope="module")
def labels(folder: Path) -> Rows:
    return [(path.name, path.name.split("-")[0]) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def by_label(gallery: Gallery, labels: Rows, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = write(tmp_path_factory.mktemp("labels") / "labels.csv", ("path", "label"), labels)
    return gallery.evaluate(file).to_dict()


@pytest.fixture(scope="module")
def by_edit(gallery: Gallery) -> dict[str, Any]:
    return gallery.evaluate(sample=6, seed=3).to_dict()


# -- labels -------------------------------------------------------------------------------------------------------


def test_labels_are_measured_leave_one_out(by_label: dict[str, Any]) -> None:
    assert by_label["protocol"] == "leave-one-out"
    assert (by_label["n_images"], by_label["n_queries"], by_label["n_left_out"]) == (KINDS * EACH, KINDS * EACH, 0)
    assert by_label["metrics"] == by_label["by_match"][by_label["match"]]
    assert {"map", "macro_map", "precision_at_10", "recall_at_1", "recall_at_5"} <= set(by_label["metrics"])
    assert all(0 <= value <= 1 for value in by_label["metrics"].values())
    assert by_label["metrics"]["recall_at_1"] > 0.8
    assert by_label["metrics"]["precision_at_10"] <= (EACH - 1) / 10
    assert by_label["exact"] is True
    assert by_label["agreement_at_10"] == 1.0


def test_every_order_is_measured_and_the_default_comes_first(by_label: dict[str, Any]) -> None:
    assert list(by_label["by_match"]) == ["auto", "kind", "object", "plain"]
    assert by_label["match"] == "auto"


def test_plain_map_is_what_scikit_learn_makes_of_the_vectors(gallery: Gallery, by_label: dict[str, Any]) -> None:
    ids, vectors = gallery.vectors()
    kinds = np.array([gallery.image(image_id).path.name.split("-")[0] for image_id in ids])
    scores, others = vectors @ vectors.T, ~np.eye(len(ids), dtype=bool)
    each = [average_precision_score(kinds[o] == kinds[i], scores[i, o]) for i, o in enumerate(others)]
    assert by_label["by_match"]["plain"]["map"] == pytest.approx(np.mean(each), abs=1e-4)
    assert by_label["by_dimension"][str(vectors.shape[1])] == by_label["by_match"]["plain"]


def test_no_reduction_is_measured_beside_the_vectors(by_label: dict[str, Any]) -> None:
    assert list(by_label["by_dimension"]) == [str(KINDS * EACH - 1), "1280"]
    # All directions in which n images differ fit into n - 1 dimensions: nothing may be lost.
    assert by_label["by_dimension"]["1280"]["map"] == pytest.approx(by_label["by_dimension"]["39"]["map"], abs=2e-3)


def test_a_search_through_an_index_is_compared_with_exact_search(another: Gallery) -> None:
    with Gallery.open(another.path, settings=Settings(precision="fp32", exact_limit=10)) as indexed:
        report = indexed.evaluate({r.id: r.path.name.split("-")[0] for r in indexed.images()}, match="plain")
    assert not report.exact
    assert 0.5 < report.agreement_at_10 <= 1.0


@pytest.mark.parametrize("match", ["auto", "kind", "object", "plain"])
def test_the_order_is_that_of_the_search(match: str, gallery: Gallery, labels: Rows) -> None:
    label_of = dict(labels)
    precisions, hits = [], []
    for record in gallery.images():
        found = [label_of[m.path.name] for m in gallery.similar(record.id, k=10, match=match, stacks=False)]
        right = [label == label_of[record.path.name] for label in found]
        precisions.append(sum(right) / 10)
        hits.append(right[0])
    metrics = gallery.evaluate({r.id: label_of[r.path.name] for r in gallery.images()}, match=match).metrics
    assert metrics["precision_at_10"] == pytest.approx(np.mean(precisions), abs=1e-4)
    assert metrics["recall_at_1"] == pytest.approx(np.mean(hits), abs=1e-4)


def test_images_without_a_label_do_not_count_and_lonely_labels_are_left_out(
    gallery: Gallery, labels: Rows, tmp_path: Path
) -> None:
    some = [*labels[:EACH], labels[EACH]]  # one whole kind and one image of another
    file = write(tmp_path / "some.csv", ("path", "label"), [*some, ("gone.jpg", "disc0")])
    report = gallery.evaluate(file, match="plain")
    assert (report.n_queries, report.n_left_out, report.unknown) == (EACH, 1, ("gone.jpg",))
    assert report.metrics["precision_at_10"] == (EACH - 1) / 10  # five others count, four of them are right


def test_a_sample_is_seeded(gallery: Gallery, labels: Rows, tmp_path: Path) -> None:
    hard = [(name, name.split("-")[1]) for name, _ in labels]  # which individual, that is by chance
    file = write(tmp_path / "labels.csv", ("path", "label"), hard)
    once, again, other = (gallery.evaluate(file, match="plain", sample=9, seed=seed) for seed in (1, 1, 2))
    assert once.n_queries == 9
    assert once.metrics == again.metrics != other.metrics


def test_the_labels_of_the_gallery_are_used_where_none_are_given(another: Gallery) -> None:
    another.label_images({r.id: r.path.name.split("-")[0] for r in another.images()})
    report = another.evaluate(match="plain")
    assert (report.protocol, report.n_queries) == ("leave-one-out", KINDS * EACH)


# -- queries ------------------------------------------------------------------------------------------------------


def test_queries_of_the_gallery_do_not_count_as_its_database(gallery: Gallery, labels: Rows, tmp_path: Path) -> None:
    names = [name for name, _ in labels]
    queries, database = names[::EACH], [name for i, name in enumerate(names) if i % EACH]
    right = {q: [name for name in database if name.split("-")[0] == q.split("-")[0]] for q in queries}
    file = write(tmp_path / "queries.csv", ("query", "relevant"), [(q, ";".join(r)) for q, r in right.items()])
    report = gallery.evaluate(queries=file, match="plain")
    assert (report.protocol, report.n_queries) == ("queries", KINDS)
    ids, vectors = gallery.vectors()
    place = {gallery.image(image_id).path.name: i for i, image_id in enumerate(ids)}
    rows = [place[name] for name in database]
    each = [
        average_precision_score([name in right[q] for name in database], vectors[rows] @ vectors[place[q]])
        for q in queries
    ]
    assert report.metrics["map"] == pytest.approx(np.mean(each), abs=1e-4)


def test_queries_from_outside_are_read_from_their_files(
    gallery: Gallery, folder: Path, labels: Rows, album: Album, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    fresh = album(outside, kinds=KINDS, each=EACH + 1)[EACH :: EACH + 1]  # one more individual of each kind
    kind_of = {path: path.name.split("-")[0] for path in fresh}
    rows = [(f"outside/{p.name}", ";".join(n for n, k in labels if k == kind)) for p, kind in kind_of.items()]
    (outside / "broken.jpg").write_bytes(b"no picture")
    rows += [("outside/broken.jpg", labels[0][0]), ("outside/missing.jpg", labels[0][0])]
    report = gallery.evaluate(queries=write(tmp_path / "queries.csv", ("query", "relevant"), rows), match="plain")
    assert (report.n_queries, report.n_left_out) == (KINDS, 2)
    assert report.unreadable == ("outside/broken.jpg", "outside/missing.jpg")
    hits = [gallery.search(p, k=1, match="plain")[0].path.name.split("-")[0] == k for p, k in kind_of.items()]
    assert report.metrics["recall_at_1"] == pytest.approx(np.mean(hits), abs=1e-4)
    assert np.mean(hits) > 0.8


def test_a_copy_of_a_query_is_no_merit_and_no_fault(
    gallery: Gallery, folder: Path, labels: Rows, tmp_path: Path
) -> None:
    shutil.copy(folder / labels[0][0], tmp_path / "copy.jpg")
    rest = ";".join(name for name, _ in labels[1:EACH])
    inside, outside = (
        gallery.evaluate(queries=write(tmp_path / "q.csv", ("query", "relevant"), [(name, rest)]), match="plain")
        for name in (labels[0][0], str(tmp_path / "copy.jpg"))
    )
    assert outside.metrics == inside.metrics


# -- edited copies ------------------------------------------------------------------------------------------------


def test_edited_copies_find_their_originals(by_edit: dict[str, Any]) -> None:
    assert by_edit["protocol"] == "known-item"
    assert list(by_edit["by_edit"]) == list(EDITS)
    assert by_edit["n_queries"] == 6 * len(EDITS)
    rows = by_edit["by_edit"]
    assert rows["jpeg 75"]["recall_at_1"] == 1.0
    assert rows["jpeg 75"]["median_score"] > rows["jpeg 10"]["median_score"]
    assert rows["crop 90%"]["median_score"] > rows["crop 50%"]["median_score"]
    for metric in ("recall_at_1", "recall_at_10", "mean_reciprocal_rank"):
        assert by_edit["metrics"][metric] == pytest.approx(np.mean([r[metric] for r in rows.values()]), abs=1e-3)


def test_the_same_seed_edits_alike_in_another_gallery(another: Gallery, by_edit: dict[str, Any]) -> None:
    other = another.evaluate(edits=True, sample=6, seed=3, match="plain").to_dict()
    scores = {edit: row["median_score"] for edit, row in other["by_edit"].items()}
    assert scores == pytest.approx({edit: row["median_score"] for edit, row in by_edit["by_edit"].items()}, abs=2e-3)


def test_files_that_changed_or_went_are_passed_over(album: Album, tmp_path: Path) -> None:
    paths = album(tmp_path / "photos", kinds=1, each=4)
    with Gallery.create(tmp_path / "gallery") as made:
        made.index(tmp_path / "photos")
        paths[0].unlink()
        shutil.copy(paths[2], paths[1])
        report = made.evaluate(sample=4)
        assert set(report.unreadable) == {str(paths[0]), str(paths[1])}
        assert (report.n_queries, report.n_left_out) == (2 * len(EDITS), 2)
        for path in paths[1:]:
            path.unlink()
        with pytest.raises(SettingError, match="none of 4 images can be read"):
            made.evaluate()


# -- what cannot be used ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column"),
        ("path,kind\na.jpg,b\n", "no column label"),
        ("path,label\n", "not a single label"),
        ("path,label\nnowhere.jpg,a\n", "none of the 1 paths, such as nowhere.jpg"),
        ("path,label\ndisc0-00.jpg,a\nsquare1-00.jpg,b\n", "each of the 2 labels is on one image only"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(text: str, message: str, gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(SettingError, match=message) as caught:
        gallery.evaluate(tmp_path / "labels.csv")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,label\n", "no column relevant"),
        ("query,relevant\n", "holds no queries"),
        ("query,relevant\ndisc0-00.jpg,x.jpg;y.jpg\n", "none of the 2 paths, such as x.jpg"),
    ],
)
def test_queries_that_cannot_be_used_are_refused(text: str, message: str, gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "queries.csv").write_text(text)
    with pytest.raises(SettingError, match=message) as caught:
        gallery.evaluate(queries=tmp_path / "queries.csv")
    assert caught.value.hint


def test_other_arguments_that_cannot_be_used_are_refused(gallery: Gallery, tmp_path: Path) -> None:
    for wrong in ({"sample": 0}, {"seed": -1}, {"match": "colour"}, {"edits": True, "labels": {}}):
        with pytest.raises(SettingError):
            gallery.evaluate(**wrong)
    with pytest.raises(ImageNotFoundError, match="nobody"):
        gallery.evaluate({"nobody": "a"})
    with Gallery.create(tmp_path / "empty") as empty, pytest.raises(EmptyGalleryError, match="holds no images"):
        empty.evaluate()


def test_the_command_says_the_same_changes_nothing_and_refuses_what_cannot_be_used(
    cli: Any, photos: Path, tmp_path: Path
) -> None:
    cli("index", photos)
    rows = [(path.name, path.name.split("-")[0]) for path in sorted(photos.iterdir())]
    file = write(tmp_path / "labels.csv", ("path", "label"), [*rows, ("gone.jpg", "x")])
    before = cli.json("info")
    found = cli.json("evaluate", "--labels", file)
    with Gallery.open(cli.gallery) as opened:
        assert found["metrics"] == opened.evaluate(file).metrics
    assert cli.json("info") == before
    said = cli("evaluate", "--labels", file)
    assert f"plain\t{found['by_match']['plain']['map']:.3f}" in said.stdout.decode()
    assert "12 queries in 12 images" in said.stderr.decode()
    assert "not in the gallery: gone.jpg" in said.stderr.decode()
    assert b"jpeg 75\t1.000" in cli("evaluate", "--sample", 2, "--match", "plain").stdout
    wrong = write(tmp_path / "wrong.csv", ("path",), [])
    assert b"no column label" in cli("evaluate", "--labels", wrong, code=2).stderr

"""Labels spread, are looked through and taken back; what to label next: from the command line and from Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike import Gallery
from lookalike.errors import GalleryError, ImageNotFoundError, SettingError

KINDS, EACH, LABELLED = 4, 10, 3
COPIED = "disc0"  # the kind of which there is a copy


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Iterator[Gallery]:
    """40 drawn pictures, 4 kinds of 10, and a copy of the first."""
    folder = tmp_path_factory.mktemp("propagate")
    first = album(folder / "photos", KINDS, EACH)[0]
    shutil.copy(first, folder / "photos" / "zz-copy.jpg")
    with Gallery.create(folder / "gallery") as opened:
        opened.index(folder / "photos")
        yield opened


@pytest.fixture(autouse=True)
def no_labels(gallery: Gallery) -> Iterator[None]:
    """Each test leaves the gallery without labels."""
    yield
    for event in gallery.label_events():
        if event.undone_at is None:
            gallery.undo_labels(event.batch)


@pytest.fixture
def ids(gallery: Gallery) -> dict[str, list[str]]:
    """Ids by kind, in order of path; "zz" is the copy."""
    found: dict[str, list[str]] = {}
    for record in gallery.images():
        found.setdefault(record.path.stem.split("-")[0], []).append(record.id)
    return found


@pytest.fixture
def labels(gallery: Gallery, ids: dict[str, list[str]]) -> dict[str, str]:
    """The first three of each kind bear its label."""
    given = {image_id: kind for kind, some in ids.items() if kind != "zz" for image_id in some[:LABELLED]}
    gallery.label_images(given)
    return given


def kind_of(gallery: Gallery, image_id: str) -> str:
    kind = gallery.image(image_id).path.stem.split("-")[0]
    return COPIED if kind == "zz" else kind


def run(gallery: Gallery, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lookalike", "-g", str(gallery.path), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def run_json(gallery: Gallery, *arguments: str) -> Any:
    return json.loads(run(gallery, *arguments, "--json").stdout)


# -- propagating ---------------------------------------------------------------------------------------------------


def test_labels_spread_marked_and_can_be_taken_back(gallery: Gallery, labels: dict[str, str]) -> None:
    report = gallery.propagate(0.5, by="somebody")
    assert (report.labels, report.labelled, report.unlabelled) == (KINDS, len(labels), len(gallery) - len(labels))
    assert report.propagated == sum(report.by_label.values()) > 20
    spread = list(gallery.images("source = propagated"))
    assert len(spread) == report.propagated
    right = [kind_of(gallery, r.id) == r.label for r in spread]
    assert sum(right) >= 0.95 * len(right)
    event = gallery.label_events()[0]
    assert (event.batch, event.source, event.by) == (report.batch, "propagated", "somebody")
    assert event.facts["min_confidence"] == 0.5
    assert (event.facts["labels"], event.facts["labelled"]) == (KINDS, len(labels))
    assert event.facts["expected_precision"] == report.expected_precision
    assert {r.id: r.label for r in gallery.images("source = person")} == labels
    assert gallery.undo_labels(report.batch) == (report.batch, report.propagated)
    assert gallery.label_counts() == dict.fromkeys(sorted(set(labels.values())), LABELLED)


def test_a_copy_of_a_labelled_image_is_as_good_as_sure(
    gallery: Gallery, ids: dict[str, list[str]], labels: dict[str, str]
) -> None:
    gallery.propagate(0.9)
    found = {each.id: each for each in gallery.to_review()}[ids["zz"][0]]
    assert (found.label, found.confidence) == (COPIED, 1.0)


def test_trying_it_writes_nothing_and_says_the_same(gallery: Gallery, labels: dict[str, str]) -> None:
    before = gallery.label_events()
    tried = gallery.propagate(0.8, dry_run=True)
    assert (tried.batch, tried.dry_run) == (None, True)
    assert gallery.label_events() == before
    done = gallery.propagate(0.8)
    assert (done.propagated, done.by_label) == (tried.propagated, tried.by_label)
    assert done.by_confidence == tried.by_confidence
    limits = {limit.min_confidence: limit.images for limit in done.by_confidence}
    assert limits[0.8] == done.propagated
    assert sorted(limits.values(), reverse=True) == list(limits.values())


def test_propagating_again_replaces_and_learns_only_from_what_was_said(
    gallery: Gallery, labels: dict[str, str]
) -> None:
    first = gallery.propagate(0.5)
    second = gallery.propagate(0.5)
    assert second.retracted == (first.batch,)
    assert (second.labelled, second.propagated, second.by_label) == (first.labelled, first.propagated, first.by_label)
    assert len(list(gallery.images("source = propagated"))) == second.propagated


def test_persons_win(gallery: Gallery, ids: dict[str, list[str]], labels: dict[str, str]) -> None:
    (kind, some), (other, _), *_ = ids.items()
    gallery.propagate(0.5)
    gallery.label_images({some[-1]: other})
    report = gallery.propagate(0.5)
    assert gallery.image(some[-1]).label == other
    assert some[-1] not in {each.id for each in gallery.to_review()}
    assert report.labelled == len(labels) + 1
    assert kind in report.by_label


def test_too_few_labels_are_refused_with_a_hint(gallery: Gallery, ids: dict[str, list[str]]) -> None:
    (one, some), (other, more), *_ = ids.items()
    for given in ({}, dict.fromkeys(some, one), dict.fromkeys(some[:4], one) | dict.fromkeys(more[:4], other)):
        if given:
            gallery.label_images(given)
        with pytest.raises(GalleryError, match="propagating needs 10") as error:
            gallery.propagate()
        assert "lookalike labels next" in error.value.hint
        if given:
            gallery.undo_labels()
    assert "propagating needs 10" in run(gallery, "propagate", code=1).stderr.decode()
    for limit in ("0", "1.5", "-1", "nan"):
        assert "min_confidence" in run(gallery, "propagate", "--min-confidence", limit, code=2).stderr.decode()


def test_copies_that_were_labelled_differently_teach_nothing(
    gallery: Gallery, ids: dict[str, list[str]], labels: dict[str, str]
) -> None:
    gallery.label_images({ids["zz"][0]: "something else"})
    report = gallery.propagate(0.5)
    assert "something else" not in report.by_label
    assert report.labels == KINDS


def test_the_command_propagates_and_tells(gallery: Gallery, labels: dict[str, str]) -> None:
    tried = run_json(gallery, "propagate", "--dry-run", "--min-confidence", "0.6")
    assert tried["dry_run"]
    assert tried["batch"] is None
    done = run_json(gallery, "propagate", "--min-confidence", "0.6", "--by", "me")
    assert {**done, "seconds": 0, "batch": None, "dry_run": True} == {**tried, "seconds": 0}
    assert set(done) == set(gallery.propagate(0.6).to_dict())
    told = run(gallery, "propagate", "--min-confidence", "0.6")
    assert f"{done['propagated']} of {done['unlabelled']} images" in told.stderr.decode()
    assert "replaces batch" in told.stderr.decode()
    assert dict(line.split("\t") for line in told.stdout.decode().splitlines()) == {
        label: str(count) for label, count in done["by_label"].items()
    }


def test_an_image_that_changed_since_it_was_labelled_keeps_its_label_and_teaches_nothing(
    tmp_path: Path, album: Callable[..., list[Path]], picture: Callable[..., Path]
) -> None:
    files = album(tmp_path / "photos", 3, 6)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(tmp_path / "photos")
        labels = {r.id: r.path.stem.split("-")[0] for r in gallery.images() if r.path.stem[-2:] < "04"}
        gallery.label_images(labels)
        picture(files[0], kind=7, seed=99)
        assert gallery.index(tmp_path / "photos").updated == 1
        report = gallery.propagate(0.01, dry_run=True)
        assert (report.labelled, report.unlabelled) == (len(labels) - 1, 6)
        assert gallery.propagate(0.01).propagated == report.propagated == 6
        assert {r.id for r in gallery.images("source = person")} == set(labels)


# -- review --------------------------------------------------------------------------------------------------------


def test_accepted_labels_become_a_persons_and_rejected_ones_never_come_back(
    gallery: Gallery, ids: dict[str, list[str]], labels: dict[str, str]
) -> None:
    gallery.propagate(0.5)
    to_review = gallery.to_review()
    assert [each.confidence for each in to_review] == sorted(each.confidence for each in to_review)
    wrong, right, *_ = [each for each in to_review if each.id not in ids["zz"]]
    outcome = gallery.review(accept=[right.id], reject=[wrong.id], by="me")
    assert (outcome["accepted"], outcome["rejected"]) == (1, 1)
    assert gallery.image(right.id).label == right.label
    assert gallery.image(wrong.id).label is None
    assert right.id in {record.id for record in gallery.images("source = person")}
    assert {wrong.id, right.id}.isdisjoint({each.id for each in gallery.to_review()})
    again = gallery.propagate(0.01)
    assert again.labelled == len(labels) + 1
    assert again.rejected == 1
    assert gallery.image(wrong.id).label is None
    gallery.undo_labels(outcome["batch"])
    gallery.propagate(0.01)
    assert gallery.image(wrong.id).label == wrong.label


def test_a_label_rejected_for_one_copy_is_rejected_for_the_other(
    gallery: Gallery, ids: dict[str, list[str]], labels: dict[str, str]
) -> None:
    original = ids[COPIED][0]
    gallery.label_images({original: None})
    gallery.propagate(0.01)
    gallery.review(reject=[original])
    assert gallery.propagate(0.01).rejected == 2
    assert gallery.image(ids["zz"][0]).label is None


def test_all_above_a_confidence_can_be_accepted_at_once(gallery: Gallery, labels: dict[str, str]) -> None:
    gallery.propagate(0.01)
    to_review = gallery.to_review()
    limit = to_review[len(to_review) // 2].confidence
    wrong = to_review[-1]
    outcome = gallery.review(accept_above=limit, reject=[wrong.id])
    expected = [each for each in to_review if each.confidence >= limit and each != wrong]
    assert outcome["accepted"] == len(expected)
    assert gallery.label_events()[0].facts["review"]["accepted_above"] == limit
    assert all(each.confidence < limit for each in gallery.to_review())


def test_only_propagated_labels_can_be_reviewed(gallery: Gallery, labels: dict[str, str]) -> None:
    gallery.propagate(0.5)
    first = gallery.to_review()[0].id
    with pytest.raises(SettingError, match="not a propagated one"):
        gallery.review(accept=[next(iter(labels))])
    with pytest.raises(ImageNotFoundError, match="0123456789abcdef"):
        gallery.review(reject=[first, "0123456789abcdef"])
    with pytest.raises(SettingError, match="both accepted and rejected"):
        gallery.review(accept=[first], reject=[first])
    assert gallery.to_review()[0].id == first
    assert gallery.review() == {"batch": None, "accepted": 0, "rejected": 0}


def test_the_command_lists_and_reviews(gallery: Gallery, labels: dict[str, str]) -> None:
    gallery.propagate(0.5)
    listed = run_json(gallery, "labels", "review", "-n", "3")
    assert listed["total"] == len(gallery.to_review())
    assert listed["images"] == [each.to_dict() for each in gallery.to_review()[:3]]
    lines = run(gallery, "labels", "review", "-n", "3").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == [each["id"] for each in listed["images"]]
    one, other, third = (each["id"] for each in listed["images"])
    outcome = run_json(gallery, "labels", "review", "--accept", f"{one}, {other}", "--reject", third, "--by", "me")
    assert (outcome["accepted"], outcome["rejected"]) == (2, 1)
    told = run(gallery, "labels", "review", "--accept-all-above", "0").stderr.decode()
    assert f"accepted {listed['total'] - 3} labels, rejected 0" in told
    assert gallery.to_review() == []


# -- what to label next --------------------------------------------------------------------------------------------


def test_without_labels_every_kind_is_asked_for_first(gallery: Gallery) -> None:
    questions = gallery.label_next(KINDS)
    assert {kind_of(gallery, question.id) for question in questions} == all_kinds(gallery)
    assert all(question.suggestion is question.confidence is None for question in questions)
    assert [q.decides for q in questions] == sorted((q.decides for q in questions), reverse=True)
    assert questions[0].decides > 5
    assert "typical of" in questions[0].reason


def test_following_it_is_enough_to_propagate(gallery: Gallery) -> None:
    asked: set[str] = set()
    for _ in range(3):
        questions = gallery.label_next(5)
        assert asked.isdisjoint(question.id for question in questions)
        asked |= {question.id for question in questions}
        gallery.label_images({question.id: kind_of(gallery, question.id) for question in questions})
    report = gallery.propagate(0.5)
    right = [kind_of(gallery, e.id) == e.label for e in gallery.to_review()]
    assert report.propagated > 15
    assert sum(right) >= 0.95 * len(right)


def test_with_labels_it_suggests_and_says_how_sure(gallery: Gallery, labels: dict[str, str]) -> None:
    printed = run_json(gallery, "labels", "next", "-n", "4")["images"]
    assert [each["id"] for each in printed] == [question.id for question in gallery.label_next(4)]
    for each in printed:
        assert set(each) == {"id", "path", "reason", "decides", "suggestion", "confidence"}
        assert each["id"] not in labels
        assert each["suggestion"] in set(labels.values())
        assert 0 <= each["confidence"] <= 1
        assert each["suggestion"] in each["reason"]
    lines = run(gallery, "labels", "next", "-n", "4").stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == [each["id"] for each in printed]
    assert "n: 0" in run(gallery, "labels", "next", "-n", "0", code=2).stderr.decode()


def all_kinds(gallery: Gallery) -> set[str]:
    return {kind_of(gallery, record.id) for record in gallery.images()}

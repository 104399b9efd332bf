"""Several examples in one search, and orders learned from labels, from the command line and from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike import Gallery
from lookalike.errors import GalleryError, GalleryFormatError, SettingError
from lookalike.gallery import adaptation

KINDS, EACH = 4, 10


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Iterator[Gallery]:
    """40 drawn pictures: 4 kinds of 10; each test leaves it without labels and adaptation."""
    folder = tmp_path_factory.mktemp("adapt")
    album(folder / "photos", KINDS, EACH)
    with Gallery.create(folder / "gallery") as opened:
        opened.index(folder / "photos")
        yield opened


@pytest.fixture
def ids(gallery: Gallery) -> dict[str, list[str]]:
    """Ids by kind, in order of path."""
    found: dict[str, list[str]] = {}
    for record in gallery.images():
        found.setdefault(record.path.stem.split("-")[0], []).append(record.id)
    return found


@pytest.fixture
def labels(gallery: Gallery, ids: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    """All but two of each kind bear its label."""
    given = {image_id: kind for kind, some in ids.items() for image_id in some[:-2]}
    batch = gallery.label_images(given)
    yield given
    gallery.undo_labels(batch)
    gallery.drop_adaptation()


def run(gallery: Gallery, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lookalike", "-g", str(gallery.path), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def run_json(gallery: Gallery, *arguments: str) -> Any:
    return json.loads(run(gallery, *arguments, "--json").stdout)


# -- several examples ----------------------------------------------------------------------------------------------


def test_one_example_alone_finds_what_a_plain_search_for_it_finds(gallery: Gallery, ids: dict[str, list[str]]) -> None:
    first = next(iter(ids.values()))[0]
    expected = gallery.similar(first, 100, match="plain", stacks=False)
    found = gallery.search(None, 100, like=[first], match="plain", stacks=False)
    others = [match for match in found if match.id != first]
    assert [match.id for match in others] == [match.id for match in expected]
    assert [match.score for match in others] == pytest.approx([match.score for match in expected], abs=1e-6)


def test_wrong_examples_push_their_kind_down(gallery: Gallery, ids: dict[str, list[str]]) -> None:
    (_, right), (_, wrong), *_ = ids.items()

    def mean_score(**examples: Any) -> float:
        result = gallery.search(None, 100, like=[right[0]], match="plain", stacks=False, **examples)
        scores = [match.score for match in result if match.id in wrong[3:]]
        return sum(scores) / len(scores)

    assert mean_score(unlike=wrong[:3]) < mean_score() - 0.02


def test_the_command_line_and_python_find_the_same(gallery: Gallery, ids: dict[str, list[str]]) -> None:
    (_, right), (_, wrong), *_ = ids.items()
    file = str(gallery.image(right[1]).path)
    result = gallery.search(None, 5, like=[(right[0], 2), file], unlike=[wrong[0]])
    printed = run_json(gallery, "search", "-k", "5", "--like", f"{right[0]}:2", "--like", file, "--unlike", wrong[0])
    assert [match["id"] for match in printed["results"]] == [match.id for match in result]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--unlike", "FIRST"), 2, "like"),
        (("--like", "FIRST:0"), 2, "above 0"),
        (("--like", "0123456789abcdef"), 1, "no image '0123456789abcdef'"),
        (("--like", "/nowhere/at-all.jpg"), 1, "/nowhere/at-all.jpg"),
        (("--like", "FIRST", "--unlike", "FIRST"), 2, "both like and unlike"),
    ],
)
def test_useless_examples_are_refused(
    gallery: Gallery, ids: dict[str, list[str]], arguments: tuple[str, ...], code: int, message: str
) -> None:
    first = next(iter(ids.values()))[0]
    done = run(gallery, "search", *(text.replace("FIRST", first) for text in arguments), code=code)
    assert message in done.stderr.decode()


# -- adaptation ----------------------------------------------------------------------------------------------------


def test_adapting_measures_and_keeps_only_what_is_wanted(gallery: Gallery, labels: dict[str, str]) -> None:
    report = gallery.adapt()
    assert (report.labels, report.images) == (KINDS, len(labels))
    assert report.kept == report.recommended == (report.gain.low > 0)
    assert set(report.by_match) >= {"plain", "adapted"}
    others = {match: value for match, value in report.by_match.items() if match != "adapted"}
    assert report.best == max(others, key=others.__getitem__)
    assert report.gain.without == pytest.approx(others[report.best])
    assert report.gain.with_it == pytest.approx(report.by_match["adapted"])
    assert report.gain_unlabelled is not None
    assert 0 < report.gain_unlabelled.n_queries <= len(labels)
    again = gallery.adapt(keep=True)
    assert again.kept
    assert again.by_match == report.by_match
    if not report.recommended:
        assert gallery.adapt().kept is False
        assert adaptation.state(gallery._parts) is None


def test_an_adapted_search_is_asked_for_and_says_so(
    gallery: Gallery, ids: dict[str, list[str]], labels: dict[str, str]
) -> None:
    unlabelled = next(iter(ids.values()))[-1]
    before = gallery.similar(unlabelled)
    with pytest.raises(SettingError, match="is not adapted") as error:
        gallery.similar(unlabelled, match="adapted")
    assert "lookalike adapt" in error.value.hint
    gallery.adapt(keep=True)
    after = gallery.similar(unlabelled)
    assert after.match == before.match != "adapted"  # never by itself
    assert [match.id for match in after] == [match.id for match in before]
    adapted = gallery.similar(unlabelled, match="adapted", stacks=False)
    assert adapted.match == "adapted"
    kind = next(iter(ids))
    assert [match.id in ids[kind] for match in adapted][:5] == [True] * 5
    plain = {match.id: match.score for match in gallery.similar(unlabelled, 100, match="plain", stacks=False)}
    assert all(match.score == pytest.approx(plain[match.id], abs=1e-6) for match in adapted)
    printed = run_json(gallery, "similar", unlabelled, "--match", "adapted", "--no-stacks")
    assert printed["match"] == "adapted"
    assert [match["id"] for match in printed["results"]] == [match.id for match in adapted]


def test_the_command_adapts_tells_and_forgets(gallery: Gallery, labels: dict[str, str]) -> None:
    printed = run_json(gallery, "adapt", "--keep")
    assert printed["kept"]
    assert printed["labels"] == KINDS
    assert printed["gain"]["low"] <= printed["gain"]["gain"] <= printed["gain"]["high"]
    told = run(gallery, "adapt", "--keep").stderr.decode()
    assert f"{KINDS} labels on {len(labels)} different images" in told
    assert "points of mAP" in told
    assert "--match adapted" in told
    assert run_json(gallery, "adapt", "--drop") == {"dropped": True}
    assert run_json(gallery, "adapt", "--drop") == {"dropped": False}
    run(gallery, "similar", next(iter(labels)), "--match", "adapted", code=2)


def test_too_few_labels_are_refused_and_nothing_is_changed(gallery: Gallery, ids: dict[str, list[str]]) -> None:
    (_, some), (_, others), *_ = ids.items()
    for given in ({}, dict.fromkeys(some[:9], "a"), {**dict.fromkeys(some[:9], "a"), **dict.fromkeys(others[:3], "b")}):
        batch = gallery.label_images(given)
        with pytest.raises(GalleryError, match="adapting needs 2"):
            gallery.adapt(keep=True)
        if not given:
            assert "adapting needs 2" in run(gallery, "adapt", code=1).stderr.decode()
        gallery.undo_labels(batch)
    assert adaptation.state(gallery._parts) is None
    given = {**dict.fromkeys(some[:4], "a"), **dict.fromkeys(others[:4], "b")}
    batch = gallery.label_images(given)
    assert gallery.adapt().gain_unlabelled is None  # two labels: none can be held back as a whole
    gallery.undo_labels(batch)
    gallery.drop_adaptation()


def test_an_adaptation_of_an_earlier_space_or_damaged_is_not_used(gallery: Gallery, labels: dict[str, str]) -> None:
    gallery.adapt(keep=True)
    parts, image_id = gallery._parts, next(iter(labels))
    kept = parts.catalogue.derived(adaptation.NAME)
    assert kept is not None
    parts.catalogue.set_derived(adaptation.NAME, "another space", kept[1])
    with pytest.raises(SettingError, match="learned anew"):
        gallery.similar(image_id, match="adapted")
    state = adaptation.state(parts)
    assert state is not None
    assert state["usable"] is False
    parts.catalogue.set_derived(adaptation.NAME, kept[0], kept[1][:-4])
    with pytest.raises(GalleryFormatError, match="damaged"):
        gallery.similar(image_id, match="adapted")
    gallery.similar(image_id)  # other orders do not look at it

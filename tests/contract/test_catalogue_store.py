"""What every catalogue must do as a store: changes, snapshots, labels, filters, roots."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from lookalike.catalogue.data import Extracted, LabelChange, Tally
from lookalike.catalogue.schema import PRESENT
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.errors import (
    GalleryError,
    GalleryFormatError,
    GalleryLockedError,
    GalleryNotFoundError,
    ImageNotFoundError,
    SettingError,
)
from lookalike.filters import parse
from lookalike.types import LabelDetail, Reducer, format_id
from tests.contract.catalogues import DIM, MODEL, bad, content_of, embedding_of, entry, good, ids, run, tap_of


def test_engines_are_told_what_changed_since_a_generation(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B"})
    seen = catalogue.generation()
    before = {path: int(key, 16) for path, key in ids(catalogue).items()}
    assert list(catalogue.changes(seen)) == []
    run(catalogue, {"b.jpg": "B", "c.jpg": "C"})
    changes = list(catalogue.changes(seen))
    upserted = np.concatenate([c.keys for c in changes])
    removed = np.concatenate([c.removed for c in changes])
    assert removed.tolist() == [before["a.jpg"]]
    assert upserted.tolist() == [int(ids(catalogue)["c.jpg"], 16)]
    everything = list(catalogue.changes(0, batch=1))
    assert [len(c.keys) for c in everything] == [1, 1]
    np.testing.assert_array_equal(everything[-1].embeddings[0], embedding_of("C"))


def test_contents_come_once_each_with_what_the_network_saw(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B", "copy.jpg": "A", "gone.jpg": "C"})
    run(catalogue, {"a.jpg": "A", "b.jpg": "B", "copy.jpg": "A"})
    with catalogue.snapshot():
        blocks = list(catalogue.contents(batch=1))
    assert [len(block.numbers) for block in blocks] == [1, 1]
    for block, text in zip(blocks, "AB", strict=True):
        np.testing.assert_array_equal(block.embeddings[0], embedding_of(text))
        np.testing.assert_array_equal(block.taps[0], tap_of(text))
    keys, numbers = catalogue.content_numbers()
    by_path = dict(zip(keys.tolist(), numbers.tolist(), strict=True))
    number = {path: by_path[int(image_id, 16)] for path, image_id in ids(catalogue).items()}
    assert number["a.jpg"] == number["copy.jpg"] == blocks[0].numbers[0]
    assert number["b.jpg"] == blocks[1].numbers[0]
    np.testing.assert_array_equal(catalogue.contents_of(keys[::-1]), numbers[::-1])
    assert catalogue.contents_of(np.array([keys.max() + 1], np.int64)).tolist() == [-1]


def test_what_was_worked_out_is_kept_replaced_and_dropped(catalogue: SqliteCatalogue) -> None:
    assert catalogue.derived("calibration") is None
    generation = catalogue.generation()
    catalogue.set_derived("calibration", "space-1", b"one")
    catalogue.set_derived("adaptation", "space-1", b"other")
    catalogue.set_derived("calibration", "space-2", b"two")
    assert catalogue.derived("calibration") == ("space-2", b"two")
    catalogue.set_derived("calibration", "", None)
    assert catalogue.derived("calibration") is None
    assert catalogue.derived("adaptation") == ("space-1", b"other")
    assert catalogue.generation() == generation  # engines have nothing to follow


def test_a_snapshot_does_not_see_what_others_write(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    other = SqliteCatalogue(catalogue.path)
    with other.snapshot():
        assert other.count() == 1
        run(catalogue, {"a.jpg": "A", "b.jpg": "B"})
        assert other.count() == 1
    assert other.count() == 2
    other.close()


def test_a_transaction_that_fails_leaves_nothing(catalogue: SqliteCatalogue) -> None:
    root = catalogue.add_root("/photos", None)
    broken = Extracted(entry("b.jpg"), content_of("B"), None)  # neither known nor embedded: cannot happen
    with catalogue.scan([(root, "")]) as scan:
        scan.add(root.name, [entry("a.jpg"), entry("b.jpg")])
        scan.compare()
        with pytest.raises(AssertionError):
            scan.apply(root.name, [good(entry("a.jpg"), "A"), broken])
    assert catalogue.count() == 0
    assert catalogue.generation() == 0


def test_the_reducer_comes_back_as_it_was(catalogue: SqliteCatalogue) -> None:
    assert catalogue.reducer() is None
    rng = np.random.default_rng(0)
    full = Reducer(
        rng.normal(size=DIM).astype("f4"),
        rng.normal(size=(3, DIM)).astype("f4"),
        np.ones(3, "f4"),
        fitted_on=9,
        power=0.25,
    )
    plain = Reducer(np.zeros(DIM, "f4"), None, np.ones(DIM, "f4"), fitted_on=1)
    for reducer in (full, plain):
        before = catalogue.generation()
        catalogue.set_reducer(reducer)
        got = catalogue.reducer()
        assert got is not None
        assert (got.fingerprint, got.fitted_on, got.power) == (reducer.fingerprint, reducer.fitted_on, reducer.power)
        assert catalogue.generation() > before


def test_the_model_comes_back_as_it_was(catalogue: SqliteCatalogue) -> None:
    assert catalogue.model() == MODEL
    assert catalogue.model_source() == "toy"


def label(catalogue: SqliteCatalogue, labels: dict[str, str | None]) -> int:
    known = ids(catalogue)
    return catalogue.add_labels(
        [LabelChange(int(known[path], 16), text) for path, text in labels.items()], by="me", source="person"
    )


def labels_of(catalogue: SqliteCatalogue) -> dict[str, str | None]:
    return {record.relative_path: record.label for record in catalogue.all_records()}


def test_labels_can_be_replaced_taken_away_and_undone_in_any_order(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B"})
    first = label(catalogue, {"a.jpg": "bolt", "b.jpg": "bolt"})
    label(catalogue, {"a.jpg": "nut"})
    label(catalogue, {"b.jpg": None})
    assert labels_of(catalogue) == {"a.jpg": "nut", "b.jpg": None}
    assert catalogue.undo_labels() == (3, 1)
    assert labels_of(catalogue) == {"a.jpg": "nut", "b.jpg": "bolt"}
    assert catalogue.undo_labels(first) == (first, 2)
    assert labels_of(catalogue) == {"a.jpg": "nut", "b.jpg": None}
    assert list(catalogue.labels().values()) == ["nut"]
    with pytest.raises(GalleryError, match="no label batch 1 in force"):
        catalogue.undo_labels(first)
    events = catalogue.label_events()
    assert [e.batch for e in events] == [3, 2, 1]
    assert events[2].labels == {"bolt": 2}
    assert events[2].undone_at is not None


def test_a_label_says_where_it_comes_from(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B", "c.jpg": "C", "gone.jpg": "D"})
    key = {path: int(image_id, 16) for path, image_id in ids(catalogue).items()}
    keys = np.array(list(key.values()), np.int64)
    assert catalogue.label_details(keys) == {}
    label(catalogue, {"a.jpg": "bolt", "b.jpg": "bolt", "gone.jpg": "bolt"})
    guess = [LabelChange(key["b.jpg"], "nut", 0.75), LabelChange(key["c.jpg"], "nut", 0.5)]
    second = catalogue.add_labels(guess, by="you", source="propagated")
    run(catalogue, {"a.jpg": "changed", "b.jpg": "B", "c.jpg": "C"}, version=2)
    details = catalogue.label_details(keys)
    at = {event.batch: event.at for event in catalogue.label_events()}
    assert details == {
        key["a.jpg"]: LabelDetail("bolt", "person", "me", at[1], None, is_changed=True),
        key["b.jpg"]: LabelDetail("nut", "propagated", "you", at[second], 0.75, is_changed=False),
        key["c.jpg"]: LabelDetail("nut", "propagated", "you", at[second], 0.5, is_changed=False),
    }
    catalogue.undo_labels(second)
    label(catalogue, {"a.jpg": None})
    details = catalogue.label_details(keys)
    assert {number: detail.label for number, detail in details.items()} == {key["b.jpg"]: "bolt"}
    assert catalogue.label_details(np.array([1], np.int64)) == {}


def test_labelling_an_unknown_image_changes_nothing(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    key = int(ids(catalogue)["a.jpg"], 16)
    with pytest.raises(ImageNotFoundError, match=format_id(12345)):
        catalogue.add_labels([LabelChange(key, "bolt"), LabelChange(12345, "bolt")], by="me", source="person")
    assert labels_of(catalogue) == {"a.jpg": None}
    with pytest.raises(GalleryError, match="no labels to take back"):
        catalogue.undo_labels()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("path = x/big.png", {"x/big.png"}),
        ("path ~ x/*", {"x/big.png", "x/old.jpg"}),
        ("name ~ old", {"x/old.jpg"}),
        ("name = OLD.JPG", set()),
        ("name ~ OLD.*", {"x/old.jpg"}),
        ("path ~ 100%_", set()),
        ("format = png", {"x/big.png"}),
        ("format != png", {"a.jpg", "x/old.jpg", "50%_off.jpg"}),
        ("width >= 2000 and height < 2000", {"x/big.png"}),
        ("date = 2019", {"x/old.jpg"}),
        ("date < 2019-06", {"x/old.jpg"}),
        ("date > 2019-05-03", {"a.jpg", "x/big.png", "50%_off.jpg"}),
        ("taken != none", {"x/old.jpg"}),
        ("label = bolt", {"a.jpg"}),
        ("label != bolt", {"x/big.png", "x/old.jpg", "50%_off.jpg"}),
        ("label = none", {"x/big.png", "x/old.jpg", "50%_off.jpg"}),
        ("name ~ %_off", {"50%_off.jpg"}),
        ("size > 1 kB", set()),
        ("size <= 101", {"a.jpg", "x/big.png", "x/old.jpg", "50%_off.jpg"}),
        ("id = 0000000000000000", set()),
        ("root = photos and label = 'bolt'", {"a.jpg"}),
        ('path = "\' OR 1=1 --"', set()),
    ],
)
def test_filters_select_exactly(catalogue: SqliteCatalogue, expression: str, expected: set[str]) -> None:
    run(
        catalogue,
        {
            "a.jpg": "A",
            "x/big.png": lambda file: good(file, "B", width_px=4000, height_px=1000, format="PNG"),
            "x/old.jpg": lambda file: good(file, "C", taken_at="2019-05-03T10:00:00"),
            "50%_off.jpg": "D",
        },
    )
    label(catalogue, {"a.jpg": "bolt"})
    conditions = parse(expression)
    assert {record.relative_path for record in catalogue.all_records(conditions)} == expected
    known = ids(catalogue)
    assert sorted(catalogue.keys(conditions).tolist()) == sorted(int(known[path], 16) for path in expected)


def test_records_beyond_one_page_come_once_and_in_order(catalogue: SqliteCatalogue) -> None:
    files: dict[str, object] = {f"{i:05d}.jpg": str(i) for i in range(2345)}
    assert run(catalogue, files) == (Tally(added=2345), 0)
    assert [record.relative_path for record in catalogue.all_records()] == sorted(files)
    keys = catalogue.keys()
    assert set(catalogue.records(keys.tolist())) == set(keys.tolist())


def test_two_roots_hold_the_same_relative_paths(catalogue: SqliteCatalogue) -> None:
    one, two = catalogue.add_root("/one/photos", None), catalogue.add_root("/two/photos", ["*.tmp"])
    assert (one.name, two.name) == ("photos", "photos-2")
    run(catalogue, {"a.jpg": "A"}, root=one)
    run(catalogue, {"a.jpg": "B"}, root=two)
    assert [str(record.path) for record in catalogue.all_records()] == ["/one/photos/a.jpg", "/two/photos/a.jpg"]
    assert catalogue.add_root("/two/photos", None).excludes == ("*.tmp",)
    assert catalogue.add_root("/two/photos", []).excludes == ()


def test_a_root_can_be_moved_and_widened_without_losing_ids(catalogue: SqliteCatalogue) -> None:
    one, two = catalogue.add_root("/disk/one", None), catalogue.add_root("/disk/sub/two", None)
    run(catalogue, {"a.jpg": "A", "bad.jpg": bad}, root=one)
    run(catalogue, {"b.jpg": "B"}, root=two)
    before = set(ids(catalogue).values())
    catalogue.widen_root([one, two], "/disk")
    assert set(ids(catalogue)) == {"one/a.jpg", "sub/two/b.jpg"}
    assert set(ids(catalogue).values()) == before
    assert [f.path for f in catalogue.failures()] == [Path("/disk/one/bad.jpg")]
    (root,) = catalogue.roots()
    catalogue.move_root(root.name, "/mnt/new")
    assert {str(record.path) for record in catalogue.all_records()} == {"/mnt/new/one/a.jpg", "/mnt/new/sub/two/b.jpg"}
    with pytest.raises(SettingError, match="no root 'nowhere'"):
        catalogue.move_root("nowhere", "/x")


def test_labels_go_through_while_another_writer_is_in_a_batch(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    other = SqliteCatalogue(catalogue.path)
    key = int(ids(catalogue)["a.jpg"], 16)
    errors: list[BaseException] = []
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with catalogue.write():
            holding.set()
            release.wait(10)

    def say() -> None:
        try:
            other.add_labels([LabelChange(key, "bolt")], by="me", source="person")
        except BaseException as error:
            errors.append(error)

    writer, labeller = threading.Thread(target=hold), threading.Thread(target=say)
    writer.start()
    holding.wait(10)
    labeller.start()
    labeller.join(0.2)
    assert labeller.is_alive()  # it waits for the batch to end
    release.set()
    writer.join()
    labeller.join()
    assert errors == []
    assert labels_of(catalogue) == {"a.jpg": "bolt"}
    other.close()


def test_a_writer_that_never_ends_is_reported(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    other = SqliteCatalogue(catalogue.path)
    with catalogue.write(), pytest.raises(GalleryLockedError, match="being written to"):
        other.add_labels([LabelChange(int(ids(catalogue)["a.jpg"], 16), "bolt")], by="me", source="person")
    other.close()


def test_a_sound_store_has_no_complaints(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": bad})
    assert catalogue.check() == []


def test_a_missing_or_foreign_or_newer_file_is_refused(catalogue: SqliteCatalogue, tmp_path: Path) -> None:
    with pytest.raises(GalleryNotFoundError, match="no gallery"):
        SqliteCatalogue(tmp_path / "nowhere" / "catalogue.sqlite")
    foreign = tmp_path / "foreign.sqlite"
    foreign.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    with pytest.raises(GalleryFormatError):
        SqliteCatalogue(foreign)
    with catalogue.write() as db:
        db.pragma("user_version", 99)
    with pytest.raises(GalleryFormatError, match="format 99"):
        SqliteCatalogue(catalogue.path)


def test_an_existing_catalogue_is_never_replaced(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    with pytest.raises(FileExistsError):
        SqliteCatalogue.create(catalogue.path, MODEL, "toy")
    assert catalogue.count() == 1
    assert [p.name for p in catalogue.path.parent.iterdir() if p.name.startswith(".")] == []


def test_looking_up_a_place_uses_its_index(catalogue: SqliteCatalogue) -> None:
    """SQLite uses a partial index only where a query repeats its condition; without, a scan of n files costs n * n."""
    sql = f"EXPLAIN QUERY PLAN SELECT key FROM images x WHERE x.root = ? AND x.path = ? AND {PRESENT.format('x')}"
    with catalogue.write() as db:
        (step,) = db.execute(sql, ("photos", b"a.jpg")).fetchall()
    assert "images_by_place (root=? AND path=?)" in str(step)

"""What every catalogue must do with files; today SQLite, tomorrow PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lookalike.catalogue.data import LabelChange, Tally
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.errors import (
    ImageReadError,
)
from tests.contract.catalogues import bad, embedding_of, entry, ids, run, tap_of


def test_new_files_are_added_and_found_again_unchanged(catalogue: SqliteCatalogue) -> None:
    assert run(catalogue, {"a.jpg": "A", "b/c.jpg": "B"}) == (Tally(added=2), 0)
    assert run(catalogue, {"a.jpg": "A", "b/c.jpg": "B"}) == (Tally(unchanged=2), 0)
    assert [r.relative_path for r in catalogue.all_records()] == ["a.jpg", "b/c.jpg"]
    assert next(catalogue.all_records()).path == Path("/photos/a.jpg")


def test_a_copy_shares_the_embedding_under_an_id_of_its_own(catalogue: SqliteCatalogue) -> None:
    tally, _ = run(catalogue, {"a.jpg": "A", "copy.jpg": "A"})
    assert tally == Tally(added=1, reused=1)
    assert len(set(ids(catalogue).values())) == 2
    assert catalogue.count_contents() == 1


def test_a_moved_file_keeps_its_id(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B"})
    before = ids(catalogue)
    assert run(catalogue, {"new/a.jpg": "A", "b.jpg": "B"}) == (Tally(reused=1, unchanged=1), 0)
    assert ids(catalogue) == {"new/a.jpg": before["a.jpg"], "b.jpg": before["b.jpg"]}


def test_moved_copies_pair_up_in_order_of_path(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"1.jpg": "A", "2.jpg": "A"})
    before = ids(catalogue)
    assert run(catalogue, {"x.jpg": "A", "y.jpg": "A", "z.jpg": "A"}) == (Tally(reused=3), 0)
    after = ids(catalogue)
    assert (after["x.jpg"], after["y.jpg"]) == (before["1.jpg"], before["2.jpg"])
    assert after["z.jpg"] not in before.values()


def test_changed_content_keeps_the_id_and_changes_the_embedding(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    before = ids(catalogue)
    assert run(catalogue, {"a.jpg": "A2"}, version=2) == (Tally(updated=1), 0)
    assert ids(catalogue) == before
    stored, tap = catalogue.features(int(before["a.jpg"], 16))
    np.testing.assert_array_equal(stored, embedding_of("A2"))
    np.testing.assert_array_equal(tap, tap_of("A2"))


def test_a_touched_file_with_the_same_content_is_unchanged(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    assert run(catalogue, {"a.jpg": "A"}, version=2) == (Tally(unchanged=1), 0)
    assert run(catalogue, {"a.jpg": lambda _: pytest.fail("was read again")}, version=2)[0] == Tally(unchanged=1)


def test_a_removed_file_leaves_and_comes_back_with_its_id_and_label(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B"})
    before = ids(catalogue)
    catalogue.add_labels([LabelChange(int(before["a.jpg"], 16), "bolt")], by="me", source="person")
    assert run(catalogue, {"b.jpg": "B"}) == (Tally(unchanged=1), 1)
    assert list(ids(catalogue)) == ["b.jpg"]
    assert run(catalogue, {"a.jpg": "A", "b.jpg": "B"}) == (Tally(reused=1, unchanged=1), 0)
    assert ids(catalogue) == before
    assert next(catalogue.all_records()).label == "bolt"


def test_another_picture_under_a_removed_name_is_a_new_image(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"IMG_1.jpg": "A"})
    before = ids(catalogue)
    run(catalogue, {})
    assert run(catalogue, {"IMG_1.jpg": "other"}, version=2)[0] == Tally(added=1)
    assert ids(catalogue)["IMG_1.jpg"] != before["IMG_1.jpg"]


def test_a_bad_file_is_remembered_and_tried_again_only_when_it_changes(catalogue: SqliteCatalogue) -> None:
    assert run(catalogue, {"a.jpg": bad}) == (Tally(failed=1), 0)
    assert run(catalogue, {"a.jpg": lambda _: pytest.fail("was opened again")})[0] == Tally(failed=1)
    (failure,) = catalogue.failures()
    assert (failure.path, failure.stage, failure.error) == (Path("/photos/a.jpg"), "decode", "ImageDecodeError")
    assert "look at it" in failure.message
    assert run(catalogue, {"a.jpg": "A"}, version=2)[0] == Tally(added=1)
    assert catalogue.failures() == []


def test_a_file_that_could_not_be_read_is_tried_again(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": lambda file: bad(file, ImageReadError("permission denied"))})
    assert run(catalogue, {"a.jpg": "A"})[0] == Tally(added=1)


def test_a_known_image_that_breaks_leaves_the_results_and_keeps_its_id_when_mended(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A"})
    before = ids(catalogue)
    assert run(catalogue, {"a.jpg": bad}, version=2) == (Tally(failed=1), 0)
    assert ids(catalogue) == {}
    assert run(catalogue, {"a.jpg": "mended"}, version=3)[0] == Tally(updated=1)
    assert ids(catalogue) == before


def test_a_failed_file_that_disappears_leaves_no_failure(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": bad, "b.jpg": "B"})
    run(catalogue, {"b.jpg": "B"})
    assert catalogue.failures() == []


def test_what_lies_below_an_unlistable_folder_is_kept(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "locked/b.jpg": "B", "locked2/c.jpg": "C"})
    root = catalogue.roots()[0]
    with catalogue.scan([(root, "")]) as scan:
        scan.add(root.name, [entry("a.jpg")])
        scan.keep_below(root.name, "locked")
        scan.compare()
        assert scan.finish() == 1
    assert list(ids(catalogue)) == ["a.jpg", "locked/b.jpg"]


def test_a_scan_of_a_part_leaves_the_rest_alone(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"x/a.jpg": "A", "x/b.jpg": "B", "xy/c.jpg": "C"})
    assert run(catalogue, {"x/a.jpg": "A"}, within="x") == (Tally(unchanged=1), 1)
    assert list(ids(catalogue)) == ["x/a.jpg", "xy/c.jpg"]


def test_names_that_are_no_utf8_survive(catalogue: SqliteCatalogue) -> None:
    name = os.fsdecode(b"caf\xe9\n\xff.jpg")
    run(catalogue, {name: "A"})
    (record,) = catalogue.all_records()
    assert record.relative_path == name
    assert os.fsencode(record.path) == b"/photos/caf\xe9\n\xff.jpg"
    assert run(catalogue, {name: "A"})[0] == Tally(unchanged=1)

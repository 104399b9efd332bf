"""What every catalogue must know of propagated labels: who said what, what was rejected, what replaces what."""

from __future__ import annotations

import pytest

from lookalike.catalogue.data import LabelChange
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.errors import ImageNotFoundError
from lookalike.filters import parse
from tests.contract.catalogues import ids, run

FILES = {f"{name}.jpg": name.upper() for name in "abcd"} | {"copy.jpg": "A"}


@pytest.fixture
def keys(catalogue: SqliteCatalogue) -> dict[str, int]:
    """Keys of a, b, c, d and of copy, which shows what a shows."""
    run(catalogue, FILES)
    return {path.removesuffix(".jpg"): int(image_id, 16) for path, image_id in ids(catalogue).items()}


def say(catalogue: SqliteCatalogue, labels: dict[int, str | None], source: str = "person") -> int:
    changes = [LabelChange(key, label) for key, label in labels.items()]
    return catalogue.add_labels(changes, by="me", source=source)


def spread(catalogue: SqliteCatalogue, labels: dict[int, tuple[str, float]]) -> tuple[int | None, list[int], int]:
    changes = [LabelChange(key, label, sure) for key, (label, sure) in labels.items()]
    return catalogue.propagations.replace(changes, by="me", facts={"min_confidence": 0.9})


def labels_of(catalogue: SqliteCatalogue) -> dict[str, str]:
    return {r.relative_path.removesuffix(".jpg"): r.label for r in catalogue.all_records() if r.label is not None}


def test_what_was_said_is_not_what_was_propagated(catalogue: SqliteCatalogue, keys: dict[str, int]) -> None:
    say(catalogue, {keys["a"]: "bolt"}, "import")
    say(catalogue, {keys["b"]: "nut"}, "cluster")
    spread(catalogue, {keys["c"]: ("bolt", 0.95), keys["d"]: ("nut", 0.9)})
    batch = say(catalogue, {keys["d"]: "gear"})
    said = {key: label for key, _, label in catalogue.propagations.said()}
    assert said == {keys["a"]: "bolt", keys["b"]: "nut", keys["d"]: "gear"}
    contents = {key: content for key, content, _ in catalogue.propagations.said()}
    assert len(set(contents.values())) == 3
    catalogue.undo_labels(batch)
    assert keys["d"] not in {key for key, _, _ in catalogue.propagations.said()}
    assert labels_of(catalogue)["d"] == "nut"


def test_an_image_that_changed_since_it_was_labelled_teaches_nothing(
    catalogue: SqliteCatalogue, keys: dict[str, int]
) -> None:
    say(catalogue, {keys["a"]: "bolt", keys["b"]: "nut"})
    run(catalogue, {**FILES, "b.jpg": "something else"}, version=2)
    assert [key for key, _, _ in catalogue.propagations.said()] == [keys["a"]]


def test_propagating_replaces_what_was_propagated_and_never_what_was_said(
    catalogue: SqliteCatalogue, keys: dict[str, int]
) -> None:
    say(catalogue, {keys["a"]: "bolt"})
    first, retracted, count = spread(catalogue, {keys["a"]: ("nut", 1.0), keys["b"]: ("nut", 0.9)})
    assert (retracted, count) == ([], 1)
    assert labels_of(catalogue) == {"a": "bolt", "b": "nut"}
    second, retracted, count = spread(catalogue, {keys["c"]: ("nut", 0.97), keys["d"]: ("bolt", 0.93)})
    assert (retracted, count) == ([first], 2)
    assert labels_of(catalogue) == {"a": "bolt", "c": "nut", "d": "bolt"}
    current = catalogue.propagations.current()
    assert [(each.key, each.label, each.confidence) for each in current] == [
        (keys["d"], "bolt", 0.93),
        (keys["c"], "nut", 0.97),
    ]
    assert spread(catalogue, {}) == (None, [second], 0)
    assert labels_of(catalogue) == {"a": "bolt"}
    (event, *_) = [e for e in catalogue.label_events() if e.batch == first]
    assert (event.source, event.facts, event.undone_at is not None) == ("propagated", {"min_confidence": 0.9}, True)


def test_a_failed_replacement_changes_nothing(catalogue: SqliteCatalogue, keys: dict[str, int]) -> None:
    spread(catalogue, {keys["a"]: ("bolt", 0.9)})
    with pytest.raises(ImageNotFoundError):
        catalogue.add_labels([LabelChange(keys["b"], "nut"), LabelChange(5, "nut")], by="me", source="propagated")
    assert labels_of(catalogue) == {"a": "bolt"}


def test_what_somebody_took_away_is_remembered_until_that_is_undone(
    catalogue: SqliteCatalogue, keys: dict[str, int]
) -> None:
    spread(catalogue, {keys["a"]: ("nut", 0.9), keys["b"]: ("nut", 0.9), keys["c"]: ("nut", 0.9)})
    assert catalogue.propagations.rejected() == set()
    batch = say(catalogue, {keys["a"]: None})
    say(catalogue, {keys["b"]: "bolt"})
    content = int(catalogue.contents_of(catalogue.keys(parse(f"id = {keys['a']:016x}")))[0])
    assert catalogue.propagations.rejected() == {(content, "nut")}
    spread(catalogue, {keys["d"]: ("nut", 0.9)})  # what was wrong stays wrong when it is replaced
    assert catalogue.propagations.rejected() == {(content, "nut")}
    spread(catalogue, {keys["a"]: ("gear", 0.9)})
    say(catalogue, {keys["a"]: None})
    assert catalogue.propagations.rejected() == {(content, "nut"), (content, "gear")}
    catalogue.undo_labels(batch)
    assert (content, "nut") not in catalogue.propagations.rejected()


def test_taking_away_what_a_person_said_rejects_nothing(catalogue: SqliteCatalogue, keys: dict[str, int]) -> None:
    spread(catalogue, {keys["a"]: ("nut", 0.9)})
    say(catalogue, {keys["a"]: "bolt"})
    say(catalogue, {keys["a"]: None})
    assert catalogue.propagations.rejected() == set()


def test_source_and_confidence_are_those_of_the_current_label(catalogue: SqliteCatalogue, keys: dict[str, int]) -> None:
    say(catalogue, {keys["a"]: "bolt"}, "import")
    spread(catalogue, {keys["b"]: ("bolt", 0.93), keys["c"]: ("bolt", 0.97), keys["d"]: ("nut", 0.91)})
    say(catalogue, {keys["d"]: None})

    def found(expression: str) -> set[str]:
        return {r.relative_path.removesuffix(".jpg") for r in catalogue.all_records(parse(expression))}

    assert found("source = propagated") == {"b", "c"}
    assert found("source = import") == {"a"}
    assert found("source = none") == {"d", "copy"}
    assert found("source ~ prop*") == {"b", "c"}
    assert found("confidence < 0.95") == {"b"}
    assert found("confidence >= .93") == {"b", "c"}
    assert found("confidence = none") == {"a", "d", "copy"}

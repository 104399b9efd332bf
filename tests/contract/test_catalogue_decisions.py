"""What every catalogue must do with decisions that pictures are different."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.errors import GalleryError, ImageNotFoundError, SettingError
from tests.contract.catalogues import ids, run


def keys(catalogue: SqliteCatalogue) -> dict[str, int]:
    return {path: int(image_id, 16) for path, image_id in ids(catalogue).items()}


def number(catalogue: SqliteCatalogue, path: str) -> int:
    return int(catalogue.contents_of(np.array([keys(catalogue)[path]]))[0])


def test_a_decision_is_about_contents_and_outlives_their_files(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B", "copy.jpg": "A"})
    told = frozenset((number(catalogue, "a.jpg"), number(catalogue, "b.jpg")))
    assert catalogue.decisions.apart() == []
    key = keys(catalogue)
    decision = catalogue.decisions.add([key["a.jpg"], key["b.jpg"]], by="ann")
    assert catalogue.decisions.apart() == [told]
    run(catalogue, {"moved/a.jpg": "A", "b.jpg": "C"}, version=2)
    assert catalogue.decisions.apart() == [told]
    run(catalogue, {})
    assert catalogue.decisions.apart() == [told]
    assert catalogue.decisions.all()[0].ids == ()
    run(catalogue, {"x.jpg": "B", "y.jpg": "A"})
    assert catalogue.decisions.apart() == [told]
    (said,) = catalogue.decisions.all()
    assert (said.number, said.by, said.contents, said.undone_at) == (decision, "ann", 2, None)
    assert said.ids == tuple(sorted(ids(catalogue).values()))
    assert said.to_dict()["ids"] == list(said.ids)


def test_decisions_are_taken_back_by_a_mark(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "b.jpg": "B", "c.jpg": "C"})
    key = keys(catalogue)
    first = catalogue.decisions.add(list(key.values()), by="ann")
    second = catalogue.decisions.add([key["a.jpg"], key["c.jpg"]], by="bob")
    assert catalogue.decisions.undo() == (second, 2)
    assert catalogue.decisions.undo(first) == (first, 3)
    assert catalogue.decisions.apart() == []
    assert [said.undone_at is not None for said in catalogue.decisions.all()] == [True, True]
    for again in (None, first, 99):
        with pytest.raises(GalleryError):
            catalogue.decisions.undo(again)


def test_what_cannot_be_decided_changes_nothing(catalogue: SqliteCatalogue) -> None:
    run(catalogue, {"a.jpg": "A", "copy.jpg": "A"})
    key = keys(catalogue)
    with pytest.raises(SettingError, match="different files"):
        catalogue.decisions.add(list(key.values()), by="ann")
    with pytest.raises(ImageNotFoundError):
        catalogue.decisions.add([key["a.jpg"], 7], by="ann")
    assert catalogue.decisions.all() == []
    assert catalogue.check() == []

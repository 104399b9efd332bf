"""What every catalogue must do with parts of images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lookalike.catalogue.data import Extracted, Tally
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.sources.base import SourceEntry
from tests.contract.catalogues import content_of, entry, good, ids

R, D, CODE = 3, 8, 4


def drafts_of(text: str) -> np.ndarray:
    return np.random.default_rng(len(text) + ord(text[0])).random((R, D)).astype(np.float16).astype(np.float32)


def codes_of(text: str) -> np.ndarray:
    return np.full((R, CODE), ord(text[0]) % 100, np.int8)


def with_drafts(file: SourceEntry, text: str) -> Extracted:
    return replace(good(file, text), regions=drafts_of(text))


def with_codes(file: SourceEntry, text: str) -> Extracted:
    return replace(good(file, text), regions=codes_of(text))


def index(catalogue: SqliteCatalogue, files: dict[str, str], make=good, *, regions: bool = True) -> Tally:
    root = catalogue.add_root("/photos", None)
    with catalogue.scan([(root, "")]) as scan:
        scan.add(root.name, [entry(path) for path in files])
        tally = scan.compare(regions=regions)
        tally += scan.apply(root.name, [make(file, files[file.path]) for _, file in scan.todo()])
        scan.finish()
    return tally


def changes(catalogue: SqliteCatalogue, since: int) -> tuple[dict[int, list[int]], list[int]]:
    """Codes by number of the content, and contents to take out."""
    with catalogue.snapshot():
        found = list(catalogue.regions.changes(since))
    given = {int(n): row.tolist() for change in found for n, row in zip(change.numbers, change.codes, strict=True)}
    return given, [int(n) for change in found for n in change.removed]


def number(catalogue: SqliteCatalogue, path: str) -> int:
    return int(catalogue.contents_of(np.array([int(ids(catalogue)[path], 16)]))[0])


def test_a_new_catalogue_has_no_regions(catalogue: SqliteCatalogue) -> None:
    index(catalogue, {"a.jpg": "A"}, regions=False)
    assert (catalogue.regions.count(), catalogue.regions.count_drafts()) == (0, (0, 0))
    assert changes(catalogue, 0) == ({}, [])


def test_an_unchanged_file_is_work_only_while_its_regions_are_wanted_and_missing(catalogue: SqliteCatalogue) -> None:
    files = {"a.jpg": "A", "b.jpg": "B"}
    assert index(catalogue, files, regions=False) == Tally(added=2)
    assert catalogue.is_known(content_of("A"))
    assert not catalogue.is_known(content_of("A"), regions=True)
    before = ids(catalogue)
    assert index(catalogue, files, with_codes) == Tally(unchanged=2)
    assert catalogue.regions.count() == 2
    assert catalogue.is_known(content_of("A"), regions=True)
    assert index(catalogue, files, lambda file, text: 1 / 0) == Tally(unchanged=2)  # nothing is opened
    assert ids(catalogue) == before


def test_embeddings_wait_until_they_are_settled(catalogue: SqliteCatalogue) -> None:
    index(catalogue, {"a.jpg": "A", "b.jpg": "B"}, with_drafts)
    assert catalogue.regions.count_drafts() == (2, 2)
    assert changes(catalogue, 0)[0] == {}
    with catalogue.snapshot():
        (block,) = catalogue.regions.drafts()
        one_by_one = list(catalogue.regions.drafts(batch=1))
    assert block.embeddings.dtype == np.float16
    assert [list(each.numbers) for each in one_by_one] == [[n] for n in block.numbers]
    assert block.embeddings[0].reshape(R, D).astype(np.float32).tolist() == drafts_of("A").tolist()

    seen = catalogue.generation()
    codes = np.arange(2 * R * CODE, dtype=np.int8).reshape(2, -1)
    catalogue.regions.settle(block.numbers, codes, is_final=False, space=("space", b"facts"))
    assert catalogue.regions.count_drafts() == (2, 0)
    assert catalogue.derived("region space") == ("space", b"facts")
    assert changes(catalogue, seen)[0] == dict(zip(block.numbers.tolist(), codes.tolist(), strict=True))

    catalogue.regions.settle(block.numbers, codes, is_final=True)
    assert catalogue.regions.count_drafts() == (0, 0)
    assert catalogue.regions.count() == 2
    assert catalogue.derived("region space") == ("space", b"facts")


def test_engines_hear_only_of_what_changed(catalogue: SqliteCatalogue) -> None:
    index(catalogue, {"a.jpg": "A", "b.jpg": "B"}, with_codes)
    seen = catalogue.generation()
    index(catalogue, {"a.jpg": "A", "b.jpg": "B", "c.jpg": "C"}, with_codes)
    given, gone = changes(catalogue, seen)
    assert given == {number(catalogue, "c.jpg"): codes_of("C").ravel().tolist()}
    assert gone == []


def test_regions_go_with_the_last_image_of_their_content(catalogue: SqliteCatalogue) -> None:
    index(catalogue, {"a.jpg": "A", "copy.jpg": "A", "b.jpg": "B"}, with_codes)
    of_a, seen = number(catalogue, "a.jpg"), catalogue.generation()
    index(catalogue, {"copy.jpg": "A", "b.jpg": "B"}, with_codes)
    assert changes(catalogue, seen)[1] == []
    seen = catalogue.generation()
    index(catalogue, {"b.jpg": "B"}, with_codes)
    assert changes(catalogue, seen) == ({}, [of_a])
    assert of_a not in changes(catalogue, 0)[0]


def test_the_images_of_contents_are_found(catalogue: SqliteCatalogue) -> None:
    index(catalogue, {"a.jpg": "A", "copy.jpg": "A", "b.jpg": "B", "c.jpg": "C"}, with_codes)
    index(catalogue, {"a.jpg": "A", "copy.jpg": "A", "b.jpg": "B"}, with_codes)
    of_a, of_b = number(catalogue, "a.jpg"), number(catalogue, "b.jpg")
    keys, numbers = catalogue.regions.keys_of_contents(np.array([of_a, of_b, 99]))
    assert keys.tolist() == sorted(keys.tolist())
    by_path = {path: numbers[keys == int(image_id, 16)].tolist() for path, image_id in ids(catalogue).items()}
    assert by_path == {"a.jpg": [of_a], "copy.jpg": [of_a], "b.jpg": [of_b]}


def test_cleared_regions_are_gone_with_their_space_and_everybody_hears_of_it(catalogue: SqliteCatalogue) -> None:
    index(catalogue, {"a.jpg": "A"}, with_codes)
    catalogue.set_derived("region space", "space", b"facts")
    seen = catalogue.generation()
    catalogue.regions.clear()
    assert catalogue.regions.count() == 0
    assert catalogue.derived("region space") is None
    assert catalogue.generation() > seen
    assert catalogue.count() == 1

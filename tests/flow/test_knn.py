"""The neighbours of all contents: exact, kept, and found again when something changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lookalike import Gallery
from lookalike.gallery import knn
from lookalike.gallery.parts import no_progress
from lookalike.neighbours import top_k


def test_neighbours_are_the_nearest_others_and_copies_count_once(tmp_path: Path, photos: Path) -> None:
    first = next(iter(sorted(photos.iterdir())))
    (photos / "zz-copy.jpg").write_bytes(first.read_bytes())
    with Gallery.open(tmp_path / "gallery", create=True) as gallery:
        gallery.index(photos)
        rows = knn.contents(gallery._parts)
        assert len(rows) == len(gallery) - 1 == 12
        found = knn.neighbour_graph(gallery._parts, rows, no_progress)
        every = rows.vectors.astype(np.float32)
        expected, scores = top_k(every, every, np.arange(12), 12)
        np.testing.assert_array_equal(found.neighbours, expected[:, 1:])
        np.testing.assert_allclose(found.scores, scores[:, 1:], atol=2e-6)


def test_they_are_kept_until_something_changes_and_damage_only_costs_time(
    tmp_path: Path, photos: Path, picture: Callable[..., Path]
) -> None:
    told: list[str] = []

    def note(stage: str, done: int, total: int | None) -> None:
        told.append(stage)

    with Gallery.open(tmp_path / "gallery", create=True) as gallery:
        gallery.index(photos)
        parts = gallery._parts
        rows = knn.contents(parts)
        before = knn.neighbour_graph(parts, rows, note)
        assert told
        told.clear()
        again = knn.neighbour_graph(parts, knn.contents(parts), note)
        assert told == []
        np.testing.assert_array_equal(again.neighbours, before.neighbours)

        picture(photos / "new.jpg", kind=5, seed=77)
        gallery.index(photos)
        assert len(knn.neighbour_graph(parts, knn.contents(parts), note).neighbours) == 13
        assert told
        told.clear()

        file = gallery.path / "cache" / "graph" / "neighbours.bin"
        data = bytearray(file.read_bytes())
        data[-3] ^= 0xFF
        file.write_bytes(data)
        assert len(knn.neighbour_graph(parts, knn.contents(parts), note).neighbours) == 13
        assert told

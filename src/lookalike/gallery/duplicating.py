"""Which contents are near-duplicates of each other."""

from __future__ import annotations

import numpy as np

from lookalike.gallery import knn
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import Int64

LINK = 0.95  # cosine in the plain space from which on two contents are near-duplicates


def linked(parts: Parts, progress: Progress) -> tuple[Int64, Int64]:
    """Numbers (n,) of all contents, ascending, and the group (n,) of each: chains of near-duplicates share one."""
    rows = knn.contents(parts)
    graph = knn.neighbour_graph(parts, rows, progress)
    root = list(range(len(rows)))

    def find(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    for row, place in np.argwhere(graph.scores >= LINK).tolist():
        one, other = sorted((find(row), find(int(graph.neighbours[row, place]))))
        root[other] = one
    return rows.numbers, np.fromiter(map(find, range(len(rows))), np.int64, len(rows))

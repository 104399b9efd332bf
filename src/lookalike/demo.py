"""A tour on drawn pictures: draw, index, search, show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.drawing import DrawnPart, draw_parts
from lookalike.gallery import Gallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.results import IndexReport, SearchResult
from lookalike.settings import Settings

SEARCHES = 6


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the tour did.

    Attributes:
        index: Of the drawn pictures.
        searches: One per shown query.
        kinds: Per search: the query's kind of part, how many of its results are of that kind, and how many show the
            very same part.
        page: The HTML page that shows them.
        folder: Where pictures, gallery and page lie.
    """

    index: IndexReport
    searches: tuple[SearchResult, ...]
    kinds: tuple[tuple[str, int, int], ...]
    page: Path
    folder: Path


def run(
    folder: Path, *, count: int = 300, seed: int = 0, settings: Settings | None = None, progress: Progress = no_progress
) -> DemoReport:
    """Draw pictures of industrial parts below ``folder``, index them and search.

    Args:
        folder: Where everything goes; what an earlier tour left there is used again.
        count: How many pictures.
        seed: Of the drawing.
        settings: What was chosen.
        progress: Told (stage, done, total).
    """
    folder = folder / f"{count}-pictures-seed-{seed}"  # another tour does not get mixed up with this one
    photos = folder / "photos"
    parts = draw_parts(photos, count=count, seed=seed, progress=lambda done, total: progress("draw", done, total))
    with Gallery.open(folder / "gallery", create=True, settings=settings) as gallery:
        report = gallery.index(photos, progress=progress)
        queries = _queries(parts)
        searches = tuple(gallery.search(query.path, k=8) for query in queries)
        page = folder / "lookalike-demo.html"
        gallery.write_report(searches, page, title="lookalike: a tour on drawn pictures")
    kinds = tuple(_judge(query, result, parts) for query, result in zip(queries, searches, strict=True))
    return DemoReport(report, searches, kinds, page, folder)


def _queries(parts: Sequence[DrawnPart]) -> list[DrawnPart]:
    """One picture each of different kinds."""
    first = {part.kind: part for part in reversed(parts)}
    return [first[kind] for kind in sorted(first)][:SEARCHES]


def _judge(query: DrawnPart, result: SearchResult, parts: Sequence[DrawnPart]) -> tuple[str, int, int]:
    known = {part.path.resolve(): part for part in parts}
    found = [known[match.path] for match in result if match.path != query.path.resolve()]
    same_kind = sum(part.kind == query.kind for part in found)
    same_part = sum((part.kind, part.individual) == (query.kind, query.individual) for part in found)
    return query.kind, same_kind, same_part

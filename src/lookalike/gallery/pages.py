"""Pages that show what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.gallery.parts import Parts
from lookalike.gallery.query import record_of
from lookalike.report import SAME_FILE, MatchReport, QueryReport, search_report
from lookalike.results import Match, SearchResult
from lookalike.types import ImageRecord

SAME_CONTENT = "a copy of it"


def write_report(parts: Parts, results: Sequence[SearchResult], file: Path, title: str) -> None:
    """See ``Gallery.write_report``."""
    model, searched = parts.catalogue.model(), parts.catalogue.count()
    facts = [("gallery", str(parts.path)), ("images", f"{searched:,}"), ("network", model.name)]
    page = search_report(title or parts.path.name, [_query(parts, result) for result in results], facts=facts)
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LookalikeError(f"cannot write {file}: {reason}", hint="give another file with --html") from error


def _query(parts: Parts, result: SearchResult) -> QueryReport:
    matches = [_match(result, match, record_of(parts, match.id)) for match in result]
    return QueryReport(result.query, result.query_thumbnail, matches, sum(result.seconds.values()))


def _match(result: SearchResult, match: Match, record: ImageRecord) -> MatchReport:
    same = record.content == result.query_content
    note = (SAME_FILE if str(match.path) == result.query else SAME_CONTENT) if same else ""
    taken = f", {record.taken_at[:10]}" if record.taken_at else ""
    detail = f"{record.width_px} x {record.height_px} px{taken}" + (f", {record.label}" if record.label else "")
    return MatchReport(match.rank, match.path, match.score, result.thumbnail_of(match.id) or b"", note, detail)

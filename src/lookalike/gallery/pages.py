"""Pages that show what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lookalike.gallery import explaining
from lookalike.gallery.explaining import Explanation
from lookalike.gallery.parts import Parts
from lookalike.gallery.query import record_of
from lookalike.gallery.writing import write_file
from lookalike.image_list import Tile, image_list
from lookalike.report import SAME_FILE, FoldedReport, MatchReport, QueryReport, WhyReport, search_report
from lookalike.results import Match, Outlier, OutlierReport, SearchResult
from lookalike.types import ImageRecord

SAME_CONTENT = "a copy of it"
MOST_FOLDED_PICTURES = 24  # of one stack; the rest of it is listed by name, so that a burst does not swell the page
_UNUSUAL = (
    "The value says how far away the images around a picture are, as the network sees them: higher is more unusual."
    " Unusual is not wrong: look, and decide."
)
_ORDERS = {
    "auto": "ordered by kind and by object at once",
    "kind": "ordered by kind",
    "object": "ordered by object",
    "adapted": "ordered as the labels taught",
    "plain": "ordered by score",
}


def write_report(
    parts: Parts,
    results: Sequence[SearchResult],
    file: Path,
    title: str,
    explanations: Sequence[Sequence[Explanation]] = (),
) -> None:
    """See ``Gallery.write_report``."""
    model, searched = parts.catalogue.model(), parts.catalogue.count()
    facts = [("gallery", str(parts.path)), ("images", f"{searched:,}"), ("network", model.name)]
    explained = [*explanations, *([()] * (len(results) - len(explanations)))]
    queries = [_query(parts, result, why) for result, why in zip(results, explained, strict=True)]
    write_file(parts, file, search_report(title or parts.path.name, queries, facts=facts))


def write_outliers(parts: Parts, report: OutlierReport, file: Path, title: str) -> None:
    """See ``Gallery.write_outliers``."""
    facts = [
        ("gallery", str(parts.path)),
        ("judged", f"{report.judged:,} images"),
        ("compared with", f"{report.compared_with:,} images"),
    ]
    tiles = [_tile(parts, outlier) for outlier in report]
    write_file(parts, file, image_list(title or f"Most unusual in {parts.path.name}", _UNUSUAL, tiles, facts=facts))


def _tile(parts: Parts, outlier: Outlier) -> Tile:
    record = record_of(parts, outlier.id)
    lines = [f"more unusual than {outlier.percentile:.1f} % of the images", _detail(record)]
    if outlier.stack:
        lines.append(f"{len(outlier.stack)} more almost like it")
    beside = None
    if outlier.nearest is not None:
        near = record_of(parts, outlier.nearest[0])
        beside = _thumbnail(parts, near), f"nearest, score {outlier.nearest[1]:.3f}: {near.path.name}"
    return Tile(record.path, _thumbnail(parts, record), f"{outlier.score:.3f}", lines, beside)


def _thumbnail(parts: Parts, record: ImageRecord) -> bytes:
    return parts.thumbnails.get(bytes.fromhex(record.content)) or b""


def _query(parts: Parts, result: SearchResult, explanations: Sequence[Explanation]) -> QueryReport:
    why = {explanation.id: _why(explanation) for explanation in explanations}
    matches = [_match(parts, result, match, why.get(match.id)) for match in result]
    return QueryReport(
        name=result.query,
        thumbnail=result.query_thumbnail,
        matches=matches,
        seconds=sum(result.seconds.values()),
        note=_ORDERS.get(result.match, ""),
        nothing_alike=bool(result.nothing_alike),
    )


def _match(parts: Parts, result: SearchResult, match: Match, why: WhyReport | None) -> MatchReport:
    record = record_of(parts, match.id)
    same = record.content == result.query_content
    return MatchReport(
        rank=match.rank,
        path=match.path,
        score=match.score,
        thumbnail=result.thumbnail_of(match.id) or b"",
        note=(SAME_FILE if match.path == Path(result.query).expanduser().resolve() else SAME_CONTENT) if same else "",
        detail=_detail(record),
        band=match.band,
        false_match_rate=match.false_match_rate,
        folded=_folded(parts, result, match.stack or ()),
        region=match.region,
        aspect=record.width_px / record.height_px,
        why=why,
    )


def _detail(record: ImageRecord) -> str:
    taken = f", {record.taken_at[:10]}" if record.taken_at else ""
    return f"{record.width_px} x {record.height_px} px{taken}" + (f", {record.label}" if record.label else "")


def _folded(parts: Parts, result: SearchResult, ids: Sequence[str]) -> list[FoldedReport]:
    shown = ids[:MOST_FOLDED_PICTURES]
    pictures = [result.thumbnail_of(image_id) or b"" for image_id in shown]
    pictures += [b""] * (len(ids) - len(shown))
    return [FoldedReport(record_of(parts, i).path, jpeg) for i, jpeg in zip(ids, pictures, strict=True)]


def _why(explanation: Explanation) -> WhyReport:
    query, match = explaining.page_images(explanation)
    return WhyReport(query, match, explaining.total(explanation), explanation.notes)

"""From candidates to matches: what their scores mean, what is left out, and which are folded together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike import stacks
from lookalike.calibrate import CHANCE, LEAST_IMAGES, Judgement
from lookalike.errors import GalleryError
from lookalike.gallery import calibration, dial
from lookalike.gallery.parts import Parts
from lookalike.gallery.ranking import PLAIN, Candidates, Subject, candidates
from lookalike.results import Match
from lookalike.types import ImageRecord, Int64, format_id

if TYPE_CHECKING:
    from lookalike.gallery.query import Ask

_MORE = 4  # times as many candidates, where stacks swallowed too many


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        matches: Best first.
        match: What the order is by.
        nothing_alike: Whether the gallery holds nothing like the query; None until it is calibrated.
        why_plain: In words, why the order is plain although another was asked for by name.
    """

    matches: tuple[Match, ...]
    match: str
    nothing_alike: bool | None
    why_plain: str


def matches(parts: Parts, subject: Subject, ask: Ask) -> Found:
    """The k best results, judged and folded; read it inside a snapshot.

    Raises:
        GalleryError: what looks like chance should be left out, but the gallery is not calibrated.
    """
    allowed = parts.catalogue.keys(ask.where) if ask.where else None
    total = len(parts.engine) if allowed is None else len(allowed)
    known, count = calibration.load(parts), ask.k
    if known is None and ask.cut_chance:
        raise GalleryError(
            f"{parts.path} does not know yet what its scores mean, so nothing can be told from chance",
            hint=f"lookalike calibrate; it takes {LEAST_IMAGES} different images",
        )
    near_score = stacks.NEAR_SCORE if known is None else max(stacks.NEAR_SCORE, known.near_duplicate)
    while True:
        ranked = candidates(parts, subject, count, match=ask.match, power=ask.power, allowed=allowed)
        judged = None if known is None else calibration.judge(parts, known, ranked, subject, max(1, total))
        rows = _kept(ranked, judged, ask)
        groups = _grouped(parts, ranked, rows, ask, near_score)
        # Below what was left out there is nothing but worse.
        if len(groups) >= ask.k or len(rows) < len(ranked) or count >= total:
            break
        count = min(total, max(_MORE * count, _MORE * len(ranked)))
    records = parts.catalogue.records([int(key) for key in ranked.keys[[group[0] for group in groups]]])
    told = [_told(ranked, judged, group, records, ask) for group in groups]
    found = tuple(Match(rank, *rest) for rank, rest in enumerate(told, 1))
    asked_by_name = ask.match in ("kind", "object") and ask.power is None
    why_plain = dial.why_plain(parts) if asked_by_name and ranked.match == PLAIN else ""
    return Found(found, ranked.match, None if judged is None else judged.nothing_alike, why_plain)


def _kept(ranked: Candidates, judged: Judgement | None, ask: Ask) -> NDArray[np.intp]:
    """Rows of the candidates that are not to be left out."""
    keep = np.ones(len(ranked), bool)
    if ask.min_score is not None:
        keep &= ranked.scores >= ask.min_score
    if ask.cut_chance and judged is not None:
        keep &= np.array([band != CHANCE for band in judged.bands])
    return np.flatnonzero(keep)


def _grouped(parts: Parts, ranked: Candidates, rows: NDArray[np.intp], ask: Ask, near_score: float) -> list[list[int]]:
    """Rows of each result: one, or a stack."""
    if not ask.stacks:
        return [[int(row)] for row in rows[: ask.k]]
    keys = ranked.keys[rows]
    folded = stacks.fold(ranked.vectors[rows], lambda places: _taken(parts, keys[places]), ask.k, near_score)
    return [[int(rows[place]) for place in places] for places in folded]


def _taken(parts: Parts, keys: Int64) -> NDArray[np.float64]:
    """When pictures were taken, in seconds; NaN where nobody knows."""
    known = parts.catalogue.taken(keys)
    times = (known.get(key) for key in keys.tolist())
    return np.array([np.nan if text is None else _seconds(text) for text in times], float)


def _seconds(text: str) -> float:
    """Between a day long ago and a time of day that names no zone; no clock is ever put forward here."""
    return (datetime.fromisoformat(text).replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()


def _told(
    ranked: Candidates, judged: Judgement | None, rows: list[int], records: dict[int, ImageRecord], ask: Ask
) -> tuple[Any, ...]:
    """The fields of a Match after its rank."""
    first = rows[0]
    key = int(ranked.keys[first])
    worth = (None, None) if judged is None else (judged.bands[first], float(judged.rates[first]))
    stack = tuple(format_id(int(ranked.keys[row])) for row in rows[1:]) if ask.stacks else None
    scores = float(ranked.scores[first]), float(ranked.rank_scores[first])
    box = None if ranked.boxes is None or np.isnan(ranked.boxes[first, 0]) else ranked.boxes[first]
    region = None if box is None else tuple(round(float(side), 4) for side in box)
    return format_id(key), records[key].path, *scores, *worth, stack, region

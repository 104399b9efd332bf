"""From what is searched for to candidates in order: the engine's nearest, put in order by the dial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lookalike import reduce
from lookalike.engines.base import NO_KEY
from lookalike.gallery import adaptation, dial, regions
from lookalike.gallery.adaptation import ADAPTED
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.types import Float32, Int64

SHORTLIST = 500  # how many the engine hands over for the dial to put in order
PLAIN = "plain"
_SCORE_DECIMALS = 6  # what differs less is a tie, decided by id, so that the order is the same everywhere
_NO_KEYS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is searched for.

    Attributes:
        vector: (d,) float32, in the plain space of the gallery.
        tap: (T,) float32, see ``models.base.Features``; T is 0 where there is none.
        content: Number of the content, where the gallery holds it; None for a picture from outside.
        own: Keys of images with the same content: they come first.
        without: Keys of images that are left out.
        embedding: (D,) float32 as the network gave it; None where it is made of several pictures.
        part: (D,) float32, by which it is looked for as a part of images, see ``regions.look``; None where it is not.
        itself: Key of the very file that was given as the query, which comes before its copies; NO_KEY for none.
    """

    vector: Float32
    tap: Float32
    content: int | None = None
    own: Int64 = field(default_factory=lambda: _NO_KEYS)
    without: Int64 = field(default_factory=lambda: _NO_KEYS)
    itself: int = NO_KEY
    embedding: Float32 | None = None
    part: Float32 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Images in order, best first: the query's own content, then by rank score, ties by id.

    Attributes:
        keys: (c,) int64.
        vectors: (c, d) float32.
        scores: (c,) float32, plain cosine similarities.
        rank_scores: (c,) float32, what the order is by.
        is_own: (c,) bool, whether it has the query's own content.
        match: What the order is by: the dial that was asked for, or "plain" where the gallery has none.
        boxes: (c, 4) float32, the part of each image that gave it its place, x0, y0, x1, y1, NaN where that is the
            whole; None where no parts were looked at.
        standings: (c,) float32, what that part is worth as a plain score; NaN and None likewise.
    """

    keys: Int64
    vectors: Float32
    scores: Float32
    rank_scores: Float32
    is_own: NDArray[np.bool_]
    match: str
    boxes: Float32 | None = None
    standings: Float32 | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: NDArray[np.intp]) -> Candidates:
        """These rows, in this order."""
        return Candidates(
            self.keys[rows],
            self.vectors[rows],
            self.scores[rows],
            self.rank_scores[rows],
            self.is_own[rows],
            self.match,
            None if self.boxes is None else self.boxes[rows],
            None if self.standings is None else self.standings[rows],
        )


def candidates(
    parts: Parts, subject: Subject, count: int, *, match: str, power: float | None, allowed: Int64 | None
) -> Candidates:
    """The best of the gallery in order; read it inside a snapshot.

    The dial puts the plain top ``SHORTLIST`` in order; what lies below keeps its plain order.

    Args:
        parts: Of the gallery.
        subject: What is searched for.
        count: At least this many where there are as many.
        match: A dial of ``lookalike.rerank``, "adapted" or "plain".
        power: Whitening power of a plain order; None where a dial decides.
        allowed: (a,) keys to search among; None for all.
    """
    engine, _ = synced(parts)
    wanted = max(SHORTLIST, count) + len(subject.own) + len(subject.without)
    keys, _ = engine.search(subject.vector[None, :], wanted, allowed)
    own = subject.own if allowed is None else np.intersect1d(subject.own, allowed)
    nearby = np.union1d(keys[0][keys[0] != NO_KEY], own)
    hits = None if subject.part is None else regions.find(parts, subject.part, allowed)
    found = np.setdiff1d(nearby if hits is None else np.union1d(nearby, hits.keys), subject.without)
    vectors = engine.vectors(found)
    scores = np.clip(vectors @ subject.vector, -1.0, 1.0)
    nearest = np.lexsort((found, -np.round(scores, _SCORE_DECIMALS)))
    found, vectors, scores = found[nearest], vectors[nearest], scores[nearest]
    match, rank_scores = _rank_scores(parts, subject, found, vectors, scores, match, power)
    lifted = None if hits is None else regions.lift(hits, found, scores, rank_scores)
    if lifted is not None:
        rank_scores = lifted.rank_scores
    is_own = np.isin(found, own)
    order = np.lexsort((found, found != subject.itself, -np.round(rank_scores, _SCORE_DECIMALS), ~is_own))
    every = Candidates(found, vectors, scores, rank_scores, is_own, match)
    if lifted is None:
        return every.take(order)
    # Whose part is worth no more than the whole has no place among the nearest.
    order = order[np.isin(found, nearby)[order] | ~np.isnan(lifted.standings[order])]
    return replace(every, boxes=lifted.boxes, standings=lifted.standings).take(order)


def _rank_scores(
    parts: Parts, subject: Subject, keys: Int64, vectors: Float32, scores: Float32, match: str, power: float | None
) -> tuple[str, Float32]:
    """What candidates in plain order are ordered by, and the name of that order."""
    top = slice(0, SHORTLIST)
    rank_scores = scores.copy()
    if power is not None:
        weights = reduce.whitening_weights(synced(parts)[1], power)
        match, rank_scores[top] = PLAIN, reduce.rescore(subject.vector, vectors[top], weights)
    elif match == ADAPTED:
        rank_scores[top] = adaptation.rank_scores(parts, subject.vector, vectors[top])
    elif match != PLAIN:
        dialled = dial.rank_scores(parts, match, subject, keys[top], vectors[top])
        if dialled is None:
            return PLAIN, scores
        rank_scores[top] = dialled
    _put_below(rank_scores, scores)
    return match, rank_scores


def _put_below(rank_scores: Float32, scores: Float32) -> None:
    """Let what the dial did not look at follow it, as far apart as the plain scores are."""
    if len(scores) > SHORTLIST:
        least = rank_scores[:SHORTLIST].min()
        rank_scores[SHORTLIST:] = least - (scores[SHORTLIST - 1] - scores[SHORTLIST:])

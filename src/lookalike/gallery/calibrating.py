"""What scores mean, gathered from a gallery: its images left out in turn, edited copies of some, and all its orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import calibrate, reduce, strangers
from lookalike.calibrate import Calibration, Curve
from lookalike.engines.base import NO_KEY
from lookalike.errors import GalleryError
from lookalike.gallery.copies import EditedCopy, edited_copies, sample
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts, Progress
from lookalike.gallery.ranking import PLAIN, SHORTLIST, Candidates, Subject, candidates
from lookalike.rerank import BLENDS
from lookalike.strangers import LOOKED_AT, NEIGHBOURS, Crossed, Evidence
from lookalike.types import Float32, ImageRecord, Int64, parse_id

LEFT_OUT_TOGETHER = 1000  # up to here the space is learned again without the images that are left out
LEFT_OUT = 400  # images of a larger gallery, where one image more or less does not show in the space
PAIRED = 2000  # images that those are paired with
ORDERED = 60  # images whose matches all dials put in order
EDITED, FRAMED = 15, 60  # images that are edited in those ways, and that are framed differently
LIGHT, HEAVY = ("jpeg 50", "scale 50%", "crop 90%"), ("rotate 15", "grey", "overlay")
FRAMINGS = ("crop 70%", "crop 50%")
SEED = 0
STAGE = "learn what scores mean"
_AROUND = 16  # neighbours of a neighbour: enough for 5 where some are copies


@dataclass(frozen=True, slots=True, eq=False)
class _Query:
    """An image of the gallery, or an edited copy of one, as a query that must not find its original.

    Attributes:
        embedding: (D,) float32.
        subject: Without the images of the same content.
        content: Number of the content.
    """

    embedding: Float32
    subject: Subject
    content: int


def learn(parts: Parts, progress: Progress) -> Calibration:
    """Learn what scores mean; not inside a snapshot. See ``calibration.run``."""
    records = sample(parts, max(LEFT_OUT, FRAMED), SEED)
    copies = _edited(parts, records, progress)  # its threads ask the catalogue, which a snapshot would keep for us
    with parts.lock, parts.catalogue.snapshot():
        return _learn(parts, records, copies, progress)


def _learn(
    parts: Parts, records: Sequence[ImageRecord], copies: Sequence[EditedCopy], progress: Progress
) -> Calibration:
    own = [_query(parts, record) for record in records]
    framed = [copy for copy in copies if copy.edit in FRAMINGS]
    n = parts.catalogue.count_contents()
    inside = strangers.join([_found(parts, query) for query in own])
    progress("leave images out", 0, None)
    found = _crossed(parts, framed) if n <= LEFT_OUT_TOGETHER else _in_place(parts, own, inside, framed)
    knots, rates = calibrate.fit_rates(found.pairs)
    curves = _curves(parts, own[:ORDERED], knots, len(found.pairs), progress)
    light, heavy = (_scores_with_originals(parts, copies, names) for names in (LIGHT, HEAVY))
    same, near = calibrate.copy_lines(light, heavy, found.as_they_are.first)
    learned = Calibration(
        n=n,
        lines=strangers.fit_lines([found.as_they_are, found.framed]),
        inside=strangers.fit_lines([inside]),
        same_image=same,
        near_duplicate=near,
        rates=tuple(rates.tolist()),
        curves=curves,
        finds={},
    )
    return calibrate.finished(learned, found.as_they_are, parts.catalogue.count())


def evidence_of(parts: Parts, ranked: Candidates, embedding: NDArray[Any] | None, without: Int64) -> Evidence:
    """Evidence of one query; read it inside a snapshot.

    Args:
        parts: Of the gallery.
        ranked: Its candidates in any order, the nearest among them.
        embedding: (D,) of the query, of any length; None where it is made of several pictures.
        without: Keys of images that count as not there.
    """
    nearest = ranked.take(np.argsort(-ranked.scores, kind="stable")[:LOOKED_AT])
    engine, _ = synced(parts)
    keys, scores = engine.search(nearest.vectors[:NEIGHBOURS], _AROUND + len(without))
    away = (keys == NO_KEY) | (keys == nearest.keys[:NEIGHBOURS, None]) | np.isin(keys, without)
    radii = strangers.radius(np.where(away, -np.inf, scores))
    cosines = np.full(1, np.nan) if embedding is None else _cosines(parts, nearest.keys, embedding)
    return strangers.evidence(nearest.scores[None], radii[None], cosines[None])


def _cosines(parts: Parts, keys: Int64, embedding: NDArray[Any]) -> Float32:
    stored = [features[0] for key in keys.tolist() if (features := parts.catalogue.features(key)) is not None]
    rows = strangers.unit(np.stack(stored))
    cosines: Float32 = rows @ strangers.unit(embedding[None])[0]
    return cosines


# -- queries -------------------------------------------------------------------------------------------------------


def _edited(parts: Parts, records: Sequence[ImageRecord], progress: Progress) -> list[EditedCopy]:
    copies: list[EditedCopy] = []
    total = min(FRAMED, len(records)) * len(FRAMINGS) + min(EDITED, len(records)) * len(LIGHT + HEAVY)
    for some, names in ((records[:FRAMED], FRAMINGS), (records[:EDITED], LIGHT + HEAVY)):
        for copy in edited_copies(parts, some, names, SEED):
            copies.append(copy)
            progress(STAGE, len(copies), total)
    made = {copy.edit for copy in copies}
    if not made.issuperset((*FRAMINGS, *LIGHT, *HEAVY)):
        raise GalleryError(
            f"no image of {parts.path} can be read, so none can be edited to learn what a score means",
            hint="connect the folders that it was made of, or run lookalike index",
        )
    return copies


def _query(parts: Parts, record: ImageRecord, copy: EditedCopy | None = None) -> _Query:
    keys = parts.catalogue.keys_of_content(bytes.fromhex(record.content))
    engine, reducer = synced(parts)
    features = parts.catalogue.features(int(keys[0]))
    assert features is not None
    embedding, tap = (row.astype(np.float32) for row in features) if copy is None else (copy.embedding, copy.tap)
    vector = engine.vectors(keys[:1])[0] if copy is None else reduce.transform(reducer, embedding[None])[0]
    return _Query(embedding, Subject(vector, tap, without=keys), int(parts.catalogue.contents_of(keys[:1])[0]))


# -- leaving out ---------------------------------------------------------------------------------------------------


def _crossed(parts: Parts, framed: Sequence[EditedCopy]) -> Crossed:
    """Every image left out, a tenth of them at a time, of the neighbours and of the space."""
    blocks = list(parts.catalogue.contents())
    numbers = np.concatenate([block.numbers for block in blocks])
    embeddings = np.concatenate([block.embeddings for block in blocks])
    originals = np.array([parse_id(copy.record.id) for copy in framed], np.int64)
    of_framed = np.stack([copy.embedding for copy in framed])
    rows = np.searchsorted(numbers, parts.catalogue.contents_of(originals))
    return strangers.crossed(embeddings, of_framed, rows, synced(parts)[1].dim, SEED)


def _in_place(parts: Parts, own: Sequence[_Query], inside: Evidence, framed: Sequence[EditedCopy]) -> Crossed:
    """Some images of a large gallery left out, each of its neighbours alone."""
    engine, _ = synced(parts)
    copies = [_query(parts, copy.record, copy) for copy in framed]
    differently = strangers.join([_found(parts, query) for query in copies])
    keys = parts.catalogue.keys()
    others = np.random.default_rng(SEED).choice(keys, min(PAIRED, len(keys)), replace=False)
    vectors = engine.vectors(np.sort(others))
    contents = parts.catalogue.contents_of(np.sort(others))
    pairs = [(vectors @ query.subject.vector)[contents != query.content] for query in own]
    return Crossed(inside, differently, np.concatenate(pairs))


def _found(parts: Parts, query: _Query) -> Evidence:
    without = query.subject.without
    engine, _ = synced(parts)
    keys = engine.search(query.subject.vector[None], LOOKED_AT + len(without))[0][0]
    keys = np.setdiff1d(keys[keys != NO_KEY], without)
    vectors = engine.vectors(keys)
    scores = vectors @ query.subject.vector
    ranked = Candidates(keys, vectors, scores, scores, np.zeros(len(keys), bool), PLAIN)
    return evidence_of(parts, ranked, query.embedding, without)


def _scores_with_originals(parts: Parts, copies: Sequence[EditedCopy], names: Sequence[str]) -> NDArray[np.float32]:
    engine, reducer = synced(parts)
    some = [copy for copy in copies if copy.edit in names]
    keys = np.array([parse_id(copy.record.id) for copy in some], np.int64)
    unique, place = np.unique(keys, return_inverse=True)
    vectors = reduce.transform(reducer, np.stack([copy.embedding for copy in some]))
    scores: NDArray[np.float32] = np.einsum("id,id->i", vectors, engine.vectors(unique)[place])
    return scores


# -- all orders ----------------------------------------------------------------------------------------------------


def _curves(
    parts: Parts, own: Sequence[_Query], knots: NDArray[np.float64], pairs: int, progress: Progress
) -> dict[str, Curve]:
    """A curve for every order that the gallery has."""
    shares = calibrate.exceedances(pairs)
    found: dict[str, list[Float32]] = defaultdict(list)
    mates: dict[str, list[float]] = defaultdict(list)
    searched = 0
    for done, query in enumerate(own):
        searched += len(synced(parts)[0]) - len(query.subject.without)
        mate = _mate(parts, query)
        for match in (PLAIN, *BLENDS):
            ranked = candidates(parts, query.subject, SHORTLIST, match=match, power=None, allowed=None)
            if ranked.match == match:
                found[match].append(ranked.rank_scores)
                mates[match].extend(ranked.rank_scores[ranked.keys == mate].tolist())
        progress("compare orders", done + 1, len(own))
    curves = {
        match: calibrate.fit_curve(np.concatenate(scores), searched, shares, np.array(mates[match]))
        for match, scores in found.items()
    }
    return curves | {PLAIN: Curve(tuple(knots.tolist()), curves[PLAIN].strong)}


def _mate(parts: Parts, query: _Query) -> int:
    """Key of the image whose nearest is the query, as it is the query's nearest; NO_KEY where there is none."""
    engine, _ = synced(parts)
    nearest = _nearest(parts, query.subject.vector, query.content)
    if nearest == NO_KEY:
        return NO_KEY
    key = np.array([nearest])
    back = _nearest(parts, engine.vectors(key)[0], int(parts.catalogue.contents_of(key)[0]))
    return nearest if back in query.subject.without else NO_KEY


def _nearest(parts: Parts, vector: Float32, content: int) -> int:
    """Key of the nearest image of another content among the first few."""
    keys = synced(parts)[0].search(vector[None], _AROUND)[0][0]
    keys = keys[keys != NO_KEY]
    others = keys[parts.catalogue.contents_of(keys) != content]
    return int(others[0]) if len(others) else NO_KEY

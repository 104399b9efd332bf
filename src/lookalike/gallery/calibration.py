"""What scores mean in a gallery: gathered from its own images after indexing, kept in the catalogue, asked per search."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import calibrate, strangers
from lookalike.calibrate import Calibration, Curve, Judgement
from lookalike.engines.base import NO_KEY, SearchEngine
from lookalike.errors import EmptyGalleryError, GalleryError, LookalikeError
from lookalike.gallery.copies import EditedCopy, edited_copies, sample
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts, Progress
from lookalike.gallery.ranking import PLAIN, SHORTLIST, Candidates, Subject, candidates
from lookalike.rerank import BLENDS
from lookalike.strangers import LOOKED_AT, NEIGHBOURS, Evidence
from lookalike.types import Float16, Float32, ImageRecord, Int64, parse_id, space_of

NAME = "calibration"
STALE_SHARE = 0.15  # of the images: more that are new or gone since, and it is learned again
LEFT_OUT_TOGETHER = 1000  # up to here the space is learned again without the images that are left out
LEFT_OUT = 400  # images in a larger gallery, where one image more or less does not show in the space
PAIRED = 2000  # images that those are paired with
ORDERED = 100  # images whose matches all dials put in order
EDITED, FRAMED = 40, 120  # images that are edited in all ways, and that are framed differently
LIGHT, HEAVY = ("jpeg 50", "scale 50%", "crop 90%"), ("crop 50%", "rotate 15", "grey", "overlay")
FRAMING = "crop 70%"
SEED = 0
_AROUND = 16  # neighbours of a neighbour: enough for 5 where a few are copies
_log = logging.getLogger(__name__)


def run(parts: Parts, progress: Progress) -> Calibration:
    """Learn what scores mean, and keep it; under the writer lock.

    Args:
        parts: Of the gallery.
        progress: Told ("learn what scores mean", steps done, all steps).

    Raises:
        EmptyGalleryError: nothing is indexed yet.
        GalleryError: there are too few different images, or no file of them can be read. Nothing was changed.
    """
    _refuse_few(parts)
    with parts.catalogue.snapshot():
        learned = _learn(parts, progress)
    parts.catalogue.set_derived(NAME, _space(parts), json.dumps(learned.to_dict()).encode())
    return learned


def run_if_due(parts: Parts, progress: Progress) -> bool:
    """Do so after indexing, where it was not done for this space yet or the gallery has changed a lot since.

    Too few images are no error here; nor is anything else, because the gallery can be searched without.

    Returns:
        Whether it was learned.
    """
    count, old = parts.catalogue.count_contents(), load(parts)
    if count < calibrate.LEAST_IMAGES:
        if parts.catalogue.derived(NAME) is not None:
            parts.catalogue.set_derived(NAME, "", None)
        return False
    if old is not None and abs(count - old.n) <= STALE_SHARE * old.n:
        return False
    try:
        run(parts, progress)
    except LookalikeError as error:
        _log.warning("what scores mean could not be learned: %s", error)
        return False
    return True


def load(parts: Parts) -> Calibration | None:
    """What was learned for the current space; None where nothing was."""
    kept = parts.catalogue.derived(NAME)
    if kept is None or kept[0] != _space(parts):
        return None
    try:
        return Calibration.from_dict(json.loads(kept[1]))
    except (KeyError, TypeError, ValueError) as error:
        _log.info("calibration not used: %r", error)
        return None


def judge(
    parts: Parts, ranked: Candidates, *, embedding: NDArray[Any] | None, without: Int64, searched: int
) -> Judgement | None:
    """What the matches of a query are worth; read it inside a snapshot, before any are left out.

    Args:
        parts: Of the gallery.
        ranked: All candidates in order.
        embedding: (D,) of the query; None where it is made of several pictures.
        without: Keys of images that were left out of the search.
        searched: Among how many images it was.

    Returns:
        None where the gallery is not calibrated, or nothing was found.
    """
    known = load(parts)
    if known is None or not len(ranked):
        return None
    nearest = np.argsort(-ranked.scores, kind="stable")[:LOOKED_AT]
    found = _evidence(parts, synced(parts)[0], ranked.take(nearest), embedding, without)
    return calibrate.judge(
        known, found, ranked.scores, ranked.rank_scores, match=ranked.match, searched=searched
    )


def summary(parts: Parts, known: Calibration) -> dict[str, Any]:
    """What was learned, as plain data: per band the least plain score, chance hits per search, and who finds such."""
    count = parts.catalogue.count()
    likely = calibrate.score_at(known, calibrate.CHANCE_HITS / count)
    lines = {
        calibrate.SAME: known.same_image,
        calibrate.NEAR: known.near_duplicate,
        calibrate.STRONG: max(known.curves[PLAIN].strong, likely),
        calibrate.LIKELY: likely,
    }
    hits = count * calibrate.rates_of(known, PLAIN, np.array(list(lines.values())))
    bands = [
        {"band": band, "from_score": round(line, 3), "chance_hits": float(f"{hit:.2g}"), "finds": round(known.finds[band], 3)}
        for (band, line), hit in zip(lines.items(), hits, strict=True)
    ]
    return {"images": count, "learned_from": known.n, "bands": bands, "orders": list(known.curves)}


def _refuse_few(parts: Parts) -> None:
    count = parts.catalogue.count_contents()
    if not count:
        raise EmptyGalleryError(f"{parts.path} holds no images yet", hint="lookalike index FOLDER")
    if count < calibrate.LEAST_IMAGES:
        raise GalleryError(
            f"{parts.path} holds {count} different images, too few to say what a score means:"
            f" {calibrate.LEAST_IMAGES} are needed",
            hint=f"index {calibrate.LEAST_IMAGES - count} more",
        )


def _space(parts: Parts) -> str:
    reducer = parts.catalogue.reducer()
    return "" if reducer is None else space_of(parts.catalogue.model(), reducer)


# -- learning ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """One image of the gallery as a query."""

    content: int
    keys: Int64
    embedding: Float16
    subject: Subject


def _learn(parts: Parts, progress: Progress) -> Calibration:
    """Read inside a snapshot."""
    engine, _ = synced(parts)
    records = sample(parts, max(LEFT_OUT, FRAMED), SEED)
    copies = _edited(parts, records, progress)
    own = [_as_query(parts, engine, record) for record in records]
    framed = [copy for copy in copies if copy.edit == FRAMING]
    n = parts.catalogue.count_contents()
    if n <= LEFT_OUT_TOGETHER:
        as_they_are, differently, scores = _crossed(parts, framed)
    else:
        as_they_are, differently, scores = _in_place(parts, engine, own, framed)
    light, heavy = (_with_originals(parts, engine, copies, names) for names in (LIGHT, HEAVY))
    same, near = calibrate.copy_lines(light, heavy, as_they_are.first)
    knots, rates = calibrate.fit_rates(scores)
    curves = _curves(parts, engine, own[:ORDERED], knots, len(scores), progress)
    lines = strangers.fit_lines([as_they_are, differently])
    bare = Calibration(n, lines, same, near, tuple(rates.tolist()), curves, {})
    return calibrate.with_finds(bare, as_they_are, parts.catalogue.count())


def _edited(parts: Parts, records: list[ImageRecord], progress: Progress) -> list[EditedCopy]:
    copies: list[EditedCopy] = []
    total = min(FRAMED, len(records)) + min(EDITED, len(records)) * len(LIGHT + HEAVY)
    for some, names in ((records[:FRAMED], (FRAMING,)), (records[:EDITED], LIGHT + HEAVY)):
        for copy in edited_copies(parts, some, names, SEED):
            copies.append(copy)
            progress("learn what scores mean", len(copies), total)
    if not all(any(copy.edit in names for copy in copies) for names in ((FRAMING,), LIGHT, HEAVY)):
        raise GalleryError(
            f"no image of {parts.path} can be read, so none can be edited to learn what a score means",
            hint="connect the folders, or run lookalike index first",
        )
    return copies


def _as_query(parts: Parts, engine: SearchEngine, record: ImageRecord) -> _Own:
    keys = parts.catalogue.keys_of_content(bytes.fromhex(record.content))
    key = parse_id(record.id)
    features = None if key is None else parts.catalogue.features(key)
    assert features is not None
    content = int(parts.catalogue.contents_of(keys[:1])[0])
    subject = Subject(engine.vectors(keys[:1])[0], features[1].astype(np.float32), without=keys)
    return _Own(content, keys, features[0], subject)


def _crossed(parts: Parts, framed: list[EditedCopy]) -> tuple[Evidence, Evidence, Float32]:
    """Every image left out in turn, some at a time, of the neighbours and of the space: as it is, framed differently."""
    blocks = list(parts.catalogue.contents())
    numbers = np.concatenate([block.numbers for block in blocks])
    embeddings = np.concatenate([block.embeddings for block in blocks])
    reducer = parts.catalogue.reducer()
    dim = 1 if reducer is None else max(1, reducer.dim)
    fold = strangers.folds(len(numbers), SEED)
    keys = np.array([parse_id(copy.record.id) for copy in framed], np.int64)
    of_copies = fold[np.searchsorted(numbers, parts.catalogue.contents_of(keys))]
    of_framed = np.stack([copy.embedding for copy in framed])
    found: dict[str, list[Evidence]] = defaultdict(list)
    scores = []
    for part in range(strangers.FOLDS):
        asked = np.concatenate([embeddings[fold == part], of_framed[of_copies == part]])
        out = strangers.held_out(embeddings[fold != part], asked, max(dim, _most_dims(parts)))
        count = np.count_nonzero(fold == part)
        found["plain"].append(out.evidence.take(slice(count)))
        found["framed"].append(out.evidence.take(slice(count, None)))
        scores.append(out.scores[:count].ravel())
    return strangers.join(found["plain"]), strangers.join(found["framed"]), np.concatenate(scores)


def _in_place(
    parts: Parts, engine: SearchEngine, own: list[_Own], framed: list[EditedCopy]
) -> tuple[Evidence, Evidence, Float32]:
    """A sample of a large gallery, each left out of the neighbours alone."""
    raise NotImplementedError

"""What scores mean in a gallery: learned from its images after indexing, kept in the catalogue, used by searches."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np

from lookalike import calibrate
from lookalike.calibrate import Calibration, Judgement
from lookalike.errors import EmptyGalleryError, GalleryError, LookalikeError
from lookalike.gallery.calibrating import evidence_of, learn
from lookalike.gallery.parts import Parts, Progress
from lookalike.gallery.ranking import PLAIN, Candidates, Subject

NAME = "calibration"
STALE_SHARE = 0.15  # of the images: more that are new or gone since, and it is learned again
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
    learned = learn(parts, progress)
    parts.catalogue.set_derived(NAME, parts.space(), json.dumps(learned.to_dict()).encode())
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
    if kept is None or kept[0] != parts.space():
        return None
    try:
        return Calibration.from_dict(json.loads(kept[1]))
    except (KeyError, TypeError, ValueError) as error:
        _log.info("calibration not used: %r", error)
        return None


def judge(parts: Parts, known: Calibration, ranked: Candidates, subject: Subject, searched: int) -> Judgement | None:
    """What the matches of a query are worth; read it inside a snapshot, before any are left out.

    Args:
        parts: Of the gallery.
        known: What was learned, from ``load``.
        ranked: All candidates in order.
        subject: What was searched for.
        searched: Among how many images it was, at least 1.

    Returns:
        None where nothing was found.
    """
    if not len(ranked):
        return None
    found = evidence_of(parts, ranked, subject.embedding, subject.without)
    # A whitening power makes scores of its own, which no curve knows.
    order = ranked.scores if ranked.match == PLAIN else ranked.rank_scores
    inside = len(subject.without) > 0  # the query is an image of the gallery
    return calibrate.judge(
        known,
        found,
        ranked.scores,
        order,
        match=ranked.match,
        searched=searched,
        inside=inside,
        standings=ranked.standings,
    )


def summary(parts: Parts, known: Calibration) -> dict[str, Any]:
    """What was learned, as plain data: per band the least plain score, chance hits per search, and who finds such."""
    count = parts.catalogue.count()
    likely, seldom = (calibrate.score_at(known, h / count) for h in (calibrate.CHANCE_HITS, calibrate.STRONG_HITS))
    lines = {
        calibrate.SAME: known.same_image,
        calibrate.NEAR: known.near_duplicate,
        calibrate.STRONG: max(known.curves[PLAIN].strong, seldom),
        calibrate.LIKELY: likely,
    }
    hits = count * calibrate.rates_of(known, PLAIN, np.array(list(lines.values())))
    bands = [
        {
            "band": band,
            "from_score": round(line, 3),
            "chance_hits": float(f"{hit:.2g}"),
            "finds": round(known.finds[band], 3),
        }
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

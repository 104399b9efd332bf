"""Looking through propagated labels: which to look at first, and what a person says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lookalike.catalogue.data import LabelChange, PropagatedLabel
from lookalike.errors import ImageNotFoundError, SettingError
from lookalike.gallery.curate import account_name
from lookalike.gallery.parts import Parts
from lookalike.types import format_id, parse_id


@dataclass(frozen=True, slots=True)
class ToReview:
    """A propagated label that nobody has looked at.

    Attributes:
        id: The image's id.
        path: Where its file is.
        label: Its propagated label.
        confidence: How likely it is right, 0..1.
    """

    id: str
    path: Path
    label: str
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the confidence with 3 decimals."""
        return {**asdict(self), "path": str(self.path), "confidence": round(self.confidence, 3)}


def listed(parts: Parts) -> list[ToReview]:
    """See ``Gallery.to_review``."""
    with parts.catalogue.snapshot():
        current = parts.catalogue.propagations.current()
        records = parts.catalogue.records([each.key for each in current])
    return [ToReview(format_id(e.key), records[e.key].path, e.label, e.confidence) for e in current]


def review(
    parts: Parts, accept: Sequence[str], reject: Sequence[str], accept_above: float | None, by: str | None
) -> dict[str, Any]:
    """See ``Gallery.review``."""
    current = {each.key: each for each in parts.catalogue.propagations.current()}
    rejected = [_of(parts, current, image_id).key for image_id in reject]
    accepted = [_of(parts, current, image_id).key for image_id in accept]
    both = set(accepted) & set(rejected)
    if both:
        raise SettingError(f"{format_id(min(both))} is both accepted and rejected", hint="leave it in one of the lists")
    if accept_above is not None:
        accepted += [key for key, each in current.items() if each.confidence >= accept_above and key not in rejected]
    accepted = list(dict.fromkeys(accepted))
    changes = [LabelChange(key, current[key].label) for key in accepted]
    changes += [LabelChange(key, None) for key in dict.fromkeys(rejected)]
    batch = None
    if changes:
        facts = {"review": {"accepted": len(accepted), "rejected": len(set(rejected)), "accepted_above": accept_above}}
        batch = parts.catalogue.add_labels(changes, by=by or account_name(), source="person", facts=facts)
    return {"batch": batch, "accepted": len(accepted), "rejected": len(set(rejected))}


def _of(parts: Parts, current: dict[int, PropagatedLabel], image_id: str) -> PropagatedLabel:
    key = parse_id(image_id)
    if key is None or parts.catalogue.record(key) is None:
        raise ImageNotFoundError(f"there is no image {image_id!r} in {parts.path}")
    if key not in current:
        raise SettingError(
            f"the label of {image_id} is not a propagated one: there is nothing to review",
            hint="lookalike labels review lists those that are",
        )
    return current[key]

"""Which images a person should label next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import active
from lookalike.errors import SettingError
from lookalike.gallery import propagating
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import format_id

_SURE = 0.9


@dataclass(frozen=True, slots=True)
class Question:
    """An image to label.

    Attributes:
        id: The image's id.
        path: Where its file is.
        reason: Why this one, in words.
        decides: How many doubtful images, itself among them, its label would settle; copies count once.
        suggestion: The label that it would get by propagation; None where there are too few labels for that.
        confidence: How likely that is right, 0..1; None likewise.
    """

    id: str
    path: Path
    reason: str
    decides: float
    suggestion: str | None
    confidence: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``decides`` with 1 decimal, the confidence with 3."""
        sure = None if self.confidence is None else round(self.confidence, 3)
        return {**asdict(self), "path": str(self.path), "decides": round(self.decides, 1), "confidence": sure}


def label_next(parts: Parts, count: int, progress: Progress) -> list[Question]:
    """See ``Gallery.label_next``."""
    if count < 1:
        raise SettingError(f"n: {count!r} is below 1", hint="ask for at least one image")
    heap = propagating.read(parts, progress)
    found = heap.propagated() if heap.is_enough else None
    doubts = np.ones(len(heap.numbers), np.float32) if found is None else propagating.doubts(found)
    rows, decides = active.most_decisive(heap.described.smoothed, heap.described.even, doubts, heap.rows, count)
    keys = heap.keys[rows]
    records = parts.catalogue.records(keys.tolist())
    questions = []
    for row, key, images in zip(rows.tolist(), keys.tolist(), decides.tolist(), strict=True):
        suggestion = None if found is None else heap.names[found.codes[row]]
        sure = None if found is None else float(found.confidences[row])
        if key in records:
            reason = _reason(images, suggestion, sure)
            questions.append(Question(format_id(key), records[key].path, reason, images, suggestion, sure))
    return questions


def _reason(images: float, suggestion: str | None, sure: float | None) -> str:
    count = max(1, round(images))
    others = "stands for itself" if count == 1 else f"typical of {count:,} images that no label settles yet"
    if sure is None:
        return others
    return f"{'likely' if sure >= _SURE else 'perhaps'} {suggestion}; {others}"

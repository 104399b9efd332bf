"""The adaptation of a gallery to its labels: kept in the catalogue beside the plain reducer, used where asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike import adapt
from lookalike.errors import GalleryFormatError, SettingError
from lookalike.gallery.parts import Parts
from lookalike.types import Float32

NAME = "adaptation"
ADAPTED = "adapted"  # the order that uses it


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """What is kept.

    Attributes:
        matrix: (d, d) float32 from ``adapt.fit``.
        facts: What was measured when it was learned, as plain data; see ``adapting.AdaptReport``.
    """

    matrix: Float32
    facts: dict[str, Any]

    def to_bytes(self) -> bytes:
        """One line of JSON, then the matrix as little-endian float32."""
        return json.dumps(self.facts).encode() + b"\n" + self.matrix.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, dim: int) -> Adaptation:
        """What ``to_bytes`` made, for vectors of this length.

        Raises:
            GalleryFormatError: it is damaged.
        """
        head, _, body = data.partition(b"\n")
        try:
            matrix = np.frombuffer(body, "<f4").astype(np.float32).reshape(dim, dim)
            facts = json.loads(head)
        except ValueError as error:
            raise GalleryFormatError("the adaptation is damaged", hint="lookalike adapt learns it again") from error
        if not np.isfinite(matrix).all():
            raise GalleryFormatError("the adaptation is damaged", hint="lookalike adapt learns it again")
        return cls(matrix, facts)


def keep(parts: Parts, adaptation: Adaptation) -> None:
    """Put it in place of an earlier one."""
    parts.catalogue.set_derived(NAME, parts.space(), adaptation.to_bytes())


def drop(parts: Parts) -> bool:
    """Forget it; returns whether there was one."""
    had = parts.catalogue.derived(NAME) is not None
    if had:
        parts.catalogue.set_derived(NAME, "", None)
    return had


def opened(parts: Parts) -> Adaptation:
    """The adaptation of the gallery.

    Raises:
        SettingError: there is none, or it was learned before the reducer was fitted anew.
        GalleryFormatError: it is damaged.
    """
    kept, reducer = parts.catalogue.derived(NAME), parts.catalogue.reducer()
    if kept is None or reducer is None:
        raise SettingError(
            f"{parts.path} is not adapted to its labels", hint="label images, then: lookalike adapt; or search without"
        )
    if kept[0] != parts.space():
        raise SettingError(
            f"{parts.path} was adapted before its PCA was learned anew: that adaptation no longer fits",
            hint="lookalike adapt learns it again",
        )
    return Adaptation.from_bytes(kept[1], reducer.dim)


def state(parts: Parts) -> dict[str, Any] | None:
    """For ``info``: what was measured, and whether it can be used still; None where the gallery is not adapted."""
    kept = parts.catalogue.derived(NAME)
    if kept is None:
        return None
    return {**json.loads(kept[1].partition(b"\n")[0]), "usable": kept[0] == parts.space()}


def rank_scores(parts: Parts, vector: Float32, vectors: Float32) -> Float32:
    """What an adapted search orders candidates (c, d) by; see ``adapt.adapted_scores`` and ``opened``."""
    return adapt.adapted_scores(opened(parts).matrix, vector, vectors)

"""What is searched for: a picture, an image of the gallery, or several of both, as one subject."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import feedback, reduce
from lookalike.errors import ImageNotFoundError, SettingError
from lookalike.gallery import picture
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.gallery.ranking import Subject
from lookalike.types import Float32, Int64, parse_id

Example = tuple[str, float]
Seen = tuple[Float32, Float32]  # embedding (D,) and tap (T,)


def check(examples: Sequence[Any]) -> tuple[Example, ...]:
    """Examples as (id or path, weight); each may be given as that, or as an id or a path alone.

    Raises:
        SettingError: something else, or a weight that is not above 0.
    """
    checked = []
    for example in examples:
        what, weight = example if isinstance(example, tuple) and len(example) == 2 else (example, 1.0)
        if not isinstance(what, (str, os.PathLike)):
            raise SettingError(f"an example is {what!r:.60}", hint="give an id or a path, or (id or path, weight)")
        checked.append((str(what), feedback.check_weight(str(what), float(weight))))
    return tuple(checked)


def look(parts: Parts, examples: Sequence[Example]) -> list[Seen]:
    """What the network sees in examples: of the gallery's own images it is known already.

    Raises:
        ImageNotFoundError: the gallery has no image of that id.
        ImageError: a file cannot be read or decoded.
    """
    return [_stored(parts, key, what) if (key := parse_id(what)) is not None else _of_file(parts, what)
            for what, _ in examples]  # fmt: skip


def subject_of(
    parts: Parts,
    query: Seen | None,
    like: Sequence[tuple[Seen, float]],
    unlike: Sequence[tuple[Seen, float]],
    *,
    own: Int64,
    without: Int64,
) -> Subject:
    """One subject from the query and further examples; read it inside a snapshot.

    Args:
        parts: Of the gallery.
        query: The picture that was asked about; None where there are examples only.
        like: What else is right, with weights.
        unlike: What is wrong, with weights.
        own: Keys of images with the query's content.
        without: Keys of images to leave out.
    """
    right = [(query, 1.0), *like] if query is not None else list(like)
    vectors, taps, weights = _arrays(parts, right)
    if len(right) == 1 and not unlike:
        known = own if len(own) else without
        content = int(parts.catalogue.contents_of(known[:1])[0]) if len(known) and query is not None else None
        return Subject(vectors[0], taps[0], content, own, without, embedding=right[0][0][0])
    wrong_vectors, wrong_taps, wrong_weights = _arrays(parts, unlike, like=(vectors, taps))
    _, reducer = synced(parts)
    given = {"positive_weights": weights, "negative_weights": wrong_weights}
    vector = feedback.combine(vectors, wrong_vectors, reducer.variances, **given)
    return Subject(vector, feedback.combine_taps(taps, wrong_taps, **given), None, own, without)


def _arrays(
    parts: Parts, seen: Sequence[tuple[Seen, float]], like: tuple[Float32, Float32] | None = None
) -> tuple[Float32, Float32, Float32]:
    """Plain vectors (n, d), taps (n, T) and weights (n,); of no rows as wide as what they are like."""
    if not seen:
        assert like is not None
        return like[0][:0], like[1][:0], np.zeros(0, np.float32)
    _, reducer = synced(parts)
    vectors = reduce.transform(reducer, np.stack([embedding for (embedding, _), _ in seen]))
    return vectors, np.stack([tap for (_, tap), _ in seen]), np.array([weight for _, weight in seen], np.float32)


def _stored(parts: Parts, key: int, what: str) -> Seen:
    found = parts.catalogue.features(key)
    if found is None:
        hint = "search --json and similar --json give ids; a file of that name is written ./NAME"
        raise ImageNotFoundError(f"there is no image {what!r} in {parts.path}", hint=hint)
    embedding, tap = (row.astype(np.float32) for row in found)
    return embedding, tap


def _of_file(parts: Parts, what: str) -> Seen:
    name, data = picture.read(Path(what), parts.settings.max_file_bytes)
    decoded = picture.decode(parts, name, data)
    return picture.embed(parts.embedder(throughput=False), decoded)

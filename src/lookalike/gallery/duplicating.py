"""Groups of images that are the same picture, and what must stay together in a training split."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike import duplicates
from lookalike.errors import EmptyGalleryError, ImageNotFoundError, SettingError
from lookalike.filters import parse
from lookalike.gallery import knn, pairs
from lookalike.gallery.bursts import SAME
from lookalike.gallery.curate import account_name
from lookalike.gallery.duplicate_report import EXACT, NEAR, DuplicateGroup, DuplicateReport, group_of
from lookalike.gallery.pairs import Pairs
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import ImageRecord, Int64, parse_id

ALL = "all"
KINDS = (EXACT, NEAR, ALL)

_Closeness = tuple[float, float, float]  # score, difference, part that is covered
_Members = list[tuple[int, _Closeness]]  # numbers of contents
_ITSELF: _Closeness = (1.0, 0.0, 0.0)


def find(parts: Parts, *, kind: str, where: str | None, progress: Progress) -> DuplicateReport:
    """See ``Gallery.duplicates``."""
    if kind not in KINDS:
        raise SettingError(f"kind {kind!r} is none", hint=f"one of {', '.join(KINDS)}")
    started = time.monotonic()
    keys, numbers = _images(parts, where)
    near, unread = ([], 0) if kind == EXACT else _near(parts, np.unique(numbers), progress)
    groups = [(NEAR, members) for members in near]
    if kind != NEAR:
        grouped = {number for members in near for number, _ in members}
        groups = [(EXACT, [(number, _ITSELF)]) for number in _copied(numbers) if number not in grouped] + groups
    found = list(_with_images(parts, groups, keys, numbers))
    found.sort(key=lambda group: (group.kind != EXACT, str(group.keep.path)))
    return DuplicateReport(parts.path, kind, tuple(found), len(keys), unread, time.monotonic() - started)


def linked(parts: Parts, progress: Progress) -> tuple[Int64, Int64]:
    """What must stay on one side of a training split.

    Every chain of pictures that are the same, or so nearly that one gives the other away: a board and its defective
    sister are not the same picture, but one of them must not be learned from while the other is tested. So does what
    the network can hardly tell apart, such as the frames of a burst. What people
    said to be no duplicates stays linked likewise: that they differ does not make them independent.

    Args:
        parts: Of the gallery.
        progress: Told (stage, done, total).

    Returns:
        Numbers (n,) int64 of all contents, ascending, and the group (n,) int64 of each: contents of one group share
        the number of its first content.
    """
    found = pairs.find(parts, progress)
    graph = knn.neighbour_graph(parts, found.rows, progress)
    rows, places = np.nonzero(graph.scores >= SAME)
    bursts = np.stack([rows, graph.neighbours[rows, places]], axis=1)
    ties = np.concatenate([np.stack([found.first, found.second], axis=1), bursts])
    return found.rows.numbers, found.rows.numbers[duplicates.components(len(found.rows), ties)]


def set_apart(parts: Parts, ids: Sequence[str], by: str | None) -> int:
    """See ``Gallery.not_duplicates``."""
    keys = []
    for image_id in ids:
        key = parse_id(image_id)
        if key is None:
            raise ImageNotFoundError(f"there is no image {image_id!r} in {parts.path}")
        keys.append(key)
    return parts.catalogue.decisions.add(keys, by=by or account_name())


def _images(parts: Parts, where: str | None) -> tuple[Int64, Int64]:
    """Keys of the images that are asked about, and the number of each one's content."""
    keys, numbers = parts.catalogue.content_numbers()
    if not len(keys):
        raise EmptyGalleryError(f"{parts.path} holds no images yet", hint="lookalike index FOLDER")
    if where is None:
        return keys, numbers
    asked = np.isin(keys, parts.catalogue.keys(parse(where)))
    return keys[asked], numbers[asked]


def _copied(numbers: Int64) -> list[int]:
    """Contents that several images show."""
    values, counts = np.unique(numbers, return_counts=True)
    copied: list[int] = values[counts > 1].tolist()
    return copied


def _near(parts: Parts, asked: Int64, progress: Progress) -> tuple[list[_Members], int]:
    """Groups of contents that show the same picture; each with score and difference from the one it is built around."""
    found = pairs.find(parts, progress)
    usable = np.isin(found.rows.numbers, asked)
    counted = found.same & usable[found.first] & usable[found.second]
    place = {number: row for row, number in enumerate(found.rows.numbers.tolist())}
    apart = [
        frozenset(place[number] for number in told if number in place) for told in parts.catalogue.decisions.apart()
    ]
    same = np.stack([found.first[counted], found.second[counted]], axis=1)
    rows = duplicates.stars(len(found.rows), duplicates.without(same, apart), _order(parts, found, same), apart)
    closeness = _closeness(found, counted)
    groups = [
        [(int(found.rows.numbers[leader]), _ITSELF)]
        + [(int(found.rows.numbers[row]), closeness[min(leader, row), max(leader, row)]) for row in others]
        for leader, *others in rows
    ]
    return groups, found.unread


def _closeness(found: Pairs, counted: NDArray[np.bool_]) -> dict[tuple[int, int], _Closeness]:
    columns = (found.first, found.second, found.scores, found.differences, found.covered)
    listed = zip(*(column[counted].tolist() for column in columns), strict=True)
    return {(first, second): (score, difference, covered) for first, second, score, difference, covered in listed}


def _order(parts: Parts, found: Pairs, same: Int64) -> Int64:
    """Which of equals a group is built around: the lowest; the one with most pixels, then the first to arrive."""
    order = np.zeros(len(found.rows), np.int64)
    rows = np.unique(same)
    for start in range(0, len(rows), 1000):
        part = rows[start : start + 1000]
        records = parts.catalogue.records(found.rows.keys[part].tolist())
        for row, key in zip(part.tolist(), found.rows.keys[part].tolist(), strict=True):
            if key in records:
                order[row] = -records[key].width_px * records[key].height_px
    return order


def _with_images(
    parts: Parts, groups: Sequence[tuple[str, _Members]], keys: Int64, numbers: Int64
) -> Iterator[DuplicateGroup]:
    """Groups with all images that show their contents; what is gone by now is left out."""
    order = np.argsort(numbers, kind="stable")
    keys, numbers = keys[order], numbers[order]
    for kind, members in groups:
        listed: list[tuple[ImageRecord, _Closeness]] = []
        for number, closeness in members:
            low, high = np.searchsorted(numbers, [number, number + 1])
            records = parts.catalogue.records(keys[low:high].tolist())
            listed += [(record, closeness) for _, record in sorted(records.items())]
        if len(listed) > 1:
            yield group_of(kind, listed)

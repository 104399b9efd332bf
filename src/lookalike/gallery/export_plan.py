"""Which images are exported, and in which part of a split each one is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lookalike import split
from lookalike.errors import GalleryError
from lookalike.export.report import SplitReport
from lookalike.export.rows import NO_LABEL
from lookalike.filters import Condition
from lookalike.gallery import duplicating
from lookalike.gallery.parts import Parts, Progress
from lookalike.path_templates import PathTemplate
from lookalike.types import Int64, parse_id

ARRIVED = "it came into the gallery during the export"
_NOTHING = -1
_EXAMPLES = 5
_OFF_BY = 0.02  # of all images: a part that misses its fraction by more is worth a note


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images are wanted.

    Attributes:
        where: They fulfil all of these.
        labelled_only: They have a label.
        group_by: Reads fields from their paths.
    """

    where: tuple[Condition, ...]
    labelled_only: bool
    group_by: PathTemplate | None


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Images by root and path.

    Attributes:
        keys: (n,) int64.
        contents: (n,) int64, number of each one's content.
        labels: (n,) int64, numbers of ``label_texts``, -1 without a label.
        label_texts: All labels, sorted.
        fields: (n,) int64, numbers of ``field_values``, -1 where the template does not match.
        field_values: What the template read.
        found: How many images fulfil the filter.
        left_out: How many of them are not listed, by reason.
        unmatched_examples: Some paths that the template does not match.
    """

    keys: Int64
    contents: Int64
    labels: Int64
    label_texts: tuple[str, ...]
    fields: Int64
    field_values: tuple[tuple[str, ...], ...]
    found: int
    left_out: Counter[str]
    unmatched_examples: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def label_of(self, row: int) -> str | None:
        """The label of an image."""
        number = int(self.labels[row])
        return None if number == _NOTHING else self.label_texts[number]

    def fields_of(self, row: int) -> tuple[str, ...] | None:
        """What the template read from the path of an image; None where it does not match."""
        number = int(self.fields[row])
        return None if number == _NOTHING else self.field_values[number]

    def kept(self, rows: split.Bools, why_not: str) -> Listing:
        """Only some of it; the others are left out."""
        left_out = self.left_out + Counter({why_not: int(np.count_nonzero(~rows))})
        arrays = {name: getattr(self, name)[rows] for name in ("keys", "contents", "labels", "fields")}
        return replace(self, left_out=left_out, **arrays)


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The parts of a split.

    Attributes:
        names: Of the parts.
        parts: (n,) int64, of each image.
        groups: (n,) int64: images of equal number are in one part.
        report: What people are told.
        notes: Likewise.
    """

    names: tuple[str, ...]
    parts: Int64
    groups: Int64
    report: SplitReport
    notes: tuple[str, ...]

    def of(self, row: int) -> tuple[str, int]:
        """Name of the part of an image, and number of its group."""
        return self.names[int(self.parts[row])], int(self.groups[row])


def listing(parts: Parts, wanted: Wanted) -> Listing:
    """The images that are wanted.

    Raises:
        GalleryError: there is none.
    """
    keys: list[int] = []
    labels: list[int] = []
    fields: list[int] = []
    label_numbers: dict[str, int] = {}
    field_numbers: dict[tuple[str, ...], int] = {}
    unmatched: list[str] = []
    found = 0
    with parts.catalogue.snapshot():
        for found, record in enumerate(parts.catalogue.all_records(wanted.where), 1):  # noqa: B007
            if wanted.labelled_only and record.label is None:
                continue
            keys.append(_key(record.id))
            labels.append(_number(label_numbers, record.label))
            read = wanted.group_by.read(record.relative_path) if wanted.group_by else None
            fields.append(_number(field_numbers, read))
            if wanted.group_by and read is None and len(unmatched) < _EXAMPLES:
                unmatched.append(record.relative_path)
        numbers = np.array(keys, np.int64)
        contents = parts.catalogue.contents_of(numbers)
    _refuse_nothing(parts, wanted, found, len(keys))
    texts, codes = _sorted(label_numbers, np.array(labels, np.int64))
    left_out = Counter({NO_LABEL: found - len(keys)} if found > len(keys) else {})
    rest = (found, left_out, tuple(unmatched))
    return Listing(numbers, contents, codes, texts, np.array(fields, np.int64), tuple(field_numbers), *rest)


def _key(image_id: str) -> int:
    key = parse_id(image_id)
    assert key is not None
    return key


def _number(numbers: dict[Any, int], value: Any) -> int:
    return _NOTHING if value is None else numbers.setdefault(value, len(numbers))


def _sorted(numbers: dict[str, int], codes: Int64) -> tuple[tuple[str, ...], Int64]:
    """Labels in order, and the codes that go with it."""
    texts = sorted(numbers)
    place = np.empty(len(texts) + 1, np.int64)
    place[[numbers[text] for text in texts]] = np.arange(len(texts))
    place[_NOTHING] = _NOTHING  # the last place, which a missing label's code finds from behind
    return tuple(texts), place[codes]


def _refuse_nothing(parts: Parts, wanted: Wanted, found: int, kept: int) -> None:
    if not found:
        which = f" that fulfils {' and '.join(map(str, wanted.where))}" if wanted.where else ""
        raise GalleryError(f"{parts.path} holds no image{which}: there is nothing to export")
    if not kept:
        raise GalleryError(
            f"none of {found:,} images has a label: there is nothing to export",
            hint="label some first, or take a format that needs no labels: csv, jsonl, npz, parquet, labelstudio",
        )


def divide(
    parts: Parts,
    wanted: Wanted,
    fractions: tuple[float, ...],
    seed: int,
    progress: Progress,
) -> tuple[Listing, Division]:
    """The images that are wanted, divided so that nothing that belongs together is torn apart.

    Raises:
        GalleryError: there is none.
    """
    numbers, links = duplicating.linked(parts, progress)
    listed = listing(parts, wanted)
    place = np.minimum(np.searchsorted(numbers, listed.contents), len(numbers) - 1)
    listed = listed.kept(numbers[place] == listed.contents, ARRIVED)
    near = links[np.searchsorted(numbers, listed.contents)]
    ties = (listed.contents, near, listed.fields)
    groups = split.join(ties)
    assigned = split.assign(groups, listed.labels, fractions, seed=seed)
    names = split.NAMES[len(fractions)]
    sizes = np.bincount(groups, minlength=1)
    report = SplitReport(
        fractions=dict(zip(names, fractions, strict=True)),
        group_by=None if wanted.group_by is None else wanted.group_by.text,
        groups=len(sizes),
        largest_group=int(sizes.max()),
        leaks=_leaks(ties, assigned),
        naive_leaks=_leaks(ties, split.naive(len(listed), fractions, seed=seed)),
        seed=seed,
    )
    return listed, Division(names, assigned, groups, report, tuple(_notes(listed, assigned, report)))


def _leaks(ties: Sequence[Int64], assigned: Int64) -> int:
    """Images with something that belongs to them in another part; looks at every tie by itself, not at the groups."""
    torn = np.zeros(len(assigned), np.bool_)
    for tie in ties:
        torn |= split.torn(tie, assigned)
    return int(np.count_nonzero(torn))


def _notes(listed: Listing, assigned: Int64, report: SplitReport) -> Iterator[str]:
    n = len(listed)
    for part, (name, fraction) in enumerate(report.fractions.items()):
        rows = assigned == part
        got = int(np.count_nonzero(rows)) / n
        if abs(got - fraction) > max(_OFF_BY, 1 / n):
            yield (
                f"{name} has {100 * got:.1f} % of the images, not {100 * fraction:.1f} %: groups are not divided, and"
                f" the largest holds {report.largest_group:,} of {n:,}"
            )
        missing = len(listed.label_texts) - len(np.setdiff1d(listed.labels[rows], [_NOTHING]))
        if missing:
            yield f"{name} has no image of {missing:,} of {len(listed.label_texts):,} labels"

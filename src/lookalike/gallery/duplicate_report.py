"""What a search for duplicates found, and which image of each group to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookalike.types import ImageRecord

EXACT, NEAR = "exact", "near"


@dataclass(frozen=True, slots=True)
class DuplicateImage:
    """One image of a group.

    Attributes:
        id: The image's id.
        path: Where its file is (absolute).
        score: Cosine similarity with the picture that the group is built around, which has 1.
        difference: The strongest difference of pixels at any place from that picture, 0 for itself and its copies; in
            deviations of the picture, see ``docs/duplicates.md``.
        covered: The part of the area that one of the two has something laid over, such as a caption; the difference is
            that of the rest. 0 for most.
        width_px: Of the upright picture.
        height_px: Likewise.
        size_bytes: Of the file.
        date: When it was taken where the file says so, else when it was last changed; ISO 8601.
        content: SHA-256 of the file, hexadecimal.
    """

    id: str
    path: Path
    score: float
    difference: float
    covered: float
    width_px: int
    height_px: int
    size_bytes: int
    date: str
    content: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; scores with 3 decimals."""
        rounded = {name: round(getattr(self, name), 3) for name in ("score", "difference", "covered")}
        return {**asdict(self), "path": str(self.path), **rounded}


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Images that are the same picture; all were compared with one of them, so they never chain.

    Attributes:
        kind: "exact" (the same bytes) or "near".
        images: The one to keep first, then by score, then by path.
        why: In words, why the first is the one to keep.
    """

    kind: str
    images: tuple[DuplicateImage, ...]
    why: str

    @property
    def keep(self) -> DuplicateImage:
        """The one to keep; only a suggestion: nothing is ever deleted."""
        return self.images[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``paths``, ``ids`` and ``scores`` in the order of ``images``."""
        return {
            "kind": self.kind,
            "paths": [str(image.path) for image in self.images],
            "ids": [image.id for image in self.images],
            "scores": [round(image.score, 3) for image in self.images],
            "keep": self.keep.id,
            "why": self.why,
            "images": [image.to_dict() for image in self.images],
        }


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """What a search for duplicates found; nothing is ever deleted.

    Attributes:
        gallery: Path of the gallery.
        kind: What was asked for: "exact", "near" or "all".
        groups: Exact ones first, then by the path of the one to keep. No image is in two of them.
        searched: How many images were looked at.
        unread: How many contents had no picture to look at, neither a thumbnail nor a file: near ones of them are
            missed.
        seconds: Wall time.
    """

    gallery: Path
    kind: str
    groups: tuple[DuplicateGroup, ...]
    searched: int
    unread: int
    seconds: float

    @property
    def images(self) -> int:
        """How many images are in groups."""
        return sum(len(group.images) for group in self.groups)

    @property
    def spare(self) -> int:
        """How many images are there beside those to keep."""
        return self.images - len(self.groups)

    @property
    def spare_bytes(self) -> int:
        """The size of those."""
        return sum(image.size_bytes for group in self.groups for image in group.images[1:])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "gallery": str(self.gallery),
            "kind": self.kind,
            "groups": [group.to_dict() for group in self.groups],
            "searched": self.searched,
            "images": self.images,
            "spare": self.spare,
            "spare_bytes": self.spare_bytes,
            "unread": self.unread,
            "seconds": round(self.seconds, 3),
        }


def group_of(kind: str, members: Sequence[tuple[ImageRecord, tuple[float, float, float]]]) -> DuplicateGroup:
    """A group of at least two images.

    Args:
        kind: "exact" or "near".
        members: Each with its score, difference and part that is covered.
    """
    images = [_image(record, *closeness) for record, closeness in members]
    keep = min(images, key=_preference)
    rest = sorted((image for image in images if image is not keep), key=lambda image: (-image.score, str(image.path)))
    return DuplicateGroup(kind, (keep, *rest), _why(keep, rest))


def _image(record: ImageRecord, score: float, difference: float, covered: float) -> DuplicateImage:
    changed = datetime.fromtimestamp(record.mtime_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return DuplicateImage(
        record.id,
        record.path,
        score,
        difference,
        covered,
        record.width_px,
        record.height_px,
        record.size_bytes,
        record.taken_at or changed,
        record.content,
    )


def _preference(image: DuplicateImage) -> tuple[int, int, str, str]:
    return -image.width_px * image.height_px, -image.size_bytes, image.date, str(image.path)


def _why(keep: DuplicateImage, rest: Sequence[DuplicateImage]) -> str:
    """The rules that told it from the others, each where the ones before left it open."""
    equal, decided = list(rest), []
    for place, words in enumerate(("most pixels", "largest file", "oldest", "first by path")):
        left = [image for image in equal if _preference(image)[place] == _preference(keep)[place]]
        if len(left) < len(equal):
            decided.append(words)
        equal = left
    return ", then ".join(decided)

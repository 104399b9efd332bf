"""What an export came to: for people, for scripts, and for the card beside the export."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SplitReport:
    """How images were divided.

    Attributes:
        fractions: What was asked for, by name of the part.
        group_by: The template whose fields stay together; None where none was given.
        groups: How many groups stay together, single images included.
        largest_group: Images of the largest one.
        leaks: Images with a copy, a near-duplicate or shared fields in another part; checked on the result.
        naive_leaks: How many there would be, had the same images been shuffled and cut.
        seed: Decided between equal groups.
    """

    fractions: dict[str, float]
    group_by: str | None
    groups: int
    largest_group: int
    leaks: int
    naive_leaks: int
    seed: int

    @property
    def verdict(self) -> str:
        """In words, how many images leak, and how many would have."""
        return f"{self.leaks:,} leaks; shuffling and cutting would have leaked {self.naive_leaks:,} images"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported and what was not; ``found = exported + sum(left_out.values())``.

    Attributes:
        gallery: Path of the gallery.
        target: What was written.
        card: What people read about it.
        format: Its format.
        files: "copy", "hardlink", "symlink" or "reference"; None where no photos belong to it.
        where: The filter; None without one.
        found: Images that fulfil the filter.
        exported: Images in the export.
        left_out: How many are not, by reason.
        labels: Exported images by label, the most frequent first.
        unlabelled: Exported images without a label.
        sources: Exported labels by where they come from.
        by_split: Exported images by part and label, "" for no label; one part "" where nothing was divided.
        split: How they were divided; None where they were not.
        fields: Fields that were read from the paths.
        unmatched: Images whose path the template does not match.
        unmatched_examples: A few of those paths, below their root.
        changed_since_labelled: Exported images that show something else than when they were labelled.
        escaped_paths: Paths that are no UTF-8 and are written with escapes.
        error_bound: Upper bound, at 95 % confidence, on the share of wrong labels among those that came from clusters;
            None where there are none.
        model: Name of the network.
        notes: What else people should know.
        at: When, ISO 8601, UTC.
        seconds: Wall time.
    """

    gallery: Path
    target: Path
    card: Path
    format: str
    files: str | None
    where: str | None
    found: int
    exported: int
    left_out: dict[str, int]
    labels: dict[str, int]
    unlabelled: int
    sources: dict[str, int]
    by_split: dict[str, dict[str, int]]
    split: SplitReport | None
    fields: tuple[str, ...]
    unmatched: int
    unmatched_examples: tuple[str, ...]
    changed_since_labelled: int
    escaped_paths: int
    model: str
    notes: tuple[str, ...]
    at: str
    seconds: float
    error_bound: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            **asdict(self),
            "gallery": str(self.gallery),
            "target": str(self.target),
            "card": str(self.card),
            "by_split": {
                name: {"images": sum(labels.values()), "labels": labels} for name, labels in self.by_split.items()
            },
            "fields": list(self.fields),
            "unmatched_examples": list(self.unmatched_examples),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }

"""What people make of a gallery: labels, and what is learned from them. ``Gallery`` is all of this and more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.gallery import adaptation, curate
from lookalike.gallery.opening import OpenGallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.types import LabelEvent

if TYPE_CHECKING:
    from lookalike.gallery.adapting import AdaptReport
    from lookalike.results import OutlierReport


class CuratedGallery(OpenGallery):
    """The half of ``Gallery`` that sorts, labels and hands on."""

    # -- labels ------------------------------------------------------------------------------------------------

    def label_images(self, labels: Mapping[str, str | None], *, by: str | None = None) -> int:
        """Label images by id; None takes a label away. Works while other jobs run.

        Args:
            labels: Label by image id.
            by: Who says so; default: the name of the account.

        Returns:
            Number of the batch, for ``undo_labels``.

        Raises:
            ImageNotFoundError: an id is unknown; nothing was changed.
            SettingError: an empty label.
        """
        return curate.label_images(self._parts, labels, by=by, source="person")

    def import_labels(self, file: str | os.PathLike[str], *, by: str | None = None) -> dict[str, Any]:
        """Label images from a CSV file with columns path and label.

        Paths are absolute, or relative to a root of the gallery or to the folder of the file.

        Returns:
            Plain data: "batch", "labelled", "unknown" (paths that the gallery does not know).
        """
        return curate.import_labels(self._parts, Path(file), by=by)

    def undo_labels(self, batch: int | None = None) -> tuple[int, int]:
        """Take back a batch of labels (None: the last); returns its number and how many labels it held."""
        return self._parts.catalogue.undo_labels(batch)

    def label_events(self) -> list[LabelEvent]:
        """All batches of labels, latest first."""
        return self._parts.catalogue.label_events()

    def label_counts(self) -> dict[str, int]:
        """Number of images by current label, the most frequent first."""
        return self._parts.catalogue.label_counts()

    # -- what stands out -----------------------------------------------------------------------------------------

    def outliers(
        self,
        n: int = 20,
        *,
        where: str | None = None,
        since: str | None = None,
        last_run: bool = False,
        progress: Progress = no_progress,
    ) -> OutlierReport:
        """Find the most unusual images, or among new ones those that are most unlike what was there before.

        Args:
            n: How many; near-duplicates count as one, exact copies always.
            where: List only images that fulfil this filter; they are compared with all images in any case.
            since: Images that were added at this time (ISO 8601, UTC) or later are new: only they are listed, and they
                are compared with the older ones alone.
            last_run: The same for what the last run of ``index`` added that read files.
            progress: Told (stage, done, total).

        Raises:
            EmptyGalleryError: nothing is indexed yet.
            GalleryError: there are too few images to compare with.
            SettingError: an argument cannot be used.
        """
        from lookalike.gallery import unusual

        return unusual.find(self._parts, n, where=where, since=since, last_run=last_run, progress=progress)

    def write_outliers(self, report: OutlierReport, file: str | os.PathLike[str], title: str = "") -> None:
        """Write a self-contained HTML page that shows unusual images, each with the one that is most like it."""
        from lookalike.gallery import pages

        pages.write_outliers(self._parts, report, Path(file), title)

    # -- learning from labels ------------------------------------------------------------------------------------

    def adapt(self, *, keep: bool = False, seed: int = 0, progress: Progress = no_progress) -> AdaptReport:
        """Learn from the labels how to order results, for ``match="adapted"``; see ``docs/feedback.md``.

        Some labels are held back to measure whether that finds more than the best order that needs none. It is kept
        where it is sure to, in place of an earlier one; where it is not, an earlier one is dropped.

        Args:
            keep: Keep it in any case.
            seed: Decides what is held back.
            progress: Told (stage, done, total).

        Raises:
            GalleryError: there are too few labels: two with four different images each are needed.
        """
        from lookalike.gallery import adapting

        return adapting.learn(self._parts, keep=keep, seed=seed, progress=progress)

    def drop_adaptation(self) -> bool:
        """Forget what ``adapt`` has kept; returns whether there was something."""
        return adaptation.drop(self._parts)

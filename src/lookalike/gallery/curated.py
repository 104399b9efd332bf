"""What people make of a gallery: labels, and what is learned from them. ``Gallery`` is all of this and more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.gallery import adaptation, curate
from lookalike.gallery.opening import OpenGallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.types import Decision, LabelEvent

if TYPE_CHECKING:
    from lookalike.gallery.adapting import AdaptReport
    from lookalike.gallery.duplicate_report import DuplicateReport


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

    # -- duplicates ----------------------------------------------------------------------------------------------

    def duplicates(
        self, *, kind: str = "all", where: str | None = None, progress: Progress = no_progress
    ) -> DuplicateReport:
        """Images that are the same picture, in groups that never chain; see ``docs/duplicates.md``.

        Nothing is ever deleted; each group says which image to keep, and why.

        Args:
            kind: "exact" (the same bytes), "near" (the same picture in other bytes) or "all".
            where: Only among images that fulfil this filter.
            progress: Told (stage, done, total).

        Raises:
            EmptyGalleryError: nothing is indexed yet.
            SettingError: an unknown kind, or a filter that cannot be understood.
        """
        from lookalike.gallery import duplicating

        return duplicating.find(self._parts, kind=kind, where=where, progress=progress)

    def write_duplicates(
        self,
        report: DuplicateReport,
        *,
        html: str | os.PathLike[str] | None = None,
        csv: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write what ``duplicates`` found as a self-contained page, as a table, or both; files are replaced.

        Raises:
            SettingError: a file would lie among the photos, which are never written to.
        """
        from lookalike.gallery import duplicate_pages

        if html is not None:
            duplicate_pages.write_page(self._parts, report, Path(html))
        if csv is not None:
            duplicate_pages.write_table(self._parts, report, Path(csv))

    def not_duplicates(self, ids: Sequence[str], *, by: str | None = None) -> int:
        """Remember that images are different pictures, each from each: no group holds two of them any more.

        Owned by what the files show, so it survives moves, removal and return, and holds for all copies. Works while
        other jobs run.

        Args:
            ids: Two images or more.
            by: Who says so; default: the name of the account.

        Returns:
            Number of the decision, for ``undo_not_duplicates``.

        Raises:
            ImageNotFoundError: an id is unknown; nothing was changed.
            SettingError: they are all copies of one file.
        """
        from lookalike.gallery import duplicating

        return duplicating.set_apart(self._parts, ids, by)

    def undo_not_duplicates(self, decision: int | None = None) -> tuple[int, int]:
        """Take back a decision (None: the last); returns its number and how many pictures it told apart."""
        return self._parts.catalogue.decisions.undo(decision)

    def duplicate_decisions(self) -> list[Decision]:
        """All decisions of ``not_duplicates``, latest first."""
        return self._parts.catalogue.decisions.all()

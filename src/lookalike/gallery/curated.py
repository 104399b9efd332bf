"""What people make of a gallery: labels, and what is learned from them. ``Gallery`` is all of this and more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.gallery import adaptation, curate
from lookalike.gallery.opening import OpenGallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.types import LabelEvent

if TYPE_CHECKING:
    from lookalike.export.report import ExportReport
    from lookalike.gallery.adapting import AdaptReport


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

    # -- handing on --------------------------------------------------------------------------------------------

    def export(
        self,
        target: str | os.PathLike[str],
        format: str | None = None,
        *,
        split: Sequence[float] | str | None = None,
        group_by: str | None = None,
        where: str | None = None,
        files: str | None = None,
        labelled_only: bool = False,
        url_prefix: str | None = None,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress = no_progress,
    ) -> ExportReport:
        """Write images and labels for other tools; see ``docs/export.md``. The target is there complete or not at all.

        Args:
            target: File or folder to make; never among photos.
            format: csv, jsonl, npz, parquet, imagefolder, coco, labelstudio, fiftyone or huggingface; None goes by the
                target's suffix.
            split: Fractions that add up to 1: train, val and test, or train and test. Copies and near-duplicates stay
                in one part.
            group_by: A template such as ``{site}/{asset}/*`` of paths below their root: images that share all fields
                stay in one part, and tables get the fields as columns.
            where: A filter, as in ``search``.
            files: How photos come along: "copy", "hardlink", "symlink", or "reference": they stay where they are.
            labelled_only: Leave out images without a label also where the format has a place for them.
            url_prefix: What the addresses of photos begin with, for labelstudio.
            seed: Decides between groups of equal size.
            overwrite: Replace an earlier export.
            progress: Told (stage, done, total).

        Raises:
            SettingError: an argument cannot be used, or the target is taken or among photos; nothing was written.
            MissingExtraError: the format needs an optional part.
            GalleryError: there is nothing to export.
            LookalikeError: the target cannot be written; nothing is left of it.
        """
        from lookalike.gallery import exporting

        ask = exporting.Ask(format, split, group_by, where, files, labelled_only, url_prefix, seed, overwrite)
        return exporting.export(self._parts, Path(target), ask, progress)

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

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
    from lookalike.gallery.mapping import GalleryMap


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

    # -- the map -------------------------------------------------------------------------------------------------

    def map(
        self,
        *,
        html: str | os.PathLike[str] | None = None,
        png: str | os.PathLike[str] | None = None,
        wall: bool = False,
        method: str = "tsne",
        colour: str = "auto",
        where: str | None = None,
        again: bool = False,
        seed: int | None = None,
        progress: Progress = no_progress,
    ) -> GalleryMap:
        """Lay all images out on a plane, so that what looks alike lies together; see ``docs/map.md``.

        The layout is kept. Later maps have every image where it was, and place new ones among those they are like.

        Args:
            html: Write it as a self-contained page to look around in; the PCA picture is there at once, and is
                replaced when the layout is done.
            png: Write it as a picture.
            wall: Let the picture be a wall of small pictures, each near its place.
            method: "tsne", or "pca": at once, and coarse.
            colour: What points of one colour share: "label", "date", "root", "none"; "auto": the label where an image
                has one.
            where: Show only images that fulfil this filter.
            again: Lay out all images anew.
            seed: Lay out with this seed, where the layout that is kept has another; None takes that, else 0.
            progress: Told (stage, done, total); what it raises ends the work, and nothing is changed.

        Raises:
            EmptyGalleryError: nothing is indexed yet.
            GalleryError: the first indexing was stopped before its end.
            SettingError: an argument cannot be used, or a file lies among the photos, which are never written to.
            MissingExtraError: openTSNE, which the extra ``map`` brings, is not installed.
            GalleryLockedError: another process is at a long job, and there is something to lay out or to place.
        """
        from lookalike.gallery import mapviews

        drawings = mapviews.Drawings(
            None if html is None else Path(html), None if png is None else Path(png), colour, wall
        )
        return mapviews.mapped(
            self._parts, drawings, method=method, where=where, again=again, seed=seed, progress=progress
        )

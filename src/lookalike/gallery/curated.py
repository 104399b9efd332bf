"""What people make of a gallery: labels, and what is learned from them. ``Gallery`` is all of this and more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.gallery import adaptation, curate
from lookalike.gallery.clustered import ClusteredGallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.types import Decision, LabelEvent

if TYPE_CHECKING:
    from lookalike.export.report import ExportReport
    from lookalike.gallery.adapting import AdaptReport
    from lookalike.gallery.asking import Question
    from lookalike.gallery.duplicate_report import DuplicateReport
    from lookalike.gallery.mapping import GalleryMap
    from lookalike.gallery.propagating import PropagationReport
    from lookalike.gallery.reviewing import ToReview
    from lookalike.results import OutlierReport


class CuratedGallery(ClusteredGallery):
    """The part of ``Gallery`` that labels, learns from labels, and hands on."""

    # -- labels ------------------------------------------------------------------------------------------------

    def label_images(self, labels: Mapping[str, str | None], *, by: str | None = None, copies: bool = False) -> int:
        """Label images by id; None takes a label away. Works while other jobs run.

        Args:
            labels: Label by image id.
            by: Who says so; default: the name of the account.
            copies: Label all other files with the same content too.

        Returns:
            Number of the batch, for ``undo_labels``.

        Raises:
            ImageNotFoundError: an id is unknown; nothing was changed.
            SettingError: an empty label.
        """
        return curate.label_images(self._parts, labels, by=by, source="person", copies=copies)

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
        return curate.label_counts(self._parts)

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

    # -- labels for the rest -------------------------------------------------------------------------------------

    def label_next(self, n: int = 20, *, progress: Progress = no_progress) -> list[Question]:
        """The images to label next, those that decide the most first; see ``docs/propagation.md``.

        Typical of many, doubtful rather than sure, and different from each other and from what is labelled. Works
        without any label, too.

        Args:
            n: How many; fewer come where all others are labelled or near-duplicates of these.
            progress: Told (stage, done, total).

        Raises:
            GalleryError: there is no PCA yet.
        """
        from lookalike.gallery import asking

        return asking.label_next(self._parts, n, progress)

    def propagate(
        self,
        min_confidence: float = 0.9,
        *,
        dry_run: bool = False,
        by: str | None = None,
        progress: Progress = no_progress,
    ) -> PropagationReport:
        """Give images without a label the label of those around them, where that is likely right.

        Learned from what persons said, from imported and cluster labels; never from propagated ones, and no image that
        bears such a label is touched. Earlier propagated labels are taken back and replaced. What somebody rejected is
        not propagated again.

        Args:
            min_confidence: The least confidence, above 0 and at most 1; see ``docs/propagation.md``.
            dry_run: Write nothing.
            by: Who asked for it; default: the name of the account.
            progress: Told (stage, done, total).

        Raises:
            GalleryError: too few labels to learn from, or there is no PCA yet; nothing was changed.
            SettingError: a confidence that cannot be used.
        """
        from lookalike.gallery import propagating

        return propagating.run(self._parts, min_confidence=min_confidence, dry_run=dry_run, by=by, progress=progress)

    def to_review(self) -> list[ToReview]:
        """Propagated labels that nobody has looked at, the least sure first."""
        from lookalike.gallery import reviewing

        return reviewing.listed(self._parts)

    def review(
        self,
        accept: Sequence[str] = (),
        reject: Sequence[str] = (),
        *,
        accept_above: float | None = None,
        by: str | None = None,
    ) -> dict[str, Any]:
        """Say of propagated labels whether they are right.

        An accepted one becomes the label of a person, which later propagations learn from. A rejected one is taken
        away, and neither this image nor a copy of it is given that label again. ``undo_labels`` takes both back.

        Args:
            accept: Ids of images.
            reject: Ids of others.
            accept_above: Accept all others of at least this confidence, too.
            by: Who says so; default: the name of the account.

        Returns:
            Plain data: "batch" (None where there was nothing to say), "accepted", "rejected".

        Raises:
            ImageNotFoundError: an id is unknown; nothing was changed.
            SettingError: an image bears no propagated label, or is in both lists.
        """
        from lookalike.gallery import reviewing

        return reviewing.review(self._parts, accept, reject, accept_above, by)

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
            colour: What points of one colour share: "label", "cluster", "date", "root", "none"; "auto": the label where
                an image has one, else the cluster where there are any.
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

"""What people make of a gallery: labels, and what is learned from them. ``Gallery`` is all of this and more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.gallery import adaptation, curate
from lookalike.gallery.opening import OpenGallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.types import ImageRecord, LabelEvent

if TYPE_CHECKING:
    from lookalike.cluster_results import ClusterDetail, Clustering, ErrorReport, LabelReport
    from lookalike.export.report import ExportReport
    from lookalike.gallery.adapting import AdaptReport
    from lookalike.results import OutlierReport


class CuratedGallery(OpenGallery):
    """The half of ``Gallery`` that sorts, labels and hands on."""

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

    # -- clusters ----------------------------------------------------------------------------------------------

    def cluster(
        self, granularity: int | None = None, *, again: bool = False, progress: Progress = no_progress
    ) -> Clustering:
        """Sort the gallery into clusters. See ``docs/clusters.md``.

        The first time grows a tree; later calls cut it anew, at once. Clusters that go on keep their id.

        Args:
            granularity: How many clusters; None for as many as the gallery itself suggests. Groups that are too small
                to be clusters stay unassigned, so there may be fewer.
            again: Grow the tree anew, with all that is in the gallery now. What people changed about clusters is lost,
                labels are not: they belong to images.
            progress: Told (stage, done, total).

        Raises:
            GalleryError: there are fewer than 4 different images.
            GalleryLockedError: another process is indexing.
        """
        from lookalike.gallery import cluster_views, clustering

        clustering.make(self._parts, granularity, progress, again=again)
        return cluster_views.overview(self._parts)

    def is_sorted(self) -> bool:
        """Whether the gallery has clusters."""
        return self._parts.catalogue.clusters.run() is not None

    def clusters(self) -> Clustering:
        """The clusters that there are, the largest first.

        Raises:
            GalleryError: the gallery is not sorted yet.
        """
        from lookalike.gallery import cluster_views

        return cluster_views.overview(self._parts)

    def cluster_detail(
        self, cluster: int, *, sample: int | None = None, seed: int = 0, target: float = 0.05
    ) -> ClusterDetail:
        """One cluster with images to look at, and a sample to inspect before labelling it.

        Args:
            cluster: Its id.
            sample: How many to draw; None for as many as the target needs if none of them is wrong.
            seed: Of the draw.
            target: Share of wrong labels to strive for, 0..1.

        Raises:
            SettingError: there is no such cluster.
        """
        from lookalike.gallery import cluster_views

        return cluster_views.detail(self._parts, cluster, sample=sample, seed=seed, target=target)

    def write_cluster_sheet(
        self,
        shown: Clustering | ClusterDetail,
        *,
        html: str | os.PathLike[str] | None = None,
        png: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write a contact sheet of clusters: a self-contained HTML page, a PNG, or both.

        Args:
            shown: From ``clusters`` or ``cluster_detail``.
            html: Where to write the page; replaced where it is there.
            png: Where to write the picture, likewise.
        """
        from lookalike.gallery import cluster_sheets

        pages = [None if file is None else Path(file) for file in (html, png)]
        cluster_sheets.write(self._parts, shown, *pages)

    def unassigned(self) -> list[ImageRecord]:
        """The images that are in no cluster, by root and path."""
        from lookalike.gallery import cluster_views

        return cluster_views.unassigned(self._parts)

    def split_cluster(self, cluster: int) -> list[int]:
        """Split a cluster in two; returns the ids of the parts: the larger one keeps its id.

        Raises:
            SettingError: there is no such cluster, or it is a single image.
        """
        from lookalike.gallery import clustering

        return clustering.split(self._parts, cluster)

    def merge_clusters(self, *clusters: int) -> int:
        """Make one cluster of several; returns its id, that of the largest.

        Raises:
            SettingError: fewer than two, or there is no such cluster.
        """
        from lookalike.gallery import clustering

        return clustering.merge(self._parts, clusters)

    def label_cluster(
        self,
        cluster: int,
        label: str,
        *,
        inspected: int,
        wrong: Sequence[str] = (),
        seed: int = 0,
        by: str | None = None,
        target: float = 0.05,
        force: bool = False,
    ) -> LabelReport:
        """Label a cluster after looking at a sample of it, and say how wrong that can be.

        Args:
            cluster: Its id.
            label: What its images are called from now on.
            inspected: How many of ``cluster_detail(...).sample`` were looked at, from the first on. 0 is allowed: then
                nothing is known of the error.
            wrong: Ids of those among them that are something else. They get no label, and leave the cluster.
            seed: Of the sample.
            by: Who says so; default: the name of the account.
            target: Share of wrong labels to strive for, 0..1; the report says how many more looks reach it.
            force: Label it although more than a fifth of the sample is wrong, which calls for ``split_cluster``.

        Raises:
            SettingError: there is no such cluster, or a wrong one is not in the sample.
        """
        from lookalike.gallery import labelling

        seen = labelling.Inspection(inspected, wrong, seed)
        return labelling.label_cluster(self._parts, cluster, label, seen, by=by, target=target, force=force)

    def label_error(self, target: float = 0.05) -> ErrorReport:
        """What all inspections together say of the labels that clusters gave, and what to inspect next.

        Args:
            target: Share of wrong labels to strive for, 0..1.
        """
        from lookalike.gallery import labelling

        return labelling.error(self._parts, target)

    def check_labels(
        self, inspected: int, wrong: Sequence[str] = (), *, by: str | None = None, target: float = 0.05
    ) -> ErrorReport:
        """Note that the first of ``label_error(target).sample`` were inspected; the wrong ones lose their label.

        Args:
            inspected: How many of the sample, from the first on.
            wrong: Ids of those among them whose label is wrong.
            by: Who says so; default: the name of the account.
            target: That of the sample.

        Raises:
            SettingError: more than the sample holds, or a wrong one that was not inspected.
        """
        from lookalike.gallery import labelling

        labelling.check(self._parts, inspected, wrong, by=by, target=target)
        return labelling.error(self._parts, target)

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

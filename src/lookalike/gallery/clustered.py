"""Sorting a gallery into clusters and labelling those. ``Gallery`` is all of this and more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.gallery.opening import OpenGallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.types import ImageRecord

if TYPE_CHECKING:
    from lookalike.cluster_results import ClusterDetail, Clustering, ErrorReport, LabelReport


class ClusteredGallery(OpenGallery):
    """The part of ``Gallery`` that sorts."""

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

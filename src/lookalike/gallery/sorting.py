"""What every part of clustering starts from: the contents of a gallery, their vectors, and where each belongs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lookalike import exemplars
from lookalike.catalogue.data import Cluster, ClusterRun
from lookalike.cluster import Tree
from lookalike.errors import GalleryError, SettingError
from lookalike.exemplars import Standing
from lookalike.gallery import knn
from lookalike.gallery.knn import ContentVectors
from lookalike.gallery.parts import Parts
from lookalike.types import Int64

UNASSIGNED, NEW = 0, -1  # instead of the id of a cluster: looked at and in none; not looked at yet


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """A gallery with its clusters, as one consistent state.

    Attributes:
        run: The tree and how it is cut.
        clusters: Those that there are, by id.
        rows: All contents that the gallery shows.
        ids: (n,) int64, the cluster of each content, UNASSIGNED or NEW.
    """

    run: ClusterRun
    clusters: tuple[Cluster, ...]
    rows: ContentVectors
    ids: Int64

    @property
    def tree(self) -> Tree:
        """The tree that the clusters are cut from."""
        return Tree(self.run.joins, self.run.costs)

    def members(self, cluster: int) -> Int64:
        """Rows of the contents of a cluster, ascending."""
        return np.flatnonzero(self.ids == cluster)

    def cluster(self, number: int) -> Cluster:
        """The cluster of that id.

        Raises:
            SettingError: there is none.
        """
        for cluster in self.clusters:
            if cluster.id == number:
                return cluster
        raise SettingError(f"there is no cluster {number}", hint="lookalike cluster lists them")

    def occupied(self) -> Int64:
        """Ids of the clusters that hold an image, ascending."""
        held = np.unique(self.ids)
        return held[held > 0]

    def standing(self, some: Int64) -> tuple[Int64, Standing]:
        """Rows of all contents in these clusters (ids, ascending), and how they stand in them."""
        members = np.flatnonzero(np.isin(self.ids, some))
        place = np.searchsorted(some, self.ids[members])
        return members, exemplars.standing(self.rows.vectors[members], place, len(some))


def opened(parts: Parts) -> Sorted:
    """The gallery as it is sorted now.

    Raises:
        GalleryError: it is not sorted into clusters yet.
    """
    with parts.lock, parts.catalogue.snapshot():
        run = parts.catalogue.clusters.run()
        if run is None:
            raise GalleryError(f"{parts.path} is not sorted into clusters yet", hint="lookalike cluster does it")
        rows = knn.contents(parts)
        contents, clusters = parts.catalogue.clusters.members()
        return Sorted(run, tuple(parts.catalogue.clusters.all()), rows, ids_of(rows.numbers, contents, clusters))


def ids_of(numbers: Int64, contents: Int64, clusters: Int64) -> Int64:
    """(n,) the cluster of each of the contents ``numbers``, by sorted contents and theirs; NEW where there is none."""
    if not len(contents):
        return np.full(len(numbers), NEW)
    place = np.minimum(np.searchsorted(contents, numbers), len(contents) - 1)
    return np.where(contents[place] == numbers, clusters[place], NEW)

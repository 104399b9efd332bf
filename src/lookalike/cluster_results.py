"""What front doors print of clusters: frozen dataclasses with ``to_dict()``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ShownImage:
    """One image of a cluster.

    Attributes:
        id: The image's id.
        path: Where its file is (absolute).
        score: Cosine similarity with the centre of the cluster, -1..1.
        label: Its current label; None where it has none.
    """

    id: str
    path: Path
    score: float
    label: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; scores with 3 decimals."""
        return {**asdict(self), "path": str(self.path), "score": round(self.score, 3)}


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster in the overview.

    Attributes:
        id: Its number, which stays as long as the cluster does.
        size: How many images it holds.
        label: What most of its images are called; None where fewer than half have that label.
        labelled: How many of its images have a label.
        cohesion: Mean cosine similarity of its images with its centre, -1..1: the higher, the more alike they are.
        exemplars: Images that show its variety, the most central first.
        similar: The nearest other clusters: (id, cosine similarity of the centres).
        n_strangers: How many images may not belong.
    """

    id: int
    size: int
    label: str | None
    labelled: int
    cohesion: float
    exemplars: tuple[ShownImage, ...]
    similar: tuple[tuple[int, float], ...]
    n_strangers: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            **asdict(self),
            "cohesion": round(self.cohesion, 3),
            "exemplars": [str(image.path) for image in self.exemplars],
            "exemplar_ids": [image.id for image in self.exemplars],
            "similar": [{"id": other, "score": round(score, 3)} for other, score in self.similar],
        }


@dataclass(frozen=True, slots=True)
class Clustering:
    """How a gallery is sorted.

    Attributes:
        gallery: Path of the gallery.
        run: Number of the clustering; labels of clusters name it.
        at: When it was made, ISO 8601, UTC.
        method: How.
        asked: Number of clusters that was asked for; None for the automatic one.
        automatic: Number of clusters that the gallery itself suggests.
        clusters: The largest first.
        n_images: Images in the gallery.
        n_unassigned: Images that are in no cluster.
    """

    gallery: Path
    run: int
    at: str
    method: str
    asked: int | None
    automatic: int
    clusters: tuple[ClusterView, ...]
    n_images: int
    n_unassigned: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = {**asdict(self), "gallery": str(self.gallery), "n_clusters": len(self.clusters)}
        return {**data, "clusters": [cluster.to_dict() for cluster in self.clusters]}


@dataclass(frozen=True, slots=True)
class ClusterDetail:
    """One cluster, looked at.

    Attributes:
        cluster: As in the overview.
        run: Number of the clustering.
        central: The images nearest to its centre.
        diverse: Images that show its variety.
        border: Images that are nearest to belonging elsewhere.
        strangers: Images that may not belong, the furthest from the centre first.
        sample: Images drawn at random, in the order to inspect them.
        seed: Of the draw.
        looks_needed: How many of them to inspect, if none is wrong, so that at most ``target`` of the labels are.
        target: Share of wrong labels to strive for.
    """

    cluster: ClusterView
    run: int
    central: tuple[ShownImage, ...]
    diverse: tuple[ShownImage, ...]
    border: tuple[ShownImage, ...]
    strangers: tuple[ShownImage, ...]
    sample: tuple[ShownImage, ...]
    seed: int
    looks_needed: int
    target: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        shown = ("central", "diverse", "border", "strangers", "sample")
        return {
            **self.cluster.to_dict(),
            "run": self.run,
            **{name: [image.to_dict() for image in getattr(self, name)] for name in shown},
            "seed": self.seed,
            "looks_needed": self.looks_needed,
            "target": self.target,
        }


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What labelling a cluster came to.

    Attributes:
        cluster: Id of the cluster.
        label: Its label from now on.
        batch: Number of the batch of labels, for ``labels undo``; None where nothing was labelled.
        labelled: How many images were labelled.
        inspected: How many of the sample were looked at.
        wrong: Ids of those that were wrong; they were taken out of the cluster and got no label.
        bound: Upper bound, at 95 % confidence, on the share of wrong labels; 1 where nobody looked.
        target: Share of wrong labels to strive for.
        more_looks: How many more to inspect, none of them wrong, until the bound is at most the target.
        failed: So many were wrong that nothing was labelled: the cluster should be split.
    """

    cluster: int
    label: str
    batch: int | None
    labelled: int
    inspected: int
    wrong: tuple[str, ...]
    bound: float
    target: float
    more_looks: int
    failed: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "wrong": list(self.wrong), "bound": round(self.bound, 4)}


@dataclass(frozen=True, slots=True)
class SampleImage:
    """An image to inspect.

    Attributes:
        id: The image's id.
        path: Where its file is (absolute).
        label: What it is called now.
    """

    id: str
    path: Path
    label: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What all inspections of labelled clusters together say.

    Attributes:
        clusters: How many labellings of clusters are in force.
        images: How many images have their label from those.
        looks: How many inspections count, from each cluster in proportion to its size.
        wrong: How many of those were wrong.
        bound: Upper bound, at 95 % confidence, on the share of wrong labels; None where no cluster is labelled.
        target: Share of wrong labels to strive for.
        sample: What to inspect next, so that the bound reaches the target if none of it is wrong.
    """

    clusters: int
    images: int
    looks: int
    wrong: int
    bound: float | None
    target: float
    sample: tuple[SampleImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        bound = None if self.bound is None else round(self.bound, 4)
        return {**asdict(self), "bound": bound, "sample": [image.to_dict() for image in self.sample]}

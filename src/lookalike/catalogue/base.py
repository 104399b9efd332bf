"""What a catalogue must be able to do. It is the only truth about a gallery; everything else can be rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from lookalike.catalogue.data import (
    Changes,
    Cluster,
    ClusterRun,
    Contents,
    Extracted,
    LabelChange,
    PropagatedLabel,
    RegionChanges,
    RegionDrafts,
    Root,
    Tally,
)
from lookalike.filters import Condition
from lookalike.sources.base import SourceEntry
from lookalike.types import (
    Decision,
    Failure,
    Float16,
    ImageRecord,
    Int8,
    Int64,
    LabelDetail,
    LabelEvent,
    ModelInfo,
    Reducer,
)


class Scan(Protocol):
    """A listing of roots held against the records; belongs to one index run."""

    def add(self, root: str, entries: Iterable[SourceEntry]) -> None:
        """Note files that the listing found."""

    def keep_below(self, root: str, folder: str) -> None:
        """A folder could not be listed: what is known of it stays as it is."""

    def compare(self, *, retry_failed: bool = False, regions: bool = False) -> Tally:
        """Hold the listing against the records: what is unchanged or known to be bad needs no more work.

        Where regions are wanted, an unchanged file without them does.
        """

    def count_todo(self) -> int:
        """How many files must be read."""

    def todo(self) -> Iterator[tuple[str, SourceEntry]]:
        """(root, file) of what must be read, in order of root and path."""

    def apply(self, root: str, results: Sequence[Extracted]) -> Tally:
        """Write what became of files, in one transaction that is on disk when this returns."""

    def finish(self) -> int:
        """Take out the records whose file is gone; returns how many."""


class Regions(Protocol):
    """The regions of a gallery's contents: first embeddings, then codes in a space that is learned from those."""

    def count(self) -> int:
        """How many contents have regions."""

    def count_drafts(self) -> tuple[int, int]:
        """How many contents have embeddings, and how many of those have no codes yet."""

    def drafts(self, batch: int = 64) -> Iterator[RegionDrafts]:
        """Embeddings, in order of content; read them inside ``Catalogue.snapshot``."""

    def settle(self, numbers: Int64, codes: Int8, *, is_final: bool, space: tuple[str, bytes] | None = None) -> None:
        """Give contents their codes (n, R * d) in one transaction; engines must follow.

        Args:
            numbers: (n,) int64, of contents.
            codes: Theirs.
            is_final: Whether the space stays as it is: the embeddings are let go.
            space: The space, kept as ``derived("region space")``, where it is a new one.
        """

    def clear(self) -> None:
        """Forget all regions and their space."""

    def changes(self, since: int, batch: int = 1024) -> Iterator[RegionChanges]:
        """What engines must follow after generation ``since``; read it inside ``Catalogue.snapshot``."""

    def keys_of_contents(self, numbers: Int64) -> tuple[Int64, Int64]:
        """Keys (k,) of the present images of contents (n,), ascending, and the number (k,) of each one's content."""


class Clusters(Protocol):
    """The clusters of a gallery's contents, and the tree that they are cut from."""

    def run(self) -> ClusterRun | None:
        """The tree; None before the first clustering."""

    def all(self) -> list[Cluster]:
        """The clusters that there are, by id."""

    def members(self) -> tuple[Int64, Int64]:
        """Contents (n,) that were sorted, ascending, and the cluster of each; 0 is unassigned."""

    def replace(
        self,
        clusters: Sequence[Cluster],
        contents: Int64,
        place: Int64,
        *,
        instead_of: Sequence[int] | None = None,
        run: ClusterRun | None = None,
    ) -> list[int]:
        """Put clusters in the place of others, in one transaction.

        Args:
            clusters: The new ones; an id that is there already stays.
            contents: (n,) int64, the contents that they share out.
            place: (n,) int64, which of the new clusters each belongs to; -1 for unassigned.
            instead_of: Ids of those that end; None ends all, and forgets what was sorted before.
            run: A new tree that they are of; None keeps the tree.

        Returns:
            The ids of the new clusters.
        """

    def assign(self, contents: Int64, clusters: Int64) -> None:
        """Sort contents (n,) that were not sorted yet into clusters (n,); 0 is unassigned."""

    def set_facts(self, facts: Mapping[str, Any]) -> None:
        """Replace what is known of the run."""


class Propagations(Protocol):
    """Propagated labels, and what they rest on."""

    def said(self) -> list[tuple[int, int, str]]:
        """Key, number of the content and label of present images, by key.

        The label is what was last said, propagated ones aside; images that have changed since are left out.
        """

    def rejected(self) -> set[tuple[int, str]]:
        """Number of the content and label, of propagated labels that somebody took away."""

    def current(self) -> list[PropagatedLabel]:
        """Propagated labels that present images bear now, the least sure first, ties by key."""

    def replace(
        self, changes: Sequence[LabelChange], *, by: str, facts: Mapping[str, Any]
    ) -> tuple[int | None, list[int], int]:
        """Take back all propagated batches and append a new one, in one transaction.

        Images that bear a label otherwise are passed over.

        Returns:
            Number of the new batch, None where nothing was left to say; those that were taken back; how many labels
            the new one holds.
        """


class Decisions(Protocol):
    """What people said of pictures that look alike; owned by contents, so it survives moves, removal and return."""

    def add(self, keys: Sequence[int], *, by: str) -> int:
        """Remember that what these images show are different pictures, each from each; returns the decision's number.

        Raises:
            ImageNotFoundError: a key without an image; nothing is written then.
            SettingError: they all have one content.
        """

    def undo(self, number: int | None = None) -> tuple[int, int]:
        """Take back a decision (None: the last in force); returns its number and how many contents it told apart.

        Raises:
            GalleryError: there is nothing to undo, or that decision is undone already.
        """

    def apart(self) -> list[frozenset[int]]:
        """Sets of contents' numbers of which no two are the same picture: one for each decision in force."""

    def all(self) -> list[Decision]:
        """All decisions, latest first, with the images that show their contents now."""


class Catalogue(Protocol):
    """Records, embeddings, reducer, labels and failures of one gallery.

    A reader sees one consistent state within ``snapshot()``. Every change that a search engine must follow gets a
    higher ``generation``.
    """

    def snapshot(self) -> AbstractContextManager[None]:
        """All reads inside see the same state, whatever others write."""

    def identity(self) -> str:
        """Names this history of changes; a restored copy gets a new one."""

    def generation(self) -> int:
        """Number of the last change that engines must follow."""

    def model(self) -> ModelInfo:
        """The network that made the embeddings."""

    def model_source(self) -> str:
        """How to find that network again: its name or the path of its file."""

    def count(self) -> int:
        """How many images there are."""

    def is_empty(self) -> bool:
        """Whether there is none; unlike ``count`` at no cost."""

    def facts(self) -> dict[str, Any]:
        """Counts for ``info``: contents, precisions, removed, failures, labels, flaws, sizes."""

    def roots(self) -> list[Root]:
        """All roots, by name."""

    def add_root(self, location: str, excludes: Sequence[str] | None) -> Root:
        """The root at this location, made where there is none; excludes None keeps those it has."""

    def move_root(self, name: str, location: str) -> None:
        """The root's folder is at another place now."""

    def widen_root(self, inside: Sequence[Root], location: str) -> None:
        """Make one root at ``location`` of roots that lie inside it; images keep their ids."""

    @property
    def regions(self) -> Regions:
        """Parts of images."""

    @property
    def clusters(self) -> Clusters:
        """How its contents are sorted."""

    @property
    def propagations(self) -> Propagations:
        """Propagated labels."""

    @property
    def decisions(self) -> Decisions:
        """Which pictures people have said are different."""

    def is_known(self, content: bytes, *, regions: bool = False) -> bool:
        """Whether there is an embedding of this content, and regions if wanted. Safe to call from any thread."""

    def record(self, key: int) -> ImageRecord | None:
        """The image of that key, where it is present."""

    def records(self, keys: Sequence[int]) -> dict[int, ImageRecord]:
        """The present images among these keys."""

    def all_records(self, where: Sequence[Condition] = ()) -> Iterator[ImageRecord]:
        """Present images that fulfil all conditions, by root and path."""

    def keys(self, where: Sequence[Condition] = ()) -> Int64:
        """Keys of present images that fulfil all conditions, ascending."""

    def sorted_keys(self, where: Sequence[Condition], by: str, *, descending: bool = False) -> Int64:
        """The same in order of a field of ``filters.SORT_FIELDS``, then of root and path; without a value: last."""

    def keys_of_content(self, content: bytes) -> Int64:
        """Keys of present images with this content, ascending."""

    def features(self, key: int) -> tuple[Float16, Float16] | None:
        """Embedding (D,) and tap (T,) of a present image."""

    def changes(self, since: int, batch: int = 4096) -> Iterator[Changes]:
        """What engines must follow after generation ``since``."""

    def contents(self, batch: int = 4096) -> Iterator[Contents]:
        """Blocks with one row per content that a present image has, in order of arrival."""

    def count_contents(self) -> int:
        """How many rows ``contents`` has."""

    def contents_of(self, keys: Int64) -> Int64:
        """Number (n,) of the content of each image (n,), -1 for keys without a present image."""

    def taken(self, keys: Int64) -> dict[int, str]:
        """When pictures were taken (ISO 8601), of those present images among the keys whose file says so."""

    def content_numbers(self) -> tuple[Int64, Int64]:
        """Keys (n,) of all present images, ascending, and the number (n,) of each one's content."""

    def derived(self, name: str) -> tuple[str, bytes] | None:
        """What was worked out about the gallery under this name: the space that it holds for, and its bytes."""

    def set_derived(self, name: str, space: str, data: bytes | None) -> None:
        """Replace what was worked out under this name; None drops it. Not a change that engines follow."""

    def reducer(self) -> Reducer | None:
        """The current reducer; None before the first fit."""

    def set_reducer(self, reducer: Reducer) -> None:
        """Replace it; engines must follow."""

    def failures(self) -> list[Failure]:
        """Files that could not be used, by path."""

    def scan(self, roots: Sequence[tuple[Root, str]]) -> AbstractContextManager[Scan]:
        """Start to hold a listing of (root, what within it) against the records."""

    def add_folder_failure(self, root: str, folder: str, message: str) -> None:
        """Remember that a folder could not be listed."""

    def add_labels(
        self, changes: Sequence[LabelChange], *, by: str, source: str, facts: Mapping[str, Any] | None = None
    ) -> int:
        """Append label events as one batch, with how it came about; returns the batch's number."""

    def undo_labels(self, batch: int | None = None) -> tuple[int, int]:
        """Take back a batch (None: the last one that is in force); returns its number and how many labels it held."""

    def labels(self) -> dict[int, str]:
        """Label by key of the present images that have one."""

    def label_batches(self) -> dict[int, int]:
        """Number of the batch that each present image has its label from, by key."""

    def labelled_in(self, batch: int) -> list[int]:
        """Keys of the images of a batch of labels, in the order in which they were given."""

    def label_details(self, keys: Int64) -> dict[int, LabelDetail]:
        """Where the current labels of images (n,) come from, by key; those without a label or a file are not in it."""

    def label_events(self) -> list[LabelEvent]:
        """All batches of label events, latest first."""

    def find_paths(self, paths: Sequence[Path]) -> dict[Path, int]:
        """Keys of the present images at these absolute paths."""

    def check(self) -> list[str]:
        """Complaints about the store itself; empty when it is sound."""

    def close(self) -> None:
        """Give back the connection."""

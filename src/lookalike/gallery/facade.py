"""The one class that front doors call."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.gallery import health, ingest, pages, query
from lookalike.gallery.curated import CuratedGallery
from lookalike.gallery.parts import Progress, no_progress
from lookalike.results import EvalReport, IndexReport, SearchResult
from lookalike.types import Failure, Float32, ImageRecord, ModelInfo

if TYPE_CHECKING:
    from lookalike.gallery.explaining import Explanation


class Gallery(CuratedGallery):
    """A searchable collection of images: one folder that knows how it was made.

    Make one with ``Gallery.create`` or ``Gallery.open``; use it as a context manager. Photo folders are only read;
    everything is written to the gallery's own folder.
    """

    # -- filling -----------------------------------------------------------------------------------------------

    def index(
        self,
        *paths: str | os.PathLike[str],
        excludes: Sequence[str] | None = None,
        retry_failed: bool = False,
        regions: bool | None = None,
        progress: Progress = no_progress,
    ) -> IndexReport:
        """Bring the gallery up to date with folders or single images.

        Unchanged files are not opened; moved files keep their id; what cannot be used is remembered with its reason.
        A run that is stopped goes on where it was when it is started again. Searching works meanwhile.

        Args:
            *paths: Folders or files; none means all folders that the gallery knows.
            excludes: Glob patterns of names or relative paths to leave out; they are remembered with the folder.
                None keeps what is remembered.
            retry_failed: Try files again that failed before, although they did not change.
            regions: Keep parts of images too, so that searches find them; images that have none yet are read again.
                False drops them, None leaves it as it is.
            progress: Told (stage, done, total or None), after what is done is on disk.

        Raises:
            SettingError: a path is not there; nothing was changed.
            GalleryLockedError: another process is indexing; the message names it.
            SpaceMismatchError: the network at hand is not the one that made the gallery.
        """
        return ingest.index(
            self._parts,
            [Path(path) for path in paths],
            excludes=excludes,
            retry_failed=retry_failed,
            with_regions=regions,
            progress=progress,
        )

    # -- searching ---------------------------------------------------------------------------------------------

    def search(
        self,
        image: Any,
        k: int = 10,
        *,
        match: str = "auto",
        where: str | None = None,
        min_score: float | str | None = None,
        box: Sequence[float] | None = None,
        like: Sequence[Any] = (),
        unlike: Sequence[Any] = (),
        stacks: bool = True,
        regions: bool = True,
        power: float | None = None,
    ) -> SearchResult:
        """Find the images most like a picture.

        Args:
            image: A path, the bytes of an image file, a Pillow image, or an array (h, w, 3) of uint8; None to search
                by the examples alone.
            k: How many results; fewer come where there are fewer.
            match: What the order is by: "kind" (the same kind of thing), "object" (the very same thing), "auto" (both
                at once), "plain" (the score alone).
            where: A filter such as ``format = JPEG and width >= 1000``; see ``lookalike.filters``.
            min_score: Leave out results with a lower score (-1..1); "auto" leaves out what looks like chance.
            box: Search by this part of the picture: x0, y0, x1, y1 as fractions of the upright image.
            like: Further examples of what is wanted: ids or paths, or pairs of one and a weight above 0.
            unlike: Examples of what is not wanted, likewise.
            stacks: Fold near-duplicates into one result, which names them.
            regions: Look for the picture as a part of others too, where the gallery keeps regions.
            power: Whitening power 0..1 of a plain order; in place of ``match``.

        Returns:
            Matches, best first; images with the query's own content come first, the very file before its copies; ties
            are in order of id.

        Raises:
            EmptyGalleryError: nothing is indexed yet.
            ImageError: the query image cannot be read or decoded.
            SettingError: an argument cannot be used.
        """
        asked: dict[str, Any] = {"match": match, "power": power, "min_score": min_score, "stacks": stacks}
        more: dict[str, Any] = {"box": box, "like": like, "unlike": unlike, "regions": regions}
        return query.search(self._parts, image, query.Ask.of(k, where, **asked, **more))

    def similar(
        self,
        image_id: str,
        k: int = 10,
        *,
        match: str = "auto",
        where: str | None = None,
        min_score: float | str | None = None,
        like: Sequence[Any] = (),
        unlike: Sequence[Any] = (),
        stacks: bool = True,
        power: float | None = None,
    ) -> SearchResult:
        """Find the images most like one of the gallery; itself is left out. Arguments as in ``search``.

        Raises:
            ImageNotFoundError: the gallery has no such image.
        """
        asked: dict[str, Any] = {"match": match, "power": power, "min_score": min_score, "stacks": stacks}
        return query.similar(self._parts, image_id, query.Ask.of(k, where, **asked, like=like, unlike=unlike))

    def explain(self, result: SearchResult, folder: str | os.PathLike[str] | None = None) -> list[Explanation]:
        """Say why each match of a search has its score: which parts of both pictures it comes from.

        Args:
            result: Of a search or of ``similar``.
            folder: Where to write one PNG per match; None writes nothing.

        Raises:
            SettingError: the folder lies among the photos, which are never written to.
            ModelError: the network gives no map of where it saw what.
        """
        from lookalike.gallery import explaining

        return explaining.explain_result(self._parts, result, None if folder is None else Path(folder))

    # -- looking -----------------------------------------------------------------------------------------------

    def images(
        self, where: str | None = None, *, sort: str = "path", descending: bool = False
    ) -> Iterator[ImageRecord]:
        """Records of all images that fulfil the filter.

        Args:
            where: A filter, see ``lookalike.filters``.
            sort: One of ``filters.SORT_FIELDS``; images without a value come last, equals by root and path.
            descending: The largest or latest first.

        Raises:
            FilterError: the filter cannot be understood.
            SettingError: there is no such field to sort by.
        """
        return query.images(self._parts, where, sort, descending)

    def image(self, image_id: str) -> ImageRecord:
        """The record of one image.

        Raises:
            ImageNotFoundError: the gallery has no such image.
        """
        return query.record_of(self._parts, image_id)

    def vectors(self) -> tuple[list[str], Float32]:
        """Ids in order, and their vectors (n, d) float32 of unit length in the plain space."""
        return query.vectors(self._parts)

    def thumbnail(self, image_id: str) -> bytes | None:
        """A JPEG of at most 256 px of an image; None where there is none."""
        return self._parts.thumbnails.get(bytes.fromhex(self.image(image_id).content))

    def failures(self) -> list[Failure]:
        """Files that could not be used, and why."""
        return self._parts.catalogue.failures()

    def info(self) -> dict[str, Any]:
        """What the gallery holds and how it was made, as plain data."""
        return health.info(self._parts)

    def doctor(
        self,
        *,
        repair: bool = False,
        refit: bool = False,
        move_root: tuple[str, str] | None = None,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """Check the gallery against its folders and itself.

        Args:
            repair: Rebuild caches. The catalogue is never guessed at.
            refit: Fit the reducer again on what the gallery holds now.
            move_root: (name, folder): the folder of a root is at another place now.
            progress: As in ``index``.

        Returns:
            Plain data with "ok" and what was found; see ``docs/cli.md``.
        """
        return health.doctor(self._parts, repair=repair, refit=refit, move_root=move_root, progress=progress)

    def write_report(
        self,
        results: Sequence[SearchResult],
        file: str | os.PathLike[str],
        title: str = "",
        explanations: Sequence[Sequence[Explanation]] = (),
    ) -> None:
        """Write a self-contained HTML page that shows searches with their pictures.

        Args:
            results: What was found.
            file: Where to; replaced where it is there.
            title: Heading; default: the gallery's name.
            explanations: What ``explain`` says of each search, in their order; may be left out.
        """
        pages.write_report(self._parts, results, Path(file), title, explanations)

    @staticmethod
    def models() -> list[ModelInfo]:
        """The networks that are there."""
        from lookalike.models import registry

        return registry.available()

    # -- measuring ---------------------------------------------------------------------------------------------

    def evaluate(
        self,
        labels: str | os.PathLike[str] | Mapping[str, str] | None = None,
        *,
        queries: str | os.PathLike[str] | None = None,
        edits: bool = False,
        match: str | None = None,
        sample: int | None = None,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> EvalReport:
        """Measure how well searches find what is right; changes nothing. See ``docs/evaluate.md``.

        Without labels or queries, the gallery's own labels are used; where it has none, edited copies of its images
        must find their originals.

        Args:
            labels: Label by image id, or a CSV file with columns path and label.
            queries: A CSV file with columns query and relevant (paths, with ";" between them).
            edits: Use edited copies although the gallery has labels.
            match: Measure only this order; None measures all that the gallery has.
            sample: At most this many queries; of edits, this many images (100 unless told otherwise).
            seed: Decides which, and how they are edited.
            progress: Told (stage, done, total).

        Raises:
            EmptyGalleryError: nothing is indexed yet.
            SettingError: a file or argument cannot be used, or there is nothing to measure with.
        """
        from lookalike.gallery import evaluation

        return evaluation.evaluate(
            self._parts,
            labels=labels if labels is None or isinstance(labels, Mapping) else Path(labels),
            queries=None if queries is None else Path(queries),
            edits=edits,
            match=match,
            sample=sample,
            seed=seed,
            progress=progress,
        )

    def calibrate(self, *, progress: Progress = no_progress) -> dict[str, Any]:
        """Learn what a score means in this gallery, which ``index`` does by itself too; see ``docs/scores.md``.

        Args:
            progress: Told (stage, done, total).

        Returns:
            Plain data: "images", "learned_from", "bands" with the least score of each, and "orders".

        Raises:
            EmptyGalleryError: nothing is indexed yet.
            GalleryError: there are too few images; the message says how many are needed. Nothing was changed.
            GalleryLockedError: another process is indexing.
        """
        from lookalike.gallery import calibration

        with self._parts.writer_lock("calibrate"):
            return calibration.summary(self._parts, calibration.run(self._parts, progress))

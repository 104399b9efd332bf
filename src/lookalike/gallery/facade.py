"""The one class that front doors call."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.errors import GalleryExistsError, GalleryLockedError, GalleryNotFoundError, SettingError
from lookalike.filters import parse
from lookalike.formats import is_image_name
from lookalike.gallery import curate, health, ingest, pages, query
from lookalike.gallery.parts import CATALOGUE_NAME, Parts, Progress, no_progress
from lookalike.results import IndexReport, SearchResult
from lookalike.settings import Settings, default_gallery_path
from lookalike.types import Failure, Float32, ImageRecord, LabelEvent, ModelInfo

DEFAULT_MODEL = "efficientnet-lite0"


class Gallery:
    """A searchable collection of images: one folder that knows how it was made.

    Make one with ``Gallery.create`` or ``Gallery.open``; use it as a context manager. Photo folders are only read;
    everything is written to the gallery's own folder.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], model: str = DEFAULT_MODEL, settings: Settings | None = None
    ) -> Gallery:
        """Make an empty gallery.

        Args:
            path: Its folder; made where it is missing.
            model: Name of a network, or the path of an ONNX file with its card.
            settings: What was chosen; default: from the environment.

        Raises:
            GalleryExistsError: there is a gallery already.
            SettingError: the folder holds images: photo folders are never written to.
            ModelError: the network cannot be used.
        """
        from lookalike.models import registry

        folder = Path(path).expanduser()
        info = registry.info(model)
        source = str(Path(model).resolve()) if model.lower().endswith(".onnx") else model
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _refuse_photos(folder)
            SqliteCatalogue.create(folder / CATALOGUE_NAME, info, source).close()
        except FileExistsError as error:
            raise GalleryExistsError(f"there is a gallery at {folder} already") from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise GalleryLockedError(f"cannot make a gallery at {folder}: {reason}") from error
        return cls.open(folder, settings=settings)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        settings: Settings | None = None,
        create: bool = False,
        model: str | None = None,
        once: bool = False,
    ) -> Gallery:
        """Open a gallery.

        Args:
            path: Its folder; default: ``LOOKALIKE_GALLERY`` or the per-user one.
            settings: What was chosen; default: from the environment.
            create: Make it where there is none.
            model: The network that it must be of, where that matters.
            once: For a process that searches once, as the command line does: sooner ready, slower per search.

        Raises:
            GalleryNotFoundError: there is none, and ``create`` is not set.
            GalleryFormatError: it is damaged, or made by a newer version.
            SpaceMismatchError: it holds embeddings of another network.
        """
        folder = default_gallery_path() if path is None else Path(path).expanduser()
        settings = settings or Settings.from_environment()
        try:
            parts = Parts(folder, settings, once=once)
        except GalleryNotFoundError:
            if not create:
                raise
            return cls.create(folder, model or DEFAULT_MODEL, settings)
        if model is not None:
            health.require_model(parts, model)
        return cls(parts)

    @property
    def path(self) -> Path:
        """The gallery's folder."""
        return self._parts.path

    def __len__(self) -> int:
        return self._parts.catalogue.count()

    def __repr__(self) -> str:
        return f"Gallery({str(self.path)!r}, {len(self):,} images)"

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back files, processes and memory."""
        self._parts.close()

    # -- filling -----------------------------------------------------------------------------------------------

    def index(
        self,
        *paths: str | os.PathLike[str],
        excludes: Sequence[str] | None = None,
        retry_failed: bool = False,
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
            progress=progress,
        )

    # -- searching ---------------------------------------------------------------------------------------------

    def search(
        self,
        image: Any,
        k: int = 10,
        *,
        where: str | None = None,
        power: float | None = None,
        min_score: float | None = None,
    ) -> SearchResult:
        """Find the images most like a picture.

        Args:
            image: A path, the bytes of an image file, a Pillow image, or an array (h, w, 3) of uint8.
            k: How many results; fewer come where there are fewer.
            where: A filter such as ``format = JPEG and width >= 1000``; see ``lookalike.filters``.
            power: Whitening power 0..1 of the order; None takes the gallery's own.
            min_score: Leave out results with a lower score (-1..1).

        Returns:
            Matches, best first; images with the query's own content come first, ties are in order of id.

        Raises:
            EmptyGalleryError: nothing is indexed yet.
            ImageError: the query image cannot be read or decoded.
            SettingError: k, where, power or min_score cannot be used.
        """
        return query.search(self._parts, image, query.Ask.of(k, where, power, min_score))

    def similar(
        self,
        image_id: str,
        k: int = 10,
        *,
        where: str | None = None,
        power: float | None = None,
        min_score: float | None = None,
    ) -> SearchResult:
        """Find the images most like one of the gallery; itself is left out. Arguments as in ``search``.

        Raises:
            ImageNotFoundError: the gallery has no such image.
        """
        return query.similar(self._parts, image_id, query.Ask.of(k, where, power, min_score))

    # -- looking -----------------------------------------------------------------------------------------------

    def images(self, where: str | None = None) -> Iterator[ImageRecord]:
        """Records of all images that fulfil the filter, by root and path."""
        return self._parts.catalogue.all_records(parse(where) if where else ())

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

    def write_report(self, results: Sequence[SearchResult], file: str | os.PathLike[str], title: str = "") -> None:
        """Write a self-contained HTML page that shows searches with their pictures.

        Args:
            results: What was found.
            file: Where to; replaced where it is there.
            title: Heading; default: the gallery's name.
        """
        pages.write_report(self._parts, results, Path(file), title)

    @staticmethod
    def models() -> list[ModelInfo]:
        """The networks that are there."""
        from lookalike.models import registry

        return registry.available()

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


def _refuse_photos(folder: Path) -> None:
    photo = next((entry.name for entry in folder.iterdir() if is_image_name(entry.name)), None)
    if photo is not None:
        raise SettingError(
            f"{folder} cannot become a gallery: it holds images ({photo}), and photo folders are never written to",
            hint="give the gallery a folder of its own with -g",
        )

"""Making and opening a gallery."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.errors import GalleryExistsError, GalleryLockedError, GalleryNotFoundError, SettingError
from lookalike.formats import is_image_name
from lookalike.gallery import health
from lookalike.gallery.parts import CATALOGUE_NAME, Parts
from lookalike.settings import Settings, default_gallery_path

DEFAULT_MODEL = "efficientnet-lite0"


class OpenGallery:
    """A gallery that can be made, opened and closed; ``Gallery`` says what can be done with it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @classmethod
    def create(cls, path: str | os.PathLike[str], model: str = DEFAULT_MODEL, settings: Settings | None = None) -> Self:
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
    ) -> Self:
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
        return f"{type(self).__name__}({str(self.path)!r}, {len(self):,} images)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back files, processes and memory."""
        self._parts.close()


def _refuse_photos(folder: Path) -> None:
    photo = next((entry.name for entry in folder.iterdir() if is_image_name(entry.name)), None)
    if photo is not None:
        raise SettingError(
            f"{folder} cannot become a gallery: it holds images ({photo}), and photo folders are never written to",
            hint="give the gallery a folder of its own with -g",
        )

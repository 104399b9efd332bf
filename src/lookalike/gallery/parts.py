"""What a gallery works with, each made when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.catalogue.base import Catalogue
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.decode import DecoderPool
from lookalike.engines.base import SearchEngine
from lookalike.errors import SpaceMismatchError
from lookalike.gallery.lock import writer_lock
from lookalike.models.base import Embedder
from lookalike.settings import Settings, cache_path
from lookalike.thumbnails import Thumbnails
from lookalike.types import Reducer, space_of

if TYPE_CHECKING:
    from lookalike.gallery.neighbourhoods import Neighbourhoods

CATALOGUE_NAME = "catalogue.sqlite"

Progress = Callable[[str, int, int | None], None]
"""Told (stage, how many are done, how many there are or None while unknown)."""


def no_progress(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


class Parts:
    """The parts of one open gallery.

    Args:
        path: The gallery's folder.
        settings: What was chosen.
        once: This process asks once: what pays only over many searches is left out.

    Attributes:
        catalogue: The truth.
        interim: A reducer made up from what is there before the first fit; belongs to ``query``.
        followed: The generation that the engine was last brought to, and the reducer of its vectors; likewise.
        index_ready: Whether the engine's own index was looked at, and made where it was missing; likewise.
        followed_regions: As ``followed``, of the engine of regions; belongs to ``regions``.
        neighbourhoods: What the dial has loaded, for which space and from which file; belongs to ``dial``.
        lock: Held while the engine is brought up to date.
    """

    def __init__(self, path: Path, settings: Settings, *, once: bool = False) -> None:
        self.path = path
        self.settings = settings
        self.once = once
        self.catalogue: Catalogue = SqliteCatalogue(path / CATALOGUE_NAME)
        self.interim: Reducer | None = None
        self.followed: tuple[int, Reducer] | None = None
        self.index_ready = once  # a process that asks once does without
        self.followed_regions: tuple[int, Reducer] | None = None
        self.neighbourhoods: tuple[tuple[str, tuple[int, int] | None], Neighbourhoods | None] | None = None
        self.lock = threading.RLock()
        self._embedders: dict[bool, Embedder] = {}
        self._space: tuple[int, str] | None = None

    def space(self) -> str:
        """Name of the plain space; empty before the first fit. Worked out once for each change of the gallery."""
        with self.lock, self.catalogue.snapshot():
            generation = self.catalogue.generation()
            if self._space is None or self._space[0] != generation:
                reducer = self.catalogue.reducer()
                self._space = generation, "" if reducer is None else space_of(self.catalogue.model(), reducer)
            return self._space[1]

    @property
    def cache(self) -> Path:
        """The folder of everything that can be rebuilt."""
        return self.path / "cache"

    @cached_property
    def thumbnails(self) -> Thumbnails:
        """The cache of small JPEGs."""
        return Thumbnails(self.cache / "thumbnails.sqlite")

    @cached_property
    def decoders(self) -> DecoderPool:
        """The processes in which untrusted bytes are decoded."""
        return DecoderPool(self.settings)

    @cached_property
    def engine(self) -> SearchEngine:
        """The search engine, as it was left; ``query.synced`` brings it up to date."""
        from lookalike.engines.local import LocalEngine

        return LocalEngine(
            self.cache / "engine",
            exact_limit=self.settings.exact_limit,
            threads=self.settings.thread_count,
            scan=self.once,
        )

    @cached_property
    def region_engine(self) -> SearchEngine:
        """The search engine of parts of images, as it was left; ``regions.synced`` brings it up to date."""
        from lookalike.engines.local import LocalEngine

        return LocalEngine(
            self.cache / "regions",
            exact_limit=self.settings.exact_limit,
            threads=self.settings.thread_count,
            scan=self.once,
            bits=8,
        )

    def embedder(self, *, throughput: bool) -> Embedder:
        """The gallery's network, ready to run.

        Args:
            throughput: Tuned for many images at once; else for the shortest time for one, unless the other is there
                already: loading a second one takes longer than it saves.

        Raises:
            SpaceMismatchError: the network of that name makes other embeddings than the gallery holds.
        """
        with self.lock:
            if not throughput and True in self._embedders:
                return self._embedders[True]
            if throughput not in self._embedders:
                self._embedders[throughput] = self._load(throughput)
            return self._embedders[throughput]

    def _load(self, throughput: bool) -> Embedder:
        from lookalike.models import registry

        source, expected = self.catalogue.model_source(), self.catalogue.model()
        embedder = registry.load(
            source,
            precision=self.settings.precision,
            threads=self.settings.thread_count,
            throughput=throughput,
            cache=cache_path(),
        )
        if embedder.info.fingerprint != expected.fingerprint:
            raise SpaceMismatchError(
                f"{self.path} holds embeddings of {expected.name} ({expected.fingerprint}), but {source!r} now is"
                f" {embedder.info.name} ({embedder.info.fingerprint})",
                hint="bring that network back, or index into a new gallery",
            )
        return embedder

    def precision_in_use(self) -> str:
        """Of the network where it is loaded, else of most stored embeddings, else what was asked for."""
        for embedder in self._embedders.values():
            return embedder.precision
        stored = self.catalogue.facts()["precisions"]
        return max(stored, key=stored.__getitem__) if stored else self.settings.precision

    def writer_lock(self, job: str) -> AbstractContextManager[None]:
        """Hold the gallery for a long job; see ``lock.writer_lock``."""
        return writer_lock(self.path, job)

    def close(self) -> None:
        """Give back files, processes and memory."""
        for name in ("thumbnails", "decoders", "engine", "region_engine"):
            if name in self.__dict__:
                getattr(self, name).close()
                del self.__dict__[name]
        self._embedders.clear()
        self.catalogue.close()

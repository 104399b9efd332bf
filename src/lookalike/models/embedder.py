"""A network and the runtime that runs it, as one ``Embedder``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.errors import ModelError, ShapeError
from lookalike.models.base import FeatureMaps, Features
from lookalike.models.graph import EMBEDDING, FINAL, STRIDE16
from lookalike.models.runtimes import Runtime
from lookalike.regions import pool_regions
from lookalike.types import Float32, ModelInfo, Pixels


@dataclass(frozen=True, slots=True)
class Network:
    """What a network is and how to make its graph, before anything is read or built.

    Attributes:
        info: The network and its preprocessing.
        key: Names the finished graph: another key for another graph.
        maps: Which of ``final`` and ``stride16`` the graph gives.
        build: Makes the finished graph, an ONNX file with the contract of ``lookalike.models.graph``.
        trusted: Known to work; other networks are tried out once when they are loaded.
    """

    info: ModelInfo
    key: str
    maps: tuple[str, ...]
    build: Callable[[], bytes]
    trusted: bool = False


class NetworkEmbedder:
    """See ``lookalike.models.base.Embedder``."""

    def __init__(self, network: Network, runtime: Runtime) -> None:
        """Join a network and the runtime that has loaded its graph."""
        self.info = network.info
        self.precision = runtime.precision
        self.runtime = runtime.name
        self._maps = network.maps
        self._runtime = runtime

    def embed(self, images: Sequence[Pixels]) -> Float32:
        """Embeddings (n, D) float32 of images (h, w, 3) uint8, each in one of ``info.shapes``."""
        rows = np.empty((len(images), self.info.dim), np.float32)
        for i, (row,) in enumerate(self._run(images, (EMBEDDING,))):
            rows[i] = self._checked(row)
        return rows

    def features(self, images: Sequence[Pixels], *, regions: bool = False) -> Features:
        """See ``Embedder``; images as for ``embed``."""
        maps = tuple(name for name in self._maps if name == STRIDE16 or regions)
        if regions and FINAL not in maps:
            raise ModelError(
                f"{self.info.name} gives no map to pool regions from", hint="name one in the card's outputs"
            )
        rows, taps, parts = [], [], []
        for embedding, *found in self._run(images, (EMBEDDING, *maps)):
            by_name = dict(zip(maps, found, strict=True))
            rows.append(self._checked(embedding))
            taps.append(_tap(by_name[STRIDE16][0]) if STRIDE16 in by_name else np.zeros(0, np.float32))
            if regions:
                parts.append(pool_regions(by_name[FINAL][0]))
        if not rows:
            return Features(np.empty((0, self.info.dim), np.float32), np.empty((0, 0), np.float32))
        self._check_finite(np.stack(taps))
        return Features(np.stack(rows), np.stack(taps), np.stack(parts) if regions else None)

    def _run(self, images: Sequence[Pixels], outputs: tuple[str, ...]) -> list[list[Float32]]:
        for image in images:
            self._check_image(image)
        return self._runtime.run(images, outputs)

    def _checked(self, row: Float32) -> Float32:
        if row.shape != (1, self.info.dim):
            got, expected = row.shape[1:], self.info.dim
            raise ModelError(f"{self.info.name} gave an embedding of shape {got}, its card says dim {expected}")
        self._check_finite(row)
        only: Float32 = row[0]
        return only

    def feature_maps(self, image: Pixels) -> FeatureMaps:
        """The maps of one image (h, w, 3) uint8 in one of ``info.shapes``."""
        self._check_image(image)
        if FINAL not in self._maps:
            hint = "name one in the card's outputs"
            raise ModelError(f"{self.info.name} gives no map of where it saw what", hint=hint)
        (found,) = self._runtime.run([image], self._maps)
        for array in found:
            self._check_finite(array)
        channels_last = (np.ascontiguousarray(array[0].transpose(1, 2, 0)) for array in found)
        maps = dict(zip(self._maps, channels_last, strict=True))
        return FeatureMaps(maps[FINAL], maps.get(STRIDE16))

    def try_out(self, shapes: Sequence[tuple[int, int]]) -> None:
        """Embed a plain grey image of each shape, so that a wrong card shows before any work is done."""
        self.embed([np.full((height, width, 3), 128, np.uint8) for height, width in shapes])

    def _check_image(self, image: Pixels) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.shape[:2] not in self.info.shapes:
            shapes = ", ".join(f"{h}x{w}" for h, w in self.info.shapes)
            raise ShapeError(
                f"image: expected (h, w, 3) uint8 with h x w one of {shapes}, got {image.shape} {image.dtype.name}"
            )

    def _check_finite(self, array: Float32) -> None:
        if not np.isfinite(array).all():
            hint = "try --precision fp32" if self.precision != "fp32" else ""
            raise ModelError(f"{self.info.name} gave values that are not finite", hint=hint)


def _tap(stride16: Float32) -> Float32:
    """Mean and standard deviation (2C,) of each channel of a map (C, h, w)."""
    places = stride16.reshape(len(stride16), -1)
    return np.concatenate([places.mean(axis=1), places.std(axis=1)])

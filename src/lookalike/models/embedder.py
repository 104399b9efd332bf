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
        for i, found in enumerate(self._run(images)):
            rows[i] = found[EMBEDDING]
        return rows

    def features(self, images: Sequence[Pixels], *, regions: bool = False) -> Features:
        """See ``Embedder``; images as for ``embed``."""
        if regions:
            self._require_map()
        found = self._run(images)
        if not found:
            return Features(np.empty((0, self.info.dim), np.float32), np.empty((0, 0), np.float32))
        return Features(
            np.stack([one[EMBEDDING] for one in found]),
            np.stack([_tap(one[STRIDE16]) if STRIDE16 in one else np.zeros(0, np.float32) for one in found]),
            np.stack([pool_regions(one[FINAL]) for one in found]) if regions else None,
        )

    def feature_maps(self, image: Pixels) -> FeatureMaps:
        """The maps of one image (h, w, 3) uint8 in one of ``info.shapes``."""
        self._require_map()
        (found,) = self._run([image])
        maps = {name: np.ascontiguousarray(found[name].transpose(1, 2, 0)) for name in self._maps}
        return FeatureMaps(maps[FINAL], maps.get(STRIDE16))

    def _run(self, images: Sequence[Pixels]) -> list[dict[str, Float32]]:
        """All outputs of each image, by name and without the batch.

        Always all of them: in bf16 a graph with other outputs gives other numbers, and one compiled graph is enough.
        """
        for image in images:
            self._check_image(image)
        outputs = (EMBEDDING, *self._maps)
        return [
            {name: self._checked(name, array) for name, array in zip(outputs, arrays, strict=True)}
            for arrays in self._runtime.run(images, outputs)
        ]

    def _checked(self, name: str, array: Float32) -> Float32:
        if name == EMBEDDING and array.shape != (1, self.info.dim):
            got, expected = array.shape[1:], self.info.dim
            raise ModelError(f"{self.info.name} gave an embedding of shape {got}, its card says dim {expected}")
        if not np.isfinite(array).all():
            hint = "try --precision fp32" if self.precision != "fp32" else ""
            raise ModelError(f"{self.info.name} gave values that are not finite", hint=hint)
        only: Float32 = array[0]
        return only

    def _require_map(self) -> None:
        if FINAL not in self._maps:
            hint = "name one in the card's outputs"
            raise ModelError(f"{self.info.name} gives no map of where it saw what", hint=hint)

    def try_out(self, shapes: Sequence[tuple[int, int]]) -> None:
        """Embed a plain grey image of each shape, so that a wrong card shows before any work is done."""
        self.embed([np.full((height, width, 3), 128, np.uint8) for height, width in shapes])

    def _check_image(self, image: Pixels) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.shape[:2] not in self.info.shapes:
            shapes = ", ".join(f"{h}x{w}" for h, w in self.info.shapes)
            raise ShapeError(
                f"image: expected (h, w, 3) uint8 with h x w one of {shapes}, got {image.shape} {image.dtype.name}"
            )


def _tap(stride16: Float32) -> Float32:
    """Mean and standard deviation (2C,) of each channel of a map (C, h, w)."""
    places = stride16.reshape(len(stride16), -1)
    return np.concatenate([places.mean(axis=1), places.std(axis=1)])

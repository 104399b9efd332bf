"""What a network must be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lookalike.types import Float32, ModelInfo, Pixels


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMaps:
    """Where in the image the network saw what.

    Attributes:
        final: (h, w, D) float32, the map that pooling turns into the embedding.
        stride16: (2h, 2w, C) float32, an earlier, finer map; None where the network has none.
    """

    final: Float32
    stride16: Float32 | None


class Embedder(Protocol):
    """Pixels to embeddings. One network at one precision, ready to run; safe to call from one thread at a time."""

    info: ModelInfo
    precision: str
    runtime: str

    def embed(self, images: Sequence[Pixels]) -> Float32:
        """Embeddings of images, each in one of ``info.shapes`` (they may differ).

        Args:
            images: n arrays (h, w, 3) uint8.

        Returns:
            (n, D) float32, finite, not normalised. A row does not depend on the other images.

        Raises:
            ModelError: the network gave values that are not finite, or not D of them.
        """

    def feature_maps(self, image: Pixels) -> FeatureMaps:
        """The maps of one image (h, w, 3) uint8.

        Raises:
            ModelError: the network has no such output.
        """

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


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What one pass of the network gives for n images.

    Attributes:
        embeddings: (n, D) float32, finite, not normalised.
        taps: (n, T) float32: mean and standard deviation of each channel of the stride-16 map over all places, which
            tells one thing from another of its kind; T is 0 where the network has no such map.
        regions: (n, R, D) float32, see ``lookalike.regions``; None where they were not asked for.
    """

    embeddings: Float32
    taps: Float32
    regions: Float32 | None = None


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

    def features(self, images: Sequence[Pixels], *, regions: bool = False) -> Features:
        """Embeddings of images and what else the same pass gives; a row does not depend on the other images.

        Args:
            images: As for ``embed``.
            regions: Whether to pool parts of the images too.

        Raises:
            ModelError: as for ``embed``, or regions are asked of a network that gives no map.
        """

    def feature_maps(self, image: Pixels) -> FeatureMaps:
        """The maps of one image (h, w, 3) uint8.

        Raises:
            ModelError: the network has no such output.
        """

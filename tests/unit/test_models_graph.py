from __future__ import annotations

import numpy as np
import pytest

from lookalike.models.graph import (
    EMBEDDING,
    FINAL,
    POOLINGS,
    GraphBuilder,
    Pooling,
    add_pooling,
    add_preprocessing,
    finish,
)
from lookalike.models.runtimes import open_runtime

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pooled_pixels(pooling: Pooling) -> bytes:
    """A graph whose map is the preprocessed image itself: three channels, positive and negative."""
    builder = GraphBuilder()
    add_preprocessing(builder, MEAN, STD, output=FINAL)
    add_pooling(builder, FINAL, pooling)
    return finish(builder, "pooled", {EMBEDDING: ["n", 3], FINAL: ["n", 3, "h", "w"]})


@pytest.mark.parametrize("pooling", [*POOLINGS.values(), Pooling(power=2, spread=0.15)], ids=repr)
def test_graph_normalises_and_pools_as_the_formula_says(pooling: Pooling) -> None:
    runtime = open_runtime(pooled_pixels(pooling), precision="fp32")
    for height, width in ((8, 8), (5, 12), (7, 1)):
        image = pixels(height, width)
        [[embedding, final]] = runtime.run([image], (EMBEDDING, FINAL))
        normal = (image.astype(np.float64) - MEAN) / STD
        assert np.allclose(final[0].transpose(1, 2, 0), normal, atol=1e-5)
        rectified = np.maximum(normal, 0) if pooling.power > 1 else normal
        weights = pooling.weights(height, width)[..., None]
        expected = (rectified**pooling.power * weights).sum((0, 1)) ** (1 / pooling.power)
        assert np.allclose(embedding[0], expected, atol=1e-5)


def test_average_is_the_plain_mean() -> None:
    image = pixels(6, 9)
    [[embedding]] = open_runtime(pooled_pixels(POOLINGS["mean"]), precision="fp32").run([image], (EMBEDDING,))
    assert np.allclose(embedding[0], ((image - np.array(MEAN)) / STD).mean((0, 1)), atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS.values(), ids=POOLINGS)
def test_weights_sum_to_one_are_symmetric_and_never_grow_outwards(pooling: Pooling) -> None:
    weights = pooling.weights(6, 9)
    assert weights.shape == (6, 9)
    assert weights.sum() == pytest.approx(1)
    assert np.allclose(weights, weights[::-1, ::-1])
    assert (np.diff(weights[2, 4:]) <= 1e-12).all()
    assert (weights.max() > weights.min() * 1.5) == (pooling.spread is not None)


def test_higher_power_leans_to_the_largest_value() -> None:
    image = np.full((4, 4, 3), 130, np.uint8)
    image[0, 0] = 255

    def first(pooling: Pooling) -> float:
        [[embedding]] = open_runtime(pooled_pixels(pooling), precision="fp32").run([image], (EMBEDDING,))
        return float(embedding[0, 0])

    assert first(Pooling()) < first(Pooling(power=3)) < first(Pooling(power=6)) < (255 - MEAN[0]) / STD[0]

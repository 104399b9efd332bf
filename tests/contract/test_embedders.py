"""What every network must do, whatever it is and whatever runs it; see ``lookalike.models.base.Embedder``."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import LookalikeError
from lookalike.models import lite0, registry
from lookalike.models.base import Embedder, FeatureMaps
from lookalike.models.embedder import NetworkEmbedder
from lookalike.models.runtimes import open_runtime
from lookalike.regions import pool_regions
from lookalike.settings import cache_path
from lookalike.types import ModelInfo


def built_in(tmp_path: Path) -> Embedder:
    return registry.load("efficientnet-lite0", precision="fp32", threads=2, cache=cache_path())


def for_one_query(tmp_path: Path) -> Embedder:
    return registry.load("efficientnet-lite0", precision="fp32", threads=2, throughput=False, cache=cache_path())


def on_onnxruntime(tmp_path: Path) -> Embedder:
    if not importlib.util.find_spec("onnxruntime"):
        pytest.skip("onnxruntime is not installed")
    network = lite0.network()
    return NetworkEmbedder(network, open_runtime(network.build(), threads=2, engine="onnxruntime"))


def from_a_file(tmp_path: Path) -> Embedder:
    """A foreign network of two convolutions, with a map and a finer one."""
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    first = numpy_helper.from_array(random.normal(size=(6, 3, 16, 16)).astype(np.float32) / 30, "first")
    second = numpy_helper.from_array(random.normal(size=(12, 6, 2, 2)).astype(np.float32) / 5, "second")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "first"], ["fine"], strides=[16, 16]),
            helper.make_node("Relu", ["fine"], ["rectified"]),
            helper.make_node("Conv", ["rectified", "second"], ["map"], strides=[2, 2]),
        ],
        "two",
        [helper.make_tensor_value_info("x", 1, [1, 3, "h", "w"])],
        [
            helper.make_tensor_value_info("map", 1, [1, 12, "h32", "w32"]),
            helper.make_tensor_value_info("fine", 1, [1, 6, "h16", "w16"]),
        ],
        [first, second],
    )
    card = {
        "dim": 12,
        "shapes": [[64, 64], [64, 96], [96, 64]],
        "mean": [0, 0, 0],
        "std": [255, 255, 255],
        "outputs": {"embedding": "map", "final": "map", "stride16": "fine"},
        "pooling": "mean",
        "licence": "CC0-1.0",
    }
    path = tmp_path / "two.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    path.with_suffix(".json").write_text(json.dumps(card))
    return registry.load(str(path), precision="fp32", threads=2, cache=cache_path())


@pytest.fixture(scope="module", params=[built_in, for_one_query, on_onnxruntime, from_a_file])
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    made: Embedder = request.param(tmp_path_factory.mktemp("network"))
    return made


@pytest.fixture(scope="module")
def images(embedder: Embedder) -> list[np.ndarray]:
    """Two of each shape: noise under a gradient, all different."""
    random = np.random.default_rng(5)
    shapes = [shape for shape in embedder.info.shapes[:3] for _ in range(2)]
    return [
        (np.linspace(0, 200, w)[None, :, None] + random.integers(0, 56, (h, w, 3))).astype(np.uint8) for h, w in shapes
    ]


def test_it_says_what_it_is(embedder: Embedder) -> None:
    assert isinstance(embedder.info, ModelInfo)
    assert embedder.precision == "fp32"
    assert embedder.runtime.split()[0] in ("openvino", "onnxruntime")
    assert embedder.info.decode_spec.shapes == embedder.info.shapes
    assert len(embedder.info.weights_sha256) == 64


def test_one_finite_row_per_image_in_order(embedder: Embedder, images: list[np.ndarray]) -> None:
    rows = embedder.embed(images)
    assert rows.shape == (len(images), embedder.info.dim)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert np.linalg.norm(rows, axis=1).min() > 0
    for i, image in enumerate(images):
        assert np.allclose(embedder.embed([image])[0], rows[i], rtol=1e-4, atol=1e-4)
    assert len(np.unique(rows.round(3), axis=0)) == len(images)


def test_row_does_not_depend_on_the_other_images(embedder: Embedder, images: list[np.ndarray]) -> None:
    rows = embedder.embed(images)
    order = [5, 0, 0, 3, 1, 4, 2, 5]
    mixed = embedder.embed([images[i] for i in order])
    cosines = (mixed * rows[order]).sum(1) / np.linalg.norm(mixed, axis=1) / np.linalg.norm(rows[order], axis=1)
    assert cosines.min() >= 0.99999


def test_no_images_give_no_rows(embedder: Embedder) -> None:
    rows = embedder.embed([])
    assert rows.shape == (0, embedder.info.dim)
    assert rows.dtype == np.float32


def test_features_are_the_embedding_and_what_the_finer_map_says(embedder: Embedder, images: list[np.ndarray]) -> None:
    found = embedder.features(images)
    assert np.allclose(found.embeddings, embedder.embed(images), rtol=1e-4, atol=1e-4)
    assert found.regions is None
    for image, tap in zip(images, found.taps, strict=True):
        finer = embedder.feature_maps(image).stride16
        assert finer is not None
        assert np.allclose(tap, np.concatenate([finer.mean((0, 1)), finer.std((0, 1))]), rtol=1e-3, atol=1e-3)
    assert embedder.features([]).embeddings.shape == (0, embedder.info.dim)


def test_regions_are_parts_of_the_map_that_the_embedding_is_pooled_from(
    embedder: Embedder, images: list[np.ndarray]
) -> None:
    found = embedder.features(images[:2], regions=True).regions
    assert found is not None
    assert found.shape[0] == 2
    assert found.shape[2] == embedder.info.dim
    for image, regions in zip(images, found, strict=False):
        pooled = pool_regions(embedder.feature_maps(image).final.transpose(2, 0, 1))
        assert np.allclose(regions, pooled, rtol=1e-3, atol=1e-3)


def test_images_are_not_changed(embedder: Embedder, images: list[np.ndarray]) -> None:
    before = [image.copy() for image in images]
    embedder.embed(images)
    assert all(np.array_equal(image, old) for image, old in zip(images, before, strict=True))


def test_maps_lie_as_the_image_does_and_pool_to_the_embedding(embedder: Embedder, images: list[np.ndarray]) -> None:
    image = images[2]
    maps = embedder.feature_maps(image)
    assert isinstance(maps, FeatureMaps)
    height, width = image.shape[0] // 32, image.shape[1] // 32
    assert maps.final.shape == (height, width, embedder.info.dim)
    assert maps.stride16 is not None
    assert maps.stride16.shape[:2] == (2 * height, 2 * width)
    for array in (maps.final, maps.stride16):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert np.isfinite(array).all()
    average, embedding = maps.final.mean((0, 1)), embedder.embed([image])[0]
    assert np.dot(average, embedding) > 0.8 * np.linalg.norm(average) * np.linalg.norm(embedding)


def test_bright_corner_shows_in_the_same_corner_of_the_maps(embedder: Embedder) -> None:
    height, width = embedder.info.shapes[1]
    plain = np.full((height, width, 3), 90, np.uint8)
    marked = plain.copy()
    marked[-32:, :32] = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for name in ("final", "stride16"):
        change = np.abs(getattr(embedder.feature_maps(marked), name) - getattr(embedder.feature_maps(plain), name))
        energy = change.sum(2)
        row, column = np.unravel_index(energy.argmax(), energy.shape)
        assert row >= energy.shape[0] / 2
        assert column < energy.shape[1] / 2


@pytest.mark.parametrize("bad", ["float", "grey", "alpha", "other shape", "turned"])
def test_images_of_another_kind_are_refused_by_name(embedder: Embedder, bad: str) -> None:
    height, width = embedder.info.shapes[1]
    image = {
        "float": np.zeros((height, width, 3), np.float32),
        "grey": np.zeros((height, width), np.uint8),
        "alpha": np.zeros((height, width, 4), np.uint8),
        "other shape": np.zeros((height + 1, width, 3), np.uint8),
        "turned": np.zeros((3, height, width), np.uint8),
    }[bad]
    for call in (lambda: embedder.embed([image]), lambda: embedder.feature_maps(image)):
        with pytest.raises(LookalikeError, match=f"{height}x{width}"):
            call()

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import ModelError, ShapeError, UnknownPluginError
from lookalike.models import lite0, registry
from lookalike.models.embedder import NetworkEmbedder
from lookalike.models.graph import POOLINGS
from lookalike.models.graph_cache import cached_graph, write_atomically
from lookalike.settings import cache_path

IMAGE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


def test_default_network_is_listed_with_dimension_licence_and_hash() -> None:
    [info] = registry.available()
    assert info == registry.info() == registry.info("efficientnet-lite0")
    assert (info.dim, info.licence, info.weights_sha256) == (1280, "Apache-2.0", lite0.SHA256)
    assert (info.mean, info.std) == ((127.0,) * 3, (128.0,) * 3)
    assert info.pooling in POOLINGS
    assert len(set(info.shapes)) == len(info.shapes)
    assert all(h % 32 == 0 and w % 32 == 0 and h * w <= 256 * 288 and (w, h) in info.shapes for h, w in info.shapes)


@pytest.mark.parametrize("name", ["efficientnet-lite", "efficientnet_lite0", "EfficientNet-Lite0", "eficientnet-lite0"])
def test_unknown_name_is_refused_with_the_near_miss(name: str) -> None:
    for ask in (registry.info, registry.load):
        with pytest.raises(UnknownPluginError, match=name) as caught:
            ask(name)
        assert caught.value.hint == "did you mean 'efficientnet-lite0'?"


@pytest.mark.parametrize("name", ["", "clip", "model.pth"])
def test_name_like_nothing_gets_the_list(name: str) -> None:
    with pytest.raises(UnknownPluginError) as caught:
        registry.info(name)
    assert "efficientnet-lite0" in caught.value.hint
    assert ".onnx" in caught.value.hint


def test_asking_what_a_network_is_loads_no_engine() -> None:
    code = """if True:
        import sys
        from lookalike.models import registry
        registry.available(), registry.info()
        print(sorted({name.split(".")[0] for name in sys.modules} & {"onnx", "openvino", "onnxruntime", "PIL"}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "PACKAGE", "package_that_is_not_here")
    with pytest.raises(ModelError, match="package_that_is_not_here"):
        registry.load()


def test_graph_is_built_once_and_again_when_damaged(tmp_path: Path) -> None:
    expected = registry.load(precision="fp32", cache=tmp_path).embed([IMAGE])
    [path] = (tmp_path / "models").iterdir()
    stamp = path.stat().st_mtime_ns, path.stat().st_ino
    assert np.array_equal(registry.load(precision="fp32", cache=tmp_path).embed([IMAGE]), expected)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == stamp

    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (bytes(flipped), whole[:-1], b""):
        path.write_bytes(damaged)
        assert np.array_equal(registry.load(precision="fp32", cache=tmp_path).embed([IMAGE]), expected)
        assert [file.read_bytes() for file in (tmp_path / "models").iterdir()] == [whole]


def test_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    for cache in (None, blocked, blocked / "deeper"):
        assert registry.load(precision="fp32", cache=cache).embed([IMAGE]).shape == (1, 1280)
    assert blocked.read_text() == "a file where the folder should be"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_read_only_cache_folder_is_done_without(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert cached_graph(tmp_path / "models", "key", lambda: b"graph") == b"graph"
    tmp_path.chmod(0o700)


def test_cached_file_is_found_by_key_and_carries_its_hash(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    path = cached_graph(folder, "key", lambda: b"graph")
    assert path == folder / f"key.{hashlib.sha256(b'graph').hexdigest()}.onnx"
    assert cached_graph(folder, "key", lambda: b"never built") == path
    assert cached_graph(folder, "other", lambda: b"second") != path
    assert sorted(file.read_bytes() for file in folder.iterdir()) == [b"graph", b"second"]


def test_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert cached_graph(tmp_path, "key", lambda: b"graph") == b"graph"


class Broken:
    """A runtime that gives what a network should not."""

    name, precision = "broken 1", "fp32"

    def __init__(self, row: np.ndarray, found: np.ndarray | None = None) -> None:
        self.row = row
        self.map = row if found is None else found

    def run(self, images: list[np.ndarray], outputs: tuple[str, ...]) -> list[list[np.ndarray]]:
        return [[self.row if name == "embedding" else self.map for name in outputs] for _ in images]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (np.full((1, 1280), np.nan, np.float32), "not finite"),
        (np.where(np.arange(1280) == 7, np.inf, 0).astype(np.float32)[None], "not finite"),
        (np.zeros((1, 1000), np.float32), "dim 1280"),
        (np.zeros((1, 1280, 1), np.float32), "dim 1280"),
        (np.zeros((2, 1280), np.float32), "dim 1280"),
    ],
)
def test_values_that_are_not_finite_or_not_as_many_as_said_are_refused(row: np.ndarray, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        NetworkEmbedder(lite0.network(), Broken(row)).embed([IMAGE])


def test_maps_that_are_not_finite_are_refused() -> None:
    bad = np.full((1, 1280, 8, 8), np.nan, np.float32)
    embedder = NetworkEmbedder(lite0.network(), Broken(np.ones((1, 1280), np.float32), bad))
    for call in (lambda: embedder.feature_maps(IMAGE), lambda: embedder.embed([IMAGE])):
        with pytest.raises(ModelError, match="not finite"):
            call()


def test_shapes_that_the_network_does_not_take_are_named() -> None:
    embedder = registry.load(precision="fp32", cache=cache_path())
    with pytest.raises(ShapeError, match="256x256"):
        embedder.embed([IMAGE, IMAGE[:100]])

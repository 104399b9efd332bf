"""The default network against an independent implementation, and against the photos' classes."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.models import lite0, registry
from lookalike.models.graph import EMBEDDING, FINAL, LOGITS, POOLINGS, STRIDE16
from lookalike.models.runtimes import import_openvino, open_runtime
from lookalike.settings import cache_path

pytestmark = pytest.mark.external


@pytest.fixture(scope="module")
def graph() -> bytes:
    return lite0.build(lite0.read_weights(), classifier=True)


@pytest.fixture(scope="module")
def photos(data_dir: Path) -> list[Path]:
    files = sorted((data_dir / "photos-200" / "images").glob("*.JPEG"))
    if len(files) != 200:
        pytest.skip(f"expected the 200 photos of photos-200, found {len(files)}")
    return files


@pytest.fixture(scope="module")
def classes(photos: list[Path], data_dir: Path) -> np.ndarray:
    """ImageNet class of each photo.

    ImageNet's classes are the sorted WordNet ids. The photos show every fifth class, one each, so the i-th of the
    sorted ids is class 5 i. Another mapping could not pass: were one photo's id out of step, all the photos after it
    would count as errors; and between two neighbouring ids lie at most the four ids that are left out, which the ids
    of another set with the same classes confirm.
    """
    ids = [path.name.split("_")[0] for path in photos]
    assert ids == sorted(set(ids))
    labels = data_dir / "many-kinds" / "labels.csv"
    if labels.is_file():
        others = {line.split(",")[1] for line in labels.read_text(encoding="utf-8").splitlines()[1:]} - set(ids)
        assert np.bincount(np.searchsorted(ids, sorted(others)), minlength=201)[:200].max() <= 4
    return 5 * np.arange(200)


@pytest.fixture(scope="module")
def torch_network() -> Any:
    for name in ("torch", "efficientnet_lite_pytorch"):
        if not importlib.util.find_spec(name):
            pytest.skip(f"{name} is not installed: nothing to compare with")
    from efficientnet_lite_pytorch import EfficientNet

    from lookalike.models.checkpoint import find_file

    # Without an image size its convolutions pad for the size that comes, not for 224 x 224.
    path = str(find_file(lite0.PACKAGE, lite0.FILE))
    return EfficientNet.from_pretrained(lite0.NAME, weights_path=path, image_size=None).eval().requires_grad_(False)


def read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def crop(image: Image.Image) -> np.ndarray:
    """Short side to 256, centre 224 x 224."""
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


def squash(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("shape", [(224, 224), (256, 256), (192, 320), (288, 224)])
def test_graph_equals_the_pytorch_implementation(
    engine: str, shape: tuple[int, int], graph: bytes, torch_network: Any, photos: list[Path]
) -> None:
    import torch

    if not importlib.util.find_spec(engine):
        pytest.skip(f"{engine} is not installed")
    height, width = shape
    images = [np.asarray(read(path).resize((width, height))) for path in photos[:3]]
    images.append(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    found = open_runtime(graph, precision="fp32", engine=engine).run(images, (EMBEDDING, FINAL, STRIDE16, LOGITS))
    blocks: list[Any] = []
    watch = torch_network._blocks[10].register_forward_hook(lambda module, inputs, output: blocks.append(output))
    for image, (embedding, final, stride16, logits) in zip(images, found, strict=True):
        x = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() - 127) / 128
        with torch.no_grad():
            expected = torch_network.extract_features(x).numpy()
            expected_logits = torch_network._fc(torch.from_numpy(expected).mean((2, 3))).numpy()
        weights = POOLINGS[lite0.POOLING].weights(height // 32, width // 32)
        power = POOLINGS[lite0.POOLING].power
        pooled = (expected.astype(np.float64) ** power * weights).sum((2, 3)) ** (1 / power)
        assert np.abs(final - expected).max() <= 2e-4
        assert np.abs(stride16 - blocks.pop().numpy()).max() <= 2e-3
        assert np.abs(embedding - pooled).max() <= 2e-4
        assert np.abs(logits - expected_logits).max() <= 2e-4
    watch.remove()


@pytest.mark.parametrize(("prepare", "least"), [(crop, 0.88), (squash, 0.80)])
def test_photos_are_classified_as_well_as_the_weights_can(
    prepare: Any, least: float, graph: bytes, photos: list[Path], classes: np.ndarray
) -> None:
    runtime = open_runtime(graph, precision="fp32", threads=2)
    logits = np.concatenate([row for (row,) in runtime.run([prepare(read(path)) for path in photos], (LOGITS,))])
    assert logits.shape == (200, 1000)
    assert (logits.argmax(1) == classes).mean() >= least


def test_exported_network_with_a_card_embeds_as_the_built_in_one(
    torch_network: Any, photos: list[Path], tmp_path: Path
) -> None:
    import torch

    class Features(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch_network.extract_features(x)

    path = tmp_path / "exported.onnx"
    names = {"input_names": ["pixels"], "output_names": ["features"]}
    with warnings.catch_warnings():  # the exporter calls itself old, and the padding a constant
        warnings.simplefilter("ignore")
        torch.onnx.export(Features(), torch.zeros(1, 3, 256, 256), str(path), dynamo=False, **names)
    card = {
        "dim": 1280,
        "shapes": [[256, 256]],
        "mean": [127, 127, 127],
        "std": [128, 128, 128],
        "outputs": {"embedding": "features", "final": "features"},
        "pooling": lite0.POOLING,
        "licence": "Apache-2.0",
    }
    path.with_suffix(".json").write_text(json.dumps(card))
    images = [np.asarray(read(photo).resize((256, 256))) for photo in photos[:4]]
    ours = registry.load(precision="fp32", cache=cache_path()).embed(images)
    theirs = registry.load(str(path), precision="fp32", cache=tmp_path).embed(images)
    assert np.abs(ours - theirs).max() <= 2e-4


def test_bf16_keeps_embeddings_and_neighbours(data_dir: Path) -> None:
    if not importlib.util.find_spec("openvino"):
        pytest.skip("bf16 needs openvino")
    if "BF16" not in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor cannot compute in bf16")
    files = sorted((data_dir / "pacs-photo" / "images").rglob("*.jpg"))
    if not files:
        pytest.skip("the set pacs-photo is not here")
    images = [np.asarray(read(path).resize((256, 256))) for path in files]
    rows = {}
    for precision in ("fp32", "bf16"):
        found = registry.load(precision=precision, threads=2, cache=cache_path()).embed(images)
        rows[precision] = found / np.linalg.norm(found, axis=1, keepdims=True)
    cosines = (rows["fp32"] * rows["bf16"]).sum(1)
    assert cosines.min() >= 0.99  # seen on a processor with bf16: .9928, median .9993
    assert np.median(cosines) >= 0.999
    top = {}
    for precision, vectors in rows.items():
        centred = vectors - vectors.mean(0)
        centred /= np.linalg.norm(centred, axis=1, keepdims=True)
        top[precision] = np.argsort(-(centred @ centred.T), axis=1, kind="stable")[:, 1:11]
    shared = [len(set(a) & set(b)) for a, b in zip(top["fp32"], top["bf16"], strict=True)]
    assert np.mean(shared) / 10 >= 0.95

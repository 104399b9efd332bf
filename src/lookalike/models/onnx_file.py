"""Any other network: an ONNX file with a card beside it, wrapped so that it has the contract of ``models.graph``.

The file is read as bytes, and a graph that refers to data in other files is refused before anything else looks at it:
such a reference can name any file of the machine. Then preprocessing is put in front of the graph and pooling behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lookalike.errors import ModelError
from lookalike.models.card import CLS, NO_POOLING, Card, read_card
from lookalike.models.embedder import Network
from lookalike.models.graph import (
    EMBEDDING,
    FINAL,
    IMAGE,
    POOLINGS,
    STRIDE16,
    GraphBuilder,
    Pooling,
    add_pooling,
    add_preprocessing,
)
from lookalike.types import ModelInfo, fingerprint

MAX_BYTES = 2**31 - 1  # what one protobuf message can hold
MIN_OPSET = 11
WRAP_VERSION = 1  # raise it whenever ``wrap`` makes another graph
FOREIGN, OURS = "network/", "lookalike/"  # before every name, so that none collide
FLOAT, FLOAT16 = 1, 10  # onnx.TensorProto's numbers


def network(path: Path) -> Network:
    """What a file and its card say; the graph itself is not read yet.

    Args:
        path: The ``.onnx`` file; the card has the same name with ``.json``.

    Raises:
        ModelError: the file or the card is missing or wrong.
    """
    if not path.is_file():
        raise ModelError(f"there is no network {path}", hint="give the path of an .onnx file")
    card = read_card(path.with_suffix(".json"))
    content = _read(path)
    sha256 = hashlib.sha256(content).hexdigest()
    pooling = POOLINGS.get(card.pooling, Pooling())
    info = ModelInfo(
        name=card.name,
        dim=card.dim,
        shapes=card.shapes,
        mean=card.mean,
        std=card.std,
        interpolation=card.interpolation,
        crop_fraction=card.crop_fraction,
        pooling=f"{card.pooling} of {card.outputs[EMBEDDING]}",
        weights_sha256=sha256,
        licence=card.licence,
    )
    return Network(
        info=info,
        key=fingerprint({"file": sha256, "version": WRAP_VERSION, "card": asdict(card), "pooling": asdict(pooling)}),
        maps=tuple(name for name in (FINAL, STRIDE16) if name in card.outputs),
        build=lambda: wrap(content, card),
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} has more than {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def wrap(content: bytes, card: Card) -> bytes:
    """A foreign ONNX file with preprocessing in front and pooling behind.

    Args:
        content: The file.
        card: What it says about the file.

    Returns:
        An ONNX file: ``image`` (n, h, w, 3) uint8 -> ``embedding`` (n, D) and the maps that the card names, float32.

    Raises:
        ModelError: it is no sound ONNX file, refers to other files, or is not what the card says.
    """
    import onnx
    from onnx import helper, inliner, shape_inference

    model = _parse(content)
    found = [output.name for output in model.graph.output]
    for name in card.outputs.values():
        if name not in found:
            raise ModelError(f"{card.name} has no output {name!r}", hint=f"it has {', '.join(found)}")
    try:
        model = shape_inference.infer_shapes(inliner.inline_local_functions(model))
    except Exception as error:  # a malformed graph makes it raise anything
        raise ModelError(f"{card.name} is no sound ONNX graph: {_one_line(error)}") from error
    graph = model.graph
    _prefix_names(graph)
    source = _image_input(graph, card)
    infos = {output.name.removeprefix(FOREIGN): output.type.tensor_type for output in graph.output}
    front, back = GraphBuilder(OURS), GraphBuilder(OURS + "back/")
    half = source.type.tensor_type.elem_type == FLOAT16
    x = add_preprocessing(front, card.mean, card.std, "" if half else source.name, channels_last=card.layout == "NHWC")
    if half:
        front.add("Cast", x, to=FLOAT16, output=source.name)
    _add_embedding(back, card, infos)
    for name in (FINAL, STRIDE16):
        if name in card.outputs:
            back.add("Identity", _map(back, card, infos, card.outputs[name]), output=name)

    nodes = [*front.nodes, *graph.node, *back.nodes]
    del graph.node[:], graph.output[:]
    graph.input.remove(source)
    graph.node.extend(nodes)
    graph.initializer.extend([*front.constants, *back.constants])
    batch = source.type.tensor_type.shape.dim[0].dim_value or "n"
    graph.input.insert(0, helper.make_tensor_value_info(IMAGE, onnx.TensorProto.UINT8, [batch, "h", "w", 3]))
    graph.output.append(helper.make_tensor_value_info(EMBEDDING, FLOAT, [batch, card.dim]))
    for name in (FINAL, STRIDE16):
        if name in card.outputs:
            graph.output.append(helper.make_tensor_value_info(name, FLOAT, [batch, None, None, None]))
    model.ir_version = max(model.ir_version, 4)  # from 4 on a constant need not be an input too
    _check(model)
    wrapped: bytes = model.SerializeToString()
    return wrapped


def _parse(content: bytes) -> Any:
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's DecodeError, or what a damaged message makes it raise
        raise ModelError(f"the file is no ONNX network: {_one_line(error)}") from error
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(
                f"the network keeps the tensor {tensor.name!r:.80} in another file: refused",
                hint="save it as one file: onnx.save(model, path, save_as_external_data=False)",
            )
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions or max(versions) < MIN_OPSET:
        raise ModelError(f"the network uses ONNX opset {versions or 'none'}, at least {MIN_OPSET} is needed")
    _check(model)
    return model


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor anywhere in a message: constants, sparse ones, attributes, subgraphs, functions, training graphs."""
    from onnx import TensorProto

    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in (value,) if hasattr(value, "ListFields") else value:
            if isinstance(part, TensorProto):
                yield part
            else:
                yield from _tensors(part)


def _check(model: Any) -> None:
    import onnx

    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelError(f"the network is no sound ONNX graph: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _prefix_names(graph: Any) -> None:
    """Put FOREIGN before every name of a graph and of the graphs inside it."""
    graph.ClearField("quantization_annotation")
    sparse = [tensor.values for tensor in graph.sparse_initializer]
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer, *sparse):
        named.name = FOREIGN + named.name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [FOREIGN + name if name else "" for name in names]  # empty: left out
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _prefix_names(inner)


def _image_input(graph: Any, card: Card) -> Any:
    """The graph's one input, checked against the card: float, 4 dimensions, 3 channels, one of the card's shapes."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name.removeprefix(FOREIGN) for value in inputs)
        raise ModelError(f"{card.name} takes {len(inputs)} inputs ({names}), expected one image")
    tensor = inputs[0].type.tensor_type
    dims = [dim.dim_value for dim in tensor.shape.dim]  # 0 where it varies
    if tensor.elem_type not in (FLOAT, FLOAT16) or len(dims) != 4:
        raise ModelError(f"{card.name} takes an input of shape {dims}, type {tensor.elem_type}: expected a float image")
    batch, *image = dims
    channels, sides = (image[2], image[:2]) if card.layout == "NHWC" else (image[0], image[1:])
    if channels not in (0, 3):
        raise ModelError(f"{card.name} takes {channels} channels, expected 3", hint="is the card's layout right?")
    if batch > 1:
        raise ModelError(f"{card.name} only takes batches of {batch}", hint="export it with a batch that varies, or 1")
    for shape in card.shapes:
        if any(side not in (0, wanted) for side, wanted in zip(sides, shape, strict=True)):
            takes, says = (" x ".join(str(side or "any") for side in pair) for pair in (sides, shape))
            message = f"{card.name} takes images of {takes}, the card's shapes say {says}"
            raise ModelError(message, hint="heights come first; is the card's layout right?")
    return inputs[0]


def _add_embedding(back: GraphBuilder, card: Card, infos: dict[str, Any]) -> None:
    name = card.outputs[EMBEDDING]
    rank = _rank(infos[name])
    allowed = {NO_POOLING: (2,), CLS: (3,), "mean": (3, 4)}.get(card.pooling, (4,))
    if rank not in allowed and rank is not None:
        raise ModelError(f"{card.name}: pooling {card.pooling!r} does not fit output {name!r} with {rank} dimensions")
    if card.pooling == NO_POOLING:
        back.add("Cast", FOREIGN + name, to=FLOAT, output=EMBEDDING)
    elif card.pooling == CLS:
        first = back.add("Gather", FOREIGN + name, back.constant(0, "int64"), axis=1)
        back.add("Cast", first, to=FLOAT, output=EMBEDDING)
    elif rank == 3:
        tokens = back.add("Transpose", back.add("Cast", FOREIGN + name, to=FLOAT), perm=[0, 2, 1])
        back.add("Flatten", back.add("GlobalAveragePool", tokens), output=EMBEDDING)
    else:
        add_pooling(back, _map(back, card, infos, name), POOLINGS[card.pooling])


def _map(back: GraphBuilder, card: Card, infos: dict[str, Any], name: str) -> str:
    """An output as a float32 map (n, channels, h, w)."""
    rank = _rank(infos[name])
    if rank not in (4, None):
        raise ModelError(f"{card.name}: output {name!r} has {rank} dimensions, a map has 4")
    x = back.add("Cast", FOREIGN + name, to=FLOAT)
    return back.add("Transpose", x, perm=[0, 3, 1, 2]) if card.layout == "NHWC" else x


def _rank(tensor_type: Any) -> int | None:
    """How many dimensions an output has; None where the graph does not say."""
    return len(tensor_type.shape.dim) if tensor_type.HasField("shape") else None

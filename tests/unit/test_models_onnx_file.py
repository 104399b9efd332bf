from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lookalike.errors import ModelError
from lookalike.models import onnx_file, registry
from lookalike.models.card import MAX_CARD_BYTES

CARD: dict[str, Any] = {
    "name": "tiny",
    "dim": 4,
    "shapes": [[16, 24]],
    "mean": [120.0, 110.0, 100.0],
    "std": [60.0, 50.0, 40.0],
    "outputs": {"embedding": "map"},
    "pooling": "mean",
    "licence": "CC0-1.0",
}
KERNEL = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
RANDOM_IMAGE = np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8)


def tiny(
    *,
    opset: int = 17,
    dims: tuple[Any, ...] = ("n", 3, "h", "w"),
    elem_type: int = TensorProto.FLOAT,
    names: tuple[str, str] = ("x", "map"),
    nodes: list[Any] | None = None,
    outputs: dict[str, Any] | None = None,
    kernel: np.ndarray = KERNEL,
    extra_inputs: tuple[Any, ...] = (),
) -> onnx.ModelProto:
    """A 1 x 1 convolution of 3 channels to 4, named by ``names``; then ``nodes`` with ``outputs``."""
    x, y = names
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    graph = helper.make_graph(
        [helper.make_node("Conv", [x, "kernel"], [y]), *(nodes or [])],
        "tiny",
        [helper.make_tensor_value_info(x, elem_type, dims), *extra_inputs],
        [helper.make_tensor_value_info(n, elem_type, d) for n, d in (outputs or {y: ["n", 4, "h", "w"]}).items()],
        [numpy_helper.from_array(kernel.astype(dtype), "kernel")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(folder: Path, model: onnx.ModelProto | bytes, **changes: Any) -> str:
    """Write a network and its card, changed; None takes a field out."""
    path = folder / "tiny.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    card = {key: value for key, value in {**CARD, **changes}.items() if value is not None}
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    return str(path)


def load(path: str) -> Any:
    return registry.load(path, precision="fp32")


def convolved(image: np.ndarray) -> np.ndarray:
    """(h, w, 4): what the convolution makes of the preprocessed image."""
    return ((image - np.array(CARD["mean"])) / CARD["std"]) @ KERNEL[:, :, 0, 0].T


def test_network_from_a_file_embeds_as_its_card_says(tmp_path: Path) -> None:
    embedder = load(save(tmp_path, tiny()))
    found = embedder.embed([RANDOM_IMAGE, RANDOM_IMAGE[:, ::-1]])
    assert np.allclose(found, convolved(RANDOM_IMAGE).mean((0, 1)), atol=1e-4)
    assert (embedder.info.name, embedder.info.dim, embedder.info.licence) == ("tiny", 4, "CC0-1.0")
    assert embedder.info.shapes == ((16, 24),)
    with pytest.raises(ModelError, match="no map"):
        embedder.feature_maps(RANDOM_IMAGE)


@pytest.mark.parametrize("pooling", ["gem3", "gem3-centre", "mean-centre"])
def test_maps_are_pooled_and_handed_out(pooling: str, tmp_path: Path) -> None:
    outputs = {"embedding": "map", "final": "map", "stride16": "fine"}
    nodes = [helper.make_node("Relu", ["map"], ["fine"])]
    model = tiny(nodes=nodes, outputs={"map": ["n", 4, "h", "w"], "fine": ["n", 4, "h", "w"]})
    embedder = load(save(tmp_path, model, outputs=outputs, pooling=pooling))
    maps = embedder.feature_maps(RANDOM_IMAGE)
    expected = convolved(RANDOM_IMAGE)
    assert np.allclose(maps.final, expected, atol=1e-4)
    assert maps.stride16 is not None
    assert np.allclose(maps.stride16, np.maximum(expected, 0), atol=1e-4)
    rule = onnx_file.POOLINGS[pooling]
    base = np.maximum(expected, 0) if rule.power > 1 else expected
    pooled = (base**rule.power * rule.weights(16, 24)[..., None]).sum((0, 1)) ** (1 / rule.power)
    assert np.allclose(embedder.embed([RANDOM_IMAGE])[0], pooled, atol=1e-4)


def flat() -> onnx.ModelProto:
    nodes = [helper.make_node("GlobalAveragePool", ["map"], ["p"]), helper.make_node("Flatten", ["p"], ["flat"])]
    return tiny(nodes=nodes, outputs={"flat": ["n", 4], "map": ["n", 4, "h", "w"]})


def tokens() -> onnx.ModelProto:
    shape = numpy_helper.from_array(np.array([0, 4, -1], np.int64))
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Reshape", ["map", "shape"], ["r"]),
        helper.make_node("Transpose", ["r"], ["tokens"], perm=[0, 2, 1]),
    ]
    return tiny(nodes=nodes, outputs={"tokens": ["n", "t", 4]})


def test_network_that_pools_by_itself_and_token_outputs(tmp_path: Path) -> None:
    expected = convolved(RANDOM_IMAGE)
    for model, output, pooling, wanted in (
        (flat(), "flat", "none", expected.mean((0, 1))),
        (tokens(), "tokens", "cls", expected[0, 0]),
        (tokens(), "tokens", "mean", expected.mean((0, 1))),
    ):
        path = save(tmp_path, model, outputs={"embedding": output}, pooling=pooling)
        assert np.allclose(load(path).embed([RANDOM_IMAGE])[0], wanted, atol=1e-4), pooling


@pytest.mark.parametrize("names", [("image", "embedding"), ("embedding", "image"), ("lookalike/cast_1", "final")])
def test_names_inside_the_graph_do_not_collide_with_ours(names: tuple[str, str], tmp_path: Path) -> None:
    path = save(tmp_path, tiny(names=names), outputs={"embedding": names[1], "final": names[1]})
    assert np.allclose(load(path).embed([RANDOM_IMAGE])[0], convolved(RANDOM_IMAGE).mean((0, 1)), atol=1e-4)


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_opsets_old_and_new_are_wrapped(opset: int, tmp_path: Path) -> None:
    path = save(tmp_path, tiny(opset=opset), pooling="gem3-centre", outputs={"embedding": "map", "final": "map"})
    assert load(path).embed([RANDOM_IMAGE]).shape == (1, 4)


def test_graphs_with_branches_functions_and_left_out_inputs_work(tmp_path: Path) -> None:
    yes = numpy_helper.from_array(np.array(True), "yes")
    high = numpy_helper.from_array(np.array(1.5, np.float32), "high")
    opsets = [helper.make_opsetid("", 17)]
    double = helper.make_function("local", "Double", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets)
    branch = helper.make_graph(
        [helper.make_node("Clip", ["map", "", "high"], ["clipped"])],
        "branch",
        [],
        [helper.make_tensor_value_info("clipped", TensorProto.FLOAT, ["n", 4, "h", "w"])],
    )
    nodes = [
        helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch),
        helper.make_node("Double", ["chosen"], ["doubled"], domain="local"),
    ]
    model = tiny(nodes=nodes, outputs={"doubled": ["n", 4, "h", "w"]})
    model.graph.initializer.extend([yes, high])
    model.functions.append(double)
    model.opset_import.append(helper.make_opsetid("local", 1))
    path = save(tmp_path, model, outputs={"embedding": "doubled"})
    expected = 2 * np.minimum(convolved(RANDOM_IMAGE), 1.5).mean((0, 1))
    assert np.allclose(load(path).embed([RANDOM_IMAGE])[0], expected, atol=1e-4)


def test_fixed_sizes_and_half_precision_graphs_work(tmp_path: Path) -> None:
    expected = convolved(RANDOM_IMAGE).mean((0, 1))
    fixed = tiny(dims=(1, 3, 16, 24), outputs={"map": [1, 4, 16, 24]})
    assert np.allclose(load(save(tmp_path, fixed)).embed([RANDOM_IMAGE])[0], expected, atol=1e-4)
    half = tiny(elem_type=TensorProto.FLOAT16)
    assert np.allclose(load(save(tmp_path, half)).embed([RANDOM_IMAGE])[0], expected, atol=2e-2)


def test_channels_last_graphs_work(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "h", "w", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "h", "w", 4])
    kernel = numpy_helper.from_array(np.ascontiguousarray(KERNEL[:, :, 0, 0].T), "kernel")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "kernel"], ["y"])], "g", [x], [y], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    embedder = load(save(tmp_path, model, layout="NHWC", outputs={"embedding": "y", "final": "y"}))
    assert np.allclose(embedder.embed([RANDOM_IMAGE])[0], convolved(RANDOM_IMAGE).mean((0, 1)), atol=1e-4)
    assert embedder.feature_maps(RANDOM_IMAGE).final.shape == (16, 24, 4)
    with pytest.raises(ModelError, match="takes images of any x 3") as caught:
        load(save(tmp_path, model, outputs={"embedding": "y"}))
    assert "layout" in caught.value.hint


def test_identity_covers_weights_preprocessing_and_output_but_not_names(tmp_path: Path) -> None:
    def identity(model: onnx.ModelProto, **changes: Any) -> str:
        return registry.info(save(tmp_path, model, **changes)).fingerprint

    plain = identity(tiny())
    assert identity(tiny(), name="other", licence="MIT") == plain
    others = [
        identity(tiny(kernel=KERNEL * 2)),
        identity(tiny(), mean=[1, 2, 3]),
        identity(tiny(), interpolation="bilinear"),
        identity(tiny(), crop_fraction=0.875),
        identity(tiny(), pooling="gem3"),
        identity(flat(), outputs={"embedding": "flat"}),
        identity(flat(), outputs={"embedding": "map"}),
    ]
    assert len({plain, *others}) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": None}, "missing: dim"),
        ({"mean": None, "pooling": None}, "missing: mean, pooling"),
        ({"dim": 0}, "dim: 0"),
        ({"dim": "4"}, "dim: '4'"),
        ({"dim": True}, "dim: True"),
        ({"shapes": [224, 224]}, "shapes"),
        ({"shapes": []}, "shapes"),
        ({"shapes": [[16, 24, 3]]}, "shapes"),
        ({"shapes": [[16, 10**9]]}, "shapes"),
        ({"mean": [0.5, 0.5]}, "mean"),
        ({"std": [1, 0, 1]}, "std"),
        ({"std": [1, "2", 1]}, "std"),
        ({"interpolation": "lanczos"}, "lanczos"),
        ({"crop_fraction": 1.5}, "crop_fraction"),
        ({"layout": "CHWN"}, "CHWN"),
        ({"pooling": "max"}, "pooling: 'max'"),
        ({"outputs": ["map"]}, "outputs"),
        ({"outputs": {"final": "map"}}, "outputs"),
        ({"outputs": {"embedding": 1}}, "outputs"),
        ({"name": "a\nb"}, "name"),
        ({"licence": ""}, "licence"),
    ],
)
def test_wrong_card_names_the_field(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = save(tmp_path, tiny(), **changes)
    with pytest.raises(ModelError) as caught:
        registry.info(path)
    assert message in str(caught.value)
    assert "tiny.json" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"license": "MIT"}, "did you mean 'licence'?"),
        ({"shape": [[1, 1]]}, "did you mean 'shapes'?"),
        ({"outputs": {"embeding": "map"}}, "did you mean 'embedding'?"),
    ],
)
def test_unknown_field_of_a_card_names_the_near_miss(changes: dict[str, Any], near: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no") as caught:
        registry.info(save(tmp_path, tiny(), **changes))
    assert caught.value.hint == near


def test_mean_and_std_of_pixels_up_to_one_are_noticed(tmp_path: Path) -> None:
    path = save(tmp_path, tiny(), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    with pytest.raises(ModelError, match=r"0\.\.1") as caught:
        registry.info(path)
    assert "255" in caught.value.hint


def test_missing_and_broken_cards_and_files(tmp_path: Path) -> None:
    path = save(tmp_path, tiny())
    card = Path(path).with_suffix(".json")
    for content in (b"", b"{", b"[]", b"\xff\xfe", b'{"dim": NaN}', b"[" * 30_000, b" " * (MAX_CARD_BYTES + 1)):
        card.write_bytes(content)
        with pytest.raises(ModelError, match=r"tiny\.json"):
            registry.info(path)
    card.unlink()
    with pytest.raises(ModelError, match="no card"):
        registry.info(path)
    (tmp_path / "folder.onnx").mkdir()
    for name in ("absent.onnx", "folder.onnx"):
        with pytest.raises(ModelError, match="there is no network"):
            registry.info(str(tmp_path / name))


def test_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    whole = tiny().SerializeToString()
    for content in (b"", b"not a network", b"\x80\x02cos\nsystem\n.", whole[:-20]):
        with pytest.raises(ModelError):
            load(save(tmp_path, content))


def unknown_operator() -> onnx.ModelProto:
    model = tiny(nodes=[helper.make_node("Ours", ["map"], ["z"], domain="x.y")], outputs={"z": ["n", 4, "h", "w"]})
    model.opset_import.append(helper.make_opsetid("x.y", 1))
    return model


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (tiny(), {"outputs": {"embedding": "mop"}}, "no output 'mop'"),
        (tiny(), {"dim": 5}, "card says dim 5"),
        (tiny(dims=(1, 3, 8, 8), outputs={"map": [1, 4, 8, 8]}), {}, "takes images of"),
        (tiny(dims=(1, 3, 8, 8), outputs={"map": [1, 4, 8, 8]}), {"shapes": [[8, 8], [8, 9]]}, "takes images of"),
        (tiny(dims=(4, 3, "h", "w"), outputs={"map": [4, 4, "h", "w"]}), {}, "batches of 4"),
        (tiny(dims=("n", 1, "h", "w"), kernel=KERNEL[:, :1]), {}, "1 channels"),
        (tiny(extra_inputs=(helper.make_tensor_value_info("mask", 1, [1]),)), {}, "2 inputs"),
        (tiny(opset=9), {}, "opset"),
        (flat(), {"outputs": {"embedding": "flat"}, "pooling": "gem3"}, "does not fit"),
        (flat(), {"outputs": {"embedding": "flat"}, "pooling": "cls"}, "does not fit"),
        (flat(), {"outputs": {"embedding": "map"}, "pooling": "none"}, "does not fit"),
        (flat(), {"outputs": {"embedding": "map", "final": "flat"}}, "a map has 4"),
        (tiny(kernel=KERNEL * np.nan), {}, "not finite"),
        (tiny(kernel=KERNEL * np.inf), {}, "not finite"),
        (tiny(nodes=[helper.make_node("Nonsense", ["map"], ["z"])]), {}, "sound"),
        (unknown_operator(), {"outputs": {"embedding": "z"}}, "cannot"),
    ],
)
def test_graph_that_is_not_what_its_card_says_is_refused(
    model: onnx.ModelProto, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        load(save(tmp_path, model, **changes))


def test_missing_output_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(save(tmp_path, flat(), outputs={"embedding": "pooled"}))
    assert caught.value.hint == "it has flat, map"


def external(tensor: TensorProto, location: str) -> TensorProto:
    """The tensor with its data in another file."""
    moved = TensorProto()
    moved.CopyFrom(tensor)
    moved.ClearField("raw_data")
    moved.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "48")):
        moved.external_data.add(key=key, value=value)
    return moved


def hide(place: str, location: str) -> onnx.ModelProto:
    """A network with one external tensor somewhere."""
    secret = external(numpy_helper.from_array(KERNEL, "secret"), location)
    constant = helper.make_node("Constant", [], ["c"], value=secret)
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("c", 1, [4, 3, 1, 1])])
    model = tiny()
    if place == "initializer":
        model.graph.initializer[0].CopyFrom(external(model.graph.initializer[0], location))
    elif place == "location only":
        model.graph.initializer[0].external_data.add(key="location", value=location)
    elif place == "attribute":
        model.graph.node.append(constant)
    elif place == "attribute list":
        model.graph.node.append(helper.make_node("Ours", [], ["c"], domain="x", tensors=[secret]))
    elif place == "sparse":
        sparse = model.graph.sparse_initializer.add(dims=[48])
        sparse.values.CopyFrom(secret)
    elif place == "subgraph":
        model.graph.node.append(helper.make_node("If", ["q"], ["r"], then_branch=branch, else_branch=branch))
    elif place == "subgraph initializer":
        branch.initializer.append(secret)
        model.graph.node.append(helper.make_node("Loop", ["q"], ["r"], body=branch))
    elif place == "function":
        opsets = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("local", "f", [], ["c"], [constant], opsets))
    elif place == "function default":
        default = helper.make_attribute("a", secret)
        function = helper.make_function("local", "f", [], ["c"], [], [helper.make_opsetid("", 17)])
        function.attribute_proto.append(default)
        model.functions.append(function)
    elif place == "training":
        model.training_info.add().initialization.initializer.append(secret)
    return model


PLACES = (
    "initializer",
    "location only",
    "attribute",
    "attribute list",
    "sparse",
    "subgraph",
    "subgraph initializer",
    "function",
    "function default",
    "training",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("location", ["weights.bin", "../secret.bin", "link.bin", "/etc/passwd"])
def test_data_in_other_files_is_refused_before_anything_is_opened(
    place: str, location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(KERNEL.tobytes())
    (folder / "weights.bin").write_bytes(KERNEL.tobytes())
    os.symlink(tmp_path / "secret.bin", folder / "link.bin")
    monkeypatch.chdir(folder)
    path = save(folder, hide(place, location))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a session was made")

    monkeypatch.setattr(registry, "open_runtime", never)
    with pytest.raises(ModelError, match="another file") as caught:
        load(path)
    assert "one file" in caught.value.hint

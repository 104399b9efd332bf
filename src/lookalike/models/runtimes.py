"""What runs a network: OpenVINO on x86 processors, ONNX Runtime elsewhere, behind one small protocol.

Every image is one request of batch 1, so that nothing in an embedding depends on its neighbours, and pictures of
several shapes mix freely. With ``throughput`` several requests are in flight, one thread each; without it, all threads
work on one request, for the shortest wait.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from lookalike.errors import ModelError
from lookalike.models.graph import IMAGE
from lookalike.types import PRECISIONS, Float32, Pixels

X86 = ("x86_64", "amd64", "i386", "i686")


class Runtime(Protocol):
    """One network at one precision, ready to run; safe to call from one thread at a time.

    Attributes:
        name: Of the engine and its version, for example "openvino 2026.4.1".
        precision: "fp32" or "bf16".
    """

    name: str
    precision: str

    def run(self, images: Sequence[Pixels], outputs: tuple[str, ...]) -> list[list[Float32]]:
        """The named outputs of each image (h, w, 3) uint8, in the order of the images; each output has n = 1.

        Raises:
            ModelError: the network does not work on images of that shape.
        """


def open_runtime(
    model: Path | bytes, *, precision: str = "auto", threads: int = 1, throughput: bool = True, engine: str = ""
) -> Runtime:
    """Make a network ready to run.

    Args:
        model: An ONNX file or its content, with ``image`` (n, h, w, 3) uint8 as its only input.
        precision: "fp32", "bf16" or "auto": bf16 where the processor has it.
        threads: How many to use, at least 1.
        throughput: Several requests in flight; False puts all threads on one.
        engine: "openvino" or "onnxruntime"; empty takes the one that is faster on this machine, else the other.

    Raises:
        ModelError: there is no engine, the engine does not understand the network, or the processor lacks bf16.
    """
    if precision not in ("auto", *PRECISIONS):
        raise ModelError(f"precision {precision!r} is not one of auto, {', '.join(PRECISIONS)}")
    name = engine or next((name for name in preferred_engines() if importlib.util.find_spec(name)), "")
    if name not in _ENGINES:
        message = f"there is no engine {name!r}" if name else "no engine is installed that could run a network"
        raise ModelError(message, hint=f"pip install {preferred_engines()[0]}")
    return _ENGINES[name](model, precision, threads, throughput)


def preferred_engines() -> tuple[str, str]:
    """Engines, best first: OpenVINO is the faster on x86, and there is little of it elsewhere."""
    on_x86 = platform.machine().lower() in X86
    return ("openvino", "onnxruntime") if on_x86 else ("onnxruntime", "openvino")


def import_openvino() -> ModuleType:
    """OpenVINO, silenced: plain ``import openvino`` sends an event to an analytics host and writes into the home.

    That is done by its conversion tools, which it imports unasked (unless CI is set, so a test there would not see
    it). Without the telemetry package they stay quiet; and holding them back altogether halves the import time. Who
    wants them can import them later.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    tools = "openvino.tools.ovc"
    held_back = tools not in sys.modules
    if held_back:
        sys.modules[tools] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if held_back:
            del sys.modules[tools]
    return openvino  # type: ignore[no-any-return]


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, silenced: from 1.32 on its import makes a device id and a database at home and calls a server.

    Its own switch comes too late for that, the environment variable does not.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime  # type: ignore[no-any-return]


class OpenVinoRuntime:
    """Runs a network with OpenVINO; each shape is compiled when it first comes."""

    def __init__(self, model: Path | bytes, precision: str, threads: int, throughput: bool) -> None:
        """See ``open_runtime``."""
        openvino = import_openvino()
        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self._core = openvino.Core()
        self.precision = self._resolve(precision)
        self._config = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "THROUGHPUT" if throughput else "LATENCY",
            "NUM_STREAMS": threads if throughput else 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # decoders and other work share these cores
        }
        self._most_in_flight = 2 * threads if throughput else 1  # one computing and one waiting for each thread
        self._compiled: dict[tuple[tuple[int, ...], tuple[str, ...]], tuple[Any, list[Any]]] = {}
        with _translated("OpenVINO cannot read the network"):
            self._model = self._core.read_model(str(model) if isinstance(model, Path) else model)

    def run(self, images: Sequence[Pixels], outputs: tuple[str, ...]) -> list[list[Float32]]:
        """See ``Runtime``."""
        results: list[list[Float32]] = []
        in_flight: deque[tuple[Any, list[Any]]] = deque()

        def collect() -> None:
            request, idle = in_flight.popleft()
            with _translated("the network failed"):
                request.wait()
            results.append([request.get_tensor(name).data.copy() for name in outputs])
            idle.append(request)

        for image in images:
            if len(in_flight) >= self._most_in_flight:
                collect()
            with _translated(_refusal(image)):
                compiled, idle = self._ready(image.shape, outputs)
                request = idle.pop() if idle else compiled.create_infer_request()
                request.start_async({IMAGE: np.ascontiguousarray(image)[None]})
            in_flight.append((request, idle))
        while in_flight:
            collect()
        return results

    def _ready(self, shape: tuple[int, ...], outputs: tuple[str, ...]) -> tuple[Any, list[Any]]:
        """The network compiled for a shape, and its requests that are idle."""
        key = (shape, outputs)
        if key not in self._compiled:
            self._compiled[key] = (self._compile(shape, outputs), [])
        return self._compiled[key]

    def _compile(self, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Any:
        model = self._model.clone()
        for output in model.outputs:
            if not output.names.intersection(outputs):
                model.remove_result(output.node)  # what nobody asks for is not computed
        model.reshape([1, *shape])
        return self._core.compile_model(model, "CPU", self._config)

    def _resolve(self, precision: str) -> str:
        has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            processor = self._core.get_property("CPU", "FULL_DEVICE_NAME")
            raise ModelError(f"this processor ({processor}) cannot compute in bf16", hint="use precision fp32 or auto")
        return ("bf16" if has_bf16 else "fp32") if precision == "auto" else precision


class OnnxRuntime:
    """Runs a network with ONNX Runtime, in fp32."""

    def __init__(self, model: Path | bytes, precision: str, threads: int, throughput: bool) -> None:
        """See ``open_runtime``."""
        if precision == "bf16":
            raise ModelError("ONNX Runtime does not compute in bf16 on a processor", hint="use precision fp32 or auto")
        onnxruntime = import_onnxruntime()
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.precision = "fp32"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1 if throughput else threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._threads = threads if throughput else 1
        with _translated("ONNX Runtime cannot read the network"):
            self._session = onnxruntime.InferenceSession(
                str(model) if isinstance(model, Path) else model, options, providers=["CPUExecutionProvider"]
            )

    def run(self, images: Sequence[Pixels], outputs: tuple[str, ...]) -> list[list[Float32]]:
        """See ``Runtime``."""
        from concurrent.futures import ThreadPoolExecutor

        def one(image: Pixels) -> list[Float32]:
            with _translated(_refusal(image)):
                found: list[Float32] = self._session.run(list(outputs), {IMAGE: np.ascontiguousarray(image)[None]})
                return found

        if self._threads == 1 or len(images) == 1:
            return [one(image) for image in images]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(one, images))


_ENGINES: dict[str, Callable[[Path | bytes, str, int, bool], Runtime]] = {
    "openvino": OpenVinoRuntime,
    "onnxruntime": OnnxRuntime,
}


@contextmanager
def _translated(message: str) -> Iterator[None]:
    """Whatever an engine raises becomes a ModelError that begins with this message."""
    try:
        yield
    except Exception as error:  # the engines raise RuntimeError and half a dozen classes of their own
        lines = [line for line in str(error).splitlines() if not line.startswith("Exception from")]
        detail = " ".join(" ".join(lines).split()) or type(error).__name__
        raise ModelError(f"{message}: {detail[:300]}") from error


def _refusal(image: Pixels) -> str:
    return f"the network cannot take images of height {image.shape[0]}, width {image.shape[1]}"

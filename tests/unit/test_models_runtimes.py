from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import ModelError
from lookalike.models import lite0, runtimes
from lookalike.models.graph import EMBEDDING, FINAL
from lookalike.models.runtimes import import_openvino, open_runtime
from lookalike.types import PRECISIONS


def installed(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"{name} is not installed")


ENGINES = [pytest.param(name, marks=installed(name)) for name in ("openvino", "onnxruntime")]
SHAPES = ((256, 256), (192, 320), (320, 192))


@pytest.fixture(scope="module")
def graph() -> bytes:
    return lite0.build(lite0.read_weights())


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*SHAPES[i % 3], 3), dtype=np.uint8) for i in range(9)]


@pytest.fixture(scope="module")
def expected(graph: bytes, images: list[np.ndarray]) -> np.ndarray:
    """One image at a time, one thread, the engine that this machine prefers."""
    runtime = open_runtime(graph, precision="fp32", threads=1, throughput=False)
    return np.concatenate([runtime.run([image], (EMBEDDING,))[0][0] for image in images])


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("threads", "throughput"), [(1, True), (2, True), (3, True), (1, False), (2, False)])
def test_embedding_does_not_depend_on_neighbours_threads_or_engine(
    engine: str, threads: int, throughput: bool, graph: bytes, images: list[np.ndarray], expected: np.ndarray
) -> None:
    runtime = open_runtime(graph, precision="fp32", threads=threads, throughput=throughput, engine=engine)
    for order in (np.arange(9), np.arange(9)[::-1], np.array([4, 4, 0, 4])):
        rows = np.concatenate([row for (row,) in runtime.run([images[i] for i in order], (EMBEDDING,))])
        assert rows.dtype == np.float32
        assert cosine(rows, expected[order]).min() >= 0.99999
        assert np.allclose(rows, expected[order], atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_copies_that_later_runs_leave_alone(engine: str, graph: bytes, images: list[np.ndarray]) -> None:
    runtime = open_runtime(graph, precision="fp32", threads=2, engine=engine)
    [[first]] = runtime.run(images[:1], (EMBEDDING,))
    before = first.copy()
    runtime.run(images, (EMBEDDING,))
    assert np.array_equal(first, before)


@pytest.mark.parametrize("engine", ENGINES)
def test_images_may_be_read_only_views(engine: str, graph: bytes, images: list[np.ndarray]) -> None:
    runtime = open_runtime(graph, precision="fp32", engine=engine)
    shared = np.frombuffer(images[0].tobytes(), np.uint8).reshape(images[0].shape)
    turned = images[0][:, ::-1]
    [[plain], [from_buffer], [from_view]] = runtime.run([images[0], shared, turned], (EMBEDDING,))
    assert np.array_equal(plain, from_buffer)
    assert np.array_equal(from_view, runtime.run([turned.copy()], (EMBEDDING,))[0][0])


@pytest.mark.parametrize("engine", ENGINES)
def test_asked_outputs_come_in_the_asked_order(engine: str, graph: bytes, images: list[np.ndarray]) -> None:
    runtime = open_runtime(graph, precision="fp32", engine=engine)
    [[final, embedding]] = runtime.run(images[:1], (FINAL, EMBEDDING))
    assert final.shape == (1, 1280, 8, 8)
    assert embedding.shape == (1, 1280)
    assert runtime.run([], (EMBEDDING,)) == []


def has_bf16() -> bool:
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@installed("openvino")
def test_bf16_is_refused_where_the_processor_lacks_it_and_auto_takes_what_it_has(graph: bytes) -> None:
    assert open_runtime(graph, precision="auto", engine="openvino").precision == PRECISIONS[has_bf16()]
    assert open_runtime(graph, precision="fp32", engine="openvino").precision == "fp32"
    if has_bf16():
        assert open_runtime(graph, precision="bf16", engine="openvino").precision == "bf16"
    else:
        with pytest.raises(ModelError, match="bf16") as caught:
            open_runtime(graph, precision="bf16", engine="openvino")
        assert "fp32" in caught.value.hint


@installed("onnxruntime")
def test_onnxruntime_computes_in_fp32_only(graph: bytes) -> None:
    assert open_runtime(graph, precision="auto", engine="onnxruntime").precision == "fp32"
    with pytest.raises(ModelError, match="bf16"):
        open_runtime(graph, precision="bf16", engine="onnxruntime")


@installed("openvino")
def test_bf16_stays_close_to_fp32(graph: bytes, images: list[np.ndarray], expected: np.ndarray) -> None:
    if not has_bf16():
        pytest.skip("this processor cannot compute in bf16")
    rows = [row for (row,) in open_runtime(graph, precision="bf16").run(images, (EMBEDDING,))]
    assert cosine(np.concatenate(rows), expected).min() >= 0.995


@pytest.mark.parametrize("engine", ENGINES)
def test_what_no_engine_can_read_or_run_is_a_model_error(
    engine: str, graph: bytes, images: list[np.ndarray], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(graph[: len(graph) // 2])
    for model in (b"", b"no network", damaged, tmp_path / "absent.onnx"):
        with pytest.raises(ModelError, match="cannot read the network"):
            open_runtime(model, precision="fp32", engine=engine)
    runtime = open_runtime(graph, precision="fp32", threads=2, engine=engine)
    with pytest.raises(ModelError, match="height 256, width 256"):
        runtime.run([images[0], images[0][..., :2]], (EMBEDDING,))
    assert runtime.run(images[:1], (EMBEDDING,))[0][0].shape == (1, 1280)


def test_engine_is_chosen_by_processor_and_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes.platform, "machine", lambda: "AMD64")
    assert runtimes.preferred_engines() == ("openvino", "onnxruntime")
    monkeypatch.setattr(runtimes.platform, "machine", lambda: "aarch64")
    assert runtimes.preferred_engines() == ("onnxruntime", "openvino")
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="no engine is installed") as caught:
        open_runtime(b"")
    assert caught.value.hint == "pip install onnxruntime"


def test_unknown_precision_and_engine_are_named() -> None:
    with pytest.raises(ModelError, match="fp8"):
        open_runtime(b"", precision="fp8")
    with pytest.raises(ModelError, match="tensorflow"):
        open_runtime(b"", engine="tensorflow")


@installed("openvino")
def test_conversion_tools_of_openvino_can_still_be_imported_afterwards() -> None:
    code = """
        import sys
        from lookalike.models.runtimes import import_openvino
        import_openvino()
        assert "openvino.tools.ovc" not in sys.modules
        import openvino.tools.ovc
        assert sys.modules["openvino_telemetry"] is None
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)


EMBED = """
    import numpy as np
    from lookalike.models import registry
    for throughput in (True, False):
        network = registry.load(threads=2, throughput=throughput)
        network.embed([np.zeros((256, 256, 3), np.uint8)] * 4)
"""
EMBED_ORT = """
    import numpy as np
    from lookalike.models import lite0
    from lookalike.models.runtimes import open_runtime
    runtime = open_runtime(lite0.build(lite0.read_weights()), engine="onnxruntime", threads=2)
    runtime.run([np.zeros((256, 256, 3), np.uint8)] * 4, ("embedding",))
"""
# A datagram socket's connect sends nothing; the address is reserved for documentation.
TELLTALE = """
    import pathlib, socket
    (pathlib.Path.home() / "telltale").write_text("x")
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))
"""


def traces(code: str, home: Path) -> tuple[list[str], list[str]]:
    """Run code in a fresh process and home, CI unset: the files it left at home, the internet addresses it called."""
    log = home.parent / "trace"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    strace = shutil.which("strace")
    traced = [strace, "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(log)] if strace else []
    if traced and subprocess.run([*traced, "true"], capture_output=True, check=False).returncode:
        traced = []  # some containers forbid tracing
    if not traced:
        pytest.skip("strace is not here, or may not trace")
    done = subprocess.run(
        [*traced, *command], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    called = [line for line in log.read_text().splitlines() if "AF_INET" in line and '"127.0.0.1"' not in line]
    return [path.name for path in home.rglob("*")], called


def test_watch_sees_a_file_at_home_and_a_call_outside(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    files, called = traces(TELLTALE, home)
    assert files == ["telltale"]
    assert any("192.0.2.1" in line for line in called)


@pytest.mark.parametrize("code", [EMBED, pytest.param(EMBED_ORT, marks=installed("onnxruntime"))])
def test_running_a_network_calls_nobody_and_leaves_nothing_at_home(code: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert traces(code, home) == ([], [])

"""What may be imported where, and what `import lookalike` costs."""

from __future__ import annotations

import ast
import importlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

import lookalike

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINES = {"faiss", "hnswlib", "onnx", "onnxruntime", "openvino", "torch", "ray", "pymilvus"}
PICTURES_AND_PAGES = {"PIL", "jinja2", "fastapi", "flask", "starlette", "uvicorn", "aiohttp", "http.server"}


def modules_after(code: str) -> set[str]:
    """Names of all modules that a fresh interpreter holds after running some code."""
    code += "\nimport json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy():
    loaded = modules_after("import lookalike; assert lookalike.__version__")
    assert "lookalike" in loaded
    assert loaded & (ENGINES | PICTURES_AND_PAGES | {"numpy", "apsw", "rich", "click"}) == set()


def test_asking_for_help_loads_no_engine_and_decodes_no_picture():
    loaded = modules_after("from lookalike.cli import main; main(['--help'], standalone_mode=False)")
    assert "lookalike.cli.group" in loaded
    assert loaded & (ENGINES | PICTURES_AND_PAGES) == set()


def test_every_public_name_can_be_imported_and_is_listed_once():
    assert sorted(set(lookalike.__all__)) == lookalike.__all__
    assert dir(lookalike) == lookalike.__all__
    for name in lookalike.__all__:
        assert getattr(lookalike, name) is not None
    homes = {name: importlib.import_module(module) for name, module in lookalike._HOMES.items()}
    assert set(homes) == set(lookalike.__all__) - {"__version__"}
    for name, home in homes.items():
        assert getattr(lookalike, name) is getattr(home, name)


def test_type_checkers_see_the_names_that_load_on_first_use():
    tree = ast.parse(Path(lookalike.__file__).read_text(encoding="utf-8"))
    for_checkers = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    seen = {alias.name: node.module for node in for_checkers.body for alias in node.names}
    assert seen == lookalike._HOMES


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Galery"):
        lookalike.Galery  # noqa: B018


def test_the_contracts_of_the_layers_hold():
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command, "import-linter is not installed beside this Python"
    done = subprocess.run([command, "--no-logo", "--no-cache"], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_lies_in_a_layer():
    tools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    layers = next(c["layers"] for c in tools["importlinter"]["contracts"] if c["type"] == "layers")
    named = {name.strip(" ()") for layer in layers for name in layer.replace("|", ":").split(":")}
    modules = grimp.build_graph("lookalike", cache_dir=None).modules - {"lookalike", "lookalike.__main__"}
    outside = {m for m in modules if not any(m == name or m.startswith(f"{name}.") for name in named)}
    assert outside == set(), "give these a place in pyproject.toml, tool.importlinter"


def test_a_protocol_knows_only_what_lies_below_all_implementations():
    graph = grimp.build_graph("lookalike", cache_dir=None)
    protocols = {m for m in graph.modules if m.endswith(".base")}
    assert len(protocols) >= 4
    lower = ("types", "errors", "settings", "filters", "quality", "catalogue.data")
    allowed = protocols | {f"lookalike.{m}" for m in lower}
    for protocol in protocols:
        assert graph.find_modules_directly_imported_by(protocol) <= allowed, protocol

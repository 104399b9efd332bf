"""Rules for the source itself: described, small, and free of what runs other people's code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "lookalike"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES, MOST_FUNCTION_LINES = 400, 60
# Whatever unpickles runs what a file or a broken-into child process says.
UNPICKLING = {"pickle", "_pickle", "cPickle", "pickletools", "shelve", "marshal", "dill", "cloudpickle", "joblib"}
UNPICKLING |= {"multiprocessing", "concurrent.futures.process", "torch"}
HARMLESS = {"multiprocessing.shared_memory", "multiprocessing.resource_tracker"}
MAY_UNPICKLE = {"models/checkpoint.py"}  # with a restricted unpickler that can only rebuild tensors


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(REPOSITORY)))


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything imported anywhere in a file: ``from a import b`` gives ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unpickles(name: str) -> bool:
    if any(name == ok or name.startswith(f"{ok}.") for ok in HARMLESS):
        return False
    return name == "concurrent.futures.ProcessPoolExecutor" or any(
        name == bad or name.startswith(f"{bad}.") for bad in UNPICKLING
    )


@each(SOURCES)
def test_a_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@each([p for folder in ("src", "tests", "benchmarks", "scripts") for p in sorted((REPOSITORY / folder).rglob("*.py"))])
def test_a_file_is_short_enough_to_read(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES


@each(SOURCES)
def test_a_function_fits_on_a_page(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{node.name} has {lines} lines"


@each(SOURCES)
def test_nothing_unpickles(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.relative_to(PACKAGE).as_posix() not in MAY_UNPICKLE:
        assert [name for name in imports(tree) if unpickles(name)] == []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False


def test_the_search_for_unpickling_finds_it():
    guilty = "import os, pickle\nfrom concurrent.futures import ProcessPoolExecutor\nfrom multiprocessing import Queue"
    innocent = "from concurrent.futures import ThreadPoolExecutor\nfrom multiprocessing import shared_memory"
    found = [name for name in imports(ast.parse(guilty)) if unpickles(name)]
    assert found == ["pickle", "concurrent.futures.ProcessPoolExecutor", "multiprocessing.Queue"]
    assert not any(unpickles(name) for name in imports(ast.parse(innocent)))

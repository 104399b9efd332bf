"""A gallery of a small drawn album, and the command line as a user calls it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.models import registry

_load_once = functools.cache(registry.load)


@pytest.fixture(autouse=True, scope="module")
def load_networks_once() -> Iterator[None]:
    """Compiling the network takes a second or two per gallery; the same network at the same settings serves all.

    Only for the modules of this folder: tests of the networks themselves run after them and must not get these.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "load", _load_once)
        yield


@pytest.fixture
def photos(tmp_path: Path, album: Callable[..., list[Path]]) -> Path:
    """A folder of 12 drawn JPEGs: 3 kinds of 4."""
    album(tmp_path / "photos")
    return tmp_path / "photos"


class Cli:
    """Runs ``lookalike`` in a process of its own, on one gallery."""

    def __init__(self, gallery: Path) -> None:
        self.gallery = gallery

    def __call__(self, *arguments: object, code: int = 0, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "lookalike", "-g", self.gallery, *arguments]
        done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        assert b"Traceback" not in done.stderr
        return done

    def json(self, *arguments: object, code: int = 0, stdin: bytes = b"") -> Any:
        return json.loads(self(*arguments, "--json", code=code, stdin=stdin).stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "gallery")

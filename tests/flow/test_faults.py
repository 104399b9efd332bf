"""Killed, starved and locked out: what was acknowledged stays, the rest goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lookalike import Gallery
from tests.flow.conftest import Cli

# Prints a line after each commit: what it says is acknowledged.
_WORKER = """
import json, sys
from lookalike import Gallery
with Gallery.open(sys.argv[1], create=True) as gallery:
    def progress(stage, done, total):
        if stage == "embed images":
            print(json.dumps(done), flush=True)
    gallery.index(sys.argv[2], progress=progress)
"""


def test_a_run_that_is_killed_loses_nothing_it_acknowledged(tmp_path: Path, album: Callable[..., list[Path]]) -> None:
    photos, where = tmp_path / "photos", tmp_path / "gallery"
    album(photos, kinds=8, each=100, size_px=(64, 64))
    rng, acknowledged = random.Random(7), 0
    for _ in range(4):
        command = [sys.executable, "-c", _WORKER, str(where), str(photos)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert running.stdout is not None
        first = running.stdout.readline()
        if first:
            time.sleep(rng.uniform(0, 2.5))
        running.send_signal(signal.SIGKILL)
        rest, _ = running.communicate()
        said = [json.loads(line) for line in (first + rest).splitlines()]
        before, acknowledged = acknowledged, acknowledged + max(said, default=0)
        with Gallery.open(where) as gallery:
            assert len(gallery) >= acknowledged, (before, said)
            acknowledged = len(gallery)
            assert gallery._parts.catalogue.check() == []
            for record in list(gallery.images())[:5]:
                assert gallery._parts.catalogue.features(int(record.id, 16)) is not None
    with Gallery.open(where) as gallery:
        report = gallery.index(photos)
        assert report.unchanged == acknowledged
        assert report.found == 800
        assert len(gallery) == 800
        assert len({record.path for record in gallery.images()}) == 800
        assert gallery.doctor()["ok"]
        query = next(gallery.images()).path
        assert gallery.search(query, k=1)[0].path == query


def test_no_decoder_outlives_a_killed_run(tmp_path: Path, album: Callable[..., list[Path]]) -> None:
    album(tmp_path / "photos", kinds=8, each=50, size_px=(64, 64))
    command = [sys.executable, "-c", _WORKER, str(tmp_path / "gallery"), str(tmp_path / "photos")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.readline()
    children = _children(running.pid)
    assert children
    running.send_signal(signal.SIGKILL)
    running.communicate()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in children if _alive(pid)] == []


def _children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def _alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_gallery_without_write_permission_can_be_searched(cli: Cli, photos: Path) -> None:
    cli("index", photos)
    query = sorted(photos.iterdir())[0]
    expected = cli.json("search", query, "-k", 3)["results"]
    script = (
        "import json, os, sys\n"
        "import lookalike.gallery, lookalike.engines.local, lookalike.models.registry, lookalike.decode\n"
        "from lookalike import Gallery, LookalikeError\n"
        "from lookalike.models.runtimes import open_runtime, import_openvino\n"
        "gallery = Gallery.open(sys.argv[1])\n"
        "print(json.dumps([match.to_dict() for match in gallery.search(sys.argv[2], k=3)]))\n"
        "try: gallery.index(sys.argv[3])\n"
        "except LookalikeError as error: print(type(error).__name__, error)\n"
    )
    with _read_only(cli.gallery):
        done = subprocess.run(
            [*_without_privileges(), sys.executable, "-c", script, cli.gallery, query, photos],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found, refusal = done.stdout.splitlines()
    assert json.loads(found) == expected
    assert refusal.startswith(f"GalleryLockedError {cli.gallery} cannot be written to")


class _read_only:  # noqa: N801 - used as a statement
    def __init__(self, folder: Path) -> None:
        self._paths = [folder, *folder.rglob("*")]

    def __enter__(self) -> None:
        for path in self._paths:
            path.chmod(0o555 if path.is_dir() else 0o444)

    def __exit__(self, *_: object) -> None:
        for path in self._paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def _without_privileges() -> list[str]:
    """Root may write everywhere; take that right away, where we are root."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.getuid() == 0 else []

"""The command line as a user calls it, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lookalike import Gallery
from tests.flow.conftest import Cli

INDEX_KEYS = {
    "gallery", "found", "added", "updated", "reused", "unchanged", "removed", "failed", "ignored", "seconds",
    "images_per_second", "model", "dim", "precision",
}  # fmt: skip
RESULT_KEYS = {"rank", "id", "path", "score", "rank_score", "band", "false_match_rate", "stack", "region"}


def test_the_main_job(cli: Cli, photos: Path) -> None:
    report = cli.json("index", photos)
    assert set(report) >= INDEX_KEYS
    assert (report["found"], report["added"], report["model"]) == (12, 12, "efficientnet-lite0")
    query = sorted(photos.iterdir())[4]
    answer = cli.json("search", query, "-k", 3)
    assert set(answer) >= {"query", "results", "seconds"}
    assert set(answer["seconds"]) == {"decode", "embed", "search"}
    assert all(set(result) >= RESULT_KEYS for result in answer["results"])
    assert [result["rank"] for result in answer["results"]] == [1, 2, 3]
    assert answer["results"][0]["path"] == str(query)
    piped = cli.json("search", "-", "-k", 3, stdin=query.read_bytes())
    assert piped["results"] == answer["results"]
    near = cli.json("similar", answer["results"][0]["id"], "-k", 2)
    assert [r["id"] for r in near["results"]] == [r["id"] for r in answer["results"][1:]]


def test_python_and_command_line_give_the_same_answer(cli: Cli, photos: Path) -> None:
    cli("index", photos)
    query = sorted(photos.iterdir())[0]
    with Gallery.open(cli.gallery) as gallery:
        expected = gallery.search(query, k=5, where="name ~ *0*").to_dict()
    assert cli.json("search", query, "-k", 5, "--where", "name ~ *0*")["results"] == expected["results"]


def test_plain_output_is_for_scripts_and_talk_goes_to_stderr(cli: Cli, photos: Path) -> None:
    assert b"12 added" in cli("index", photos).stdout
    query = sorted(photos.iterdir())[0]
    done = cli("search", query, "-t", 2)
    first = done.stdout.decode().splitlines()[0].split("\t")
    assert (first[0], first[1], first[-1]) == ("1", "1.000", str(query))
    assert done.stderr == b""
    assert cli("search", query, "-k", 1, "-f").stdout.decode() == f"{query}\n"
    page = cli.gallery.parent / "page.html"
    assert b"page.html" in cli("search", query, "--html", page).stderr
    assert page.read_text().lower().startswith("<!doctype html")


def test_exit_codes_and_messages(cli: Cli, photos: Path, tmp_path: Path) -> None:
    assert b"no gallery" in cli("search", "x.jpg", code=1).stderr
    assert b"nowhere' does not exist" in cli("index", tmp_path / "nowhere", code=2).stderr
    assert not cli.gallery.exists()
    cli("index", photos)
    query = sorted(photos.iterdir())[0]
    wrong = cli("search", query, "--where", "widht > 3", code=2)
    assert b"unknown field 'widht'" in wrong.stderr
    assert b"did you mean 'width'" in wrong.stderr
    assert b"cannot read" in cli("search", tmp_path / "none.jpg", code=1).stderr
    (tmp_path / "text.jpg").write_text("no picture")
    assert b"text.jpg: not an image" in cli("search", tmp_path / "text.jpg", code=1).stderr
    assert b"no image" in cli("similar", "0123456789abcdef", code=1).stderr
    assert b"No such command" in cli("serach", query, code=2).stderr
    (photos / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert b"1 failed" in cli("index", photos).stdout
    assert cli.json("index", photos, "--strict", code=3)["failed"] == 1
    assert cli.json("failures")["failures"][0]["path"] == str(photos / "bad.png")


def test_state_commands(cli: Cli, photos: Path) -> None:
    cli("index", photos, "--exclude", "ring*")
    info = cli.json("info")
    assert (info["images"], info["model"]["name"], info["model"]["dim"]) == (
        info["fitted_on"],
        "efficientnet-lite0",
        1280,
    )
    assert str(photos).encode() in cli("info").stdout
    assert cli.json("doctor")["ok"]
    sorted(photos.iterdir())[0].unlink()
    assert len(cli.json("doctor", code=1)["missing"]) == 1
    models = cli.json("models")["models"]
    assert models[0]["name"] == "efficientnet-lite0"
    assert b"Apache-2.0" in cli("models", "list").stdout
    assert cli("failures").stdout == b""


def test_labels(cli: Cli, photos: Path, tmp_path: Path) -> None:
    cli("index", photos)
    (tmp_path / "l.csv").write_text("path,label\n" + "".join(f"{p.name},{p.name[:4]}\n" for p in photos.iterdir()))
    assert cli.json("labels", "import", tmp_path / "l.csv", "--by", "me")["labelled"] == 12
    listed = cli.json("labels", "list")
    assert sum(listed["labels"].values()) == 12
    assert listed["events"][0]["by"] == "me"
    assert cli.json("labels", "undo") == {"batch": 1, "labels": 12}
    assert cli.json("labels", "list")["labels"] == {}


def test_hostile_file_names_are_shown_harmlessly(cli: Cli, photos: Path, picture: Callable[..., Path]) -> None:
    names = ["a\x1b]0;owned\x07.jpg", "line\nbreak.jpg", "\u202egpj.exe.jpg", "-rf.jpg", "=cmd.jpg"]
    for seed, name in enumerate(names):
        picture(photos / name, kind=7, seed=seed)
    os.rename(photos / "=cmd.jpg", os.fsencode(photos) + b"/caf\xe9.jpg")
    cli("index", photos)
    shown = cli("search", photos / names[0], "-k", 20).stdout
    assert b"\x1b" not in shown
    assert "\u202e".encode() not in shown
    assert len(shown.splitlines()) == 17
    found = {os.fsencode(r["path"]) for r in cli.json("search", photos / names[0], "-k", 20)["results"]}
    assert found == {os.fsencode(path) for path in photos.iterdir()}


def test_a_busy_gallery_gives_exit_code_4(cli: Cli, photos: Path) -> None:
    cli("index", photos)
    with Gallery.open(cli.gallery) as gallery, gallery._parts.writer_lock("a long job"):
        done = cli("index", photos, code=4)
        assert f"'a long job' of process {os.getpid()}".encode() in done.stderr
        assert cli.json("search", sorted(photos.iterdir())[0], "-k", 1)["results"]


def test_an_interrupted_run_keeps_what_it_finished_and_goes_on(
    cli: Cli, tmp_path: Path, album: Callable[..., list[Path]]
) -> None:
    photos = tmp_path / "many"
    album(photos, kinds=8, each=75, size_px=(320, 240))
    command = [sys.executable, "-m", "lookalike", "-g", str(cli.gallery), "index", str(photos)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    catalogue = cli.gallery / "catalogue.sqlite"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None:
        if catalogue.exists():
            with Gallery.open(cli.gallery) as gallery:
                if len(gallery):
                    break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, talk = running.communicate(timeout=30)
    assert (running.returncode, b"Traceback" in talk) == (130, False), talk
    assert b"what was finished is kept" in talk
    with Gallery.open(cli.gallery) as gallery:
        kept = len(gallery)
    assert 0 < kept < 600
    report = cli.json("index", photos)
    assert report["unchanged"] == kept
    assert report["found"] == 600 == kept + report["added"] + report["reused"]


def test_the_demo_draws_indexes_and_shows(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lookalike", "demo", str(tmp_path / "tour"), "--count", "30"]
    report = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
    assert report["index"]["added"] == 30
    page = Path(report["page"]).read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") >= 6 * 9
    again = subprocess.run(command, capture_output=True, check=True)
    assert b"lookalike-demo.html" in again.stderr
    assert len(again.stdout.splitlines()) == 6


def test_help_of_every_command_is_quick_to_load(cli: Cli) -> None:
    script = "import sys, lookalike.cli.group as m, json; import click\n"
    script += "ctx = click.Context(m.main)\n"
    script += "[m.main.get_command(ctx, n).get_short_help_str() for n in m.main.list_commands(ctx)]\n"
    script += (
        "print(json.dumps(sorted(set(sys.modules) & {'numpy', 'apsw', 'PIL', 'faiss', 'openvino', 'onnx', 'rich'})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert json.loads(done.stdout) == []

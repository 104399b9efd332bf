"""Exports that must not happen, or not be seen half done: taken targets, photo folders, files that changed, stops."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike import Gallery, LookalikeError
from lookalike.errors import GalleryError, SettingError
from lookalike.export import photos as bringing
from lookalike.export.formats import FORMATS
from lookalike.gallery import exporting
from tests.flow.conftest import Cli

FOLDERS = [form for form, some in FORMATS.items() if some.is_folder]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, album: Callable[..., list[Path]]) -> Path:
    """A folder with 12 photos, and a gallery of them with labels."""
    folder = tmp_path_factory.mktemp("faults")
    album(folder / "photos")
    with Gallery.create(folder / "gallery") as opened:
        opened.index(folder / "photos")
        opened.label_images({record.id: record.path.stem.split("-")[0] for record in opened.images()})
    return folder


@pytest.fixture
def gallery(indexed: Path, tmp_path: Path) -> Iterator[Gallery]:
    """A copy of it whose photos may be changed."""
    shutil.copytree(indexed, tmp_path / "own", copy_function=shutil.copy2)
    with Gallery.open(tmp_path / "own" / "gallery") as opened:
        opened.doctor(move_root=("photos", str(tmp_path / "own" / "photos")))
        yield opened


def photos_of(gallery: Gallery) -> list[Path]:
    return sorted((gallery.path.parent / "photos").iterdir())


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder: mode, inode and bytes by path."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_ino, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- targets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "imagefolder"])
def test_a_taken_target_is_refused_and_replaced_only_on_demand(gallery: Gallery, tmp_path: Path, form: str) -> None:
    target = tmp_path / "out"
    gallery.export(target, form)
    before = tree(target) if target.is_dir() else target.read_bytes()
    with pytest.raises(SettingError, match="is there already") as error:
        gallery.export(target, form, where="path ~ '*-00.jpg'")
    assert "--overwrite" in error.value.hint
    assert (tree(target) if target.is_dir() else target.read_bytes()) == before
    report = gallery.export(target, form, where="path ~ '*-00.jpg'", overwrite=True)
    assert report.exported == 3
    assert f"{report.exported} images" in report.card.read_text(encoding="utf-8")
    assert (tree(target) if target.is_dir() else target.read_bytes()) != before
    assert {path.name for path in tmp_path.iterdir()} == {"own", "out", *([] if target.is_dir() else ["out.card.md"])}


def test_what_is_no_export_is_never_replaced(gallery: Gallery, tmp_path: Path) -> None:
    foreign = tmp_path / "thesis"
    (foreign / "photos").mkdir(parents=True)
    (foreign / "chapter.txt").write_text("years of work")
    (foreign / "export.json").write_text('{"name": "of another program"}')
    link = tmp_path / "link"
    link.symlink_to(foreign)
    file = tmp_path / "file"
    file.write_text("text")
    for target, form in (
        (foreign, "imagefolder"),
        (link, "imagefolder"),
        (file, "coco"),
        (foreign, "csv"),
        (link, "csv"),
    ):
        with pytest.raises(SettingError, match="not replaced"):
            gallery.export(target, form, overwrite=True)
    assert (foreign / "chapter.txt").read_text() == "years of work"
    assert link.is_symlink()


def test_photos_and_the_gallery_are_never_written_to(gallery: Gallery, tmp_path: Path) -> None:
    own = gallery.path.parent
    before = tree(own / "photos")
    link = tmp_path / "way-in"
    link.symlink_to(own / "photos")
    targets = (
        (own / "photos" / "out", "photo folder"),
        (own / "photos", "photo folder"),
        (own / "photos" / ".." / "photos" / "out", "photo folder"),
        (link / "out", "photo folder"),
        (link, "photo folder"),
        (own, "holds the photo folder"),
        (gallery.path, "gallery folder"),
        (gallery.path / "cache" / "out", "gallery folder"),
    )
    for form in ("csv", "imagefolder"):
        for target, why in targets:
            for overwrite in (False, True):
                with pytest.raises(SettingError, match=why):
                    gallery.export(target, form, overwrite=overwrite)
    assert tree(own / "photos") == before


def test_a_target_without_a_folder_is_refused(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="there is no folder"):
        gallery.export(tmp_path / "no" / "out.csv")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["out.txt"], 2, "does not tell the format"),
        (["out.csv", "--split", "0.8,0.1"], 2, "adds up to 0.9"),
        (["out.csv", "--group-by", "*/*"], 2, "names no field"),
        (["out.csv", "--where", "colour = red"], 2, "unknown field 'colour'"),
        (["out.csv", "--files", "copy"], 2, "holds no photos"),
        (["out", "--format", "imagefolder", "--files", "reference"], 2, "take copy, hardlink, symlink"),
        (["out.csv", "--url-prefix", "x"], 2, "it belongs to labelstudio"),
        (["out.csv", "--where", "width > 9000"], 1, "no image that fulfils width > 9000"),
    ],
)
def test_useless_requests_are_refused_and_nothing_is_written(
    indexed: Path, tmp_path: Path, options: list[str], code: int, why: str
) -> None:
    done = Cli(indexed / "gallery")("export", tmp_path / options[0], *options[1:], code=code)
    assert why in done.stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_without_labels_formats_that_need_them_say_so(gallery: Gallery, tmp_path: Path) -> None:
    gallery.undo_labels()
    for form, some in FORMATS.items():
        if some.needs_labels:
            with pytest.raises(GalleryError, match="none of 12 images has a label"):
                gallery.export(tmp_path / form, form)
    assert gallery.export(tmp_path / "tasks", "labelstudio").unlabelled == 12


# -- photos --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FOLDERS)
def test_a_photo_that_changed_or_is_gone_is_left_out_and_counted(gallery: Gallery, tmp_path: Path, form: str) -> None:
    changed, gone, replaced, cut, *rest = photos_of(gallery)
    changed.write_bytes(changed.read_bytes() + b"!")
    gone.unlink()
    replaced.unlink()
    replaced.symlink_to(rest[0])
    cut.unlink()
    os.mkfifo(cut)
    for files in FORMATS[form].files:
        report = gallery.export(tmp_path / files, form, files=files, split="0.5,0.5")
        assert report.left_out == {bringing.CHANGED: 3, bringing.GONE: 1}
        assert report.exported == len(rest) == report.found - 4
        left = [path.name for path in (tmp_path / files).rglob("*") if path.name in (changed.name, gone.name, cut.name)]
        assert left == []
        assert "has changed since it was indexed | 3 |" in report.card.read_text(encoding="utf-8")
    table = gallery.export(tmp_path / "all.csv")
    assert table.exported == 12  # tables say what the gallery knows, whatever became of the files


def test_a_touched_file_with_the_same_bytes_is_exported(gallery: Gallery, tmp_path: Path) -> None:
    os.utime(photos_of(gallery)[0])
    for files in ("copy", "reference"):
        assert gallery.export(tmp_path / files, "coco", files=files).exported == 12


def test_photos_are_copied_or_linked_and_never_touched(gallery: Gallery, tmp_path: Path) -> None:
    before = tree(gallery.path.parent / "photos")
    for files in ("copy", "hardlink", "symlink"):
        gallery.export(tmp_path / files, "imagefolder", files=files)
    for photo in photos_of(gallery):
        place = Path(photo.stem.split("-")[0], photo.name)
        assert (tmp_path / "copy" / place).read_bytes() == photo.read_bytes()
        assert not (tmp_path / "copy" / place).samefile(photo)
        assert (tmp_path / "hardlink" / place).samefile(photo)
        assert not (tmp_path / "hardlink" / place).is_symlink()
        assert (tmp_path / "symlink" / place).readlink() == photo
    gallery.export(tmp_path / "hardlink", "imagefolder", overwrite=True, where="path ~ 'disc*'")
    shutil.rmtree(tmp_path / "symlink")
    assert tree(gallery.path.parent / "photos") == before


def test_where_links_cannot_be_made_photos_are_copied_with_a_note(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    report = gallery.export(tmp_path / "out", "imagefolder", files="hardlink")
    assert any(note.startswith("12 photos were copied") for note in report.notes)
    assert sum(path.suffix == ".jpg" and not path.is_symlink() for path in (tmp_path / "out").rglob("*")) == 12
    gallery.export(tmp_path / "out.csv")  # this needs a link where it can get one, and does without
    assert (tmp_path / "out.csv").is_file()


def test_labels_cannot_lead_out_of_the_export(gallery: Gallery, tmp_path: Path) -> None:
    names = [
        "../../outside",
        "..",
        "/etc",
        "CON",
        "a/b",
        "a\\b",
        "A\\B",
        "README.md",
        "x" * 300,
        "\u202etxt",
        "a:b",
        ".x",
    ]
    images = list(gallery.images())
    gallery.label_images({record.id: name for record, name in zip(images, names, strict=True)})
    outside = set(tmp_path.parent.iterdir())
    for form in FOLDERS:
        target = tmp_path / form
        report = gallery.export(target, form, files="copy")
        assert report.exported == 12
        copies = [path for path in target.rglob("*.jpg") if path.is_file()]
        assert len(copies) == 12
        folded = {str(path.relative_to(target)).casefold() for path in copies}
        assert len(folded) == 12
    folders = sorted(path.name for path in (tmp_path / "imagefolder").iterdir() if path.is_dir())
    assert len({name.casefold() for name in folders}) == 12
    assert set(tmp_path.parent.iterdir()) == outside
    assert {path.name for path in tmp_path.iterdir()} == {"own", *FOLDERS}


# -- stops ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "imagefolder", "coco"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_export_that_fails_in_the_middle_leaves_nothing(
    gallery: Gallery, tmp_path: Path, form: str, overwrite: bool
) -> None:
    target = tmp_path / "out"
    if overwrite:
        gallery.export(target, form)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "export" and done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gallery.export(target, form, overwrite=overwrite, progress=stop)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before
    assert target.exists() == overwrite
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_full_disk_is_an_error_that_leaves_nothing(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for form in ("csv", "imagefolder"):
        with pytest.raises(LookalikeError, match="no space left on device"):
            gallery.export(tmp_path / form, form)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_nothing(gallery: Gallery, tmp_path: Path, how: signal.Signals) -> None:
    code = (
        "import sys, time\n"
        "from lookalike.export import photos\n"
        "copy = photos._copy\n"
        "photos._copy = lambda *a: (copy(*a), print('one', flush=True), time.sleep(60))\n"  # a very slow disk
        "from lookalike.cli import main\n"
        "main()\n"
    )
    arguments = ["-g", str(gallery.path), "export", str(tmp_path / "out"), "--format", "imagefolder"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"one\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out.")]
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert b"Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_target_that_appears_meanwhile_is_not_replaced(gallery: Gallery, tmp_path: Path) -> None:
    for form, make in (("csv", lambda path: path.write_text("mine")), ("imagefolder", lambda path: path.mkdir())):
        target = tmp_path / form

        def come(stage: str, done: int, total: int | None, make: object = make, target: Path = target) -> None:
            if stage == "export" and done == 7:
                make(target)  # type: ignore[operator]

        with pytest.raises(LookalikeError, match="cannot write"):
            gallery.export(target, form, progress=come)
        assert target.is_dir() or target.read_text() == "mine"
        assert not target.is_dir() or list(target.iterdir()) == []


def test_images_that_change_during_the_export_are_left_out(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_PAGE_ROWS", 5)

    def relabel(stage: str, done: int, total: int | None) -> None:
        if stage == "export" and done == 1:
            gallery.label_images({record.id: "other" for record in gallery.images()})

    report = gallery.export(tmp_path / "out.csv", progress=relabel)
    assert report.left_out == {exporting.RELABELLED: 7}
    assert report.exported == 5
    assert json.dumps(report.to_dict())

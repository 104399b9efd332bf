from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.errors import ImageReadError, ImageTooLargeError
from lookalike.sources.base import Ignored, SourceEntry, Unlistable
from lookalike.sources.folder import FolderSource

PNG_HEAD = b"\x89PNG\r\n\x1a\n" + b"\0" * 24


def write(path: Path, data: bytes = PNG_HEAD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def listed(folder: Path, **options: object) -> list[str]:
    found = FolderSource(str(folder), **options).list()  # type: ignore[arg-type]
    return [item.path for item in found if isinstance(item, SourceEntry)]


def entry_of(folder: Path, name: str) -> SourceEntry:
    return next(e for e in FolderSource(str(folder)).list() if isinstance(e, SourceEntry) and e.path == name)


def test_images_are_found_by_suffix_or_by_their_first_bytes(tmp_path: Path) -> None:
    write(tmp_path / "b.JPG", b"no image at all, but called one")
    write(tmp_path / "no-suffix")
    write(tmp_path / "deep/er/x.png")
    write(tmp_path / "notes.txt", b"just text")
    items = list(FolderSource(str(tmp_path)).list())
    assert [item.path for item in items if isinstance(item, SourceEntry)] == ["b.JPG", "deep/er/x.png", "no-suffix"]
    assert [item.path for item in items if isinstance(item, Ignored)] == ["notes.txt"]


def test_an_entry_carries_what_tells_a_change(tmp_path: Path) -> None:
    status = write(tmp_path / "a.png").stat()
    entry = entry_of(tmp_path, "a.png")
    assert (entry.size_bytes, entry.mtime_ns, entry.inode) == (status.st_size, status.st_mtime_ns, status.st_ino)


@pytest.mark.parametrize(
    "name",
    [".hidden.png", "._a.png", ".git/a.png", "@eaDir/a.png", "node_modules/a.png", "System Volume Information/a.png"],
)
def test_hidden_files_and_junk_folders_are_passed_over(tmp_path: Path, name: str) -> None:
    write(tmp_path / "ok.png")
    write(tmp_path / "sub" / name)
    assert listed(tmp_path) == ["ok.png"]


def test_a_gallery_inside_the_photos_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "ok.png")
    write(tmp_path / "gallery/catalogue.sqlite")
    write(tmp_path / "gallery/cache/thumb.png")
    assert listed(tmp_path) == ["ok.png"]


def test_excludes_match_names_and_paths(tmp_path: Path) -> None:
    for name in ("a.png", "raw/b.png", "x/raw/c.png", "x/d.tmp.png"):
        write(tmp_path / name)
    assert listed(tmp_path, excludes=["raw"]) == ["a.png", "x/d.tmp.png"]
    assert listed(tmp_path, excludes=["x/*"]) == ["a.png", "raw/b.png"]
    assert listed(tmp_path, excludes=["*.tmp.png", "raw/*"]) == ["a.png", "x/raw/c.png"]


def test_a_part_of_the_root_can_be_listed(tmp_path: Path) -> None:
    for name in ("a.png", "x/b.png", "x/c.png"):
        write(tmp_path / name)
    assert listed(tmp_path, within="x") == ["x/b.png", "x/c.png"]
    assert listed(tmp_path, within="x/c.png") == ["x/c.png"]
    assert listed(tmp_path, within="gone") == []


def test_links_and_special_files_are_never_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret/s.png")
    root = tmp_path / "root"
    write(root / "ok.png")
    (root / "file.png").symlink_to(secret)
    (root / "folder").symlink_to(secret.parent)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root / "socket.png"))
        assert listed(root) == ["ok.png"]


def test_a_folder_swapped_for_a_link_after_listing_is_not_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret/s.png", PNG_HEAD + b"secret")
    root = tmp_path / "root"
    write(root / "sub/s.png")
    entry = entry_of(root, "sub/s.png")
    (root / "sub").rename(root / "away")
    (root / "sub").symlink_to(secret.parent)
    with pytest.raises(ImageReadError):
        FolderSource(str(root)).read(entry, 10**6)
    (root / "sub").unlink()
    (root / "sub").mkdir()
    (root / "sub/s.png").symlink_to(secret)
    with pytest.raises(ImageReadError, match="symbolic link"):
        FolderSource(str(root)).read(entry, 10**6)


def test_reading_gives_the_bytes_and_the_status_of_what_was_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    entry = entry_of(tmp_path, "a.png")
    path.write_bytes(PNG_HEAD + b"longer")
    data, now = FolderSource(str(tmp_path)).read(entry, 10**6)
    assert data == PNG_HEAD + b"longer"
    assert (now.size_bytes, now.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)


def test_large_gone_and_special_files_fail_with_a_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    entry = entry_of(tmp_path, "a.png")
    source = FolderSource(str(tmp_path))
    with pytest.raises(ImageTooLargeError, match="the limit is 10"):
        source.read(entry, 10)
    path.unlink()
    with pytest.raises(ImageReadError, match="no such file"):
        source.read(entry, 10**6)
    os.mkfifo(path)
    with pytest.raises(ImageReadError, match="no regular file"):
        source.read(entry, 10**6)


def test_names_of_any_bytes_are_listed_and_read(tmp_path: Path) -> None:
    names = [b"caf\xe9.png", b"new\nline.png", "emoji 🦉.png".encode(), b"-rf.png", b"x" * 251 + b".png"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(PNG_HEAD)
    source = FolderSource(str(tmp_path))
    entries = [item for item in source.list() if isinstance(item, SourceEntry)]
    assert sorted(os.fsencode(entry.path) for entry in entries) == sorted(names)
    assert {source.read(entry, 10**6)[0] for entry in entries} == {PNG_HEAD}


def test_folders_and_files_without_permission_are_reported(tmp_path: Path) -> None:
    write(tmp_path / "locked/a.png")
    write(tmp_path / "ok.png")
    closed = write(tmp_path / "closed.png")
    (tmp_path / "locked").chmod(0)
    closed.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # pytest keeps its folders to itself
    # Root may read everything, so look with the eyes of an ordinary user.
    script = (
        "import os, sys\n"
        "from lookalike.sources.folder import FolderSource\n"
        "from lookalike.errors import ImageReadError\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "source = FolderSource(sys.argv[1])\n"
        "for item in source.list():\n"
        "    print(type(item).__name__, item.path, getattr(item, 'message', ''))\n"
        "    if item.path == 'closed.png':\n"
        "        try: source.read(item, 100)\n"
        "        except ImageReadError as error: print('read', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    (tmp_path / "locked").chmod(0o755)
    assert done.stdout.splitlines() == [
        "SourceEntry closed.png ",
        "read permission denied",
        "Unlistable locked permission denied",
        "SourceEntry ok.png ",
    ], done.stderr


def test_nothing_in_the_photo_folder_is_touched(tmp_path: Path) -> None:
    path = write(tmp_path / "sub/a.png")
    before = [(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(tmp_path.rglob("*"))]
    source = FolderSource(str(tmp_path))
    for item in source.list():
        if isinstance(item, SourceEntry):
            source.read(item, 10**6)
    assert [(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(tmp_path.rglob("*"))] == before
    assert isinstance(next(iter(FolderSource(str(path.parent / "nothing")).list()), None), type(None) | Unlistable)

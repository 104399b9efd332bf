"""Names for folders and files made of other people's text."""

from __future__ import annotations

import os
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.file_names import MOST_BYTES, Names, safe_name

ANY = st.text(st.characters(), max_size=40) | st.text(st.sampled_from("./\\ conCON.1_-~"), max_size=8)


@given(ANY)
def test_a_name_is_one_part_of_a_path_on_every_system(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name.encode("utf-8")) <= MOST_BYTES
    assert PurePosixPath("a", name).parts == ("a", name)
    assert PureWindowsPath("C:/a", name).parts == ("C:\\", "a", name)
    assert not set(name) & set('<>:"/\\|?*\0\n\r\t')
    assert not name.startswith((".", " ", "__"))
    assert not name.endswith((".", " "))
    assert PureWindowsPath(name).stem.upper().rstrip() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bolt M8", "bolt M8"),
        ("../../etc/passwd", "_etc_passwd"),
        ("..", "_"),
        ("", "_"),
        ("aux.jpg", "_aux.jpg"),
        ("COM¹", "_COM¹"),
        ("console", "console"),
        ("Schraube, groß", "Schraube, groß"),
        ("螺栓", "螺栓"),
        ("a\u202egpj", "a_gpj"),
        ("cafe\u0301", "café"),
        ("x" * 300, "x" * MOST_BYTES),
        ("ß" * 100, "ß" * (MOST_BYTES // 2)),
    ],
)
def test_names(text: str, name: str) -> None:
    assert safe_name(text) == name


@given(st.lists(ANY, max_size=30), st.booleans())
def test_no_name_is_given_twice_even_where_case_does_not_count(texts: list[str], by_stem: bool) -> None:
    names = Names(["README.md"], by_stem=by_stem)
    given_ = [names.give(text) for text in texts]
    folded = [unicodedata.normalize("NFC", name.casefold()) for name in [*given_, "README.md"]]
    if by_stem:
        folded = [os.path.splitext(name)[0] for name in folded]
    assert len(set(folded)) == len(folded)


def test_equal_names_are_numbered() -> None:
    names = Names()
    assert [names.give(text) for text in ("a.jpg", "A.JPG", "a.jpg", "a.png")] == [
        "a.jpg",
        "A-2.JPG",
        "a-3.jpg",
        "a.png",
    ]
    assert names.give("a-2.jpg") == "a-2-2.jpg"
    stems = Names(by_stem=True)
    assert [stems.give(text) for text in ("a.jpg", "a.png", "a")] == ["a.jpg", "a-2.png", "a-3"]


def test_suffixes_are_kept_or_given() -> None:
    names = Names()
    assert names.give("x" * 300 + ".jpeg") == "x" * MOST_BYTES + ".jpeg"
    assert names.give("scan", suffix=".jpg") == "scan.jpg"
    assert names.give("scan.dat", suffix=".jpg") == "scan.dat.jpg"
    assert names.give("v1.5", suffix="") == "v1.5"
    assert names.give("con.jpg") == "_con.jpg"


def test_many_equal_names_take_no_longer_each() -> None:
    names = Names()
    assert len({names.give("IMG_0001.JPG") for _ in range(20_000)}) == 20_000

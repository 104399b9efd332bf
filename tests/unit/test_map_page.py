"""The page of a map: complete, and safe whatever files and labels are called."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import map_page
from lookalike.display import display_text
from lookalike.map_view import MapView, grouped

HOSTILE = [
    "<script>document.title='owned'</script>.jpg",
    "</script><script>document.title='owned'</script>",
    "\"><img src=x onerror=document.title='owned'>.jpg",
    "</title></style><b>",
    "<!--<script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "&lt;b&gt; \\u003c",
    "photo\u202egpj.exe",
    "\x1b]0;owned\x07\r\n\u2028",
    os.fsdecode(b"caf\xe9 \xff.jpg"),
    "lone \ud800 surrogate",
    "x" * 300,
]


class Page(HTMLParser):
    """Elements with their attributes, and the text of each script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self.last = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.last = tag

    def handle_endtag(self, tag: str) -> None:
        self.last = ""

    def handle_data(self, data: str) -> None:
        if self.last in ("script", "style"):
            self.inside.append(({"tag": self.last, **self.elements[-1][1]}, data))
        self.texts.append(data.strip())

    def text_of(self, **wanted: str | None) -> str:
        return "".join(
            text for attributes, text in self.inside if all(attributes.get(k) == v for k, v in wanted.items())
        )

    @property
    def data(self) -> Any:
        return json.loads(self.text_of(tag="script", id="data"))


def jpeg(colour: str = "teal", size: tuple[int, int] = (256, 128)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "JPEG")
    return data.getvalue()


def view(count: int, **more: Any) -> MapView:
    random = np.random.default_rng(0)
    groups, group_of = grouped([f"kind {row % 3}" for row in range(count)], ordered=False, without="")
    facts = {
        "title": "My map",
        "facts": [("images", str(count))],
        "xy": random.random((count, 2), np.float32),
        "paths": [f"/photos/{row % 4}/IMG_{row}.jpg" for row in range(count)],
        "details": [f"{row} px" for row in range(count)],
        "aspects": np.full(count, 2.0, np.float32),
        "groups": groups,
        "group_of": group_of,
        "coloured_by": "label",
    }
    return MapView(**{**facts, **more})


def written(some: MapView, tmp_path: Path, pictures: Any = lambda row: None) -> str:
    file = tmp_path / "map.html"
    map_page.write(some, file, pictures, lambda done, total: None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.html"]
    return file.read_text(encoding="utf-8")


def hostile_page(tmp_path: Path) -> str:
    groups, group_of = grouped(HOSTILE, ordered=False, without="")
    count = len(HOSTILE)
    some = view(
        count,
        title=HOSTILE[1],
        facts=[(text, text) for text in HOSTILE],
        paths=[f"/photos/{text}" for text in HOSTILE],
        details=HOSTILE,
        groups=groups,
        group_of=group_of,
        coloured_by=HOSTILE[0],
        note=HOSTILE[2],
    )
    return written(some, tmp_path)


def numbers(data: Any, name: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data[name]), kind)


def test_the_page_holds_every_point_with_its_name_group_and_facts(tmp_path: Path) -> None:
    some = view(50)
    data = Page(written(some, tmp_path)).data
    assert data["count"] == 50
    place = {tuple(xy): row for row, xy in enumerate(some.xy.tolist())}
    order = [place[tuple(xy)] for xy in numbers(data, "xy", "<f4").reshape(-1, 2).tolist()]
    assert sorted(order) == list(range(50))
    folders = [data["folders"][at] for at in numbers(data, "folder_of", "<u4")]
    paths = [folder + name for folder, name in zip(folders, data["names"], strict=True)]
    assert paths == [some.paths[row] for row in order]
    assert data["details"] == [some.details[row] for row in order]
    assert numbers(data, "group_of", "<u2").tolist() == [some.group_of[row] for row in order]
    assert [group["name"] for group in data["groups"]] == [group.name for group in some.groups]


def test_each_point_has_its_own_picture_in_the_sheets(tmp_path: Path) -> None:
    some = view(100)
    colours = [(row * 2, 255 - row * 2, row) for row in range(100)]
    page = Page(written(some, tmp_path, lambda row: jpeg(f"rgb{colours[row]}")))
    data = page.data
    place = {tuple(xy): row for row, xy in enumerate(some.xy.tolist())}
    order = [place[tuple(xy)] for xy in numbers(data, "xy", "<f4").reshape(-1, 2).tolist()]
    sizes = numbers(data, "sizes", "u1").reshape(-1, 2).astype(int)
    assert (sizes == [data["cell_px"], data["cell_px"] // 2]).all()
    columns = data["sheet_px"] // data["cell_px"]
    assert columns**2 == data["per_sheet"]
    for at, row in enumerate(order):
        sheet = base64.b64decode(page.text_of(id=f"sheet-{at // data['per_sheet']}"))
        cell = at % data["per_sheet"]
        left, top = cell % columns * data["cell_px"], cell // columns * data["cell_px"]
        with Image.open(io.BytesIO(sheet), formats=["JPEG"]) as image:
            found = image.getpixel((left + sizes[at, 0] // 2, top + sizes[at, 1] // 2))
        assert np.abs(np.array(found) - colours[row]).max() < 16


def test_a_damaged_or_missing_thumbnail_leaves_a_grey_cell(tmp_path: Path) -> None:
    pictures = {0: b"", 1: None, 2: b"no picture", 3: jpeg()[:60]}
    page = Page(written(view(4), tmp_path, pictures.get))
    with Image.open(io.BytesIO(base64.b64decode(page.text_of(id="sheet-0")))) as image:
        assert image.getextrema() == ((128, 128),) * 3


def test_more_points_than_pictures_say_so_and_pictures_are_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_page, "MOST_PICTURES", 90)
    asked: list[int] = []

    def picture_of(row: int) -> bytes:
        asked.append(row)
        return jpeg()

    some = view(1000)
    page = Page(written(some, tmp_path, picture_of))
    assert page.data["pictures"] == len(set(asked)) == len(asked) == 90
    assert any("90 of the 1,000 points" in text for text in page.texts)
    corners = (some.xy[asked] > 0.5) @ [1, 2]
    assert np.bincount(corners, minlength=4).min() > 12


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_points_make_a_page_too(tmp_path: Path, count: int) -> None:
    assert Page(written(view(count), tmp_path)).data["count"] == count


# -- safety --------------------------------------------------------------------------------------------------------


def test_only_our_own_script_and_style_may_run_and_nothing_is_loaded(tmp_path: Path) -> None:
    html = hostile_page(tmp_path)
    page = Page(html)
    metas = [attributes for tag, attributes in page.elements if tag == "meta"]
    policy = str(next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy"))
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "script-src": f"'sha256-{sha256(page.text_of(tag='script', type=None))}'",
        "style-src": f"'sha256-{sha256(page.text_of(tag='style'))}'",
    }
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]", html.replace("http-equiv", ""))
    style = page.text_of(tag="style")
    assert "url(" not in style
    assert "@import" not in style


def sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_script_never_makes_markup_or_code_of_text() -> None:
    script = "".join(map_page._text(name) for name in map_page._SCRIPTS)
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "import(",
        "fetch(",
    ):
        assert way not in script


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    page = Page(hostile_page(tmp_path))
    attributes = {name for _, given in page.elements for name in given}
    assert not any(name.startswith("on") for name in attributes)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 3  # data, the script, one sheet
    assert tags.count("img") == tags.count("b") == 0
    shown = {display_text(text) for text in HOSTILE}
    assert {group["name"] for group in page.data["groups"]} == shown
    assert set(page.data["details"]) == shown
    folders = [page.data["folders"][at] for at in numbers(page.data, "folder_of", "<u4")]
    names = {folder + name for folder, name in zip(folders, page.data["names"], strict=True)}
    assert names == {f"/photos/{text}" for text in shown}
    assert display_text(HOSTILE[1]) in page.texts  # the title


def test_control_characters_and_broken_unicode_are_written_out(tmp_path: Path) -> None:
    html = hostile_page(tmp_path)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    assert r"photo\u202egpj.exe" in Page(html).data["details"]


def test_a_page_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "map.html"
    file.write_text("the old one")

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_page.write(view(10), file, lambda row: jpeg(), stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.html"]
    assert file.read_text() == "the old one"

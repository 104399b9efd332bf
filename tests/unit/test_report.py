"""The HTML page of a search: complete, and safe whatever the file names are."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from lookalike.report import SAME_FILE, FoldedReport, MatchReport, QueryReport, WhyReport, odds, search_report

HOSTILE = [
    "<script>document.title='owned'</script>.jpg",
    "\"><img src=x onerror=document.title='owned'>.jpg",
    "' onmouseover='document.title=1' x='.jpg",
    "</title><script>document.title='owned'</script>",
    "</style><script>document.title='owned'</script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "<!-- comment",
    "&lt;b&gt; &#x3c;",
    "javascript:document.title='owned'",
    "photo\u202egpj.exe",
    "\x1b]0;owned\x07\r\n",
    os.fsdecode(b"caf\xe9 \xff.jpg"),
    "lone \ud800 surrogate",
    "x" * 300,
]


def jpeg(color: str = "teal") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 6), color).save(data, "JPEG")
    return data.getvalue()


class Page(HTMLParser):
    """All elements, attributes and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def hostile_page() -> str:
    queries = [
        QueryReport(
            name=text,
            thumbnail=jpeg(),
            matches=[hostile_match(text)],
            note=text,
        )
        for text in HOSTILE
    ]
    return search_report(HOSTILE[3], queries, facts=[(text, text) for text in HOSTILE])


def hostile_match(text: str) -> MatchReport:
    path = Path("/photos") / text.replace("/", "_")
    return MatchReport(
        1,
        path,
        0.5,
        jpeg(),
        text,
        text,
        band=text,
        false_match_rate=0.01,
        folded=[FoldedReport(path, jpeg())],
        region=(0.1, 0.2, 0.3, 0.4),
        aspect=2.0,
        why=WhyReport(jpeg(), jpeg(), text, [text]),
    )


def test_the_page_shows_queries_matches_scores_and_paths() -> None:
    near = MatchReport(2, Path("/photos/a/IMG_2.jpg"), 0.87654, jpeg("red"), detail="640 x 480")
    same = MatchReport(1, Path("/photos/a/IMG_1.jpg"), 1.0, jpeg("blue"), SAME_FILE)
    query = QueryReport("IMG_1.jpg", jpeg("blue"), [same, near], 0.0123, "from outside")
    page = Page(search_report("My search", [query], facts=[("Images", "300"), ("Network", "some-net")]))
    assert page.texts.count("My search") == 2
    for text in ("IMG_1.jpg", "IMG_2.jpg", "/photos/a/IMG_2.jpg", "1.000", "0.877", "the same file", "640 x 480"):
        assert text in page.texts
    for text in ("Images", "300", "Network", "some-net", "from outside", "2 matches in 12 ms"):
        assert text in page.texts
    assert page.texts.index("1.000") < page.texts.index("0.877")
    assert any("higher is more alike" in text for text in page.texts)


def test_the_full_path_can_be_hovered() -> None:
    query = QueryReport("q", b"", [MatchReport(1, Path("/photos/deep/down/x.jpg"), 0.5)])
    titles = [attributes.get("title") for attributes in Page(search_report("t", [query])).all("p")]
    assert str(Path("/photos/deep/down/x.jpg")) in titles


def test_a_query_that_is_a_file_is_called_by_its_name_and_its_path_is_there_too() -> None:
    path = str(Path("/photos/deep/IMG_1.jpg"))
    page = Page(search_report("t", [QueryReport(path, b"", []), QueryReport("00ff00ff00ff00ff", b"", [])]))
    assert "IMG_1.jpg" in page.texts
    assert page.texts.count(path) == 1
    assert page.texts.count("00ff00ff00ff00ff") == 1


def test_pictures_lie_in_the_page_itself() -> None:
    red, blue = jpeg("red"), jpeg("blue")
    query = QueryReport("q.jpg", red, [MatchReport(1, Path("m.jpg"), 0.5, blue)])
    sources = [image["src"] or "" for image in Page(search_report("t", [query])).all("img")]
    assert [base64.b64decode(source.removeprefix("data:image/jpeg;base64,")) for source in sources] == [red, blue]


def test_the_page_loads_and_runs_nothing() -> None:
    html = hostile_page()
    policy = next(m["content"] for m in Page(html).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert {"default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"} <= set(policy.split("; "))
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_hostile_names_stay_text() -> None:
    page = Page(hostile_page())
    head, body = {"html", "head", "meta", "title", "style"}, {"body", "header", "main", "section", "footer", "div"}
    text = {"h1", "h2", "dl", "dt", "dd", "p", "b", "ol", "ul", "li", "i", "span", "img"}
    parts = {"details", "summary", "figure", "figcaption"}
    assert {tag for tag, _ in page.elements} <= head | body | text | parts
    names = {name for _, attributes in page.elements for name in attributes}
    assert names <= {"lang", "charset", "http-equiv", "content", "name", "class", "title", "style", "src", "alt"}
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert "<script>document.title='owned'</script>.jpg" in page.texts
    assert "{{ 7 * 7 }}{% for x in y %}" in page.texts


def test_control_characters_and_broken_unicode_are_written_out() -> None:
    html = hostile_page()
    html.encode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    texts = Page(html).texts
    assert r"photo\u202egpj.exe" in texts
    assert r"caf\xe9 \xff.jpg" in texts
    assert r"\x1b]0;owned\x07\x0d\x0a" in texts


def test_missing_pictures_and_empty_results_are_said_in_words() -> None:
    page = Page(
        search_report("t", [QueryReport("q", b"", [MatchReport(1, Path("m"), -0.25)]), QueryReport("r", b"", [])])
    )
    assert page.all("img") == []
    assert page.texts.count("no picture") == 3
    assert "-0.250" in page.texts
    assert "Nothing was found." in page.texts


def banded(*bands: str | None) -> list[MatchReport]:
    return [MatchReport(rank, Path(f"m{rank}.jpg"), 1 / rank, band=band) for rank, band in enumerate(bands, 1)]


def page_of(matches: list[MatchReport], **fields: object) -> Page:
    return Page(search_report("t", [QueryReport("q", b"", matches, **fields)]))


def test_what_a_score_means_stands_beside_it() -> None:
    page = page_of([MatchReport(1, Path("m"), 0.5, band="strong", false_match_rate=0.0004)])
    assert "strong" in page.texts
    assert "about 1 in 2,500 random images here scores this high" in page.texts
    assert any("what it means in this one" in text for text in page.texts)
    chance = page_of([MatchReport(1, Path("m"), 0.5, band="chance", false_match_rate=0.0004)])
    assert not any("random images" in text for text in chance.texts)  # a rate that says "seldom" would contradict it
    silent = page_of([MatchReport(1, Path("m"), 0.5)])
    assert not any("random images" in text or "in this one" in text for text in silent.texts)


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.0, "fewer than 1 in a million random images here score this high"),
        (0.00012345, "about 1 in 8,100 random images here scores this high"),
        (0.2, "about 1 in 5 random images here scores this high"),
        (1.0, "most random images here score this high"),
    ],
)
def test_rates_are_said_in_words(rate: float, words: str) -> None:
    assert odds(rate) == words


def test_a_line_stands_where_chance_begins_and_only_there() -> None:
    line = "below here it looks like chance"
    page = page_of(banded("strong", "chance", "likely", "chance", "chance"))
    assert page.texts.count(line) == 1
    assert page.texts.index("m3.jpg") < page.texts.index(line) < page.texts.index("m4.jpg")
    for bands in (("strong", "chance", "likely"), (None, None)):
        assert line not in page_of(banded(*bands)).texts


def test_nothing_like_it_is_said_above_the_matches_and_without_any() -> None:
    page = page_of(banded("chance", "chance"), nothing_alike=True)
    assert page.texts.index("Nothing like this here.") < page.texts.index("m1.jpg")
    assert "below here it looks like chance" not in page.texts
    empty = page_of([], nothing_alike=True)
    assert "Nothing like this here." in empty.texts
    assert "Nothing was found." not in empty.texts


def test_near_duplicates_fold_out_and_none_is_dropped() -> None:
    folded = [FoldedReport(Path(f"/photos/burst{i}.jpg"), jpeg() if i < 2 else b"") for i in range(5)]
    page = page_of([MatchReport(1, Path("m"), 0.5, folded=folded)])
    assert len(page.all("details")) == 1
    assert "5 more almost like it" in page.texts
    assert [text for text in page.texts if text.startswith("burst")] == [f"burst{i}.jpg" for i in range(5)]
    assert len(page.all("img")) == 2


@pytest.mark.parametrize(
    ("aspect", "style"),
    [
        (1.0, "left:25.00%;top:50.00%;width:50.00%;height:25.00%"),
        (2.0, "left:25.00%;top:50.00%;width:50.00%;height:12.50%"),
        (0.5, "left:37.50%;top:50.00%;width:25.00%;height:25.00%"),
    ],
)
def test_the_region_that_matched_is_drawn_where_the_picture_lies_in_its_tile(aspect: float, style: str) -> None:
    page = page_of([MatchReport(1, Path("m"), 0.5, jpeg(), region=(0.25, 0.5, 0.75, 0.75), aspect=aspect)])
    assert [i["style"] for i in page.all("i") if i.get("class") == "region"] == [style]


def test_both_maps_of_an_explained_match_are_shown_with_their_sum_and_notes() -> None:
    red, blue = jpeg("red"), jpeg("blue")
    why = WhyReport(red, blue, "0.500", ["the match cannot be shown: gone"])
    page = page_of([MatchReport(1, Path("m"), 0.5, why=why)])
    sources = [(image["src"] or "").partition(",")[2] for image in page.all("img")]
    assert [base64.b64decode(source) for source in sources] == [red, blue]
    assert "parts add up to 0.500" in page.texts
    assert "the match cannot be shown: gone" in page.texts
    assert any("where a score comes from" in text for text in page.texts)
    alone = page_of([MatchReport(1, Path("m"), 0.5, why=WhyReport(b"", blue, "0.500"))])
    assert len(alone.all("figure")) == 1


@pytest.mark.external
def test_a_real_browser_runs_nothing_of_a_hostile_page(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    file = tmp_path / "page.html"
    file.write_text(hostile_page(), encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
    flags += " --disable-sync --no-first-run --virtual-time-budget=2000 --dump-dom"
    command = [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    page = Page(done.stdout.decode("utf-8"))
    assert len(page.all("section")) == len(HOSTILE)
    assert page.all("script") == []
    assert page.texts[page.texts.index(HOSTILE[3])] == HOSTILE[3], "the title is still the one that was given"
    assert "owned" not in page.texts

"""The page of a map in a real Chromium: pictures on hover, a card on click, names that stay names, nothing loaded."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike import map_page
from lookalike.display import display_text
from lookalike.map_view import MapView, grouped

pytestmark = pytest.mark.external

HOSTILE = "<img src=x onerror=document.title='owned'></script><script>document.title='owned'</script>\u202e.jpg"
COUNT = 60


@pytest.fixture(scope="module")
def chromium(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    browser = load_benchmark("browser")
    if browser.find() is None:
        pytest.skip("there is no Chromium here")
    return browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 points on a grid; red pictures on the left, blue ones on the right; one has a hostile name and label."""
    xy = np.stack([np.arange(COUNT) % 10 / 9, np.arange(COUNT) // 10 / 9], axis=1).astype(np.float32)
    names = [f"IMG_{row:03d}.jpg" for row in range(COUNT)]
    names[0] = HOSTILE
    labels: list[str | None] = ["left" if x < 0.5 else "right" for x in xy[:, 0]]
    labels[0] = HOSTILE
    groups, group_of = grouped(labels, ordered=False, without="no label")

    def picture_of(row: int) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (160, 120), "red" if xy[row, 0] < 0.5 else "blue").save(out, "JPEG")
        return out.getvalue()

    view = MapView(
        title=HOSTILE,
        facts=[("images", str(COUNT))],
        xy=xy,
        paths=[f"/photos/{name.replace('/', '_')}" for name in names],
        details=["160 x 120 px"] * COUNT,
        aspects=np.full(COUNT, 4 / 3, np.float32),
        groups=groups,
        group_of=group_of,
        coloured_by="label",
    )
    file = tmp_path_factory.mktemp("map") / "map.html"
    map_page.write(view, file, picture_of, lambda done, total: None)
    return file


@pytest.fixture(params=["", "#plain"], ids=["webgl", "plain"])
def page(chromium: ModuleType, page_file: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    with chromium.browser() as opened:
        opened.open(f"{page_file.as_uri()}{request.param}")
        assert opened.ask("count") == COUNT
        yield opened
        assert opened.complaints == []
        assert opened.ask("document.title") == display_text(HOSTILE)
        loaded = opened.ask("performance.getEntriesByType('resource').map(e => e.name.slice(0, 5))")
        assert set(loaded) <= {"data:"}


def wait(page: Any, expression: str, seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not page.ask(expression):
        assert time.monotonic() < ends, f"never came true: {expression}"


def place(page: Any, name: str) -> tuple[float, float]:
    x, y = page.ask(f"(i => [toX(xy[2 * i]), toY(xy[2 * i + 1])])(data.names.findIndex(n => n.includes('{name}')))")
    return x, y


def middle_pixel(page: Any, canvas: str) -> list[int]:
    script = f"(c => Array.from(c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data))({canvas})"
    return list(page.ask(script))


def test_a_lost_graphics_card_is_done_without(page: Any) -> None:
    if page.ask("painter.canvas === dotsCanvas"):
        page.ask("dotsCanvas.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()")
        wait(page, "painter.canvas !== dotsCanvas")
    x, y = place(page, "IMG_055")
    colour = page.ask(
        f"frame(), Array.from(painter.canvas.getContext('2d').getImageData({x} * ratio, {y} * ratio, 1, 1).data)"
    )
    assert colour[3] > 150


def test_hovering_shows_the_picture_and_a_click_pins_a_card(page: Any) -> None:
    for name, channel in (("IMG_012", 0), ("IMG_018", 2)):
        x, y = place(page, name)
        page.mouse("mouseMoved", x + 2, y)
        wait(page, f"!hover.hidden && hover.querySelector('.name').textContent.includes('{name}')")
        wait(page, "(s => s && s.ready)(sheets.get(0))")
        page.ask("new Promise(requestAnimationFrame)")
        pixel = middle_pixel(page, "hover.querySelector('canvas')")
        assert pixel[channel] > 200
        assert sum(pixel[:3]) < 300
        page.click(x, y)
        wait(page, f"!card.hidden && card.querySelector('.path').textContent === '/photos/{name}.jpg'")
        assert page.ask("card.querySelector('.detail').textContent") == "160 x 120 px"
    page.ask("document.getElementById('close').click()")
    assert page.ask("card.hidden")
    page.mouse("mouseMoved", 5.0, 890.0)
    wait(page, "hover.hidden")


def test_dots_are_drawn_and_groups_can_be_hidden(page: Any) -> None:
    page.ask("wanted = false; redraw()")  # no pictures over them
    x, y = place(page, "IMG_055")
    spot = {"x": x - 2, "y": y - 2, "width": 4, "height": 4, "scale": 1}

    def seen() -> np.ndarray:
        page.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shot = base64.b64decode(page.send("Page.captureScreenshot", format="png", clip=spot)["data"])
        with Image.open(io.BytesIO(shot)) as image:
            return np.asarray(image.convert("RGB"), float).mean(axis=(0, 1))

    colour, ground = seen(), np.array([247, 247, 244])
    assert np.abs(colour - ground).sum() > 100
    page.ask("[...document.querySelectorAll('#groups button')].find(b => b.textContent.startsWith('right')).click()")
    assert np.abs(seen() - ground).sum() < 12
    page.mouse("mouseMoved", x, y)
    assert page.ask(f"pointAt({x}, {y})") == -1  # what is hidden cannot be pointed at
    page.ask("document.getElementById('every').click()")
    np.testing.assert_allclose(seen(), colour, atol=3)


def test_the_wheel_comes_closer_until_pictures_are_drawn_and_the_key_0_goes_back(page: Any) -> None:
    before = page.ask("camera.scale")
    x, y = place(page, "IMG_033")
    for _ in range(12):
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
    wait(page, f"camera.scale > 5 * {before}")
    near = place(page, "IMG_033")
    assert np.hypot(near[0] - x, near[1] - y) < 2  # about the pointer
    wait(page, "drawn.length > 0 && document.getElementById('pictures').getAttribute('aria-pressed') === 'true'")
    wait(page, "(s => s && s.ready)(sheets.get(0))")
    for kind in ("keyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key="0", text="0" if kind == "keyDown" else "")
    wait(page, f"Math.abs(camera.scale - {before}) < 1")


def test_a_name_can_be_found(page: Any) -> None:
    page.ask("document.getElementById('find').focus()")
    page.send("Input.insertText", text="img_04")
    wait(page, "document.getElementById('found').textContent.startsWith('10 found')")
    for kind in ("rawKeyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13)
    wait(page, "!card.hidden && card.querySelector('h2').textContent.startsWith('IMG_04')")


def test_hostile_names_are_shown_as_they_are_written(page: Any) -> None:
    x, y = place(page, "onerror")
    page.mouse("mouseMoved", x, y)
    page.click(x, y)
    wait(page, "!card.hidden")
    shown = display_text(HOSTILE)
    assert page.ask("card.querySelector('.path').textContent") == "/photos/" + shown.replace("/", "_")
    assert shown in page.ask("[...document.querySelectorAll('#groups span')].map(s => s.textContent)")
    assert page.ask("document.images.length") == 0

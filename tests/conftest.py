"""What every test gets: a home of its own, drawn pictures, and the measuring images where they are."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
SHAPES = ("disc", "square", "triangle", "cross", "ring", "stripes", "star", "dots")
_COLOURS = ("#c8281e", "#1e5ac8", "#e6c31e", "#1ea03c", "#8c28b4", "#f0f0eb", "#f07814", "#14191e")

# On busy cores the threads of NumPy's linear algebra wait for each other: one eigenproblem of 1280 x 1280 then takes
# ten times the processor time. Read when NumPy is loaded, so nothing above loads it; child processes inherit it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The same examples on every run, however busy the machine is: a case that needs a retry is a bug.
hypothesis.settings.register_profile("lookalike", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("lookalike")


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh home for the whole run, child processes included; the network is built into its cache once.

    ``CI`` is taken out of the environment because some libraries keep quiet only where it is set.
    """
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("LOOKALIKE_") and n != "LOOKALIKE_TEST_DATA"]:
            patch.delenv(name)
        for name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "XDG_CONFIG_DIRS", "XDG_DATA_DIRS"):
            patch.delenv(name, raising=False)
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(home))
        for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        patch.setenv("LOOKALIKE_CACHE", str(home / "cache" / "lookalike"))
        yield home


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of measuring images: ``LOOKALIKE_TEST_DATA``, else ``../shared/data`` beside the repository."""
    given = os.environ.get("LOOKALIKE_TEST_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the measuring images are not here: no folder {folder} (set LOOKALIKE_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def draw() -> Callable[..., Image.Image]:
    """``draw(kind=0, seed=0, size_px=(160, 120))`` gives an RGB picture; see ``draw_picture``."""
    return draw_picture


@pytest.fixture(scope="session")
def picture() -> Callable[..., Path]:
    """``picture(path, kind=0, seed=0, size_px=(160, 120), **save)`` draws a file and gives its path back.

    The suffix decides the format; parents are made; further arguments go to Pillow's ``save``.
    """
    return save_picture


@pytest.fixture(scope="session")
def album() -> Callable[..., list[Path]]:
    """``album(folder, kinds=3, each=4)`` draws ``kinds * each`` JPEGs named ``kind-seed.jpg``; their paths, sorted."""

    def make(folder: Path, kinds: int = 3, each: int = 4, size_px: tuple[int, int] = (160, 120)) -> list[Path]:
        cells = [(kind, seed) for kind in range(kinds) for seed in range(each)]
        return [save_picture(folder / f"{SHAPES[k % 8]}{k}-{s:02d}.jpg", k, s, size_px) for k, s in cells]

    return make


def save_picture(
    path: Path, kind: int = 0, seed: int = 0, size_px: tuple[int, int] = (160, 120), **save: object
) -> Path:
    """Draw a picture into a file; see the fixture ``picture``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_picture(kind, seed, size_px).save(path, **save)
    return path


def draw_picture(kind: int = 0, seed: int = 0, size_px: tuple[int, int] = (160, 120)) -> Image.Image:
    """A coloured shape on a gradient. Any two (kind, seed) differ; one kind keeps its shape and colour.

    Args:
        kind: Which shape and colour: 64 combinations, of which the first 8 differ in both.
        seed: Which individual: place, size, turn and background.
        size_px: (width, height).
    """
    import numpy as np
    from PIL import Image, ImageDraw

    random = np.random.default_rng([kind, seed])
    width, height = size_px
    corners = random.integers(60, 200, size=(2, 3)).astype(np.float64)
    ramp = (np.linspace(0, 1, height)[:, None] + np.linspace(0, 1, width)[None, :])[..., None] / 2
    ground = corners[0] * (1 - ramp) + corners[1] * ramp + random.normal(0, 4, size=(height, width, 1))
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8), "RGB")

    centre = np.array([width, height]) * random.uniform(0.4, 0.6, size=2)
    radius, turn = min(width, height) * random.uniform(0.25, 0.38), random.uniform(0, 2 * math.pi)
    shape, colour = SHAPES[kind % 8], _COLOURS[(kind + kind // 8) % 8]
    _paint(ImageDraw.Draw(image), shape, colour, centre, radius, turn)
    return image


def _paint(pen: object, shape: str, colour: str, centre: np.ndarray, radius: float, turn: float) -> None:
    import numpy as np

    def at(angles: np.ndarray, radii: float | np.ndarray) -> list[tuple[float, float]]:
        points = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * (np.ones(len(angles)) * radii)[:, None]
        return [(float(x), float(y)) for x, y in points]

    def bar(length: float, thickness: float, angle: float, offset: float = 0.0) -> list[tuple[float, float]]:
        along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return [tuple(centre + along * length * a + across * (offset + thickness * b)) for a, b in signs]

    box = [*(centre - radius), *(centre + radius)]
    if shape == "disc":
        pen.ellipse(box, fill=colour)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=max(2, int(radius * 0.3)))
    elif shape in ("square", "triangle"):
        sides = {"square": 4, "triangle": 3}[shape]
        pen.polygon(at(turn + np.arange(sides) * 2 * math.pi / sides, radius * 1.15), fill=colour)
    elif shape == "star":
        angles = turn + np.arange(10) * math.pi / 5
        pen.polygon(at(angles, np.where(np.arange(10) % 2, 0.45, 1.15) * radius), fill=colour)
    elif shape == "cross":
        for angle in (turn, turn + math.pi / 2):
            pen.polygon(bar(radius * 1.1, radius * 0.3, angle), fill=colour)
    elif shape == "stripes":
        for offset in (-0.8, 0.0, 0.8):
            pen.polygon(bar(radius * 1.1, radius * 0.22, turn, offset * radius), fill=colour)
    else:  # dots
        for x, y in at(turn + np.arange(5) * 2 * math.pi / 5, radius * 0.8):
            pen.ellipse([x - radius * 0.28, y - radius * 0.28, x + radius * 0.28, y + radius * 0.28], fill=colour)

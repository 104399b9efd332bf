"""The demo's pictures: the same every time, different from each other, and like a real heap of files."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.drawing import DrawnPart, draw_parts
from lookalike.drawing.camera import Shot
from lookalike.drawing.materials import BRASS, RED, STEEL
from lookalike.drawing.parts import KINDS
from lookalike.drawing.piece import GROUND, SIZE_PX, Piece, plane, slab, tube, window
from lookalike.drawing.scene import photograph
from lookalike.drawing.wear import weather
from lookalike.errors import SettingError

COUNT = 17


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> list[DrawnPart]:
    return draw_parts(tmp_path_factory.mktemp("heap"), count=COUNT, seed=5)


def small(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((24, 24)), np.float32)


def test_draws_as_many_pictures_as_asked_for_and_nothing_else(heap: list[DrawnPart]) -> None:
    root = heap[0].path.parents[1]
    assert len(heap) == COUNT
    assert sorted(part.path for part in heap) == sorted(p for p in root.rglob("*") if p.is_file())


def test_pictures_are_ordinary_jpegs_with_the_date_they_were_taken(heap: list[DrawnPart]) -> None:
    shapes = set()
    for part in heap:
        with Image.open(part.path) as image:
            assert image.format == "JPEG"
            assert image.mode == "RGB"
            assert min(image.size) >= 400
            assert max(image.size) <= 900
            shapes.add(image.width > image.height)
            taken = datetime.strptime(image.getexif().get_ifd(0x8769)[0x9003], "%Y:%m:%d %H:%M:%S")
        assert part.path.parent.name == f"{taken:%Y-%m-%d}"
    assert shapes == {True, False}


def test_names_say_nothing_about_what_is_in_the_picture(heap: list[DrawnPart]) -> None:
    words = {word for kind in KINDS for word in kind.split()}
    for part in heap:
        relative = "/".join(part.path.parts[-2:]).lower()
        assert not [word for word in words if word in relative]


def test_photos_of_one_part_do_not_lie_side_by_side_in_the_heap(heap: list[DrawnPart]) -> None:
    things = [(part.kind, part.individual) for part in sorted(heap, key=lambda part: part.path)]
    neighbours = sum(a == b for a, b in pairwise(things))
    assert neighbours < len(things) / 3


def test_the_same_seed_draws_the_same_files_and_another_seed_others(heap: list[DrawnPart], tmp_path: Path) -> None:
    again = draw_parts(tmp_path / "again", count=COUNT, seed=5)
    assert [part.path.read_bytes() for part in again] == [part.path.read_bytes() for part in heap]
    assert [(p.kind, p.individual, p.view) for p in again] == [(p.kind, p.individual, p.view) for p in heap]
    other = draw_parts(tmp_path / "other", count=1, seed=6)
    assert other[0].path.read_bytes() not in {part.path.read_bytes() for part in heap}


def test_every_view_of_a_part_is_another_picture_and_none_is_flat(heap: list[DrawnPart]) -> None:
    seen = [small(part.path) for part in heap]
    for i, a in enumerate(seen):
        assert a.std() > 6
        for b in seen[i + 1 :]:
            assert np.abs(a - b).mean() > 2


def test_progress_counts_up_to_the_number_of_pictures(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    draw_parts(tmp_path, count=7, seed=1, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 7) for i in range(1, 8)]


def test_an_error_while_reporting_progress_ends_the_drawing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_parts(tmp_path, count=60, seed=1, progress=stop)
    assert len(list(tmp_path.rglob("*.jpg"))) < 45


def test_no_picture_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="0 pictures"):
        draw_parts(tmp_path, count=0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_built_in_many_ways(kind: str) -> None:
    shapes = set()
    for number in range(4):
        piece = Piece(np.random.default_rng([3, number]), number, np.random.default_rng(4))
        KINDS[kind](piece)
        covered = piece.height > 0
        assert np.isfinite(piece.height).all()
        assert 0.03 < covered.mean() < 0.75, "a part that can be seen, with ground around it"
        assert piece.height.max() < 0.9
        assert not covered[[0, -1]].any(), "it fits on the plane"
        assert not covered[:, [0, -1]].any()
        shapes.add(piece.height.tobytes())
    assert len(shapes) == 4


def test_first_individuals_of_a_kind_differ_in_what_is_chosen_for_them() -> None:
    chosen = [Piece(np.random.default_rng(i), i, np.random.default_rng(9)).one_of("a", "b", "c") for i in range(3)]
    assert sorted(chosen) == ["a", "b", "c"]


def test_what_is_put_on_lower_does_not_show() -> None:
    piece = Piece(np.random.default_rng(0))
    _, _, r, _ = plane()
    piece.add(slab(r - 0.5, 0.3), STEEL)
    piece.add(slab(r - 0.8, 0.2), BRASS)
    red_of = piece.surface()[0]
    middle, between = SIZE_PX // 2, SIZE_PX // 2 + int(0.65 * SIZE_PX / 2.5)
    assert red_of[middle, middle] == np.float32(STEEL.color[0])
    assert red_of[middle, between] == np.float32(BRASS.color[0])


def test_a_hole_shows_the_ground() -> None:
    piece = Piece(np.random.default_rng(0))
    _, _, r, _ = plane()
    piece.add(slab(r - 0.5, 0.3), STEEL)
    piece.cut(r < 0.1)
    assert piece.height[SIZE_PX // 2, SIZE_PX // 2] == GROUND


def test_a_tube_is_round_and_has_its_axis_where_the_path_is() -> None:
    height, axis = tube(np.array([[-0.5, 0, 0.4], [0.5, 0, 0.4]]), 0.2)
    middle = SIZE_PX // 2
    assert height[middle, middle] == pytest.approx(0.6, abs=0.001)
    assert axis[middle, middle] == pytest.approx(0.4)
    aside = height[window(0, 0.1, 0.001)]
    assert aside.max() == pytest.approx(0.4 + np.sqrt(0.2**2 - 0.1**2), abs=0.005)


def shot(**changed: object) -> Shot:
    given: dict[str, object] = {
        "size": (300, 200),
        "turn": np.pi / 2,
        "tilt": 0.0,
        "roll": 0.0,
        "scale_px": 80.0,
        "target": (0.0, 0.0),
        "ground_at": (0.0, 0.0),
        "light": (np.pi, np.radians(45)),
        "key": np.ones(3),
        "fill": np.full(3, 0.4),
        "exposure": 1.0,
        "blur_px": 0.0,
        "noise": 0.0,
    }
    return Shot(**{**given, **changed})  # type: ignore[arg-type]


def test_the_camera_looks_at_its_target_and_turns_the_right_way_round() -> None:
    lens = shot(target=(0.3, -0.2)).lens()
    x, y, w = lens @ [150, 100, 1]
    assert (x / w, y / w) == pytest.approx((0.3, -0.2))
    right, down, back = shot().frame()
    assert right == pytest.approx([1, 0, 0], abs=1e-9)
    assert down == pytest.approx([0, 1, 0], abs=1e-9)
    assert back == pytest.approx([0, 0, 1], abs=1e-9)
    assert shot().lamp() == pytest.approx([-np.sqrt(0.5), 0, np.sqrt(0.5)], abs=1e-9)


def test_a_camera_from_below_the_picture_sees_distant_things_smaller() -> None:
    lens = np.linalg.inv(shot(tilt=0.6).lens())
    widths = []
    for y in (-0.5, 0.5):
        left, right = lens @ [-0.5, y, 1], lens @ [0.5, y, 1]
        widths.append(right[0] / right[2] - left[0] / left[2])
    assert widths[0] < 0.95 * widths[1]


def test_a_photo_shows_the_part_its_light_and_its_shadow() -> None:
    rng = np.random.default_rng(0)
    piece = Piece(rng)
    _, _, r, _ = plane()
    piece.add(slab(r - 0.4, 0.4), RED)
    surface = weather(piece, wear=0.0, rust=0.0)
    ground = Image.new("RGB", (1280, 1280), (150, 150, 150))
    pixels = np.asarray(photograph(surface, ground, shot(), rng), np.float32)
    assert pixels.shape == (200, 300, 3)
    part = pixels[95:105, 145:155].mean(axis=(0, 1))
    assert part[0] > 2 * part[2], "the part is red"
    lit, shaded = pixels[100, 100:110].mean(), pixels[100, 186:196].mean()
    assert shaded < 0.8 * lit, "light from the left throws a shadow to the right"


def test_a_tilted_camera_sees_the_side_of_a_tall_part() -> None:
    rng = np.random.default_rng(0)
    piece = Piece(rng)
    _, _, r, _ = plane()
    piece.add(slab(r - 0.4, 0.6), RED)
    surface = weather(piece, wear=0.0, rust=0.0)
    ground = Image.new("RGB", (1280, 1280), (90, 90, 90))

    def red_rows(tilt: float) -> int:
        pixels = np.asarray(photograph(surface, ground, shot(tilt=tilt), rng), np.float32)
        return int((pixels[:, 150, 0] > 1.6 * pixels[:, 150, 2]).sum())

    assert red_rows(0.6) > red_rows(0.0) + 10

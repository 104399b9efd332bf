"""Labels spread on real photos as docs/propagation.md says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lookalike import Gallery

pytestmark = pytest.mark.external

SET, SEEDS = "clothing-test", range(4)


@pytest.fixture(scope="module")
def benchmark(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return load_benchmark("propagation")


@pytest.fixture(scope="module")
def heap(benchmark: ModuleType, require_sets: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> object:
    require_sets(SET)
    return dict(benchmark.heaps([SET], tmp_path_factory.mktemp("features")))[SET]


def test_more_is_labelled_than_by_neighbours_and_it_is_right(benchmark: ModuleType, heap: object) -> None:
    ours = benchmark.mean([benchmark.by_propagation(*benchmark.split(heap, seed, True)) for seed in SEEDS])
    theirs = benchmark.mean([benchmark.by_neighbours(*benchmark.split(heap, seed, True), 5) for seed in SEEDS])
    assert ours["oracle"] > theirs["oracle"] + 0.05
    assert ours["right"] > theirs["right"] + 0.03
    assert ours["labelled"] > 0.2
    assert ours["of it right"] >= 0.9
    assert ours["error"] < 0.1


def test_kinds_without_labels_are_left_alone(benchmark: ModuleType, heap: object) -> None:
    ours = benchmark.mean([benchmark.by_propagation(*benchmark.split(heap, seed, False)) for seed in SEEDS])
    theirs = benchmark.mean([benchmark.by_neighbours(*benchmark.split(heap, seed, False), 5) for seed in SEEDS])
    assert ours["of it right"] > theirs["of it right"] + 0.2
    assert ours["thought unknown"] > 0.15


def test_the_order_of_labels_needs_fewer_of_them(benchmark: ModuleType, heap: object) -> None:
    def after_20(how: str) -> float:
        return float(np.mean([benchmark.curve(how, heap, seed, 2)[-1][0] for seed in SEEDS]))

    assert after_20("labels next") > after_20("at random") + 0.05


@pytest.fixture(scope="module")
def steel(
    data_dir: Path, require_sets: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gallery]:
    """Every fourth steel surface: 150 of 6 kinds."""
    require_sets("neu-det-100")
    folder = tmp_path_factory.mktemp("steel")
    (folder / "photos").mkdir()
    for file in sorted((data_dir / "neu-det-100" / "images").iterdir())[::4]:
        shutil.copy(file, folder / "photos")
    with Gallery.create(folder / "gallery") as gallery:
        gallery.index(folder / "photos")
        yield gallery


def test_twenty_labels_in_the_order_asked_for_label_a_gallery(steel: Gallery) -> None:
    def kind_of(image_id: str) -> str:
        return steel.image(image_id).path.stem.rsplit("_", 1)[0]

    for _ in range(2):
        steel.label_images({question.id: kind_of(question.id) for question in steel.label_next(10)})
    report = steel.propagate(0.9)
    right = [kind_of(each.id) == each.label for each in steel.to_review()]
    assert report.propagated == len(right) > 0.5 * report.unlabelled
    assert np.mean(right) >= 0.9

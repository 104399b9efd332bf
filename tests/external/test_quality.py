"""The plain default ranks as well as docs/measurements.md says, measured with the project's own parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.external


# mAP % of the row "plain, 256" in docs/measurements.md.
PUBLISHED = {
    "eth80-4view": 72.4,
    "vpr-corridor": 55.1,
    "pacs-photo": 88.3,
    "clothing-test": 63.0,
    "neu-det-100": 81.6,
    "deeppcb-pairs": 100.0,
}


@pytest.fixture(scope="session")
def quality(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return load_benchmark("quality")


@pytest.fixture(scope="session")
def mean_ap(quality: ModuleType, data_dir: Path) -> Callable[[str], float]:
    """``mean_ap(set)``: mAP % of a set's gallery in the plain space; each is indexed once."""
    known: dict[str, float] = {}

    def measure(name: str) -> float:
        if name not in known:
            if not (data_dir / name / "labels.csv").is_file():
                pytest.skip(f"the set {name} is not here")
            asked = quality.read_set(data_dir / name)
            vectors = quality.index_set(data_dir / name, asked.paths).vectors
            known[name] = 100 * asked.measure(vectors).map
        return known[name]

    return measure


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_set_ranks_as_published(name: str, mean_ap: Callable[[str], float]) -> None:
    assert mean_ap(name) >= PUBLISHED[name] - 1.0


def test_the_default_beats_the_article(mean_ap: Callable[[str], float], quality: ModuleType) -> None:
    column = quality.ARTICLE_COLUMN
    assert set(column) == set(PUBLISHED)
    gains = {name: mean_ap(name) - theirs for name, theirs in column.items()}
    assert sum(gains.values()) / len(gains) >= 2.0, gains
    assert min(gains.values()) >= -2.5, gains

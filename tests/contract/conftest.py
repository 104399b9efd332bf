from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.catalogue.sqlite import SqliteCatalogue
from tests.contract.catalogues import MODEL


@pytest.fixture(params=["sqlite"])
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteCatalogue]:
    made = SqliteCatalogue.create(tmp_path / "catalogue.sqlite", MODEL, "toy")
    yield made
    made.close()

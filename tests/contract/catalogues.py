"""A pretended folder, held against a catalogue; shared by its contract tests."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from lookalike.catalogue.data import Extracted, Root, Tally
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.errors import ImageDecodeError
from lookalike.sources.base import SourceEntry
from lookalike.types import ModelInfo

DIM, TAP = 8, 4
MODEL = ModelInfo(
    "toy", DIM, ((32, 32),), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear", 1.0, "mean", "0" * 64, "Apache-2.0"
)


def entry(path: str, version: int = 1) -> SourceEntry:
    inode = int.from_bytes(hashlib.sha256(os.fsencode(path)).digest()[:4], "big")
    return SourceEntry(path, 100 + version, 1_700_000_000_000_000_000 + version, inode)


def content_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def embedding_of(text: str) -> np.ndarray:
    seed = int.from_bytes(content_of(text)[:4], "big")
    return np.random.default_rng(seed).normal(size=DIM).astype(np.float16)


def tap_of(text: str) -> np.ndarray:
    seed = int.from_bytes(content_of(text)[4:8], "big")
    return np.random.default_rng(seed).normal(size=TAP).astype(np.float16)


def good(file: SourceEntry, text: str, **changes: object) -> Extracted:
    values = {"width_px": 640, "height_px": 480, "format": "JPEG", "taken_at": None, **changes}
    return Extracted(file, content_of(text), embedding_of(text), "fp32", tap=tap_of(text), **values)  # type: ignore[arg-type]


def bad(file: SourceEntry, error: Exception | None = None) -> Extracted:
    return Extracted(file, b"", failure=error or ImageDecodeError("is no picture", hint="look at it"))


def run(
    catalogue: SqliteCatalogue,
    files: dict[str, object],
    *,
    root: Root | None = None,
    within: str = "",
    version: int = 1,
) -> tuple[Tally, int]:
    """One index run over a pretended folder: path -> text of its content, or an Extracted made from its entry."""
    root = root or catalogue.add_root("/photos", None)
    with catalogue.scan([(root, within)]) as scan:
        scan.add(root.name, [entry(path, version) for path in files])
        tally = scan.compare()
        results = []
        for _, file in scan.todo():
            what = files[file.path]
            results.append(good(file, what) if isinstance(what, str) else what(file))  # type: ignore[operator]
        tally += scan.apply(root.name, results)
        return tally, scan.finish()


def ids(catalogue: SqliteCatalogue) -> dict[str, str]:
    return {record.relative_path: record.id for record in catalogue.all_records()}

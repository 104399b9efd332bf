"""Every file of the nasty set gets a verdict that agrees with its manifest, or a reason why not."""

from __future__ import annotations

import csv
import importlib.util
import io
import random
import re
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from PIL import Image
from tests.decode_samples import BUCKETS

from lookalike.decode import Decoder
from lookalike.errors import ImageDecodeError, ImageError, ImageTooLargeError
from lookalike.formats import HEAD_BYTES, is_heif_head, is_image_head, is_image_name
from lookalike.settings import Settings

pytestmark = pytest.mark.external

HEIF = importlib.util.find_spec("pillow_heif") is not None

# The manifest lists what Pillow makes of a file with all of its plugins. lookalike leaves these out.
OUTSIDE = {"TGA": 30, "DDS": 17, "PSD": 8, "ICO": 6, "CUR": 3, "QOI": 3, "PCX": 3, "SGI": 1}

# PNGs whose compressed pixels are broken part of the way. The manifest was made by asking for EXIF first, which loads
# such a file and fails, and then loading it again, which finds nothing left to do and "succeeds" with the rest of the
# picture empty. To lookalike half a picture is a failure.
HALF = {
    "pillow/broken_data_stream.png",
    *(
        f"go-fuzz/png/corpus/{name}"
        for name in (
            "00dcf3b74a9553b55b7541ad87e4a9e74ceb945c-1",
            "32aab3b071b3f2a16c11f8ac7f5b4d66a8fc4507-3",
            "4fd5d18fedc498c1d0e1f639f78846afc480cd49-1",
            "53517011ea62e7883f7b882ea73903d84214fd4b-1",
            "5b1a9783453da5c5bb1508caead4d7ff1d921e7f-1",
            "614b09838d5867d9e6ff4202b14df45b420d1028-3",
            "99681abd813c376f83140bcb97ee823b9927066e-1",
            "ea7bcb5bad66c28c7a9b3f0250b3714f4f96ebf3-1",
            "fca5a444f8a81a63a82f4ecb8c11d4c1a503aca3-1",
        )
    ),
}


@dataclass
class Verdict:
    """One file: the manifest's row, and what lookalike says (no error: it decoded)."""

    row: dict[str, str]
    data: bytes
    error: ImageError | None = None
    format: str = ""

    @property
    def path(self) -> str:
        return self.row["path"]

    @property
    def expected(self) -> bool:
        return self.row["pil_result"] == "ok"


@pytest.fixture(scope="module")
def nasty(data_dir: Path) -> Path:
    folder = data_dir / "nasty"
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no {folder / 'manifest.csv'}")
    return folder


@pytest.fixture(scope="module")
def verdicts(nasty: Path) -> list[Verdict]:
    """Of all files, by one decoder whose child must live through all of them."""
    found = []
    settings = Settings()
    with (nasty / "manifest.csv").open(newline="", encoding="utf-8") as lines, Decoder(settings) as decoder:
        for row in csv.DictReader(lines):
            verdict = Verdict(row, (nasty / row["path"]).read_bytes())
            try:
                decoded = decoder.decode(verdict.data, BUCKETS)
                verdict.format = decoded.format
                assert decoded.pixels.shape[:2] in BUCKETS.shapes
                assert decoded.thumbnail
            except ImageError as error:
                verdict.error = error
            found.append(verdict)
        (child,) = psutil.Process().children()
        assert child.memory_info().rss < settings.decode_memory_bytes / 4
    return found


def test_every_file_has_a_verdict(verdicts: list[Verdict]) -> None:
    assert len(verdicts) == 1648
    without_heif = [v for v in verdicts if not v.error and v.format != "HEIF"]
    assert len(without_heif) == 1079 - len(HALF)
    for verdict in verdicts:
        assert verdict.error is None or str(verdict.error).isprintable()


def test_verdicts_agree_with_the_manifest(verdicts: list[Verdict]) -> None:
    refused = {v.path for v in verdicts if v.expected and v.error}
    outside = {v.path for v in verdicts if v.expected and v.row["format"] in OUTSIDE}
    assert refused == outside | HALF
    accepted = {v.path for v in verdicts if not v.expected and not v.error}
    assert accepted == ({v.path for v in verdicts if v.format == "HEIF"} if HEIF else set())


def test_formats_outside_the_list_are_counted(verdicts: list[Verdict]) -> None:
    outside = [v.row["format"] for v in verdicts if v.expected and v.row["format"] in OUTSIDE]
    assert {name: outside.count(name) for name in set(outside)} == OUTSIDE
    for verdict in verdicts:
        if verdict.expected and verdict.row["format"] in OUTSIDE:
            assert "not an image of a supported format" in str(verdict.error)


def test_half_pictures_fail_in_pillow_too_when_asked_once(nasty: Path) -> None:
    for path in sorted(HALF):
        with Image.open(nasty / path) as image, pytest.raises(OSError, match="data stream"):
            image.load()


def test_heif_needs_the_extra_and_works_with_it(verdicts: list[Verdict]) -> None:
    heif = [v for v in verdicts if is_heif_head(v.data[:HEAD_BYTES])]
    assert len(heif) == 32
    if HEIF:
        assert sum(v.format == "HEIF" for v in heif) == 30  # two are corrupted
    else:
        assert all(isinstance(v.error, ImageDecodeError) and "heic" in v.error.hint for v in heif)


def test_reasons_are_about_the_file_not_about_us(verdicts: list[Verdict]) -> None:
    ours = re.compile(
        r"Too many open files|No module|decoder (crashed|ended|was killed|gave)|took longer|needs more than"
    )
    assert [(v.path, str(v.error)) for v in verdicts if v.error and ours.search(str(v.error))] == []


def test_bombs_are_called_too_large(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        if "DecompressionBombError" in verdict.row["pil_result"] and verdict.row["format"] not in ("ICO", "ICNS"):
            assert isinstance(verdict.error, ImageTooLargeError | ImageDecodeError)
    assert sum(isinstance(v.error, ImageTooLargeError) for v in verdicts) >= 8


def test_whatever_decodes_is_taken_for_an_image(verdicts: list[Verdict]) -> None:
    decoded = [v for v in verdicts if not v.error]
    assert [v.path for v in decoded if not is_image_head(v.data[:HEAD_BYTES])] == []
    unnamed = [v for v in verdicts if "." not in Path(v.path).name]
    assert len(unnamed) == 456
    assert not any(is_image_name(v.path) for v in unnamed)


def test_mutated_files_harm_only_themselves(verdicts: list[Verdict]) -> None:
    """Flipped bits, cuts and doubled pieces in small files of every format: 1,500 of them, always the same."""
    dice = random.Random(20240531)
    seeds = [v.data for v in verdicts if not v.error and len(v.data) < 20_000]
    good = io.BytesIO()
    Image.new("RGB", (32, 32), (10, 200, 30)).save(good, "PNG")
    with Decoder(Settings()) as decoder:
        refused = 0
        for i in range(1500):
            try:
                decoder.decode(mutated(dice, dice.choice(seeds)), BUCKETS)
            except ImageError:
                refused += 1
            if i % 100 == 0:
                assert decoder.decode(good.getvalue(), BUCKETS).pixels[128, 128].tolist() == [10, 200, 30]
    assert refused > 300


def mutated(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    kind = dice.randrange(3)
    for _ in range(dice.choice((1, 4, 16)) if kind == 0 else 0):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    start = dice.randrange(len(changed))
    if kind == 1:
        del changed[start : start + dice.choice((1, 100, len(changed)))]
    if kind == 2:
        changed[start:start] = changed[start : start + 200] * dice.choice((1, 50))
    return bytes(changed)

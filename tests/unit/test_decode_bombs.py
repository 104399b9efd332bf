"""Small files that would become huge: each gets a verdict, within the limits of time and memory."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psutil
import pytest
from PIL import Image
from tests.decode_samples import SQUARE, encoded, quadrants

from lookalike.decode import Decoder
from lookalike.errors import ImageError, ImageTooLargeError
from lookalike.settings import Settings

GOOD = encoded(quadrants(), "PNG")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, colour: int = 0, *extra: bytes, pixels: bool = False) -> bytes:
    """A PNG of 8 bits a channel; with ``pixels``, all of them (black)."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    body = bytes(width * channels + 1 if pixels else 100)
    squeeze = zlib.compressobj(1)
    data = b"".join(squeeze.compress(body) for _ in range(height if pixels else 1)) + squeeze.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tags(n: int) -> bytes:
    """An EXIF block of n tags."""
    entries = b"".join(struct.pack("<HHII", 40_000 + i % 20_000, 4, 1, i) for i in range(n))
    return b"II\x2a\0\x08\0\0\0" + struct.pack("<H", min(n, 65535)) + entries + bytes(4)


def tiff(width: int, height: int, big_with_tags: int = 0) -> bytes:
    fields = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 100)]
    if not big_with_tags:
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
        return b"II\x2a\0\x08\0\0\0" + struct.pack("<H", len(fields)) + entries + bytes(104)
    fields += [(51_000 + i % 9_000, i) for i in range(big_with_tags)]
    entries = b"".join(struct.pack("<HHQQ", tag, 4, 1, value) for tag, value in fields)
    return b"II\x2b\0\x08\0\0\0" + struct.pack("<QQ", 16, len(fields)) + entries + bytes(200)


def gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame + b";"


def gif_of_frames(n: int) -> bytes:
    head, comma, frame = encoded(Image.new("P", (16, 16)), "GIF").rpartition(b",")
    return head + (comma + frame[:-1]) * n + b";"


def patched(data: bytes, marker: bytes, offset: int, replacement: bytes) -> bytes:
    at = data.index(marker) + offset
    return data[:at] + replacement + data[at + len(replacement) :]


BIG = struct.pack(">II", 60_000, 60_000)
TEXT_BOMB = zlib.compress(bytes(200 * 2**20), 9)
BOMBS: dict[str, Callable[[], bytes]] = {
    "png 50000 x 50000": lambda: png(50_000, 50_000),
    "png of the largest size": lambda: png(2**31 - 1, 2**31 - 1),
    "png of 100 megapixels in 4 channels": lambda: png(10_000, 10_000, 6, pixels=True),
    "gif 65535 x 65535": lambda: gif(65_535, 65_535),
    "gif whose frame exceeds its screen": lambda: patched(gif(16, 16), b",", 5, b"\xff\xff\xff\xff"),
    "gif of 100000 frames": lambda: gif_of_frames(100_000),
    "webp canvas 16384 x 16384": lambda: (
        b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\x3f\0" * 2
    ),
    "tiff 100000 x 100000": lambda: tiff(100_000, 100_000),
    "tiff that claims 196 megapixels": lambda: tiff(14_000, 14_000),
    "tiff of a million tags": lambda: tiff(16, 16, 1_000_000),
    "bmp of the largest size": lambda: patched(
        encoded(quadrants(), "BMP"), b"BM", 18, struct.pack("<ii", 2**31 - 1, 2**31 - 1)
    ),
    "jpeg 60000 x 60000": lambda: patched(encoded(quadrants(), "JPEG"), b"\xff\xc0", 5, b"\xea\x60\xea\x60"),
    "jpeg 2000 60000 x 60000": lambda: patched(encoded(quadrants(), "JPEG2000"), b"ihdr", 4, BIG),
    "jpeg 2000 codestream 60000 x 60000": lambda: patched(encoded(quadrants(), "JPEG2000"), b"\xff\x51", 6, BIG),
    "avif 60000 x 60000": lambda: patched(encoded(quadrants(), "AVIF"), b"ispe", 8, BIG),
    "ppm 99999 x 99999": lambda: b"P5 99999 99999 255\n" + bytes(1000),
    "png text bomb": lambda: png(16, 16, 0, chunk(b"zTXt", b"a\0\0" + TEXT_BOMB), pixels=True),
    "png of many text bombs": lambda: png(
        16, 16, 0, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6), 9)) * 2000, pixels=True
    ),
    "png profile bomb": lambda: png(16, 16, 0, chunk(b"iCCP", b"a\0\0" + TEXT_BOMB), pixels=True),
    "png exif of a million tags": lambda: png(16, 16, 0, chunk(b"eXIf", tags(1_000_000)), pixels=True),
    "webp exif of a million tags": lambda: encoded(quadrants(), "WEBP", exif=tags(1_000_000)),
    "jpeg exif of as many tags as fit": lambda: encoded(quadrants(), "JPEG", exif=b"Exif\0\0" + tags(5400)),
    "jpeg of many exif blocks": lambda: (
        b"\xff\xd8" + (b"\xff\xe1\xff\xf8Exif\0\0" + tags(5400).ljust(65_520, b"\0")[:65_520]) * 100
        + encoded(quadrants(), "JPEG")[2:]
    ),
}  # fmt: skip


@cache
def bomb(name: str) -> bytes:
    return BOMBS[name]()


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads peak memory in /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_gets_a_verdict_within_the_limits(name: str) -> None:
    settings = Settings(decode_memory_bytes=512 * 2**20)
    data = bomb(name)
    with Decoder(settings) as decoder:
        decoder.decode(GOOD, SQUARE)
        (child,) = psutil.Process().children()
        verdict = ""
        try:
            decoder.decode(data, SQUARE)
        except ImageError as error:
            verdict = str(error)
        assert "took longer" not in verdict
        assert "crashed" not in verdict
        if child.is_running():  # it is stopped where memory ran out
            assert peak_bytes(child.pid) < settings.decode_memory_bytes
        assert decoder.decode(GOOD, SQUARE).format == "PNG"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("png 50000 x 50000", "2,500,000,000 pixels"),
        ("gif 65535 x 65535", "4,294,836,225 pixels"),
        ("tiff 100000 x 100000", "10,000,000,000 pixels"),
        ("jpeg 60000 x 60000", "3,600,000,000 pixels"),
        ("png of 100 megapixels in 4 channels", "needs more than 512 MiB"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_bomb_is_called_too_large(name: str, reason: str) -> None:
    with (
        Decoder(Settings(decode_memory_bytes=512 * 2**20)) as decoder,
        pytest.raises(ImageTooLargeError, match=reason),
    ):
        decoder.decode(bomb(name), SQUARE)

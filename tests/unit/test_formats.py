"""Which files are taken for images."""

from __future__ import annotations

import pytest

from lookalike.formats import is_heif_head, is_image_head, is_image_name


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPEG", "b/c.tIf", "x.heic", "x.avif", "x.jp2", "x.pgm", ".hidden.png", "many.dots.webp"]
)
def test_image_names_are_recognised(name: str) -> None:
    assert is_image_name(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", "a.jpg.part", "a.psd", "a.jpgx", "", "a.mp4", "folder.png/readme"])
def test_other_names_are_not(name: str) -> None:
    assert not is_image_name(name)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"BM is short for bowel movement",
        b"PK\x03\x04",
        b"P2P networks, an introduction",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypisom\0\0\0\0isomiso2mp41",
        b"%PDF-1.7",
        b"8BPS\0\x01",
        b"\x7fELF",
    ],
)
def test_other_heads_are_not_taken_for_images(head: bytes) -> None:
    assert not is_image_head(head)


def test_heif_and_avif_heads_are_told_apart() -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    avif = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"
    assert is_image_head(heic)
    assert is_image_head(avif)
    assert is_heif_head(heic)
    assert not is_heif_head(avif)

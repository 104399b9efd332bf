"""Which files are candidates: by the name's suffix, or by their first bytes. Only decoding decides what they are."""

from __future__ import annotations

import re

HEAD_BYTES = 32  # what is_image_head wants to see

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".avifs", ".tif", ".tiff"),
    *(".bmp", ".dib", ".gif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
    *(".heic", ".heics", ".heif", ".heifs", ".hif"),
)
_STARTS = (
    b"\xff\xd8\xff",  # JPEG, MPO
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    *(b"MM\x00\x2a", b"II\x2a\x00", b"MM\x2a\x00", b"II\x00\x2a", b"MM\x00\x2b", b"II\x2b\x00"),  # TIFF, BigTIFF
    *(b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n"),  # JPEG 2000: bare codestream, file
)
_PPM = re.compile(rb"P[1-6f]\s[\s\d#]")
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))


def is_image_name(name: str) -> bool:
    """Whether a file of this name (or path) is taken for an image: by its suffix, in any case."""
    return name.lower().endswith(SUFFIXES)


def is_image_head(head: bytes) -> bool:
    """Whether a file that begins with these bytes is taken for an image of a format that can be decoded.

    Args:
        head: The first ``HEAD_BYTES`` of the file, or all of it where it is shorter.
    """
    if head.startswith(_STARTS):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[:2] == b"BM":  # "BM" begins many a text; the length of the header at byte 14 never exceeds one byte
        return head[14:15] != b"\0" and head[15:18] == b"\0\0\0"
    if head[:1] == b"P":  # PBM, PGM, PPM and PFM are text up to here
        return _PPM.match(head) is not None
    return bool(_brands(head) & (_HEIF_BRANDS | _AVIF_BRANDS))


def is_heif_head(head: bytes) -> bool:
    """Whether these bytes begin a HEIC or HEIF file (not AVIF): what needs the extra ``heic``."""
    brands = _brands(head)
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def _brands(head: bytes) -> set[bytes]:
    """The brands of an ISO base media file: the major one, and the compatible ones as far as the bytes reach."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}

"""The child that decodes: reads requests on stdin, answers on stdout. ``decode`` starts it and believes it little.

A request is ``REQUEST``, the shapes (``SHAPE`` each) and the file's bytes. An answer is ``ANSWER``, then pixels,
format, taken_at, message, thumbnail and, with a thumbnail, ``QUALITY``. Little endian, no padding, no pickle. The first
answer, READY, comes unasked.

*Source*: ours. Kept to the standard library and Pillow, so that it starts in a fraction of a second.
"""

from __future__ import annotations

import os
import re
import signal
import struct
import sys
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from lookalike.formats import HEAD_BYTES, is_heif_head

if TYPE_CHECKING:
    from lookalike.decode_picture import Picture, Wish

MAGIC = b"LKD1"
REQUEST = struct.Struct("<4sBBHd4dQ")  # magic, wants a thumbnail, interpolation, number of shapes, crop, box, bytes
SHAPE = struct.Struct("<HH")  # height, width
ANSWER = struct.Struct("<4sBHHIIBBHI")  # magic, status, pixels' height and width, original's, lengths of the rest
QUALITY = struct.Struct("<4d")  # the measures of types.Quality; a sharpness of NO_SHARPNESS stands for none
NO_SHARPNESS = -1.0
INTERPOLATIONS = ("bilinear", "bicubic")

READY, DECODED, DAMAGED, TOO_LARGE, NEEDS_HEIF, OUT_OF_MEMORY, TOO_SMALL = range(7)
MAX_MESSAGE_BYTES = 500
GRACE_S = 5  # the parent stops a child that is late; this is for a child whose parent is gone


class Limits(NamedTuple):
    """What one child may use: pixels per picture, address space, seconds per picture."""

    max_pixels: int
    memory_bytes: int
    seconds: float


def main(arguments: list[str]) -> None:
    """Serve until stdin ends.

    Args:
        arguments: max_pixels, memory_bytes, seconds.
    """
    limits = Limits(int(arguments[0]), int(arguments[1]), float(arguments[2]))
    requests, answers = _take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    from lookalike import decode_picture

    decode_picture.set_up(limits.max_pixels)
    _restrict(limits)
    _send(answers, *_answer(READY))
    while (request := _read_request(requests)) is not None:
        _alarm(limits.seconds + GRACE_S)
        answer = _serve(*request)
        _alarm(0)
        _send(answers, *answer)


def _serve(data: bytes, wish: Wish) -> tuple[bytes, ...]:
    from lookalike import decode_picture

    try:
        return _answer(DECODED, decode_picture.decode(data, wish))
    except BaseException as error:  # whatever a codec throws is the verdict on this file
        return _answer(*_verdict(error, data))


def _verdict(error: BaseException, data: bytes) -> tuple[int, str]:
    from PIL import Image, UnidentifiedImageError

    from lookalike.decode_picture import SmallBoxError

    if isinstance(error, SmallBoxError):
        return TOO_SMALL, str(error)
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY, ""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        found = re.search(r"\((\d+) pixels\)", str(error))
        return TOO_LARGE, f"it has {int(found[1]):,} pixels" if found else "it has too many pixels"
    if isinstance(error, UnidentifiedImageError):
        if is_heif_head(data[:HEAD_BYTES]) and "HEIF" not in Image.OPEN:
            return NEEDS_HEIF, ""
        return DAMAGED, "not an image of a supported format, or its header is damaged"
    text = str(error)
    if not text or not isinstance(error, OSError | ValueError | SyntaxError | RuntimeError):
        text = f"{type(error).__name__}: {text}"
    return DAMAGED, text


def _answer(status: int, content: Picture | str = "") -> tuple[bytes, ...]:
    if isinstance(content, str):
        printable = "".join(c if c.isprintable() else " " for c in content)
        message = printable.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore").encode()
        return ANSWER.pack(MAGIC, status, 0, 0, 0, 0, 0, 0, len(message), 0), message
    name, taken_at = content.format.encode(), content.taken_at.encode()
    sizes = (content.height_px, content.width_px, content.original_height_px, content.original_width_px)
    head = ANSWER.pack(MAGIC, status, *sizes, len(name), len(taken_at), 0, len(content.thumbnail))
    return head, content.pixels, name + taken_at + content.thumbnail + _measures(content.quality)


def _measures(quality: tuple[float | None, float, float, float] | None) -> bytes:
    if quality is None:
        return b""
    sharpness, *rest = quality
    return QUALITY.pack(NO_SHARPNESS if sharpness is None else sharpness, *rest)


def _read_request(requests: BinaryIO) -> tuple[bytes, Wish] | None:
    from lookalike.decode_picture import Wish

    head = requests.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return None
    magic, thumbnail, interpolation, n_shapes, crop_fraction, *box, n_bytes = REQUEST.unpack(head)
    if magic != MAGIC:
        raise SystemExit("lookalike.decode_worker speaks only with lookalike.decode")
    shapes = tuple(SHAPE.iter_unpack(requests.read(n_shapes * SHAPE.size)))
    data = requests.read(n_bytes)
    if len(data) < n_bytes:
        return None
    return data, Wish(shapes, INTERPOLATIONS[interpolation], crop_fraction, bool(thumbnail), tuple(box))


def _send(answers: BinaryIO, *parts: bytes) -> None:
    for part in parts:
        left = memoryview(part)
        while left:
            left = left[answers.write(left) :]


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the two pipes out of the way of codecs that read or print, and never wait for whoever reads stderr."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    if os.name == "posix":
        os.set_blocking(2, False)  # libtiff talks a lot; when the pipe is full, the rest is dropped
    return open(requests, "rb", buffering=65536), open(answers, "wb", buffering=0)  # noqa: PTH123


def _restrict(limits: Limits) -> None:
    """Give up memory beyond the limit, core dumps, and for good every way to open a file or a connection."""
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 0,  # open descriptors keep working
    }
    for which, most in wanted.items():
        hard = resource.getrlimit(which)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(which, (most, most))
        except (OSError, ValueError):  # macOS knows RLIMIT_AS but refuses it
            continue


def _alarm(seconds: float) -> None:
    """Let the kernel end this process after that long, even within a codec; 0 takes it back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main(sys.argv[1:])

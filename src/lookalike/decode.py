"""Decode images in child processes: whatever a file does to its decoder costs that one file.

The child (``decode_worker``) gets the file's bytes and hands back an array, over two pipes in a fixed binary format.
Nothing that comes back is trusted: lengths are bounded by what was asked for, and text is checked.
"""

from __future__ import annotations

import importlib.util
import queue
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from lookalike import decode_worker as wire
from lookalike.decode_process import ChildEndedError, ChildProcess
from lookalike.errors import (
    ImageDecodeError,
    ImageError,
    ImageTooLargeError,
    LookalikeError,
    SettingError,
    ShapeError,
)
from lookalike.formats import is_image_head, is_image_name
from lookalike.quality import Quality
from lookalike.settings import Settings
from lookalike.types import DecodedImage, DecodeSpec

__all__ = ["Decoder", "DecoderPool", "default_command", "is_image_head", "is_image_name"]

START_SECONDS = 60.0
MAX_THUMBNAIL_BYTES = 256 * 2**10
MAX_SIDE_PX = 8192  # of what a network may ask for
WHOLE = (0.0, 0.0, 1.0, 1.0)

Box = tuple[float, float, float, float]

_BOOT = "import sys; sys.path[:0] = sys.argv[1:-3]; from lookalike.decode_worker import main; main(sys.argv[-3:])"
_FORMAT = re.compile(rb"[A-Z0-9]{1,16}")
_TAKEN_AT = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)?")


def default_command() -> list[str]:
    """How to start the child: this interpreter, isolated, finding only lookalike, Pillow and pillow-heif."""
    specs = (importlib.util.find_spec(name) for name in ("lookalike", "PIL", "pillow_heif"))
    folders = dict.fromkeys(str(Path(spec.origin).parents[1]) for spec in specs if spec and spec.origin)
    return [sys.executable, "-I", "-S", "-c", _BOOT, *folders]


class Decoder:
    """One child process that decodes one image after another; started on first use, replaced when it fails.

    Safe to call from several threads; one is served at a time.

    Args:
        settings: Limits: ``max_pixels``, ``max_file_bytes``, ``decode_seconds``, ``decode_memory_bytes``.
        command: Starts the child, instead of ``default_command``; three limits are appended to it.
    """

    def __init__(self, settings: Settings, *, command: Sequence[str] | None = None) -> None:
        self._settings = settings
        self._command = command
        self._child: ChildProcess | None = None
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the child without waiting for it, so that the first image finds it ready."""
        with self._lock:
            self._running()

    def decode(self, data: bytes, spec: DecodeSpec, *, thumbnail: bool = True, box: Box | None = None) -> DecodedImage:
        """Decode the first picture of a file, upright, to one of the shapes of ``spec``.

        Args:
            data: The whole file.
            spec: What the network wants.
            thumbnail: Also make a JPEG of at most 256 px on the long side, and measure its quality. The pixels do not
                depend on it.
            box: x0, y0, x1, y1, fractions of the upright picture: only this part is looked at, at its full resolution;
                shape, crop and thumbnail are those of the part, ``width_px`` and ``height_px`` those of the whole.

        Raises:
            ImageDecodeError: the bytes are damaged, no supported image, or made the decoder crash.
            ImageTooLargeError: more bytes, pixels, time or memory than the settings allow.
            SettingError: ``spec`` or ``box`` asks for something impossible.
            LookalikeError: no child can be started, or this decoder is closed.
        """
        request = _request(len(data), spec, thumbnail, WHOLE if box is None else box)
        boxed = box is not None
        if not data:
            raise ImageDecodeError("the file is empty")
        if len(data) > self._settings.max_file_bytes:
            limit = self._settings.max_file_bytes
            raise ImageTooLargeError(f"{len(data):,} bytes; the limit is {limit:,} (setting max_file_bytes)")
        with self._lock:
            try:
                return self._attempt(request, data, spec, thumbnail, boxed)
            except _LostError as lost:
                if not lost.doubtful:
                    raise lost.verdict from None
            try:  # the child had served others, and one of those may have damaged it: a new child's word counts
                return self._attempt(request, data, spec, thumbnail, boxed)
            except _LostError as lost:
                raise lost.verdict from None

    def close(self) -> None:
        """Stop the child, also while another thread waits for it. Closing again does nothing."""
        self._closed = True
        if (child := self._child) is not None:
            child.kill()
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> ChildProcess:
        self._check_open()
        if self._child is None:
            limits = wire.Limits(
                self._settings.max_pixels, self._settings.decode_memory_bytes, self._settings.decode_seconds
            )
            try:
                self._child = ChildProcess([*(self._command or default_command()), *map(str, limits)])
            except OSError as error:
                raise LookalikeError(f"the decoder process cannot be started: {error}") from error
        return self._child

    def _drop(self, patience_s: float = 0.0) -> tuple[int, str]:
        child, self._child = self._child, None
        return child.stop(patience_s) if child else (0, "")

    def _attempt(self, request: bytes, data: bytes, spec: DecodeSpec, thumbnail: bool, boxed: bool) -> DecodedImage:
        """One exchange with the child; raises what was wrong, or _LostError where the child is of no more use."""
        child = self._running()
        doubtful = child.served > 0
        child.served += 1
        try:
            if not child.greeted:
                self._greet(child)
            with child.deadline(self._settings.decode_seconds):
                child.send(request)
                child.send(data)
                answer = _read_answer(child, spec, thumbnail, self._settings.max_pixels, boxed)
        except (TimeoutError, _ViolationError, ChildEndedError) as failure:
            verdict = self._obituary(failure)
            raise _LostError(verdict, doubtful and not isinstance(failure, TimeoutError)) from None
        except BaseException:  # Ctrl-C within an exchange: nobody must take its rest for the next answer
            self._drop()
            raise
        if isinstance(answer, DecodedImage):
            return answer
        if answer[0] == wire.OUT_OF_MEMORY:
            self._drop()
            raise _LostError(self._refusal(*answer), doubtful)
        raise self._refusal(*answer)

    def _greet(self, child: ChildProcess) -> None:
        """Wait until the child is ready. Where it never will be, that is no fault of the image."""
        try:
            with child.deadline(START_SECONDS):
                if _read_answer(child, DecodeSpec(()), False, 0, False) != (wire.READY, ""):
                    raise _ViolationError("no greeting")
        except (TimeoutError, _ViolationError, ChildEndedError) as failure:
            returncode, said = self._drop(patience_s=1)
            self._check_open()
            raise LookalikeError(
                f"the decoder process does not start: {said or failure or f'exit code {returncode}'}",
                hint="check that Pillow works, and that the setting decode_memory_bytes is not too small",
            ) from None
        child.greeted = True

    def _check_open(self) -> None:
        if self._closed:
            raise LookalikeError("the decoder is closed")

    def _obituary(self, failure: Exception) -> ImageError:
        """Stop the child and say what became of it."""
        returncode, said = self._drop(patience_s=1 if isinstance(failure, ChildEndedError) else 0)
        self._check_open()
        if isinstance(failure, TimeoutError):
            seconds = self._settings.decode_seconds
            return ImageTooLargeError(f"decoding took longer than {seconds:g} s (setting decode_seconds)")
        if isinstance(failure, _ViolationError):
            return ImageDecodeError(f"the decoder gave an impossible answer: {failure}")
        if returncode == -9:
            return ImageTooLargeError("the decoder was killed (signal 9), most likely because memory ran out")
        if returncode < 0:
            return ImageDecodeError(f"the decoder crashed (signal {-returncode})")
        return ImageDecodeError(f"the decoder ended without an answer (exit code {returncode}) {said}".rstrip())

    def _refusal(self, status: int, message: str) -> ImageError:
        """The error for a file that the child refused.

        Raises:
            SettingError: it is not the file's fault.
        """
        if status == wire.TOO_SMALL:
            raise SettingError(message, hint="choose a larger part of the picture")
        if status == wire.TOO_LARGE:
            return ImageTooLargeError(f"{message}; the limit is {self._settings.max_pixels:,} (setting max_pixels)")
        if status == wire.OUT_OF_MEMORY:
            mebibytes = self._settings.decode_memory_bytes / 2**20
            return ImageTooLargeError(f"decoding needs more than {mebibytes:,.0f} MiB (setting decode_memory_bytes)")
        if status == wire.NEEDS_HEIF:
            return ImageDecodeError("HEIC and HEIF images need an optional part", hint="pip install 'lookalike[heic]'")
        return ImageDecodeError(message)


class DecoderPool:
    """Several decoders for several threads: each call takes a free one, or waits for it.

    Args:
        settings: Limits, and ``worker_count`` decoders.
        count: Another number of decoders.
        command: As for Decoder.
    """

    def __init__(self, settings: Settings, *, count: int | None = None, command: Sequence[str] | None = None) -> None:
        self._decoders = [Decoder(settings, command=command) for _ in range(count or settings.worker_count)]
        self._free: queue.LifoQueue[Decoder] = queue.LifoQueue()  # the last used is the one that already runs
        for decoder in reversed(self._decoders):
            self._free.put(decoder)

    def start(self, count: int | None = None) -> None:
        """Start the first ``count`` children (None: all) without waiting for them."""
        for decoder in self._decoders[:count]:
            decoder.start()

    def decode(self, data: bytes, spec: DecodeSpec, *, thumbnail: bool = True, box: Box | None = None) -> DecodedImage:
        """As Decoder.decode, from any number of threads."""
        decoder = self._free.get()
        try:
            return decoder.decode(data, spec, thumbnail=thumbnail, box=box)
        finally:
            self._free.put(decoder)

    def close(self) -> None:
        """Stop all children, also those at work; their callers get LookalikeError."""
        for decoder in self._decoders:
            decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _LostError(Exception):
    """The child had to be stopped. ``doubtful``: the fault may lie with a file that it served before."""

    def __init__(self, verdict: ImageError, doubtful: bool) -> None:
        super().__init__(verdict)
        self.verdict = verdict
        self.doubtful = doubtful


class _ViolationError(Exception):
    """The child said something that it never says."""


def _request(n_bytes: int, spec: DecodeSpec, thumbnail: bool, box: Box) -> bytes:
    sides = [side for shape in spec.shapes for side in shape]
    if not 1 <= len(spec.shapes) <= 1000 or not all(1 <= side <= MAX_SIDE_PX for side in sides):
        raise SettingError(f"decode: shapes {spec.shapes!r} are none, too many, or not within 1 to {MAX_SIDE_PX} px")
    if spec.interpolation not in wire.INTERPOLATIONS:
        raise SettingError(f"decode: interpolation {spec.interpolation!r} is none of {wire.INTERPOLATIONS}")
    if not 0.1 <= spec.crop_fraction <= 1:
        raise SettingError(f"decode: crop_fraction {spec.crop_fraction!r} is not within 0.1 to 1")
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise SettingError(f"decode: box {box!r} is empty or does not lie inside the picture")
    interpolation = wire.INTERPOLATIONS.index(spec.interpolation)
    head = (wire.MAGIC, thumbnail, interpolation, len(spec.shapes), spec.crop_fraction, *box, n_bytes)
    return b"".join((wire.REQUEST.pack(*head), *(wire.SHAPE.pack(*shape) for shape in spec.shapes)))


def _read_answer(
    child: ChildProcess, spec: DecodeSpec, thumbnail: bool, max_pixels: int, boxed: bool
) -> DecodedImage | tuple[int, str]:
    """The child's answer: a picture, or a status and a message. Everything is checked before it is believed."""
    head = wire.ANSWER.unpack(child.receive(wire.ANSWER.size))
    magic, status, height, width, original_height, original_width, *lengths = head
    if magic != wire.MAGIC or status > (wire.TOO_SMALL if boxed else wire.OUT_OF_MEMORY):
        raise _ViolationError("not its language")
    n_name, n_taken_at, n_message, n_thumbnail = lengths
    if status != wire.DECODED:
        if n_message > wire.MAX_MESSAGE_BYTES or n_name or n_taken_at or n_thumbnail:
            raise _ViolationError("a message that is too long")
        return status, _text(child.receive(n_message))
    if (height, width) not in spec.shapes or n_message or n_thumbnail > MAX_THUMBNAIL_BYTES * thumbnail:
        raise _ViolationError("a picture of another size")
    if not 1 <= original_height * original_width <= max_pixels:
        raise _ViolationError("an original of another size")
    pixels = np.empty((height, width, 3), np.uint8)
    child.receive_into(pixels.data.cast("B"))
    rest = bytes(child.receive(n_name + n_taken_at + n_thumbnail))
    name, taken_at, jpeg = rest[:n_name], rest[n_name : n_name + n_taken_at], rest[n_name + n_taken_at :]
    if not _FORMAT.fullmatch(name) or not _TAKEN_AT.fullmatch(taken_at):
        raise _ViolationError("a format or date that is none")
    if thumbnail and not (jpeg.startswith(b"\xff\xd8\xff") and jpeg.endswith(b"\xff\xd9")):
        raise _ViolationError("a thumbnail that is no JPEG")
    quality = _quality(bytes(child.receive(wire.QUALITY.size))) if thumbnail else None
    taken = taken_at.decode() or None
    return DecodedImage(pixels, original_width, original_height, name.decode(), taken, jpeg, quality)


def _quality(data: bytes) -> Quality:
    sharpness, *rest = wire.QUALITY.unpack(data)
    try:
        return Quality(None if sharpness == wire.NO_SHARPNESS else sharpness, *rest)
    except ShapeError:
        raise _ViolationError("a quality that is none") from None


def _text(data: bytearray) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _ViolationError("text that is not UTF-8") from None
    if not text.isprintable():
        raise _ViolationError("text with control characters")
    return text

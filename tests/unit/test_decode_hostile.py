"""Files that take their decoder down, or lie through it: each costs itself and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image
from tests.decode_samples import RED, SQUARE, assert_close, encoded

from lookalike import decode_process
from lookalike import decode_worker as wire
from lookalike.decode import Decoder, DecoderPool, default_command
from lookalike.errors import ImageDecodeError, ImageError, ImageTooLargeError, LookalikeError
from lookalike.quality import Quality
from lookalike.settings import Settings

posix = pytest.mark.skipif(os.name != "posix", reason="signals and resource limits")
GOOD = encoded(Image.new("RGB", (64, 64), RED), "PNG")

CHILD = """
    import ctypes, os, sys, time, socket
    sys.path[:0] = sys.argv[1:-3]
    from PIL import Image, ImageFile
    from lookalike import decode_picture, decode_worker

    class Hostile(ImageFile.ImageFile):
        format = "HOSTILE"

        def _open(self):
            self.word, _, self.argument = self.fp.read().removeprefix(b"HOSTILE ").decode().partition(" ")
            self._mode, self._size = "L", (8, 8)

        def load(self):
            globals()[self.word](self.argument)
            self.im = Image.new("L", (8, 8), 77).im
            return self.im.pixel_access(True)

    def crash(_): ctypes.string_at(8)
    def abort(_): os.abort()
    def spin(_):
        while True: pass
    def sleep(_): time.sleep(3600)
    def hog(_): bytearray(50 << 30)
    def leave(status): os._exit(int(status))
    def interrupt(_): raise KeyboardInterrupt
    def refuse(message): raise ValueError(bytes.fromhex(message).decode("utf-8", "surrogateescape"))

    def chatter(_):
        for fd in (1, 2):
            try:
                os.write(fd, b"noise" * 20_000)
            except BlockingIOError:
                pass
        print("more" * 10_000, flush=True)
        sys.stdin.read()

    def say(hexadecimal):
        for fd in range(3, 30):
            try:
                os.write(fd, bytes.fromhex(hexadecimal))
            except OSError:
                pass
        time.sleep(3600)

    def poison(_):
        decode_picture.make_plan = lambda *_: os.abort()
        raise ValueError("poisoned")

    def reach_out(path):
        for attempt in (lambda: open(path), lambda: socket.socket(), lambda: os.dup(0), lambda: open(path + "x", "w")):
            try:
                attempt()
            except OSError:
                continue
            raise ValueError("reached out")

    def leave_a_child(_):
        if os.fork():
            os._exit(0)
        time.sleep(3600)

    Image.register_open("HOSTILE", Hostile, lambda head: head.startswith(b"HOSTILE"))
    decode_picture.FORMATS.append("HOSTILE")
    decode_worker.main(sys.argv[-3:])
"""


def hostile(what: str) -> bytes:
    return f"HOSTILE {what}".encode()


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    script = tmp_path_factory.mktemp("hostile") / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    isolated, folders = default_command()[:3], default_command()[5:]
    return [*isolated, str(script), *folders]


@pytest.fixture
def decoder(command: list[str]) -> Iterator[Decoder]:
    with Decoder(Settings(), command=command) as decoder:
        yield decoder


@pytest.fixture
def hasty(command: list[str]) -> Iterator[Decoder]:
    with Decoder(Settings(decode_seconds=2.0), command=command) as decoder:
        yield decoder


def assert_decodes(decoder: Decoder) -> None:
    assert_close(decoder.decode(GOOD, SQUARE).pixels[32, 32], RED, 0)


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "waited a minute in vain"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# ---------------------------------------------------------------- codecs that fail


@posix
@pytest.mark.parametrize(
    ("what", "error", "reason"),
    [
        ("crash", ImageDecodeError, "crashed \\(signal 11\\)"),
        ("abort", ImageDecodeError, "crashed \\(signal 6\\)"),
        ("hog", ImageTooLargeError, "needs more than 2,048 MiB .*decode_memory_bytes"),
        ("leave 0", ImageDecodeError, "ended without an answer \\(exit code 0\\)"),
        ("leave 3", ImageDecodeError, "ended without an answer \\(exit code 3\\)"),
        ("interrupt", ImageDecodeError, "KeyboardInterrupt"),
        ("unheard_of", ImageDecodeError, "KeyError"),
    ],
)
@pytest.mark.parametrize("used", [False, True])
def test_a_codec_that_fails_costs_its_file(
    decoder: Decoder, what: str, error: type[ImageError], reason: str, used: bool
) -> None:
    if used:
        assert_decodes(decoder)
    with pytest.raises(error, match=reason):
        decoder.decode(hostile(what), SQUARE)
    assert_decodes(decoder)


@posix
@pytest.mark.parametrize("what", ["spin", "sleep"])
def test_a_codec_that_hangs_is_stopped(hasty: Decoder, what: str) -> None:
    assert_decodes(hasty)
    with pytest.raises(ImageTooLargeError, match=r"took longer than 2 s \(setting decode_seconds\)"):
        hasty.decode(hostile(what), SQUARE)
    assert_decodes(hasty)


def test_a_hang_is_stopped_where_pipes_cannot_be_polled(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_process, "_POLL", None)
    with Decoder(Settings(decode_seconds=2.0), command=command) as decoder:
        assert_decodes(decoder)
        with pytest.raises(ImageTooLargeError, match="took longer"):
            decoder.decode(hostile("sleep"), SQUARE)
        with pytest.raises(ImageDecodeError, match="ended without"):
            decoder.decode(hostile("leave 0"), SQUARE)
        assert_decodes(decoder)


def test_a_codec_that_prints_and_reads_does_no_harm(decoder: Decoder) -> None:
    for _ in range(3):
        assert decoder.decode(hostile("chatter"), SQUARE).format == "HOSTILE"
    assert len(children()) == 1
    assert_decodes(decoder)


@posix
def test_a_file_is_not_blamed_for_what_an_earlier_one_did(decoder: Decoder) -> None:
    with pytest.raises(ImageDecodeError, match="poisoned"):
        decoder.decode(hostile("poison"), SQUARE)
    assert_decodes(decoder)  # in a new child: the old one aborts


@posix
def test_a_codec_can_open_neither_files_nor_connections(decoder: Decoder, tmp_path: Path) -> None:
    assert decoder.decode(hostile(f"reach_out {tmp_path / 'file'}"), SQUARE).format == "HOSTILE"
    assert not list(tmp_path.iterdir())


@posix
def test_what_a_codec_starts_is_ended_with_it(hasty: Decoder) -> None:
    with pytest.raises(ImageError):  # the grandchild holds the pipes open, so there is no end to be seen
        hasty.decode(hostile("leave_a_child"), SQUARE)
    assert not children()
    assert_decodes(hasty)


@pytest.mark.parametrize("text", ["two\nlines\x1b[31m", "\u202egnp.exe", "x" * 5000, "ü" * 400, "\udcff"])
def test_a_refusal_is_one_short_printable_line(decoder: Decoder, text: str) -> None:
    with pytest.raises(ImageDecodeError) as caught:
        decoder.decode(hostile("refuse " + text.encode("utf-8", "surrogateescape").hex()), SQUARE)
    assert str(caught.value).isprintable()
    assert 0 < len(str(caught.value)) <= 500


# ---------------------------------------------------------------- a child that lies


def answer(
    status: int = wire.DECODED,
    shape: tuple[int, int] = (64, 64),
    original: tuple[int, int] = (64, 64),
    lengths: tuple[int, int, int, int] = (3, 0, 0, 4),
    magic: bytes = wire.MAGIC,
) -> bytes:
    return wire.ANSWER.pack(magic, status, *shape, *original, *lengths)


PIXELS = bytes(64 * 64 * 3)
JPEG = b"\xff\xd8\xff\xd9"


def with_quality(*measures: float) -> bytes:
    return answer() + PIXELS + b"PNG" + JPEG + wire.QUALITY.pack(*measures)


@posix
@pytest.mark.parametrize(
    "said",
    [
        b"garbage" * 1000,
        answer(magic=b"LKD9") + PIXELS + b"PNG" + JPEG,
        answer(status=77) + PIXELS + b"PNG" + JPEG,
        answer(status=wire.READY) + PIXELS + b"PNG" + JPEG,
        answer(shape=(65535, 65535)),
        answer(shape=(64, 65)) + PIXELS + b"PNG" + JPEG,
        answer(original=(0, 64)) + PIXELS + b"PNG" + JPEG,
        answer(original=(2**32 - 1, 2**32 - 1)) + PIXELS + b"PNG" + JPEG,
        answer(lengths=(3, 0, 0, 2**32 - 1)) + PIXELS,
        answer(lengths=(3, 0, 9, 4)) + PIXELS,
        answer(lengths=(3, 0, 0, 4)) + PIXELS + b"<b>" + JPEG,
        answer(lengths=(0, 0, 0, 4)) + PIXELS + JPEG,
        answer(lengths=(3, 9, 0, 4)) + PIXELS + b"PNG" + b"yesterday" + JPEG,
        answer(lengths=(3, 0, 0, 8)) + PIXELS + b"PNG" + b"<script>",
        answer(lengths=(3, 0, 0, 0)) + PIXELS + b"PNG",
        with_quality(float("nan"), 0.5, 0.2, 1.0),
        with_quality(0.5, float("nan"), 0.2, 1.0),
        with_quality(0.5, 0.5, float("inf"), 1.0),
        with_quality(0.5, 0.5, 0.2, 1e300),
        with_quality(-0.5, 0.5, 0.2, 1.0),
        with_quality(0.5, wire.NO_SHARPNESS, 0.2, 1.0),  # only sharpness may be unknown
        answer(wire.DAMAGED, lengths=(0, 0, 65535, 0)) + bytes(65535),
        answer(wire.DAMAGED, lengths=(0, 0, 3, 0)) + b"\xff\xfe\xfd",
        answer(wire.DAMAGED, lengths=(0, 0, 4, 0)) + b"\x1b[2J",
        answer(wire.DAMAGED, lengths=(255, 255, 0, 2**30)),
        answer(wire.TOO_SMALL, lengths=(0, 0, 3, 0)) + b"box",  # nobody asked for one
    ],
    ids=lambda said: f"{said[:25].hex()}-{said[-8:].hex()}",
)
def test_an_impossible_answer_is_not_believed(decoder: Decoder, said: bytes) -> None:
    with pytest.raises(ImageDecodeError, match="impossible answer"):
        decoder.decode(hostile(f"say {said.hex()}"), SQUARE)
    assert_decodes(decoder)


@posix
def test_a_possible_answer_is_believed(decoder: Decoder) -> None:
    decoded = decoder.decode(hostile(f"say {with_quality(wire.NO_SHARPNESS, 1.0, 0.5, 8.0).hex()}"), SQUARE)
    assert decoded.quality == Quality(None, 1.0, 0.5, 8.0)


@posix
def test_an_answer_that_stops_halfway_is_cut_off(hasty: Decoder) -> None:
    with pytest.raises(ImageTooLargeError, match="took longer"):
        hasty.decode(hostile(f"say {(answer() + PIXELS[:1000]).hex()}"), SQUARE)
    assert_decodes(hasty)


# ---------------------------------------------------------------- the life of the child


def test_a_child_that_cannot_start_is_no_fault_of_the_image() -> None:
    for command in (
        [sys.executable, "-c", "raise SystemExit('Pillow is broken')"],
        [sys.executable, "-c", "print('hello, world, how are you today?')"],
    ):
        with Decoder(Settings(), command=command) as decoder, pytest.raises(LookalikeError) as caught:
            decoder.decode(GOOD, SQUARE)
        assert not isinstance(caught.value, ImageError)
        assert "does not start" in str(caught.value)
        assert caught.value.hint
    with Decoder(Settings(), command=["/no/such/program"]) as decoder, pytest.raises(LookalikeError, match="program"):
        decoder.start()


@posix
def test_an_interrupted_exchange_leaves_nothing_for_the_next(decoder: Decoder) -> None:
    assert_decodes(decoder)
    main = threading.main_thread().ident
    assert main
    threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        decoder.decode(hostile("sleep"), SQUARE)
    assert_decodes(decoder)


@posix
def test_closing_ends_children_at_work_and_blames_no_file(command: list[str]) -> None:
    pool = DecoderPool(Settings(), count=2, command=command)
    errors: list[Exception] = []

    def work() -> None:
        try:
            pool.decode(hostile("sleep"), SQUARE)
        except LookalikeError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(children()) == 2)
    time.sleep(0.5)
    pool.close()
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    assert not any(isinstance(error, ImageError) for error in errors)
    assert not children()


@posix
@pytest.mark.parametrize("busy", [False, True])
def test_no_child_outlives_a_parent_that_is_killed(command: list[str], busy: bool) -> None:
    script = textwrap.dedent("""
        import sys, time, psutil
        from lookalike.decode import Decoder
        from lookalike.settings import Settings
        from tests.decode_samples import SQUARE, encoded, quadrants
        decoder = Decoder(Settings(decode_seconds=1.0), command=sys.argv[2:])
        decoder.decode(encoded(quadrants(), "PNG"), SQUARE)
        print(psutil.Process().children()[0].pid, flush=True)
        if sys.argv[1] == "True":
            decoder._settings = Settings(decode_seconds=3600.0)  # so that only the child itself ends it
            decoder.decode(b"HOSTILE sleep", SQUARE)
        time.sleep(3600)
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(busy), *command], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    time.sleep(0.3 * busy)
    assert not gone(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(child))

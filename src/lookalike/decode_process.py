"""One child process, its pipes, and a deadline over everything that is said to it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase

PIPE_BYTES = 2**20  # a photo and its answer pass in one piece each
STDERR_BYTES = 65536
_INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")  # what an interpreter may need to start
_POLL = getattr(select, "poll", None)  # absent on Windows: there a timer ends the child


class ChildEndedError(Exception):
    """The child closed its end of a pipe."""


class ChildProcess:
    """A running child, in a session of its own (Ctrl-C does not reach it) and with hardly any environment.

    It ends when its stdin does, so it does not outlive this process.

    Args:
        command: What to start.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.greeted = False
        self.served = 0
        self._until = 0.0
        self._expired = False
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603  the command is ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=os.name == "posix",
        )
        self._stdin, self._stdout, self._stderr = _pipes(self._process, "stdin", "stdout", "stderr")
        if _POLL:
            for pipe in (self._stdin, self._stdout, self._stderr):
                os.set_blocking(pipe.fileno(), False)
            self._can_write, self._can_read = _POLL(), _POLL()
            self._can_write.register(self._stdin, select.POLLOUT)
            self._can_read.register(self._stdout, select.POLLIN)
        for pipe in (self._stdin, self._stdout):
            _widen(pipe)

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """What is sent and received inside must be done after that long.

        Raises:
            TimeoutError: it was not; the child must be stopped.
        """
        self._until = time.monotonic() + seconds
        if _POLL:
            yield
            return
        timer = threading.Timer(seconds, self._expire)
        timer.start()
        try:
            yield
        except (ChildEndedError, OSError):
            if self._expired:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()

    def send(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            ChildEndedError: the child does not read any more.
        """
        left = memoryview(data)
        while left:
            try:
                n = self._stdin.write(left)
            except BrokenPipeError:
                raise ChildEndedError from None
            if n is None:
                self._wait(self._can_write)
            else:
                left = left[n:]

    def receive_into(self, left: memoryview) -> None:
        """Fill the view, which must consist of bytes.

        Raises:
            ChildEndedError: the child ended before that.
        """
        while left:
            n = self._stdout.readinto(left)
            if n is None:
                self._wait(self._can_read)
            elif n == 0:
                raise ChildEndedError
            else:
                left = left[n:]

    def receive(self, n_bytes: int) -> bytearray:
        """The next ``n_bytes``, as ``receive_into``."""
        data = bytearray(n_bytes)
        self.receive_into(memoryview(data))
        return data

    def kill(self) -> None:
        """End the child at once; whoever waits for it gets ChildEndedError. Safe from any thread."""
        self._process.kill()

    def stop(self, patience_s: float = 0.0) -> tuple[int, str]:
        """End the child and all that it started, and free the pipes.

        Args:
            patience_s: How long it may take to end by itself.

        Returns:
            Its exit code, or minus the signal that ended it; and the last line it wrote to stderr.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        if self._process.returncode is None:
            if os.name == "posix":
                with suppress(OSError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # a process stuck in the kernel is left to the kernel
                self._process.wait(5)
        with suppress(OSError):
            said = (self._stderr.read(STDERR_BYTES) or b"").decode("utf-8", "replace").strip()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with suppress(OSError):
                pipe.close()
        last_line = said.rpartition("\n")[2][:300]
        returncode = self._process.returncode
        return (-signal.SIGKILL if returncode is None else returncode), "".join(filter(str.isprintable, last_line))

    def _wait(self, ready: select.poll) -> None:
        left_s = self._until - time.monotonic()
        if left_s <= 0 or not ready.poll(left_s * 1000):
            raise TimeoutError

    def _expire(self) -> None:
        self._expired = True
        self.kill()


def _pipes(process: subprocess.Popen[bytes], *names: str) -> list[RawIOBase]:
    return [getattr(process, name) for name in names]


def _widen(pipe: RawIOBase) -> None:
    """Let the pipe hold more than its usual 64 KiB, where the system can and the user's quota allows."""
    try:
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        return

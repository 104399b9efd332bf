"""A headless Chromium, driven through its own debugging pipe: real events, real frames, no driver package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PAUSE_SECONDS = 0.02
_READ, _WRITE = 3, 4  # the file descriptors that Chromium reads commands from and writes answers to


def find() -> str | None:
    """The browser's path; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One open page.

    Attributes:
        complaints: What the page's console said in errors, and exceptions that nobody caught.
    """

    def __init__(self, commands: Any, answers: Any) -> None:
        self._commands, self._answers, self._number = commands, answers, 0
        self._session: str | None = None
        self._pending = b""
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        """The answer to one command; what is said meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while (answer := self._read()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self) -> Any:
        while b"\0" not in self._pending:
            some = self._answers.read(2**16)
            if not some:
                raise RuntimeError("the browser has gone away")
            self._pending += some
        text, _, self._pending = self._pending.partition(b"\0")
        return json.loads(text)

    def _note(self, event: Any) -> None:
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]["exceptionDetails"]))

    def open(self, url: str) -> None:
        """Go to a page; returns when it is loaded."""
        self.send("Page.navigate", url=url)
        while self.ask("document.readyState + location.href") != f"complete{url}":
            time.sleep(_PAUSE_SECONDS)

    def ask(self, expression: str) -> Any:
        """What a JavaScript expression gives, promises awaited."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """A real event: "mouseMoved", "mousePressed", "mouseReleased" or "mouseWheel"."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        """Press and release."""
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def screenshot(self, file: Path) -> None:
        """What is seen now, as a PNG."""
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(
    *, size: tuple[int, int] = (1440, 900), dark: bool = False, switches: tuple[str, ...] = ()
) -> Iterator[Page]:
    """A browser with one page; it is gone at the end, and so is its profile."""
    program = find()
    if program is None:
        raise RuntimeError("there is no Chromium here")
    own_read, its_write = os.pipe()
    its_read, own_write = os.pipe()

    def hand_over() -> None:
        # Moved out of the way first, so that neither overwrites the other.
        read, write = os.dup(its_read), os.dup(its_write)
        os.dup2(read, _READ)
        os.dup2(write, _WRITE)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu-sandbox",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}", *switches,
        ]  # fmt: skip
        process = subprocess.Popen(
            command, preexec_fn=hand_over, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(its_read)
        os.close(its_write)
        with open(own_write, "wb") as commands, open(own_read, "rb", buffering=0) as answers:
            try:
                page = Page(commands, answers)
                page.send(
                    "Emulation.setDeviceMetricsOverride",
                    width=size[0],
                    height=size[1],
                    deviceScaleFactor=1,
                    mobile=False,
                )
                scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
                page.send("Emulation.setEmulatedMedia", features=[scheme])
                yield page
            finally:
                process.kill()
                process.wait()

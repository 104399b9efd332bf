"""How fast pictures are decoded: child processes against plain Pillow, on the same images in the same run.

Run: python benchmarks/decode.py [FOLDER] [--rounds 5]   (default: the measuring set photos-200)

Rounds are interleaved and the best one counts. CPU is that of parent and children together; it is the steadier figure
where the machine has other work.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from lookalike.decode import DecoderPool
from lookalike.formats import is_image_name
from lookalike.settings import Settings
from lookalike.types import DecodeSpec

DATA = Path(os.environ.get("LOOKALIKE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SPEC = DecodeSpec(((256, 256),))


@dataclass
class Row:
    """One way to do it, and its best round."""

    name: str
    run: Callable[[list[bytes]], None]
    seconds: float = float("inf")
    cpu_seconds: float = float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast pictures are decoded")
    parser.add_argument("folder", type=Path, nargs="?", default=DATA / "photos-200")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    files = [path.read_bytes() for path in sorted(arguments.folder.rglob("*")) if is_image_name(path.name)]
    print(f"{len(files)} images, median {sorted(map(len, files))[len(files) // 2]:,} bytes, to 256x256")
    with ExitStack() as stack:
        pools = {n: stack.enter_context(DecoderPool(Settings(), count=n)) for n in (1, 2)}
        rows = [
            Row("Pillow: open, convert, resize", lambda files: plain(files)),
            Row("same work in-process", lambda files: in_process(files, thumbnail=False)),
            Row("  with thumbnail", lambda files: in_process(files, thumbnail=True)),
            *(
                Row(f"pool of {n}{', with thumbnail' if thumbnail else ''}", pooled(pools[n], n, thumbnail))
                for n in (1, 2)
                for thumbnail in (False, True)
            ),
        ]
        for _ in range(arguments.rounds):
            for row in rows:
                measure(row, files)
    print_table(rows, len(files))


def plain(files: list[bytes]) -> None:
    from PIL import Image

    for data in files:
        Image.open(io.BytesIO(data)).convert("RGB").resize((256, 256)).tobytes()


def in_process(files: list[bytes], thumbnail: bool) -> None:
    from lookalike import decode_picture

    wish = decode_picture.Wish(SPEC.shapes, SPEC.interpolation, SPEC.crop_fraction, thumbnail)
    for data in files:
        decode_picture.decode(data, wish)


def pooled(pool: DecoderPool, n: int, thumbnail: bool) -> Callable[[list[bytes]], None]:
    threads = ThreadPoolExecutor(n)

    def run(files: list[bytes]) -> None:
        for _ in threads.map(lambda data: pool.decode(data, SPEC, thumbnail=thumbnail), files):
            pass

    return run


def measure(row: Row, files: list[bytes]) -> None:
    cpu, start = cpu_seconds(), time.perf_counter()
    row.run(files)
    row.seconds = min(row.seconds, time.perf_counter() - start)
    row.cpu_seconds = min(row.cpu_seconds, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    times = [process.cpu_times() for process in (psutil.Process(), *psutil.Process().children())]
    return sum(t.user + t.system for t in times)


def print_table(rows: list[Row], n: int) -> None:
    base = rows[0]
    print(f"{'':34}{'images/s':>10}{'ratio':>8}{'CPU ms/image':>15}{'ratio':>8}")
    for row in rows:
        speed, ratio = n / row.seconds, base.seconds / row.seconds
        cpu, cpu_ratio = row.cpu_seconds / n * 1e3, row.cpu_seconds / base.cpu_seconds
        print(f"{row.name:34}{speed:10.1f}{ratio:8.2f}{cpu:15.2f}{cpu_ratio:8.2f}")


if __name__ == "__main__":
    main()

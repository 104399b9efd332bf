"""A run from files to answers at full size: cost per 10,000 images, memory, a second run, cold and warm searches.

    python benchmarks/scale.py [--images 100000] [--folder FOLDER]

Every picture is drawn (soft colour fields with a few shapes, seeded, all different), so nothing is needed but time.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, ImageDraw

from lookalike import Gallery

STEP = 10_000


def draw(seed: int) -> bytes:
    """A small JPEG unlike any other."""
    rng = np.random.default_rng(seed)
    field = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize((200, 160), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(field)
    for _ in range(rng.integers(2, 7)):
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 10, 10), (180, 140, 90, 90)))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)((x, y, x + w, y + h), fill=colour)
    buffer = io.BytesIO()
    field.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def make_folder(folder: Path, count: int) -> None:
    for i in range(count):
        target = folder / f"{i // 1000:04d}" / f"{i:07d}.jpg"
        if i % 1000 == 0:
            target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.write_bytes(draw(i))


class Watch:
    """Notes rate and memory at every STEP images, and how long everything after embedding took.

    Attributes:
        stages: Seconds from the first word of each later stage to the first of the next.
    """

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.last = (0, time.perf_counter())
        self.stages: dict[str, float] = {}
        self._stage, self._since = "", 0.0

    def close(self) -> None:
        """Note when the last stage ended."""
        self._begin("")

    def _begin(self, stage: str) -> None:
        now = time.perf_counter()
        if self._stage not in ("", "list files", "embed images"):
            self.stages[self._stage] = self.stages.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Note one step."""
        if stage != self._stage:
            self._begin(stage)
        if stage != "embed images":
            return
        if done == 0:
            self.last = (0, time.perf_counter())
        if done // STEP > self.last[0] // STEP or (done == total and done > self.last[0]):
            now = time.perf_counter()
            rate = (done - self.last[0]) / (now - self.last[1])
            children = sum(child.memory_info().rss for child in self.process.children(recursive=True))
            own = self.process.memory_info().rss
            print(f"  {done:9,}  {rate:8.1f}  {own / 1e6:10.0f}  {(own + children) / 1e6:14.0f}", flush=True)
            self.last = (done, now)


def cold_search(gallery: Path, query: Path) -> float:
    command = [sys.executable, "-m", "lookalike", "-g", str(gallery), "search", str(query), "--json"]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def warm_searches(gallery: Gallery, queries: Sequence[Path], match: str) -> str:
    """Median and worst time of searches in a process that has searched before, and the medians of their stages."""
    gallery.search(queries[0], match=match)
    times, stages = [], []
    for query in queries:
        started = time.perf_counter()
        result = gallery.search(query, match=match)
        times.append(1000 * (time.perf_counter() - started))
        stages.append(result.seconds)
        assert result[0].path == query
    parts = ", ".join(f"{name} {1000 * statistics.median(one[name] for one in stages):.1f}" for name in stages[0])
    return f"p50 {statistics.median(times):.1f} ms ({parts}), worst {max(times):.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep pictures and gallery here, and use what is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = options.folder or Path(temporary)
        photos, where = base / "photos", base / "gallery"
        make_folder(photos, options.images)
        print(f"indexing {options.images:,} drawn JPEGs of 200 x 160")
        print("     images  images/s  process MB  with decoders MB")
        with Gallery.open(where, create=True) as gallery:
            watch = Watch()
            report = gallery.index(photos, progress=watch)
            watch.close()
        print(f"  all of it {report.seconds:.0f} s, {report.images_per_second:.1f} images/s, {report.failed} failed")
        spent = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in watch.stages.items())
        print(f"  after embedding: {sum(watch.stages.values()):.1f} s ({spent})")
        with Gallery.open(where) as gallery:
            again = gallery.index(photos)
        print(f"  run again, nothing changed: {again.unchanged:,} files in {again.seconds:.2f} s")
        small = base / "photos" / "0000"
        queries = sorted(small.glob("*.jpg"))[:50]
        with Gallery.open(where) as gallery:
            for match in ("plain", "auto"):
                print(f"  file to results, warm, {match}: {warm_searches(gallery, queries, match)}")
        cold = [cold_search(where, queries[i]) for i in range(5)]
        print(f"  lookalike search from a cold shell: median {statistics.median(cold):.2f} s")


if __name__ == "__main__":
    main()

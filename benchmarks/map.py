"""How good a map is beside other ways to make one, how new images are placed in it, how long it takes, how it moves.

    python benchmarks/map.py [--set NAME ...] [--part quality|pulls|placed|scale|page] [--rows N] [--features FOLDER]

Sets are those of ``feedback.py``, and so is ``--features``.

    quality  PCA, lookalike's t-SNE, scikit-learn's t-SNE and UMAP on the same vectors, one thread each: trustworthiness
             and kept neighbours (10 nearest), how many of the 10 nearest on the map bear the same label, seconds.
             UMAP only where umap-learn is installed
    pulls    how many neighbours pull on a point, and how that falls with their rank (to the power of minus ...)
    placed   a tenth of the images is left out of the layout and placed afterwards, in several ways: how many of its 10
             nearest are its 10 nearest on the map, and how many of these bear its label; beside a layout of all
    scale    drawn vectors in clusters (100,000 x 256 unless --rows says otherwise): neighbours, layout, placing
    page     a page of 20,000 points (--rows) with the pictures of the sets: seconds to write, size, and frames while a
             real Chromium is moved about in it, by WebGL (in software where there is no graphics card) and without it
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import browser
from feedback import DATA, SETS, read
from lookalike import map2d, map_page
from lookalike.engines import graph
from lookalike.map_view import MapView, grouped
from lookalike.neighbours import top_k
from lookalike.settings import usable_cores
from lookalike.types import Float32, Int64

K = 10
PULLS = ((10, 0.0), (15, 0.0), (15, 0.5), (15, 0.7), (15, 1.0), (32, 0.7), (32, 1.0))
FRAME_SECONDS = 4.0
# Notes how long after one another frames come, and how long the page's own script takes for each.
WATCH = """
  globalThis.seen = {between: [], own: [], last: 0};
  const real = frame;
  frame = () => {
    const started = performance.now();
    if (seen.last) seen.between.push(started - seen.last);
    seen.last = started;
    real();
    seen.own.push(performance.now() - started);
  };
  (function always() { redraw(); requestAnimationFrame(always); })();
"""


def quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


def lookalike_layout(vectors: Float32, threads: int = 1) -> Float32:
    neighbours, _ = graph.nearest(vectors, 32, threads=threads)
    return map2d.tsne_layout(map2d.pca_layout(vectors), neighbours, seed=0, threads=threads, told=quiet)


# -- quality -------------------------------------------------------------------------------------------------------


def ways() -> Iterator[tuple[str, Callable[[Float32], Any]]]:
    from sklearn.manifold import TSNE

    yield "PCA", map2d.pca_layout
    yield "lookalike", lookalike_layout
    yield "scikit-learn t-SNE", TSNE(init="pca", perplexity=30, random_state=0).fit_transform
    if importlib.util.find_spec("umap") is not None:
        import umap

        yield "UMAP", umap.UMAP(random_state=0, n_jobs=1).fit_transform
        yield "UMAP, cosine", umap.UMAP(random_state=0, n_jobs=1, metric="cosine").fit_transform


def nearest_on(layout: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.intp]:
    away = ((layout[rows, None, :].astype(np.float64) - layout[None]) ** 2).sum(axis=2)
    away[np.arange(len(rows)), rows] = np.inf
    return np.argsort(away, axis=1, kind="stable")[:, :K]


def same_label(layout: NDArray[Any], codes: Int64, rows: NDArray[Any]) -> float:
    blocks = [rows[start : start + 500] for start in range(0, len(rows), 500)]
    return float(np.concatenate([codes[nearest_on(layout, b)] == codes[b, None] for b in blocks]).mean())


def quality(name: str, features: Path | None) -> None:
    some = read(name, features)
    vectors = some.reduced()[1]
    every = np.arange(len(vectors))
    for way, lay_out in ways():
        started = time.perf_counter()
        layout = np.asarray(lay_out(vectors), np.float32)
        seconds = time.perf_counter() - started
        trust = map2d.trustworthiness(vectors, layout, K)
        near = [map2d.neighbour_preservation(vectors, layout, k) for k in (3, K)]
        labels = same_label(layout, some.codes, every)
        print(
            f"| {name} | {way} | {trust:.3f} | {near[0]:.3f} | {near[1]:.3f} | {labels:.3f} | {seconds:.1f} |",
            flush=True,
        )


def pulls(name: str, features: Path | None) -> None:
    some = read(name, features)
    vectors = some.reduced()[1]
    every = np.arange(len(vectors))
    kept = map2d.NEIGHBOURS, map2d.PULL_POWER
    for number, power in PULLS:
        map2d.NEIGHBOURS, map2d.PULL_POWER = number, power
        layout = lookalike_layout(vectors)
        trust = map2d.trustworthiness(vectors, layout, K)
        near = [map2d.neighbour_preservation(vectors, layout, k) for k in (3, K)]
        labels = same_label(layout, some.codes, every)
        print(
            f"| {name} | {number}, {power} | {trust:.3f} | {near[0]:.3f} | {near[1]:.3f} | {labels:.3f} |", flush=True
        )
    map2d.NEIGHBOURS, map2d.PULL_POWER = kept


# -- placing -------------------------------------------------------------------------------------------------------


def placed(name: str, features: Path | None) -> None:
    some = read(name, features)
    vectors = some.reduced()[1]
    order = np.random.default_rng(0).permutation(len(vectors))
    new, old = np.sort(order[: len(order) // 10]), np.sort(order[len(order) // 10 :])
    truly, _ = top_k(vectors[new], vectors, np.arange(len(vectors)), K + 1)

    def judge(way: str, layout: NDArray[Any]) -> None:
        shown = nearest_on(layout, new)
        own = [np.setdiff1d(row, [me]) for row, me in zip(truly, new, strict=True)]
        kept = np.mean([np.isin(s, t).mean() for s, t in zip(shown, own, strict=True)])
        print(f"| {name} | {way} | {kept:.3f} | {same_label(layout, some.codes, new):.3f} |", flush=True)

    judge("all laid out", lookalike_layout(vectors))
    layout = np.zeros((len(vectors), 2), np.float32)
    layout[old] = lookalike_layout(vectors[old])
    for k in (1, 3, 5, 10):
        nearest, scores = top_k(vectors[new], vectors[old], np.arange(len(old)), k)
        layout[new] = map2d.place(layout[old], nearest, scores)
        judge(f"weighted median of {k}", layout)
        weights = np.maximum(scores, 1e-3)[:, :, None] ** 4
        layout[new] = (layout[old][nearest] * weights).sum(axis=1) / weights.sum(axis=1)
        judge(f"weighted mean of {k}", layout)


# -- scale ---------------------------------------------------------------------------------------------------------


def drawn_vectors(rows: int, dim: int = 256, clusters: int = 500) -> NDArray[np.float16]:
    """Clusters of very different sizes, each spread along a few directions of its own."""
    random = np.random.default_rng(0)
    spectrum = np.arange(1, dim + 1) ** -0.6
    centres = random.normal(size=(clusters, dim)) * spectrum
    share = random.pareto(1.2, clusters) + 0.05
    which = random.choice(clusters, rows, p=share / share.sum())
    found = np.empty((rows, dim), np.float16)
    for start in range(0, rows, 10_000):
        part = which[start : start + 10_000]
        block = centres[part] + 0.6 * random.normal(size=(len(part), dim)) * spectrum
        found[start : start + 10_000] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return found


def scale(rows: int) -> None:
    vectors, threads = drawn_vectors(rows), usable_cores()
    clock = [time.perf_counter()]

    def lap(what: str) -> None:
        clock.append(time.perf_counter())
        print(f"| {rows:,} | {what} | {clock[-1] - clock[-2]:.1f} |", flush=True)

    neighbours, _ = graph.nearest(vectors, 32, threads=threads)
    lap("neighbours")
    start = map2d.pca_layout(vectors)
    lap("PCA picture")
    said: list[tuple[float, float]] = []
    layout = map2d.tsne_layout(
        start,
        neighbours,
        seed=0,
        threads=threads,
        told=lambda done, total: said.append((time.perf_counter(), done / total)),
    )
    lap(f"t-SNE on {threads} threads")
    for share in (0.1, 0.25, 0.5, 0.75):
        at, done = next(one for one in said if one[1] >= share)
        left, came = (at - clock[-2]) / done * (1 - done), said[-1][0] - at
        print(f"({done:.0%} of the work done: {left:.0f} s left as the bar says, {came:.0f} s as it came)")
    new = drawn_vectors(1000)
    map2d.place(layout, *top_k(new, vectors, np.arange(rows), map2d.PLACED_BY))
    lap("1,000 new ones placed")


# -- the page ------------------------------------------------------------------------------------------------------


def photos() -> list[bytes]:
    """Small JPEGs of the sets' photos, as a gallery keeps them."""
    found = []
    for file in sorted(path for name in ("pacs-photo", "clothing-test") for path in (DATA / name).rglob("*.jpg")):
        with Image.open(file) as image:
            small = image.convert("RGB")
        small.thumbnail((256, 256))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=80)
        found.append(out.getvalue())
    return found


def drawn_view(rows: int, groups: int = 24) -> MapView:
    random = np.random.default_rng(0)
    codes = random.integers(groups, size=rows)
    centres = random.uniform(0.1, 0.9, size=(groups * 5, 2))
    xy = centres[codes * 5 + random.integers(5, size=rows)] + random.normal(0, 0.02, size=(rows, 2))
    found, group_of = grouped([f"group {code}" for code in codes], ordered=False, without="")
    return MapView(
        title="a map",
        facts=[("images", f"{rows:,}")],
        xy=xy.clip(0, 1).astype(np.float32),
        paths=[f"/photos/{number // 1000:04d}/IMG_{number:06d}.jpg" for number in range(rows)],
        details=["1600 x 1200 px, taken 2024-05-17"] * rows,
        aspects=np.full(rows, 1.0, np.float32),
        groups=found,
        group_of=group_of,
        coloured_by="label",
    )


def page(rows: int) -> None:
    pictures = photos()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "map.html"
        started = time.perf_counter()
        shown = map_page.write(drawn_view(rows), file, lambda row: pictures[row % len(pictures)], quiet)
        seconds, megabytes = time.perf_counter() - started, file.stat().st_size / 1e6
        print(f"{rows:,} points, {shown:,} pictures: written in {seconds:.1f} s, {megabytes:.1f} MB")
        if browser.find() is None:
            print("there is no Chromium here: no frames")
            return
        print("| drawn by | what | seen after s | frames/s | median ms | 95 % | own script, median ms |")
        print("|---|---|---:|---:|---:|---:|---:|")
        for how, mark in (("WebGL", ""), ("plain canvas", "#plain")):
            with browser.browser() as opened:
                started = time.perf_counter()
                opened.open(f"file://{file}{mark}")
                ready = time.perf_counter() - started
                opened.ask(WATCH)
                for what, closer in (("the whole map", 1), ("closer", 6), ("close, with pictures", 40)):
                    frames(opened, f"| {how} | {what} | {ready:.1f} |", closer)


def frames(opened: browser.Page, head: str, closer: int) -> None:
    """Drag and turn the wheel for a while, and say how the frames came."""
    opened.ask(f"Object.assign(camera, wholeView()); zoom({closer}, toX(xy[0]), toY(xy[1]))")
    time.sleep(1.5)  # pictures are being unpacked
    opened.ask("seen.between.length = 0; seen.own.length = 0; seen.last = 0")
    x, y, ends, step = 800.0, 450.0, time.perf_counter() + FRAME_SECONDS, 0
    opened.mouse("mousePressed", x, y, button="left", clickCount=1)
    while time.perf_counter() < ends:
        step += 1
        opened.mouse("mouseMoved", x + 60 * np.sin(step / 10), y + 40 * np.cos(step / 13), button="left", buttons=1)
        if step % 4 == 0:
            opened.mouse("mouseWheel", x, y, deltaX=0, deltaY=30 if step % 8 else -30)
    opened.mouse("mouseReleased", x, y, button="left", clickCount=1)
    between, own = (np.array(opened.ask(f"seen.{name}")) for name in ("between", "own"))
    rate, middle, slow = 1000 / between.mean(), np.median(between), np.quantile(between, 0.95)
    print(f"{head} {rate:.0f} | {middle:.1f} | {slow:.1f} | {np.median(own):.1f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", nargs="+", choices=SETS, default=("pacs-photo", "clothing-test", "many-kinds"))
    parser.add_argument("--part", choices=("quality", "pulls", "placed", "scale", "page"))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--features", type=Path)
    asked = parser.parse_args()
    there = [name for name in asked.set if (DATA / name / "labels.csv").is_file()]
    if asked.part in (None, "quality"):
        print(
            "\n| set | by | trustworthiness | neighbours kept | same label | seconds |\n|---|---|---:|---:|---:|---:|"
        )
        for name in there:
            quality(name, asked.features)
    if asked.part in (None, "pulls"):
        print("\n| set | pull of | trustworthiness | 3 nearest kept | 10 nearest kept | same label |")
        print("|---|---|---:|---:|---:|---:|")
        for name in there:
            pulls(name, asked.features)
    if asked.part in (None, "placed"):
        print("\n| set | new images | neighbours kept | same label |\n|---|---|---:|---:|")
        for name in there:
            placed(name, asked.features)
    if asked.part in (None, "scale"):
        print("\n| images | what | seconds |\n|---:|---|---:|")
        scale(asked.rows or 100_000)
    if asked.part in (None, "page"):
        print()
        page(asked.rows or 20_000)
    return 0


if __name__ == "__main__":
    sys.exit(main())

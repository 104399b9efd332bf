"""How long a user waits before anything happens: whole processes, from the shell.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lookalike import Gallery
from scale import cold_search, make_folder

ROUNDS = 7


def seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def median(times: list[float]) -> float:
    return statistics.median(times)


def main() -> None:
    python = sys.executable
    print(f"whole processes, medians of {ROUNDS}, s")
    print(f"  python -c pass                     {median([seconds(python, '-c', 'pass') for _ in range(ROUNDS)]):6.2f}")
    script = [python, "-m", "lookalike", "--help"]
    print(f"  lookalike --help                   {median([seconds(*script) for _ in range(ROUNDS)]):6.2f}")
    with tempfile.TemporaryDirectory() as temporary:
        photos, where = Path(temporary) / "photos", Path(temporary) / "gallery"
        make_folder(photos, 300)
        with Gallery.create(where) as gallery:
            gallery.index(photos)
        query = next(iter(sorted(photos.rglob("*.jpg"))))
        cold = [cold_search(where, query) for _ in range(ROUNDS)]
        print(f"  lookalike search, 300 images       {median(cold):6.2f}")


if __name__ == "__main__":
    main()

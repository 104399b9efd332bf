"""All benchmarks, one after another: ``make bench``. Each can be run alone and says what it measures."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
QUICK = ("startup.py", "decode.py", "sharpness.py", "indexing.py", "search.py")
LONG = (
    *("quality.py", "dial.py", "calibration.py", "regions.py", "explain.py", "feedback.py", "adapt.py"),
    *(
        "clusters.py",
        "labelling.py",
        "duplicates.py",
        "outliers.py",
        "map.py",
        "propagation.py",
        "export.py",
        "scale.py",
    ),
)


def main() -> None:
    names = QUICK + (LONG if "--all" in sys.argv[1:] else ())
    for name in names:
        started = time.perf_counter()
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(HERE / name)], check=True)
        print(f"== {name} took {time.perf_counter() - started:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()

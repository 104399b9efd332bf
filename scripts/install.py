"""Set up the development environment in .venv from the locked, hashed lists in requirements/.

    python3 scripts/install.py core              what `lookalike` needs, and the project itself (editable)
    python3 scripts/install.py dev               the same and what the tests need
    python3 scripts/install.py torch [--try]     torch, only from a wheel on this machine, and what comparisons need
    python3 scripts/install.py bench [--try]     what `make bench` compares with, built from source where need be

Needs nothing but Python and pip. Installs with uv for speed where pip can fetch it, else with pip itself; both read
the machine's own pip configuration. ``--try`` says in one line what is missing and goes on.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
OLDEST = (3, 11)
TORCH = "torch==2.13.0"
LISTS = {"core": ["core", "build"], "dev": ["dev"], "torch": ["compare"], "bench": ["bench-build", "bench"]}
# How uv calls what pip's configuration calls on the left.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


def main() -> int:
    """Install what the command line asks for; 0 when it is there."""
    parser = argparse.ArgumentParser(description="Set up .venv; see the top of this file.")
    parser.add_argument("what", choices=LISTS)
    parser.add_argument("--try", dest="optional", action="store_true", help="go on where it cannot be had")
    arguments = parser.parse_args()
    what, optional = arguments.what, arguments.optional
    os.chdir(ROOT)
    make_environment()
    if what == "torch" and not install_torch():
        say(f"no {TORCH} wheel among the places that pip looks for files: comparisons with torch will be skipped")
        return 0 if optional else 1
    uv = find_uv()
    if not all(install_list(name, uv, quiet=optional) for name in LISTS[what]):
        say(f"requirements for {what} could not be installed" + ("; what needs them will be skipped" * optional))
        return 0 if optional else 1
    return install_project() if what in ("core", "dev") else 0


def make_environment() -> None:
    """Create .venv with pip in it, unless it is there."""
    if not PYTHON.exists():
        if sys.version_info < OLDEST:
            found, least = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST))
            sys.exit(f"Python {found} is too old: {least} or newer is needed, for example: make PYTHON=python{least}")
        say(f"making {VENV.name} with Python {sys.version.split()[0]}")
        if run(sys.executable, "-m", "venv", str(VENV)):
            sys.exit("no virtual environment could be made (on Debian and Ubuntu: apt install python3-venv)")
    if run(str(PYTHON), "-m", "pip", "--version", quiet=True) and run(str(PYTHON), "-m", "ensurepip", quiet=True):
        sys.exit(f"{VENV} has no pip: remove that folder and try again")


def install_list(name: str, uv: str | None, *, quiet: bool = False) -> bool:
    """Install requirements/<name>.txt, exactly as locked, with uv where there is one, else with pip."""
    file = f"requirements/{name}.txt"
    say(f"installing {file}")
    # The lists are complete, so nothing is resolved; and what has to be built is built with what is installed.
    exactly = ("install", "--no-deps", "--require-hashes", "--no-build-isolation", "-r", file)
    with_uv = (str(uv), "pip", *exactly, "--quiet", "--python", str(PYTHON))
    return bool(uv and not run(*with_uv, quiet=quiet, environment=uv_environment())) or not pip(*exactly, quiet=quiet)


def install_project() -> int:
    """Install lookalike itself, editable, without fetching anything."""
    return pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", ".")


def install_torch() -> bool:
    """Install torch from a wheel that pip finds without a registry: a registry's build brings gigabytes of CUDA."""
    if not run(str(PYTHON), "-c", "import torch", quiet=True):
        return True
    return not pip("install", "--no-index", "--no-deps", TORCH, quiet=True)


def find_uv() -> str | None:
    """The locked uv inside .venv, fetched with pip; None where there is none for this machine."""
    failed = pip("install", "--require-hashes", "--only-binary", ":all:", "-r", "requirements/uv.txt", quiet=True)
    uv = PYTHON.with_name("uv")
    return None if failed or not uv.exists() else str(uv)


def uv_environment() -> dict[str, str]:
    """This process's environment with pip's configuration in uv's words; what is set for uv already stays."""
    listing = subprocess.run([str(PYTHON), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    # Every file that pip is pointed at may hold the exact version, whichever answers first; the hash decides.
    chosen = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for line in sorted(listing.stdout.splitlines(), key=lambda text: text.startswith(":env:")):  # the environment wins
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in ("global", "install", ":env:") and name in UV_NAMES:
            separator = "," if name == "find-links" else " "
            chosen[UV_NAMES[name]] = separator.join(str(ast.literal_eval(value)).split())
    return {**chosen, **os.environ}


def pip(*arguments: str, quiet: bool = False) -> int:
    """Run pip inside .venv."""
    return run(str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments, quiet=quiet)


def run(*command: str, quiet: bool = False, environment: dict[str, str] | None = None) -> int:
    """The exit status of a command."""
    sink = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, env=environment, stdout=sink, stderr=sink, check=False).returncode


def say(text: str) -> None:
    """One line on stderr."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

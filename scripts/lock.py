"""Write the locked, hashed lists in requirements/ anew from pyproject.toml; arguments go to uv, such as --upgrade.

The lists hold for every platform and Python version that the project supports, and name no registry.
"""

from __future__ import annotations

import sys

from install import find_uv, run, uv_environment

# List -> what it locks, and the list whose versions it must keep to.
LISTS = {
    "core": (["pyproject.toml"], None),
    "dev": (["pyproject.toml", "--group", "test", "--group", "build"], "core"),
    "build": (["--group", "build"], "dev"),
    "compare": (["--group", "compare", "--no-emit-package", "torch"], "dev"),
    "bench": (["--group", "bench"], "dev"),
    "bench-build": (["--group", "bench-build"], "compare"),
    "uv": (["--group", "uv"], None),
}
OPTIONS = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]


def main(arguments: list[str]) -> int:
    """Write every list; 0 when all are written."""
    uv = find_uv()
    if uv is None:
        sys.exit("uv could not be fetched, and only uv can lock for all platforms")
    # Only the index counts: files that happen to lie on this machine must not decide what others install.
    environment = {k: v for k, v in uv_environment().items() if k not in ("UV_INDEX", "UV_FIND_LINKS")}
    for name, (what, keep_to) in LISTS.items():
        constraint = ["--constraint", f"requirements/{keep_to}.txt"] if keep_to else []
        target = ["--output-file", f"requirements/{name}.txt", "--custom-compile-command", "make lock"]
        command = [uv, "pip", "compile", *OPTIONS, *what, *constraint, *target, *arguments]
        if status := run(*command, environment=environment):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What is in the repository: no paths of one machine, nothing big, locked and hashed requirements, free licences."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
LISTS = sorted((REPOSITORY / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
MOST_BYTES = 300_000
# Written so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:root|work|farm|opt|Users|home)/[\w.]")
REGISTRY = re.compile(r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|npmjs\.(?:org|com)|deb\.debian\.org")
PERMISSIVE = re.compile(r"\b(MIT|BSD|0BSD|Apache|PSF|Zlib|CC0|ISC|HPND|MPL|any-OSI)\b", re.IGNORECASE)
COPYLEFT = re.compile(r"\b[AL]?GPL|GNU", re.IGNORECASE)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    if not shutil.which("git") or not (REPOSITORY / ".git").exists():
        pytest.skip("this is no git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True).stdout
    return [REPOSITORY / name for name in listing.split("\0") if name and (REPOSITORY / name).is_file()]


def test_no_file_names_a_machine_or_a_registry(tracked):
    found = []
    for path in tracked:
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.name}: {m[0]}" for pattern in (MACHINE_PATH, REGISTRY) for m in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize(("text", "guilty"), [("/ro" + "ot/x", True), ("a /ho" + "me/me", True), ("src/home/a", False)])
def test_the_search_for_machine_paths_finds_them(text, guilty):
    assert bool(MACHINE_PATH.search(text)) is guilty


def test_no_file_is_big(tracked):
    assert [f"{p.name}: {p.stat().st_size} bytes" for p in tracked if p.stat().st_size > MOST_BYTES] == []


def locked(path: Path) -> dict[str, list[Requirement]]:
    """The requirements of a list by name, each checked to be exact and hashed."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    requirements: dict[str, list[Requirement]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        specification, *hashes = re.split(r"\s+--hash=", line)
        requirement = Requirement(specification)
        assert [s.operator for s in requirement.specifier] == ["=="], line
        assert requirement.url is None
        assert hashes, f"{requirement.name} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes), line
        requirements.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return requirements


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_a_list_of_requirements_is_exact_and_hashed_and_names_no_place(path):
    assert locked(path)
    assert not re.search(
        r"https?:|file:|^\s*-", path.read_text(encoding="utf-8").replace("    --hash", ""), re.MULTILINE
    )


@pytest.mark.parametrize("name", ["core", "dev", "build", "compare", "bench", "bench-build", "uv"])
def test_a_list_holds_what_the_project_asks_for(name):
    groups = PROJECT["dependency-groups"]
    wanted = {
        "core": PROJECT["project"]["dependencies"],
        "dev": [*PROJECT["project"]["dependencies"], *groups["test"], *groups["build"]],
    }.get(name) or groups[name]
    have = locked(REPOSITORY / "requirements" / f"{name}.txt")
    for requirement in map(Requirement, wanted):
        if requirement.name == "torch":  # only ever installed from a wheel that is there already
            assert "torch" not in have
            continue
        versions = have.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is missing: run make lock"
        pins = [next(iter(pin.specifier)).version for pin in versions]
        assert all(requirement.specifier.contains(pin) for pin in pins), f"{requirement} but {pins}: run make lock"


def test_the_lists_agree_with_each_other():
    pins: dict[tuple[str, str], set[str]] = {}
    for path in LISTS:
        for name, requirements in locked(path).items():
            for requirement in requirements:
                marker = str(requirement.marker) if "python_full_version" in str(requirement.marker) else ""
                pins.setdefault((name, marker), set()).add(str(requirement.specifier))
    assert {key: found for key, found in pins.items() if len(found) > 1} == {}


def core_closure() -> set[str]:
    """Every installed package that the core needs, directly or not."""
    closure, queue = set(), list(PROJECT["project"]["dependencies"])
    while queue:
        requirement = Requirement(queue.pop())
        name = canonicalize_name(requirement.name)
        if name not in closure and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            closure.add(name)
            queue += distribution(name).requires or []
    return closure


def licence_of(name: str) -> str:
    """What a package's metadata says of its licence, else the top of its licence file."""
    package = distribution(name)
    fields = [package.metadata.get("License-Expression"), package.metadata.get("License")]
    classifiers = [c for c in package.metadata.get_all("Classifier", []) if c.startswith("License")]
    stated = " / ".join(str(part)[:200] for part in (*fields, *classifiers) if part and part != "UNKNOWN")
    files = [f for f in package.files or [] if re.match(r"LICEN[CS]E", f.name, re.IGNORECASE)]
    return stated or " / ".join(Path(str(f.locate())).read_text(encoding="utf-8")[:200] for f in files)


def test_the_core_needs_nothing_under_a_copyleft_licence():
    closure = core_closure()
    assert "numpy" in closure
    licences = {name: licence_of(name) for name in closure}
    assert {n: text for n, text in licences.items() if COPYLEFT.search(text) or not PERMISSIVE.search(text)} == {}


def test_the_core_needs_no_torch_and_says_what_each_part_is_for(monkeypatch):
    direct = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    purposes = runpy.run_path(str(REPOSITORY / "scripts" / "size.py"))["PURPOSES"]
    assert set(purposes) == direct
    core = locked(REPOSITORY / "requirements" / "core.txt")
    assert [name for name in core if name == "torch" or name.startswith(("nvidia", "triton"))] == []

"""Documents and code say the same: settings, errors, commands, the version."""

from __future__ import annotations

import inspect
import re
import runpy
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import click
import pytest

import lookalike
from lookalike import errors
from lookalike.cli import main
from lookalike.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_setting_is_documented_with_its_variable_and_default():
    documented = {}
    for row in re.findall(r"^\| `([a-z_]+)` \|(.*)\|$", read(DOCS / "settings.md"), re.MULTILINE):
        variable, default, _allowed, meaning = (cell.strip().strip("`") for cell in row[1].split(" | "))
        documented[row[0]] = (variable, default, meaning)
    expected = {
        f.name: (
            f"LOOKALIKE_{f.name.upper()}",
            str(int(f.default) if isinstance(f.default, bool) else f.default),
            f.metadata["help"],
        )
        for f in fields(Settings)
    }
    assert documented == expected


def test_a_documented_default_given_as_variable_changes_nothing():
    rows = re.findall(r"^\| `[a-z_]+` \| `(LOOKALIKE_\w+)` \| `([^`]*)` \|", read(DOCS / "settings.md"), re.MULTILINE)
    assert len(rows) == len(fields(Settings))
    assert Settings.from_environment(dict(rows)) == Settings()


def test_every_variable_that_the_code_reads_is_documented():
    sources = "".join(read(path) for path in sorted((REPOSITORY / "src").rglob("*.py")))
    read_by_code = set(re.findall(r"\bLOOKALIKE_[A-Z][A-Z_]*\b", sources))
    assert read_by_code >= {"LOOKALIKE_GALLERY", "LOOKALIKE_CACHE"}
    assert read_by_code <= set(re.findall(r"`(LOOKALIKE_[A-Z_]+)`", read(DOCS / "settings.md")))


def test_the_reference_pages_are_what_the_code_says():
    pages = runpy.run_path(str(REPOSITORY / "scripts" / "reference.py"))["pages"]()
    assert set(pages) == {"settings.md", "errors.md"}
    for name, text in pages.items():
        assert read(DOCS / name) == text, "run: make docs"


def test_the_tree_of_errors_is_drawn_as_it_is():
    drawn, ancestors = {}, []
    for line in errors.__doc__.splitlines():
        if match := re.match(r"^    ([│ ├└─]*)(\w+Error)\b", line):
            depth = len(match[1]) // 4
            ancestors = [*ancestors[:depth], match[2]]
            drawn[match[2]] = ancestors[depth - 1] if depth else "Exception"
    defined = {
        name: cls.__base__.__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, Exception) and cls.__module__ == errors.__name__
    }
    assert drawn == defined


def test_every_error_can_carry_a_hint():
    for _name, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, errors.LookalikeError):
            parameters = inspect.signature(cls).parameters
            assert "hint" in parameters or cls is errors.MissingExtraError
    assert "pip install 'lookalike[heic]'" in errors.MissingExtraError("HEIC images", "heic").hint


def all_commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            inner = context.command.get_command(context, name)
            yield from all_commands(click.Context(inner, parent=context, info_name=name))


COMMANDS = list(all_commands(click.Context(main, info_name="lookalike")))


def section_of(name: str) -> str:
    """The text of docs/cli.md under the heading that names a command; several may share one."""
    before, *sections = re.split(r"^## (.+)$", read(DOCS / "cli.md"), flags=re.MULTILINE)
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        if name in re.split(r"[\s,`]+", heading):
            return before + text
    pytest.fail(f"docs/cli.md has no heading for `{name}`")


@pytest.mark.parametrize("context", COMMANDS[1:], ids=lambda context: context.command_path)
def test_every_command_and_option_is_documented(context):
    _program, name, *rest = context.command_path.split()
    section = section_of(name)
    assert re.search(rf"`(lookalike )?{' '.join([name, *rest])}\b", section) or not rest
    for parameter in context.command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", section), f"{option} is not in docs/cli.md"


@pytest.mark.parametrize("context", COMMANDS, ids=lambda context: context.command_path)
def test_every_command_and_option_explains_itself(context):
    assert context.command.help
    for parameter in context.command.get_params(context):
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


def test_no_document_names_a_command_that_does_not_exist():
    known = {context.command_path for context in COMMANDS}
    for page in [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]:
        for name in re.findall(r"(?:^|`)(?:\$ )?lookalike (?!-)([a-z]+)\b", read(page), re.MULTILINE):
            assert f"lookalike {name}" in known, f"{page.name}: lookalike {name}"


def test_the_version_is_the_same_everywhere_and_the_changelog_has_it():
    project = tomllib.loads(read(REPOSITORY / "pyproject.toml"))["project"]
    assert lookalike.__version__ == project["version"] == version("lookalike")
    assert re.search(rf"^## \[?{re.escape(lookalike.__version__)}\b", read(REPOSITORY / "CHANGELOG.md"), re.MULTILINE)

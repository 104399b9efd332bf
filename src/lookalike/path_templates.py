"""Templates such as ``{site}/{asset}/*`` that read fields from paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.errors import SettingError

_TOKEN = re.compile(r"\{(?P<field>[^{}/]*)\}|(?P<deep>\*\*/)|(?P<rest>\*\*)|(?P<any>\*)|(?P<brace>[{}])|[^{}*]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A template that has been read; make one with ``parse``.

    Attributes:
        text: As it was written.
        fields: Names of the fields, in order.
        pattern: What a whole path must match.
    """

    text: str
    fields: tuple[str, ...]
    pattern: re.Pattern[str]

    def read(self, path: str) -> tuple[str, ...] | None:
        """The fields of a path (``/`` between its parts), in order; None where it does not match."""
        match = self.pattern.fullmatch(path)
        return None if match is None else match.groups()


def parse(text: str) -> PathTemplate:
    """Read a template.

    ``{name}`` stands for a part of a path or a piece of one, as short as possible and never empty; ``*`` for anything
    within one part; ``**`` for anything at any depth, and ``**/`` for any number of folders, none included. The whole
    path must match, upper and lower case as written.

    Raises:
        SettingError: no field, a field twice, a name that is none, or a stray brace.
    """
    names, pieces = [], []
    for token in _TOKEN.finditer(text):
        if token["brace"]:
            raise SettingError(f"the template {text!r} has a stray {token['brace']!r}", hint=_how())
        if token["field"] is not None:
            names.append(token["field"])
        pieces.append(_piece(token))
    _check(text, names)
    return PathTemplate(text, tuple(names), re.compile("".join(pieces), re.DOTALL))


def _piece(token: re.Match[str]) -> str:
    if token["field"] is not None:
        return "([^/]+?)"
    if token["deep"]:
        return "(?:[^/]+/)*"
    if token["rest"]:
        return ".*"
    return "[^/]*" if token["any"] else re.escape(token.group())


def _check(text: str, names: Sequence[str]) -> None:
    if not names:
        raise SettingError(f"the template {text!r} names no field", hint=_how())
    for name in names:
        if not _NAME.fullmatch(name):
            raise SettingError(f"the template {text!r} has a field {name!r}; letters, digits and _ make a name")
        if names.count(name) > 1:
            raise SettingError(f"the template {text!r} names the field {name!r} twice", hint="give each its own name")


def _how() -> str:
    return "write for example {site}/{asset}/*, where paths are below the photo folder"

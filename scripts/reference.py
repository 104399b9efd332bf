"""Write the reference pages from the code: docs/settings.md and docs/errors.md."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from lookalike import errors
from lookalike.settings import Settings

DOCS = Path(__file__).resolve().parents[1] / "docs"
GENERATED = "<!-- Written by `make docs`; change the code instead. -->\n"
OTHER_VARIABLES = {
    "LOOKALIKE_GALLERY": "The gallery that is used where `-g` names none, instead of one in the per-user data folder.",
    "LOOKALIKE_CACHE": "Folder of what is rebuilt at will, such as built networks, instead of the per-user cache.",
}


def main() -> None:
    """Write every page."""
    DOCS.mkdir(exist_ok=True)
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The pages by file name, as they should be."""
    return {"settings.md": settings_page(), "errors.md": errors_page()}


def settings_page() -> str:
    """Every setting with its environment variable, default, allowed values and meaning."""
    rows = ["| setting | environment variable | default | allowed | meaning |", "|---|---|---|---|---|"]
    for field in fields(Settings):
        choices, least = field.metadata["choices"], field.metadata["least"]
        allowed = ", ".join(f"`{choice}`" for choice in choices) or ("1 or 0" if least is None else f"{least} or more")
        default = int(field.default) if isinstance(field.default, bool) else field.default
        variable, meaning = f"LOOKALIKE_{field.name.upper()}", field.metadata["help"]
        rows.append(f"| `{field.name}` | `{variable}` | `{default}` | {allowed} | {meaning} |")
    others = [f"| `{name}` | {meaning} |" for name, meaning in OTHER_VARIABLES.items()]
    return "\n".join(
        [
            "# Settings",
            "",
            GENERATED,
            "A setting is taken from the command line where a command has an option for it, else from its environment",
            "variable, else it has its default. In Python it is a field of `lookalike.Settings`. A value that cannot",
            "be used ends with a message that names it. Yes and no are written `1` and `0`.",
            "",
            *rows,
            "",
            "Two more variables say where things are:",
            "",
            "| environment variable | meaning |",
            "|---|---|",
            *others,
            "",
        ]
    )


def errors_page() -> str:
    """The tree of errors, as it is drawn at the top of ``lookalike.errors``."""
    tree = re.search(r"\n\n(    LookalikeError .*?)\n\n", errors.__doc__ or "", re.DOTALL)
    if tree is None:
        raise SystemExit("lookalike.errors draws no tree of its classes")
    return "\n".join(
        [
            "# Errors",
            "",
            GENERATED,
            "Everything that lookalike raises on purpose is a `LookalikeError`. Its text names the thing and the value",
            "that is wrong, its `hint` says what to do next, and `lookalike.errors` holds all of them:",
            "",
            tree[1],
            "",
        ]
    )


if __name__ == "__main__":
    main()

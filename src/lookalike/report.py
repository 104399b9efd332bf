"""A search as one HTML page that holds everything itself: no scripts, no connections, readable anywhere.

File names are other people's text: every string on the page passes `display_text` and is then escaped, by the
template engine and not by whoever writes the template; a strict content policy stands behind that.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.display import display_text

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

SAME_FILE = "the same file"


@dataclass(frozen=True, slots=True)
class MatchReport:
    """One match as it is shown.

    Attributes:
        rank: 1 is the most alike.
        path: Where its file is.
        score: Cosine similarity, -1..1.
        thumbnail: A JPEG; empty where there is none.
        note: A remark worth a badge, for example ``SAME_FILE``.
        detail: One line of facts, for example size and date.
    """

    rank: int
    path: Path
    score: float
    thumbnail: bytes = b""
    note: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One search as it is shown.

    Attributes:
        name: What was searched for: a path, an id, or words.
        thumbnail: A JPEG of the query; empty where there is none.
        matches: Best first.
        seconds: How long the search took; None leaves it out.
        note: A remark below the name.
    """

    name: str
    thumbnail: bytes
    matches: Sequence[MatchReport]
    seconds: float | None = None
    note: str = ""


def search_report(title: str, queries: Sequence[QueryReport], *, facts: Sequence[tuple[str, str]] = ()) -> str:
    """A self-contained HTML page of searches; encode it as UTF-8.

    Args:
        title: Heading of the page.
        queries: The searches, in the order of the page.
        facts: Names and values for the head of the page, for example the gallery, its number of images, the network.

    Returns:
        The page. It can always be encoded as UTF-8, whatever the file names hold.
    """
    return _template().render(title=title, queries=queries, facts=facts)


def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lookalike"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(picture=_picture, last_part=_last_part, share=_share, duration=_duration)
    return environment.get_template("search_report.html.j2")


def _shown(value: Any) -> Any:
    """What the template engine puts on the page for a value, before it escapes it."""
    return display_text(str(value)) if isinstance(value, (str, Path)) and not hasattr(value, "__html__") else value


def _picture(jpeg: bytes, alternative: str) -> Markup:
    from markupsafe import Markup

    if not jpeg:
        return Markup("no picture")
    source = base64.b64encode(jpeg).decode("ascii")
    return Markup('<img src="data:image/jpeg;base64,{}" alt="{}">').format(source, display_text(alternative))


def _last_part(name: str) -> str:
    return Path(name).name or name


def _share(score: float) -> int:
    return round(100 * min(max(score, 0.0), 1.0))


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"

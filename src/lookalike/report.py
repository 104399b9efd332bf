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
CHANCE = "chance"
_ONE_IN_A_MILLION = 1e-6
_SIDES = ("left", "top", "width", "height")


@dataclass(frozen=True, slots=True)
class WhyReport:
    """Why a match has its score, as it is shown.

    Attributes:
        query: A JPEG of the query under its map; empty where there is none.
        match: A JPEG of the match under its map; empty where there is none.
        total: What the parts add up to, as text; empty where nothing is shown.
        notes: What could not be shown, and why.
    """

    query: bytes
    match: bytes
    total: str
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FoldedReport:
    """A near-duplicate that is folded into a match.

    Attributes:
        path: Where its file is.
        thumbnail: A JPEG; empty where there is none.
    """

    path: Path
    thumbnail: bytes = b""


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
        band: What the score means, for example "strong"; None where nobody knows.
        false_match_rate: How often a random image scores this high, 0..1; None where nobody knows.
        folded: Near-duplicates that stand behind it.
        region: The part that matched, x0, y0, x1, y1 as fractions; None for all of it.
        aspect: Width by height of the picture, which places the region.
        why: Which parts the score comes from; None where nobody asked.
    """

    rank: int
    path: Path
    score: float
    thumbnail: bytes = b""
    note: str = ""
    detail: str = ""
    band: str | None = None
    false_match_rate: float | None = None
    folded: Sequence[FoldedReport] = ()
    region: tuple[float, float, float, float] | None = None
    aspect: float = 1.0
    why: WhyReport | None = None


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One search as it is shown.

    Attributes:
        name: What was searched for: a path, an id, or words.
        thumbnail: A JPEG of the query; empty where there is none.
        matches: Best first.
        seconds: How long the search took; None leaves it out.
        note: A remark below the name.
        nothing_alike: Whether even the best match looks like chance.
    """

    name: str
    thumbnail: bytes
    matches: Sequence[MatchReport]
    seconds: float | None = None
    note: str = ""
    nothing_alike: bool = False

    @property
    def has_bands(self) -> bool:
        """Whether the scores of this search have a meaning."""
        return any(match.band for match in self.matches)

    @property
    def chance_from(self) -> int | None:
        """Rank of the match from which on all look like chance; None where the last one does not."""
        rank = None
        for match in reversed(self.matches):
            if match.band != CHANCE:
                break
            rank = match.rank
        return rank


def search_report(title: str, queries: Sequence[QueryReport], *, facts: Sequence[tuple[str, str]] = ()) -> str:
    """A self-contained HTML page of searches; encode it as UTF-8.

    Args:
        title: Heading of the page.
        queries: The searches, in the order of the page.
        facts: Names and values for the head of the page, for example the gallery, its number of images, the network.

    Returns:
        The page. It can always be encoded as UTF-8, whatever the file names hold.
    """
    explained = any(match.why for query in queries for match in query.matches)
    return template("search_report.html.j2").render(title=title, queries=queries, facts=facts, explained=explained)


@dataclass(frozen=True, slots=True)
class DuplicateFile:
    """One image of a group of duplicates, as it is shown.

    Attributes:
        path: Where its file is.
        id: Its id.
        thumbnail: A JPEG; empty where there is none.
        score: Cosine similarity.
        keep: Why it is the one to keep; empty for the others.
        detail: One line of facts, for example size and date.
        differs: How it differs from the one to keep; may be empty.
    """

    path: Path
    id: str
    thumbnail: bytes
    score: float
    keep: str
    detail: str
    differs: str


@dataclass(frozen=True, slots=True)
class DuplicateSet:
    """A group of duplicates, as it is shown.

    Attributes:
        kind: "exact" or "near".
        files: Its images, the one to keep first.
        more: How many further ones there are.
    """

    kind: str
    files: Sequence[DuplicateFile]
    more: int = 0


def duplicates_report(
    title: str, groups: Sequence[DuplicateSet], facts: Sequence[tuple[str, str]], notes: Sequence[str] = ()
) -> str:
    """A self-contained HTML page of duplicates; encode it as UTF-8.

    Args:
        title: Heading of the page.
        groups: In the order of the page.
        facts: Names and values for the head of the page.
        notes: Sentences below them.
    """
    return template("duplicates_report.html.j2").render(title=title, groups=groups, facts=facts, notes=notes)


def template(name: str) -> Template:
    """One of our templates; whatever it puts on a page is made safe to show, and escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("lookalike"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        picture=_picture, last_part=_last_part, share=_share, duration=_duration, odds=odds, place=_place, tone=_tone
    )
    return made.get_template(name)


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


def odds(rate: float) -> str:
    """How often a random image scores this high, in words that need no arithmetic."""
    if rate >= 0.5:
        return "most random images here score this high"
    if rate < _ONE_IN_A_MILLION:
        return "fewer than 1 in a million random images here score this high"
    count = float(f"{1 / rate:.2g}")
    return f"about 1 in {count:,.0f} random images here scores this high"


def _tone(band: str) -> str:
    """The class of a band's badge."""
    return {CHANCE: " chance", "likely": ""}.get(band, " sure")


def _place(region: tuple[float, float, float, float], aspect: float) -> str:
    """CSS of a box over a part of a picture that is fitted into a square."""
    width, height = min(1.0, aspect), min(1.0, 1 / aspect)
    left, top = (1 - width) / 2 + region[0] * width, (1 - height) / 2 + region[1] * height
    sides = (left, top, (region[2] - region[0]) * width, (region[3] - region[1]) * height)
    return ";".join(f"{name}:{100 * side:.2f}%" for name, side in zip(_SIDES, sides, strict=True))


def _share(score: float) -> int:
    return round(100 * min(max(score, 0.0), 1.0))


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"

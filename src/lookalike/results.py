"""What front doors print: frozen dataclasses with ``to_dict()``.

The command line's ``--json``, the API and notebooks print that, so they cannot differ.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lookalike.display import display_text
from lookalike.errors import ShapeError


@dataclass(frozen=True, slots=True)
class Match:
    """One search result.

    Attributes:
        rank: 1 is the most alike.
        id: The image's id.
        path: Where its file is (absolute).
        score: Cosine similarity in the plain space, -1..1, higher is more alike.
        rank_score: What the order is by: the score after the dial's weights; equal to ``score`` at power 0.
        band: What the score means in this gallery; None until the gallery is calibrated.
        false_match_rate: How often a random image of this gallery scores this high; None likewise.
        stack: Ids of near-duplicates folded into this result; None where results are not stacked.
        region: The part that matched, x0, y0, x1, y1 as fractions; None for the whole image.
    """

    rank: int
    id: str
    path: Path
    score: float
    rank_score: float
    band: str | None = None
    false_match_rate: float | None = None
    stack: tuple[str, ...] | None = None
    region: tuple[float, float, float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; scores with 3 decimals."""
        return {
            **asdict(self),
            "path": str(self.path),
            "score": round(self.score, 3),
            "rank_score": round(self.rank_score, 3),
        }


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found; iterates over its matches.

    Attributes:
        query: What was searched for: a path, an id, or "image".
        matches: Best first.
        searched: How many images were searched.
        seconds: Time by stage: "decode", "embed", "search".
        thumbnail_of: Gives the small JPEG of an image id, or None; used for showing results.
        query_thumbnail: A small JPEG of the query.
        query_content: SHA-256 of the query's file, hexadecimal.
    """

    query: str
    matches: tuple[Match, ...]
    searched: int
    seconds: dict[str, float]
    thumbnail_of: Callable[[str], bytes | None] = field(repr=False, compare=False)
    query_thumbnail: bytes = field(default=b"", repr=False, compare=False)
    query_content: str = field(default="", repr=False)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __len__(self) -> int:
        return len(self.matches)

    def __getitem__(self, index: int) -> Match:
        return self.matches[index]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "query": self.query,
            "results": [match.to_dict() for match in self.matches],
            "searched": self.searched,
            "seconds": {stage: round(seconds, 4) for stage, seconds in self.seconds.items()},
        }

    def _repr_html_(self) -> str:
        cells = "".join(self._cell(match) for match in self.matches)
        return f"<div><p>{html.escape(self.query)}: {len(self.matches)} of {self.searched:,} images</p>{cells}</div>"

    def _cell(self, match: Match) -> str:
        jpeg = base64.b64encode(self.thumbnail_of(match.id) or b"").decode()
        name = html.escape(display_text(match.path.name))
        title = html.escape(display_text(str(match.path)))
        return (
            '<figure style="display:inline-block;width:150px;margin:4px;vertical-align:top">'
            f'<img src="data:image/jpeg;base64,{jpeg}" alt="{name}" style="max-width:150px;max-height:150px">'
            f'<figcaption title="{title}" style="overflow-wrap:anywhere">{match.rank}. {match.score:.3f} {name}'
            "</figcaption></figure>"
        )


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run of ``index`` did; the counts are checked to add up.

    Attributes:
        gallery: Path of the gallery.
        found: Candidate files seen = added + updated + reused + unchanged + failed.
        added: New images, embedded.
        updated: Known files whose content changed, embedded again.
        reused: Content known already: copies, moved and returned files; not embedded again.
        unchanged: Not touched since the last run.
        removed: Records whose file is gone; they come back with everything if the file returns.
        failed: Files that could not be used; ``failures`` lists why.
        ignored: Files that are no images, outside ``found``.
        unreadable_folders: Folders that could not be listed; what the gallery knows of them is kept.
        seconds: Wall time of the run.
        images_per_second: Embedded images per second of the whole run.
        model: Name of the network.
        dim: Length of a vector.
        precision: "fp32" or "bf16", of the embeddings of this run.
    """

    gallery: Path
    found: int
    added: int
    updated: int
    reused: int
    unchanged: int
    removed: int
    failed: int
    ignored: int
    unreadable_folders: int
    seconds: float
    images_per_second: float
    model: str
    dim: int
    precision: str

    def __post_init__(self) -> None:
        total = self.added + self.updated + self.reused + self.unchanged + self.failed
        if self.found != total:
            raise ShapeError(f"index report does not add up: found {self.found}, accounted for {total}")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = {**asdict(self), "gallery": str(self.gallery)}
        return {**data, "seconds": round(self.seconds, 3), "images_per_second": round(self.images_per_second, 1)}

"""What front doors print: frozen dataclasses with ``to_dict()``.

The command line's ``--json``, the API and notebooks print that, so they cannot differ.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.display import display_text
from lookalike.errors import ShapeError

if TYPE_CHECKING:
    from lookalike.types import DecodedImage, Float32


@dataclass(frozen=True, slots=True)
class Match:
    """One search result.

    Attributes:
        rank: 1 is the most alike.
        id: The image's id.
        path: Where its file is (absolute).
        score: Cosine similarity in the plain space, -1..1, higher is more alike.
        rank_score: What the order is by; equal to ``score`` in a plain order.
        band: What the score means in this gallery; None until the gallery is calibrated.
        false_match_rate: How often a random image of this gallery scores this high; None likewise.
        stack: Ids of near-duplicates folded into this result, best first; None where results are not stacked.
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
            "stack": None if self.stack is None else list(self.stack),
            "region": None if self.region is None else [round(side, 4) for side in self.region],
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
        match: What the order is by: "auto", "kind", "object", "adapted", or "plain" where there is nothing else yet.
        nothing_alike: Whether the gallery holds nothing like the query; None until the gallery is calibrated.
        why_plain: In words, why the order is plain although "kind" or "object" was asked for; else empty.
        query_vector: (d,) float32, what was searched with, in the plain space.
        query_image: The query as the network saw it; None where it is an image of the gallery or several examples.
        query_box: The part of the query that was meant; None for all of it.
        query_id: Id of the query, where it is one image of the gallery.
    """

    query: str
    matches: tuple[Match, ...]
    searched: int
    seconds: dict[str, float]
    thumbnail_of: Callable[[str], bytes | None] = field(repr=False, compare=False)
    query_thumbnail: bytes = field(default=b"", repr=False, compare=False)
    query_content: str = field(default="", repr=False)
    match: str = "plain"
    nothing_alike: bool | None = None
    why_plain: str = ""
    query_vector: Float32 | None = field(default=None, repr=False, compare=False)
    query_image: DecodedImage | None = field(default=None, repr=False, compare=False)
    query_box: tuple[float, float, float, float] | None = None
    query_id: str | None = None

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
            "match": self.match,
            "nothing_alike": self.nothing_alike,
            "why_plain": self.why_plain,
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


@dataclass(frozen=True, slots=True)
class Outlier:
    """An unusual image.

    Attributes:
        rank: 1 is the most unusual.
        id: The image's id.
        path: Where its file is (absolute).
        score: How far away the images around it are, 0 to 2: the mean of 1 - similarity, see ``docs/outliers.md``.
        percentile: 0 to 100, where that stands among the scores of the images that it was compared with.
        nearest: Id and plain score of the most alike image that is not a near-duplicate; None where there is none.
        stack: Ids of near-duplicates that are as unusual, and folded into this one.
    """

    rank: int
    id: str
    path: Path
    score: float
    percentile: float
    nearest: tuple[str, float] | None
    stack: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; scores with 3 decimals, percentiles with 1."""
        nearest = None if self.nearest is None else {"id": self.nearest[0], "score": round(self.nearest[1], 3)}
        return {
            "rank": self.rank,
            "id": self.id,
            "path": str(self.path),
            "score": round(self.score, 3),
            "percentile": round(self.percentile, 1),
            "nearest": nearest,
            "stack": list(self.stack),
        }


@dataclass(frozen=True, slots=True)
class OutlierReport:
    """The most unusual images; iterates over them.

    Attributes:
        gallery: Path of the gallery.
        outliers: The most unusual first.
        judged: How many different images could have been listed.
        compared_with: How many different images each was compared with.
    """

    gallery: Path
    outliers: tuple[Outlier, ...]
    judged: int
    compared_with: int

    def __iter__(self) -> Iterator[Outlier]:
        return iter(self.outliers)

    def __len__(self) -> int:
        return len(self.outliers)

    def __getitem__(self, index: int) -> Outlier:
        return self.outliers[index]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "gallery": str(self.gallery),
            "outliers": [outlier.to_dict() for outlier in self.outliers],
            "judged": self.judged,
            "compared_with": self.compared_with,
        }


@dataclass(frozen=True, slots=True)
class EvalReport:
    """How well a gallery finds what is right; ``docs/evaluate.md`` says what each number means.

    Attributes:
        gallery: Path of the gallery.
        protocol: "leave-one-out" (labels), "queries" (a table of them) or "known-item" (edited copies).
        match: What the order of ``metrics`` is by: "auto" unless told otherwise, "plain" where there is nothing else.
        metrics: Means over all queries, each 0..1.
        by_match: The same for every order that was measured.
        by_dimension: The same in a plain order, at the length of a vector and without any reduction.
        by_edit: The same for each edit, with ``median_score``, the plain cosine of copy and original; empty for other
            protocols.
        n_images: Images in the gallery.
        n_queries: Queries that the means are over.
        n_left_out: Queries (or images to be edited) that could not be used: nothing is right for them, or unreadable.
        unknown: Paths that were named and that the gallery does not know.
        unreadable: Files that could not be read or decoded.
        why_plain: In words, why the gallery has no order but the plain one; empty where it has.
        agreement_at_10: How much of the exact first ten the search engine finds.
        exact: Whether the gallery is searched exactly anyway.
        model: Name of the network.
        dim: Length of a vector.
        precision: "fp32" or "bf16", of the network.
        seed: That of all choices.
        seconds: Wall time.
    """

    gallery: Path
    protocol: str
    match: str
    metrics: dict[str, float]
    by_match: dict[str, dict[str, float]]
    by_dimension: dict[str, dict[str, float]]
    by_edit: dict[str, dict[str, float]]
    n_images: int
    n_queries: int
    n_left_out: int
    unknown: tuple[str, ...]
    unreadable: tuple[str, ...]
    why_plain: str
    agreement_at_10: float
    exact: bool
    model: str
    dim: int
    precision: str
    seed: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = {**asdict(self), "gallery": str(self.gallery), "agreement_at_10": round(self.agreement_at_10, 4)}
        return {**data, "seconds": round(self.seconds, 1)}

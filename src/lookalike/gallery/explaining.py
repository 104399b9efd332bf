"""Why it matched: which parts of the query and of each match their score comes from, as numbers and as pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import overlay, reduce
from lookalike.errors import ImageError, ImageNotFoundError, ImageReadError, LookalikeError, SettingError
from lookalike.explain import contributions
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts
from lookalike.gallery.picture import embed
from lookalike.gallery.query import record_of
from lookalike.models.graph import POOLINGS, Pooling
from lookalike.results import Match, SearchResult
from lookalike.sources.base import SourceEntry
from lookalike.sources.folder import FolderSource
from lookalike.types import DecodedImage, Float32, ImageRecord, Pixels, Reducer, parse_id

Box = tuple[float, float, float, float]

_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_SAME_SCORE = 5e-4  # half of the last decimal that is shown
_NAME_CHARACTERS = 60
_SEVERAL = "the query is not one picture, so only the match is shown"
_COLOURS = "orange adds, blue takes away, the strongest quarter is outlined"


@dataclass(frozen=True, slots=True, eq=False)
class PartMap:
    """What each part of one picture adds to a score.

    Attributes:
        pixels: (h', w', 3) uint8, what the network saw.
        aspect: Width by height of what it saw, as the picture really is.
        seen: Where that lies in the picture, x0, y0, x1, y1 as fractions; all of it unless the network crops.
        contributions: (h, w) float32; they add up to the score.
    """

    pixels: Pixels
    aspect: float
    seen: Box
    contributions: Float32

    @property
    def sum(self) -> float:
        """Of all contributions: the score."""
        return float(self.contributions.sum(dtype=np.float64))

    def boxes(self) -> Float32:
        """(h, w, 4) float32: x0, y0, x1, y1 of each part as fractions of the picture."""
        height, width = self.contributions.shape
        x0, y0, x1, y1 = self.seen
        xs, ys = np.linspace(x0, x1, width + 1), np.linspace(y0, y1, height + 1)
        left, top = np.meshgrid(xs[:-1], ys[:-1])
        right, bottom = np.meshgrid(xs[1:], ys[1:])
        return np.stack([left, top, right, bottom], axis=-1).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "sum": round(self.sum, 4),
            "contributions": [[round(float(value), 5) for value in row] for row in self.contributions],
            "boxes": [[[round(float(edge), 4) for edge in box] for box in row] for row in self.boxes()],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why one match has its score.

    Attributes:
        rank: Of the match.
        id: Of the matching image.
        path: Where its file is.
        score: Plain cosine of the two whole pictures; each map adds up to it.
        query: The map on the query; None where the query is not one picture.
        match: The map on the match; None where its file is gone, changed or unreadable.
        notes: What could not be explained and why, in words.
    """

    rank: int
    id: str
    path: Path
    score: float
    query: PartMap | None
    match: PartMap | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "rank": self.rank,
            "id": self.id,
            "path": str(self.path),
            "score": round(self.score, 4),
            "query": None if self.query is None else self.query.to_dict(),
            "match": None if self.match is None else self.match.to_dict(),
            "notes": list(self.notes),
        }


def explain_result(parts: Parts, result: SearchResult, folder: Path | None) -> list[Explanation]:
    """Explain all matches of a search, and write one PNG per match where a folder is given; see ``Gallery.explain``."""
    if folder is not None:
        check_folder(parts, folder)
    if result.query_vector is None:
        raise SettingError("the result does not say what was searched with", hint="explain the result of a search")
    picture, missing = result.query_image, _SEVERAL
    if result.query_id is not None:
        try:
            picture = decoded_image(parts, record_of(parts, result.query_id))
        except (ImageError, ImageNotFoundError) as error:
            missing = f"the query cannot be shown: {error}"  # the matches can be, all the same
    found = explain(parts, result.matches, result.query_vector, picture, result.query_box, missing)
    if folder is not None:
        write(parts, found, folder)
    return found


def explain(
    parts: Parts,
    matches: Sequence[Match],
    vector: Float32,
    picture: DecodedImage | None,
    box: Box | None = None,
    missing: str = _SEVERAL,
) -> list[Explanation]:
    """Explain matches of one search.

    Args:
        parts: Of the gallery.
        matches: Of the search, any of them.
        vector: (d,) float32, what was searched with: the picture's vector, or several examples combined.
        picture: The query as the network saw it; None where the query is not one picture, then only the matches are
            explained.
        box: The part of the query's file that ``picture`` shows; None for all of it.
        missing: Why there is no picture, where there is none.

    Returns:
        One per match. A file that is gone or changed costs only its own map, and its explanation says so.

    Raises:
        ModelError: the network gives no map that its embedding is pooled from.
    """
    with parts.lock, parts.catalogue.snapshot():
        _, reducer = synced(parts)
        locations = {root.name: root.location for root in parts.catalogue.roots()}
        keys = [key for match in matches if (key := parse_id(match.id)) is not None]
        records = parts.catalogue.records(keys)
        stored = {key: parts.catalogue.features(key) for key in keys}
    query = None if picture is None else _seen(parts, picture, box or _WHOLE)
    found = []
    for match, key in zip(matches, keys, strict=True):
        features, record = stored[key], records.get(key)
        if features is None or record is None:
            found.append(_unexplained(match, "the image has left the gallery since the search"))
            continue
        embedding = features[0].astype(np.float32)
        explained = _explained(parts, match, record, embedding, locations[record.root], reducer, vector, query)
        found.append(explained if query is not None else replace(explained, notes=(missing, *explained.notes)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One picture after the network: what contributions are computed from."""

    pixels: Pixels
    aspect: float
    box: Box
    final: Float32
    embedding: Float32

    def map(self, pooling: Pooling | None, embedding: Float32, reducer: Reducer, other: Float32) -> PartMap:
        found = contributions(self.final, pooling, embedding, reducer, other)
        return PartMap(self.pixels, self.aspect, self.box, found)


def _seen(parts: Parts, picture: DecodedImage, box: Box = _WHOLE) -> _Seen:
    embedder = parts.embedder(throughput=False)
    wide, high = box[2] - box[0], box[3] - box[1]
    x, y = _shown(picture.pixels, picture.width_px * wide / (picture.height_px * high), embedder.info.crop_fraction)
    left, top = box[0] + (1 - x) / 2 * wide, box[1] + (1 - y) / 2 * high
    seen = (left, top, left + x * wide, top + y * high)
    final = embedder.feature_maps(picture.pixels).final
    embedding, _ = embed(embedder, picture)  # on the very path of the search, for the very numbers
    aspect = picture.width_px * (seen[2] - seen[0]) / (picture.height_px * (seen[3] - seen[1]))
    return _Seen(picture.pixels, aspect, seen, final, embedding)


def _shown(pixels: Pixels, aspect: float, crop_fraction: float) -> tuple[float, float]:
    """How much of a picture's width and height the network sees: all, unless the decoder cuts out the middle."""
    if crop_fraction >= 1:
        return 1.0, 1.0
    fit = pixels.shape[1] / pixels.shape[0] / aspect
    return min(1.0, fit) * crop_fraction, min(1.0, 1 / fit) * crop_fraction


def _explained(
    parts: Parts,
    match: Match,
    record: ImageRecord,
    embedding: Float32,
    location: str,
    reducer: Reducer,
    vector: Float32,
    query: _Seen | None,
) -> Explanation:
    pooling = _pooling(parts)
    other = reduce.transform(reducer, embedding[None])[0]
    score = float(np.clip(other.astype(np.float64) @ vector, -1.0, 1.0))
    notes = []
    if abs(score - match.score) > _SAME_SCORE:
        notes.append(f"the search says {match.score:.3f}; of the whole pictures it is {score:.3f}, which is shown here")
    on_query = None if query is None else query.map(pooling, query.embedding, reducer, other)
    on_match = None
    try:
        on_match = _seen(parts, _decoded(parts, record, location)).map(pooling, embedding, reducer, vector)
    except ImageError as error:
        notes.append(f"the match cannot be shown: {error}")
    return Explanation(match.rank, match.id, match.path, score, on_query, on_match, tuple(notes))


def _unexplained(match: Match, note: str) -> Explanation:
    return Explanation(match.rank, match.id, match.path, match.score, None, None, (note,))


def _pooling(parts: Parts) -> Pooling | None:
    """How the network's map was pooled; None where it does so itself."""
    return POOLINGS.get(parts.catalogue.model().pooling.split(" of ")[0])


def decoded_image(parts: Parts, record: ImageRecord) -> DecodedImage:
    """A gallery's image as the network sees it, from its file.

    Raises:
        ImageError: the file is gone, changed since it was indexed, or cannot be decoded.
    """
    locations = {root.name: root.location for root in parts.catalogue.roots()}
    return _decoded(parts, record, locations[record.root])


def _decoded(parts: Parts, record: ImageRecord, location: str) -> DecodedImage:
    entry = SourceEntry(record.relative_path, record.size_bytes, record.mtime_ns, 0)
    data, _ = FolderSource(location).read(entry, parts.settings.max_file_bytes)
    if hashlib.sha256(data).hexdigest() != record.content:
        raise ImageReadError("the file changed since it was indexed", hint="lookalike index")
    return parts.decoders.decode(data, parts.catalogue.model().decode_spec, thumbnail=False)


# -- pictures -----------------------------------------------------------------------------------------------------


def check_folder(parts: Parts, folder: Path) -> None:
    """Refuse to write explanations into photo folders; call it before the search.

    Raises:
        SettingError: the folder is a root of the gallery or lies in one, or it is a file.
    """
    target = folder.expanduser().resolve()
    for root in parts.catalogue.roots():
        if target.is_relative_to(Path(root.location).resolve()):
            raise SettingError(
                f"{folder} lies in the photo folder {root.location}, and photo folders are never written to",
                hint="give --explain a folder elsewhere",
            )
    if target.exists() and not target.is_dir():
        raise SettingError(f"{folder} is not a folder", hint="give --explain a folder")


def write(parts: Parts, explanations: Sequence[Explanation], folder: Path) -> list[Path]:
    """Write one PNG per explanation, named by rank and file name; files of these names are replaced, others kept.

    Returns:
        The files, in order of the explanations; where nothing could be shown there is none.

    Raises:
        SettingError: as ``check_folder``.
        LookalikeError: the folder cannot be written to.
    """
    check_folder(parts, folder)
    folder = folder.expanduser()
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for explanation in explanations:
            if panels := _panels(explanation):
                file = folder / file_name(explanation)
                file.unlink(missing_ok=True)  # a link is taken away, never written through
                with file.open("xb") as out:
                    out.write(overlay.as_png(panels, legend(explanation)))
                written.append(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LookalikeError(f"cannot write to {folder}: {reason}", hint="give --explain another folder") from error
    return written


def file_name(explanation: Explanation) -> str:
    """For example ``003-IMG_1234.jpg.png``: letters, digits, ``.``, ``_`` and ``-`` only, whatever the name holds."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", explanation.path.name)[:_NAME_CHARACTERS]
    return f"{explanation.rank:03d}-{name}.png"


def total(explanation: Explanation) -> str:
    """What the parts add up to, with 3 decimals; empty where nothing could be explained."""
    sums = [part.sum for part in (explanation.query, explanation.match) if part is not None]
    if all(abs(each - explanation.score) <= _SAME_SCORE for each in sums):
        return f"{explanation.score:.3f}" if sums else ""  # else rounding could tell one number in two ways
    return " and ".join(f"{each:.3f}" for each in sums)


def legend(explanation: Explanation) -> str:
    """The line below the pictures of a PNG."""
    return f"score {explanation.score:.3f}, parts add up to {total(explanation)}; {_COLOURS}"


def page_images(explanation: Explanation) -> tuple[bytes, bytes]:
    """JPEGs for a page: the query's map and the match's; empty where there is none."""
    panels = {panel.title.split()[0]: overlay.as_jpeg(panel) for panel in _panels(explanation)}
    return panels.get("query", b""), panels.get("match", b"")


def _panels(explanation: Explanation) -> list[overlay.Panel]:
    sides = ((explanation.query, "query"), (explanation.match, f"match {explanation.rank}"))
    return [overlay.Panel(title, s.pixels, s.contributions, s.aspect) for s, title in sides if s is not None]

"""What a gallery is examined with: queries, and for each the images that are right."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.edits import EDITS
from lookalike.errors import ImageError, ImageNotFoundError, SettingError
from lookalike.gallery import picture
from lookalike.gallery.copies import edited_copies, sample
from lookalike.gallery.curate import find_images, folders_of, possible_paths, read_labels, read_table
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import Float32, Int64, parse_id

LEAVE_ONE_OUT, QUERIES, KNOWN_ITEM = "leave-one-out", "queries", "known-item"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the network sees in a query from outside the gallery.

    Attributes:
        embedding: (D,) float32.
        tap: (T,) float32.
        own: Keys of images with the same content.
    """

    embedding: Float32
    tap: Float32
    own: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One query.

    Attributes:
        query: Key of an image of the gallery, which does not find itself; or what the network sees in another picture.
        right: Keys of the images that are right.
        kind: Its label, or the edit that made it; "" where it has none.
    """

    query: int | Seen
    right: Int64
    kind: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """All queries of one protocol.

    Attributes:
        protocol: "leave-one-out", "queries" or "known-item".
        questions: The queries.
        counted: Keys of the images that count in a ranking, ascending; None for all.
        unknown: Paths that were named and that the gallery does not know.
        unreadable: Queries that could not be read or decoded.
    """

    protocol: str
    questions: list[Question]
    counted: Int64 | None = None
    unknown: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def by_label(parts: Parts, labels: Path | Mapping[str, str] | None, count: int | None, seed: int) -> Exam:
    """Every labelled image is a query, and the others of its label are right; images without a label do not count.

    Args:
        parts: Of the gallery.
        labels: A CSV file with columns path and label, or label by image id, or None for those of the gallery.
        count: At most this many queries, chosen by seed; None for all.
        seed: See ``count``.

    Raises:
        SettingError: the file cannot be used, no image is known, or no two have the same label.
        ImageNotFoundError: an id is unknown.
    """
    named, unknown = _labels(parts, labels)
    where = str(labels) if isinstance(labels, Path) else "the labels"
    if not named:
        raise SettingError(_nothing_known(where, unknown), hint=_PATHS)
    by_name: dict[str, list[int]] = {}
    for key, label in sorted(named.items()):
        by_name.setdefault(label, []).append(key)
    if all(len(keys) == 1 for keys in by_name.values()):
        raise SettingError(
            f"{where}: each of the {len(by_name):,} labels is on one image only, so no search can find another of it",
            hint="label at least two images alike",
        )
    keys_of = {label: np.array(keys, np.int64) for label, keys in by_name.items()}
    chosen = _some(parts, list(named), count, seed)
    questions = [Question(key, keys_of[named[key]], named[key]) for key in chosen]
    return Exam(LEAVE_ONE_OUT, questions, np.array(sorted(named), np.int64), tuple(unknown))


def by_queries(parts: Parts, file: Path, count: int | None, seed: int) -> Exam:
    """Queries from a CSV file with columns query and relevant (paths, with ";" between them).

    Queries that are images of the gallery are taken from it; others are read from their files. Images that are
    queries and that no row names as relevant do not count: they are no part of what is searched.

    Raises:
        SettingError: the file cannot be used, or the gallery knows nothing that is relevant.
    """
    rows = [row for row in read_table(file, ("query", "relevant")) if row["query"]]
    right = {row["query"]: [path for path in (row["relevant"] or "").split(";") if path] for row in rows}
    if not right:
        raise SettingError(f"{file} holds no queries", hint="a row is a query and what is relevant to it")
    named = list(dict.fromkeys(path for paths in right.values() for path in paths))
    known = find_images(parts, file, [*right, *named])
    unknown = tuple(path for path in named if path not in known)
    if len(unknown) == len(named):
        raise SettingError(_nothing_known(str(file), unknown), hint=_PATHS)
    apart = {known[path] for path in right if path in known} - {known[path] for path in named if path in known}
    questions, unreadable = [], []
    order = np.random.default_rng(seed).permutation(len(right))[:count] if count else range(len(right))
    names = list(right)
    folders = folders_of(parts, file)
    for name in (names[i] for i in sorted(order)):
        wanted = np.array(sorted({known[path] for path in right[name] if path in known}), np.int64)
        query = known[name] if name in known else _look_at(parts, possible_paths(folders, name))
        if query is None:
            unreadable.append(name)
        else:
            questions.append(Question(query, wanted))
    counted = np.setdiff1d(parts.catalogue.keys(), np.array(sorted(apart), np.int64))
    return Exam(QUERIES, questions, counted, unknown, tuple(unreadable))


def by_edits(parts: Parts, count: int, seed: int, progress: Progress) -> Exam:
    """Edited copies of the gallery's own images, each of which should find its original.

    Raises:
        SettingError: no image can be read.
    """
    records = sample(parts, count, seed)
    questions, done = [], set()
    for copy in edited_copies(parts, records, list(EDITS), seed):
        right = parts.catalogue.keys_of_content(bytes.fromhex(copy.record.content))
        questions.append(Question(Seen(copy.embedding, copy.tap, np.zeros(0, np.int64)), right, copy.edit))
        done.add(copy.record.id)
        progress("edit images", len(done), len(records))
    unreadable = tuple(str(record.path) for record in records if record.id not in done)
    if not questions:
        raise SettingError(
            f"none of {len(records):,} images can be read to make copies of, such as {unreadable[0]}",
            hint="connect their drive, or say where they are now: lookalike doctor --move-root NAME FOLDER",
        )
    return Exam(KNOWN_ITEM, questions, unreadable=unreadable)


_PATHS = "paths are absolute, or relative to an indexed folder or to the folder of the file"


def _nothing_known(where: str, unknown: Sequence[str]) -> str:
    if not unknown:
        return f"{where}: there is not a single label"
    return f"{where}: the gallery knows none of the {len(unknown):,} paths, such as {unknown[0]}"


def _labels(parts: Parts, labels: Path | Mapping[str, str] | None) -> tuple[dict[int, str], list[str]]:
    """Label by key, and the paths that are not known."""
    if labels is None:
        records = parts.catalogue.all_records()
        return {_key(parts, record.id): record.label for record in records if record.label is not None}, []
    if isinstance(labels, Path):
        return read_labels(parts, labels)
    named = {_key(parts, image_id): label for image_id, label in labels.items()}
    present = parts.catalogue.records(list(named))
    missing = next((image_id for image_id in labels if parse_id(image_id) not in present), None)
    if missing is not None:
        raise ImageNotFoundError(f"there is no image {missing!r} in {parts.path}")
    return named, []


def _key(parts: Parts, image_id: str) -> int:
    key = parse_id(image_id)
    if key is None:
        raise ImageNotFoundError(f"there is no image {image_id!r} in {parts.path}")
    return key


def _some(parts: Parts, keys: Sequence[int], count: int | None, seed: int) -> list[int]:
    """At most ``count`` of the images, by path and seed, so the same ones in another gallery of the same files."""
    if count is None or count >= len(keys):
        return sorted(keys)
    records = parts.catalogue.records(keys)
    ordered = sorted(keys, key=lambda key: str(records[key].path))
    return sorted(ordered[i] for i in np.random.default_rng(seed).permutation(len(keys))[:count])


def _look_at(parts: Parts, paths: Sequence[Path]) -> Seen | None:
    """What the network sees in the first of these files that is there; None where that is no picture."""
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    try:
        name, data = picture.read(path, parts.settings.max_file_bytes)
        decoded = picture.decode(parts, name, data)
    except ImageError:
        return None
    embedding, tap = picture.embed(parts.embedder(throughput=True), decoded)
    return Seen(embedding, tap, parts.catalogue.keys_of_content(hashlib.sha256(data).digest()))

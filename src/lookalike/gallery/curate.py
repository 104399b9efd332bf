"""What people say of images: labels."""

from __future__ import annotations

import csv
import getpass
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.catalogue.data import LabelChange
from lookalike.errors import ImageNotFoundError, SettingError
from lookalike.gallery.parts import Parts
from lookalike.tables import original
from lookalike.types import parse_id


def label_images(
    parts: Parts, labels: Mapping[str, str | None], *, by: str | None, source: str, copies: bool = False
) -> int:
    """Append a batch of label events; see ``Gallery.label_images``."""
    changes = []
    for image_id, label in labels.items():
        key = parse_id(image_id)
        if key is None:
            raise ImageNotFoundError(f"there is no image {image_id!r} in {parts.path}")
        if label is not None and not label.strip():
            raise SettingError(f"the label of {image_id} is empty", hint="None takes a label away")
        changes.append(LabelChange(key, None if label is None else label.strip()))
    if copies:
        changes += _of_copies(parts, changes)
    return parts.catalogue.add_labels(changes, by=by or account_name(), source=source)


def _of_copies(parts: Parts, changes: Sequence[LabelChange]) -> list[LabelChange]:
    """The same for all other images with the same content."""
    said = {change.key: change.label for change in changes}
    asked = np.array(list(said), np.int64)
    label_of = dict(zip(parts.catalogue.contents_of(asked).tolist(), said.values(), strict=True))
    keys, contents = parts.catalogue.content_numbers()
    pairs = zip(keys.tolist(), contents.tolist(), strict=True)
    return [LabelChange(key, label_of[content]) for key, content in pairs if content in label_of and key not in said]


def label_counts(parts: Parts) -> dict[str, int]:
    """Number of images by current label, the most frequent first."""
    counts = Counter(parts.catalogue.labels().values())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def import_labels(parts: Parts, file: Path, *, by: str | None) -> dict[str, Any]:
    """Label images from a CSV file; see ``Gallery.import_labels``."""
    changes, unknown = read_labels(parts, file)
    batch = None
    if changes:
        said = [LabelChange(key, label) for key, label in changes.items()]
        batch = parts.catalogue.add_labels(said, by=by or account_name(), source="import")
    return {"batch": batch, "labelled": len(changes), "unknown": unknown}


def read_labels(parts: Parts, file: Path) -> tuple[dict[int, str], list[str]]:
    """Label by image key from a CSV file with columns path and label, and the paths that the gallery does not know.

    The apostrophes of ``lookalike.tables`` are taken away, so what was exported can be brought along.

    Raises:
        SettingError: the file cannot be read, or lacks a column.
    """
    table = read_table(file, ("path", "label"))
    rows = ((original(row["path"]), original((row["label"] or "").strip())) for row in table)
    labels = {path: label for path, label in rows if path and label}
    known = find_images(parts, file, list(labels))
    unknown = [path for path in labels if path not in known]
    return {known[path]: label for path, label in labels.items() if path in known}, unknown


def find_images(parts: Parts, file: Path, paths: Sequence[str]) -> dict[str, int]:
    """Keys of the images that a file names by path; paths that the gallery does not know are not in it."""
    folders = folders_of(parts, file)
    candidates = {text: possible_paths(folders, text) for text in paths}
    known = parts.catalogue.find_paths([path for paths in candidates.values() for path in paths])
    first = {text: next((known[path] for path in paths if path in known), None) for text, paths in candidates.items()}
    return {text: key for text, key in first.items() if key is not None}


def folders_of(parts: Parts, file: Path) -> list[Path]:
    """Where relative paths in a file may be meant from: any root, or the folder of the file."""
    return [Path(root.location) for root in parts.catalogue.roots()] + [file.resolve().parent]


def possible_paths(folders: Sequence[Path], text: str) -> list[Path]:
    """What a path in a file may mean; the first that is there counts."""
    return [Path(text)] if Path(text).is_absolute() else [folder / text for folder in folders]


def account_name() -> str:
    """The name of the account, or "unknown"."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def read_table(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file whose first line names at least these columns.

    Raises:
        SettingError: the file cannot be read, or lacks a column.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = set(columns) - set(reader.fieldnames or ())
            if missing:
                raise SettingError(
                    f"{file} has no column {' and no column '.join(sorted(missing))}",
                    hint=f"its first line must name the columns {' and '.join(columns)}",
                )
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingError(f"cannot read {file}: {error}") from error

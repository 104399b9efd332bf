"""What people say of images: labels."""

from __future__ import annotations

import csv
import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.errors import ImageNotFoundError, SettingError
from lookalike.gallery.parts import Parts
from lookalike.types import parse_id


def label_images(parts: Parts, labels: Mapping[str, str | None], *, by: str | None, source: str) -> int:
    """Append a batch of label events; see ``Gallery.label_images``."""
    changes = []
    for image_id, label in labels.items():
        key = parse_id(image_id)
        if key is None:
            raise ImageNotFoundError(f"there is no image {image_id!r} in {parts.path}")
        if label is not None and not label.strip():
            raise SettingError(f"the label of {image_id} is empty", hint="None takes a label away")
        changes.append((key, None if label is None else label.strip()))
    return parts.catalogue.add_labels(changes, by=by or account_name(), source=source)


def import_labels(parts: Parts, file: Path, *, by: str | None) -> dict[str, Any]:
    """Label images from a CSV file; see ``Gallery.import_labels``."""
    rows = _read_csv(file)
    bases = [Path(root.location) for root in parts.catalogue.roots()] + [file.resolve().parent]
    # Relative paths may be meant from any root or from the file; the first that the gallery knows counts.
    candidates = {text: [Path(text)] if Path(text).is_absolute() else [b / text for b in bases] for text in rows}
    known = parts.catalogue.find_paths([path for paths in candidates.values() for path in paths])
    changes: dict[int, str] = {}
    unknown = []
    for text, label in rows.items():
        key = next((known[path] for path in candidates[text] if path in known), None)
        if key is None:
            unknown.append(text)
        else:
            changes[key] = label
    batch = None
    if changes:
        batch = parts.catalogue.add_labels(list(changes.items()), by=by or account_name(), source="import")
    return {"batch": batch, "labelled": len(changes), "unknown": unknown}


def account_name() -> str:
    """The name of the account, or "unknown"."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _read_csv(file: Path) -> dict[str, str]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = {"path", "label"} - set(reader.fieldnames or ())
            if missing:
                raise SettingError(
                    f"{file} has no column {' and no column '.join(sorted(missing))}",
                    hint="its first line must name the columns path and label",
                )
            return {row["path"]: row["label"].strip() for row in reader if row["path"] and (row["label"] or "").strip()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingError(f"cannot read {file}: {error}") from error

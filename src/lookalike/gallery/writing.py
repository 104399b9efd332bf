"""Files that people ask for: pages, pictures, tables. Never among the photos."""

from __future__ import annotations

from pathlib import Path

from lookalike.errors import LookalikeError, SettingError
from lookalike.gallery.parts import Parts


def refuse_photo_folders(parts: Parts, file: Path) -> None:
    """Raise SettingError where a file would lie in a photo folder."""
    target = file.expanduser().resolve()
    for root in parts.catalogue.roots():
        if target.is_relative_to(Path(root.location).resolve()):
            raise SettingError(
                f"{file} lies in the photo folder {root.location}, and photo folders are never written to",
                hint="give a file elsewhere",
            )


def write_file(parts: Parts, file: Path, data: str | bytes) -> None:
    """Write a file, or replace it; text as UTF-8.

    Raises:
        SettingError: it would lie in a photo folder.
        LookalikeError: it cannot be written.
    """
    refuse_photo_folders(parts, file)
    try:
        file.expanduser().write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LookalikeError(f"cannot write {file}: {reason}", hint="give another file") from error

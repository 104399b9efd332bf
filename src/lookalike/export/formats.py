"""The formats by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import SettingError
from lookalike.export.arrays import NpzWriter
from lookalike.export.coco import CocoWriter
from lookalike.export.fiftyone import FiftyOneWriter
from lookalike.export.folders import HuggingFaceWriter, ImageFolderWriter
from lookalike.export.labelstudio import LabelStudioWriter
from lookalike.export.listings import CsvWriter, JsonlWriter, ParquetWriter, check_parquet
from lookalike.export.photos import COPY, HARDLINK, MODES, REFERENCE, SYMLINK
from lookalike.export.rows import Job, Writer


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        name: As people ask for it.
        writer: Makes it.
        files: How photos can be brought along, the default first; none where the export is one file without photos.
        needs_labels: Whether images without a label have no place in it.
        check: Raises where it cannot be written here.
    """

    name: str
    writer: Callable[[Job], Writer]
    files: tuple[str, ...] = ()
    needs_labels: bool = True
    check: Callable[[], None] | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the export is a folder."""
        return bool(self.files)

    def choose_files(self, files: str | None) -> str | None:
        """How photos are brought along; None where there are none.

        Raises:
            SettingError: this format cannot do that.
        """
        if files is None or files in self.files:
            return files or (self.files[0] if self.files else None)
        if not self.files:
            raise SettingError(f"files: {files!r} with {self.name}, which holds no photos", hint="leave --files away")
        raise SettingError(f"files: {files!r} with {self.name}", hint=f"take {', '.join(self.files)}")


_BESIDE = (COPY, HARDLINK, SYMLINK)
FORMATS = {
    some.name: some
    for some in (
        Format("csv", CsvWriter, needs_labels=False),
        Format("jsonl", JsonlWriter, needs_labels=False),
        Format("npz", NpzWriter, needs_labels=False),
        Format("parquet", ParquetWriter, needs_labels=False, check=check_parquet),
        Format("imagefolder", ImageFolderWriter, _BESIDE),
        Format("coco", CocoWriter, MODES),
        Format("labelstudio", LabelStudioWriter, (REFERENCE, *_BESIDE), needs_labels=False),
        Format("fiftyone", FiftyOneWriter, MODES),
        Format("huggingface", HuggingFaceWriter, _BESIDE),
    )
}


def choose(name: str | None, target: Path) -> Format:
    """The format of that name; None goes by the target's suffix.

    Raises:
        SettingError: there is none.
    """
    found = FORMATS.get(target.suffix.lower().removeprefix(".") if name is None else name)
    if found is None:
        what = f"format: {name!r} is none of" if name is not None else f"{target} does not tell the format:"
        raise SettingError(f"{what} {', '.join(FORMATS)}", hint="name one with --format")
    return found

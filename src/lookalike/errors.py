"""Every error that lookalike raises on purpose.

    LookalikeError                  carries .hint: what to do next
    ├── SettingError                a setting or argument with a value that cannot be used
    │   └── FilterError             a --where expression that cannot be understood
    ├── ShapeError                  an array of the wrong shape, dtype or content
    ├── MissingExtraError           an optional part is not installed
    ├── UnknownPluginError          no source, engine or network of that name
    ├── ModelError                  a network that is missing, damaged or not what its card says
    ├── ImageError                  one image; recorded as a failure, never ends a run
    │   ├── ImageReadError          the file could not be read
    │   ├── ImageDecodeError        the bytes could not be turned into a picture
    │   └── ImageTooLargeError      it exceeds a limit (pixels, bytes, time, memory)
    └── GalleryError
        ├── GalleryNotFoundError    no gallery at that path
        ├── GalleryExistsError      there is one already
        ├── GalleryFormatError      made by a newer version, or damaged
        ├── GalleryLockedError      another process is writing
        ├── SpaceMismatchError      embeddings or vectors of different spaces cannot be compared
        ├── ImageNotFoundError      no image of that id
        └── EmptyGalleryError       nothing to search in yet

Third-party exceptions are translated to these once, at the edge where they appear.
"""

from __future__ import annotations


class LookalikeError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: Names the thing and the value that is wrong.
        hint: What the user can do next; empty when there is nothing to add.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SettingError(LookalikeError):
    """A setting or argument has a value that cannot be used."""


class FilterError(SettingError):
    """A filter expression cannot be understood."""


class ShapeError(LookalikeError):
    """An array has the wrong shape, dtype or content."""


class MissingExtraError(LookalikeError):
    """An optional part is not installed.

    Args:
        what: What was asked for, for example "HEIC images".
        extra: The extra of the package that provides it.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part", hint=f"pip install 'lookalike[{extra}]'")


class UnknownPluginError(LookalikeError):
    """No source, engine or network of that name is installed."""


class ModelError(LookalikeError):
    """A network is missing, damaged, or not what its card says."""


class ImageError(LookalikeError):
    """One image cannot be used; it is recorded as a failure and never ends a run."""

    stage = "image"


class ImageReadError(ImageError):
    """The file could not be read."""

    stage = "read"


class ImageDecodeError(ImageError):
    """The bytes could not be turned into a picture."""

    stage = "decode"


class ImageTooLargeError(ImageError):
    """The image exceeds a limit: pixels, bytes, time or memory."""

    stage = "decode"


class GalleryError(LookalikeError):
    """Something about a gallery as a whole."""


class GalleryNotFoundError(GalleryError):
    """There is no gallery at that path."""


class GalleryExistsError(GalleryError):
    """There is a gallery at that path already."""


class GalleryFormatError(GalleryError):
    """The gallery was made by a newer version, or its files are damaged."""


class GalleryLockedError(GalleryError):
    """Another process holds the gallery for writing."""


class SpaceMismatchError(GalleryError):
    """Embeddings or vectors of different spaces cannot be compared."""


class ImageNotFoundError(GalleryError):
    """The gallery has no image of that id."""


class EmptyGalleryError(GalleryError):
    """The gallery holds no images to search in yet."""

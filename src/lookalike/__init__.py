"""lookalike: reverse image search for archives that nobody has labelled.

>>> import lookalike
>>> lookalike.__version__
'0.1.0'

Names load on first use, so that ``import lookalike`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.errors import LookalikeError
    from lookalike.gallery import Gallery
    from lookalike.quality import Quality
    from lookalike.results import EvalReport, IndexReport, Match, Outlier, OutlierReport, SearchResult
    from lookalike.settings import Settings
    from lookalike.types import Failure, ImageRecord, ModelInfo, Reducer

__version__ = "0.1.0"

_HOMES = {
    "Gallery": "lookalike.gallery",
    "Settings": "lookalike.settings",
    "LookalikeError": "lookalike.errors",
    "Failure": "lookalike.types",
    "ImageRecord": "lookalike.types",
    "EvalReport": "lookalike.results",
    "IndexReport": "lookalike.results",
    "Match": "lookalike.results",
    "ModelInfo": "lookalike.types",
    "Outlier": "lookalike.results",
    "OutlierReport": "lookalike.results",
    "Quality": "lookalike.quality",
    "Reducer": "lookalike.types",
    "SearchResult": "lookalike.results",
}

__all__ = [
    "EvalReport",
    "Failure",
    "Gallery",
    "ImageRecord",
    "IndexReport",
    "LookalikeError",
    "Match",
    "ModelInfo",
    "Outlier",
    "OutlierReport",
    "Quality",
    "Reducer",
    "SearchResult",
    "Settings",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lookalike' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

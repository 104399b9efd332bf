"""The card of a network: a small JSON file beside ``FILE.onnx``, named ``FILE.json``, that says how to use it.

{
"name": "resnet50",                  optional: else the file's name
"dim": 2048,                         length of an embedding
"shapes": [[224, 224]],              input heights and widths in pixels
"mean": [123.675, 116.28, 103.53],   subtracted from R, G, B in 0..255
"std": [58.395, 57.12, 57.375],      then divided by
"interpolation": "bicubic",          optional: or "bilinear"
"crop_fraction": 1.0,                optional: below 1 the centre is cut out, see DecodeSpec
"layout": "NCHW",                    optional: or "NHWC", of the input and of the maps
"outputs": {                         names of outputs of the graph
"embedding": "pooled",             what becomes the embedding
"final": "map",                    optional: the map that is pooled, to show which parts match
"stride16": "layer3"               optional: a finer map
},
"pooling": "none",                   "none": (n, D) as it is; "cls": the first of (n, tokens, D);
"mean": the average of (n, tokens, D) or of a map;
"gem3" and the like: of a map
"licence": "Apache-2.0"              SPDX name
}
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lookalike.errors import ModelError
from lookalike.models.graph import EMBEDDING, FINAL, POOLINGS, STRIDE16

MAX_CARD_BYTES = 64 * 1024
NO_POOLING, CLS = "none", "cls"
MAX_SIDE_PX, MAX_DIM, MAX_SHAPES = 4096, 65536, 32


@dataclass(frozen=True, slots=True)
class Card:
    """A card that was read and checked; the fields are those of the module's description."""

    name: str
    dim: int
    shapes: tuple[tuple[int, int], ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    outputs: dict[str, str]
    pooling: str
    licence: str
    interpolation: str = "bicubic"
    crop_fraction: float = 1.0
    layout: str = "NCHW"


def read_card(path: Path) -> Card:
    """Read and check a card.

    Args:
        path: The JSON file.

    Raises:
        ModelError: it is missing, too large, no JSON, or a field is missing, unknown or cannot be; it says which.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CARD_BYTES + 1)
    except FileNotFoundError as error:
        hint = "write one: name, dim, shapes, mean, std, outputs, pooling, licence (see docs)"
        raise ModelError(f"the network has no card: {path} is missing", hint=hint) from error
    except OSError as error:
        raise ModelError(f"the card {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_CARD_BYTES:
        raise ModelError(f"the card {path} has more than {MAX_CARD_BYTES} bytes")
    try:
        fields = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the card {path} is no JSON: {error}") from error
    try:
        return _check(fields, path.stem)
    except ModelError as error:
        raise ModelError(f"the card {path}: {error}", hint=error.hint) from error


def _check(fields: Any, stem: str) -> Card:
    if not isinstance(fields, dict):
        raise ModelError("expected an object with named fields")
    _refuse_unknown(fields, list(_FIELDS), "field")
    fields = {"name": stem, **fields}
    missing = [name for name in _FIELDS if name not in fields and name not in _OPTIONAL]
    if missing:
        raise ModelError(f"missing: {', '.join(missing)}")
    values = {name: _FIELDS[name](fields[name]) for name in fields}
    wrong = [f"{name}: {fields[name]!r:.80}" for name, value in values.items() if value is None]
    if wrong:
        raise ModelError(f"cannot be used: {'; '.join(wrong)}")
    card = Card(**values)
    if max(card.mean) <= 1 and max(card.std) < 1:
        raise ModelError(
            f"mean {list(card.mean)} and std {list(card.std)} are of pixels in 0..1, but pixels are 0..255 here",
            hint="multiply both by 255",
        )
    return card


def _refuse_unknown(found: dict[str, Any], known: list[str], what: str) -> None:
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ModelError(f"there is no {what} {name!r:.80}", hint=hint)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


# Each of these gives the checked value, or None where it cannot be.


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable() else None


def _one_of(*choices: str) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and value in choices else None


def _whole(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _dim(value: Any) -> int | None:
    return value if _whole(value, MAX_DIM) else None


def _shapes(value: Any) -> tuple[tuple[int, int], ...] | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SHAPES:
        return None
    good = all(isinstance(s, list) and len(s) == 2 and all(_whole(side, MAX_SIDE_PX) for side in s) for s in value)
    return tuple((h, w) for h, w in value) if good else None


def _colours(value: Any, above: float) -> tuple[float, float, float] | None:
    if not isinstance(value, list) or len(value) != 3 or not all(type(x) in (int, float) for x in value):
        return None
    r, g, b = (float(x) for x in value)
    return (r, g, b) if all(above < x < 1e6 for x in (r, g, b)) else None


def _fraction(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0.1 <= value <= 1 else None


def _outputs(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    _refuse_unknown(value, [EMBEDDING, FINAL, STRIDE16], "output")
    return value if EMBEDDING in value and all(_text(name) for name in value.values()) else None


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "name": _text,
    "dim": _dim,
    "shapes": _shapes,
    "mean": lambda value: _colours(value, -1e6),
    "std": lambda value: _colours(value, 0),
    "outputs": _outputs,
    "pooling": _one_of(NO_POOLING, CLS, *POOLINGS),
    "licence": _text,
    "interpolation": _one_of("bilinear", "bicubic"),
    "crop_fraction": _fraction,
    "layout": _one_of("NCHW", "NHWC"),
}
_OPTIONAL = ("name", "interpolation", "crop_fraction", "layout")

"""The current reducer in SQLite, as little-endian float32."""

from __future__ import annotations

import apsw
import numpy as np

from lookalike.catalogue.sql import rows
from lookalike.types import Float32, Reducer


def current(db: apsw.Connection) -> Reducer | None:
    """The reducer; None before the first fit."""
    found = rows(db, "SELECT mean, components, variances, fitted_on, power FROM reducers ORDER BY number DESC LIMIT 1")
    if not found:
        return None
    mean_blob, components_blob, variances_blob, fitted_on, power = found[0]
    mean, variances = _floats(mean_blob), _floats(variances_blob)
    components = None
    if components_blob is not None:
        components = _floats(components_blob).reshape(len(variances), len(mean))
    return Reducer(mean, components, variances, fitted_on, power)


def replace(db: apsw.Connection, reducer: Reducer) -> None:
    """Put another in its place; inside a write transaction."""
    components = None if reducer.components is None else _blob(reducer.components)
    rows(db, "DELETE FROM reducers")
    rows(
        db,
        "INSERT INTO reducers (fitted_on, power, mean, components, variances) VALUES (?, ?, ?, ?, ?)",
        (reducer.fitted_on, reducer.power, _blob(reducer.mean), components, _blob(reducer.variances)),
    )


def _floats(blob: bytes) -> Float32:
    return np.frombuffer(blob, "<f4").astype(np.float32)


def _blob(array: Float32) -> bytes:
    return array.astype("<f4").tobytes()

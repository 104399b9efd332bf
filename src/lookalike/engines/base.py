"""What a vector search engine must be able to do. It is always rebuildable from the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lookalike.types import Float32, Int64

NO_KEY = -1  # fills the places of a result that has fewer than k rows


@dataclass(frozen=True, slots=True)
class EngineState:
    """What an engine holds: the vector space, and the last change of the catalogue that it has seen."""

    space: str = ""
    generation: int = 0


class SearchEngine(Protocol):
    """Holds one unit vector per image key and finds the nearest. Keys are 63-bit, non-negative.

    Writes become part of what ``state`` names when ``commit`` is called. Scores are cosine similarities.
    """

    state: EngineState

    def __len__(self) -> int:
        """How many images it holds."""

    def upsert(self, keys: Int64, vectors: Float32) -> None:
        """Add vectors or replace them: keys (n,) distinct, vectors (n, d) of unit length."""

    def delete(self, keys: Int64) -> None:
        """Take out keys (n,); unknown ones are passed over."""

    def clear(self) -> None:
        """Take out everything and forget the state."""

    def commit(self, state: EngineState) -> None:
        """Declare that everything written so far is this state; persist it where the engine can."""

    def search(self, queries: Float32, k: int, allowed: Int64 | None = None) -> tuple[Int64, Float32]:
        """The k most alike of each query, best first, ties by key.

        Args:
            queries: (m, d) float32 of unit length.
            k: How many, at least 1; more than there are is fine.
            allowed: (a,) keys to search among, exactly; None searches all.

        Returns:
            keys (m, k) int64, padded with NO_KEY, and scores (m, k) float32, padded with -inf.
        """

    def vectors(self, keys: Int64) -> Float32:
        """The vectors (n, d) of these keys (n,), all of which it must hold."""

    def close(self) -> None:
        """Give back files and memory."""

"""What the dial knows of a gallery: the smoothed vector, the tap and the circle of each content.

Only one content of a burst, its leader, has neighbours; the others share what is learned of it (see ``bursts``).

Learned from vectors and taps of one space, kept in one cache file. Bytes per content: 2 t + 4 tap (t <= 128) and 12
more; and for each leader 2 d + 4 smoothed, 6 for each of at most 16 members of its circle and 4 more: 888 at d = 256
where no two are near-duplicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import reduce, rerank
from lookalike.engines import graph
from lookalike.engines.cachefile import CacheFile, write
from lookalike.engines.table import Rows
from lookalike.gallery.bursts import find_bursts, in_blocks
from lookalike.rerank import Circles, Int32
from lookalike.types import Float16, Float32, Int64, Reducer

_KIND = "lookalike dial 2"  # the number goes up when a layout or a formula changes
_TAP_DIM = 128
_BLOCK_ROWS = 2**12


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What candidates are compared with.

    Attributes:
        vector: (d,) float32, plain.
        tap: (T,) as the network gives it; empty where there is none.
        row: Its row, where it is one of the contents; -1 for a picture from outside.
    """

    vector: Float32
    tap: NDArray[Any]
    row: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhoods:
    """What was learned of n contents; all of it is read-only.

    Attributes:
        taps: (n, t), of each content, in order of number; the numbers are its keys. Of no dimensions where the network
            has no taps.
        leaders: (n,) int32, which of the m leaders each content shares.
        smoothed: (m, d), of each leader; the numbers of their contents are its keys.
        members: (m, c) int32 rows of leaders, see ``rerank.Circles``.
        shares: (m, c) float16, likewise.
        reached: (m,) float32, see ``rerank.reach``.
        even_weights: (d,) float32, of the plain space for order by kind.
        fused_weights: (d,) float32, likewise for order by object.
        tap_reducer: That of the taps.
    """

    taps: Rows
    leaders: Int32
    smoothed: Rows
    members: Int32
    shares: Float16
    reached: Float32
    even_weights: Float32
    fused_weights: Float32
    tap_reducer: Reducer

    def __len__(self) -> int:
        return len(self.taps)

    @property
    def numbers(self) -> Int64:
        """Numbers (n,) of the contents, ascending."""
        return self.taps.keys

    def find(self, numbers: Int64) -> Int64:
        """Rows (k,) of contents by their numbers (k,), -1 for those that were not there."""
        return self.taps.find(numbers)

    def rank_scores(self, match: str, query: Query, vectors: Float32, rows: Int64, new_taps: NDArray[Any]) -> Float32:
        """What a dial orders candidates by.

        Args:
            match: A key of ``rerank.BLENDS``.
            query: What they are compared with.
            vectors: (c, d) float32, the plain vectors of the candidates.
            rows: (c,) their rows, -1 for contents that were not there when the neighbourhoods were learned.
            new_taps: Taps (those of rows -1, T) in their order, or of no dimensions.

        Returns:
            (c,) float32 in -1..1.
        """
        blend = rerank.BLENDS[match]
        scores = np.zeros(len(vectors), np.float32)
        if blend.even or blend.smoothed:
            even, smoothed = self._by_kind(query, vectors, rows)
            scores += blend.even * even + blend.smoothed * smoothed
        if blend.fused or blend.reciprocal:
            fused, reciprocal = self._by_object(query, vectors, rows, new_taps)
            scores += blend.fused * fused + blend.reciprocal * reciprocal
        return np.clip(scores, -1, 1)

    def _by_kind(self, query: Query, vectors: Float32, rows: Int64) -> tuple[Float32, Float32]:
        """Even and smoothed cosines of the candidates."""
        every = rerank.even(np.vstack([vectors, query.vector]), self.even_weights)
        candidates, asked = every[:-1], every[-1:]
        known, leaders, firsts = self._leaders(rows)
        near, of_near = candidates[firsts], self.smoothed.take(self.leaders[rows[firsts]]).unpack()

        def smoothed(outside: Float32) -> Float32:
            return rerank.smooth_outside(outside, outside @ near.T, of_near)

        after = np.empty_like(candidates)
        after[known], after[~known] = self.smoothed.take(leaders).unpack(), smoothed(candidates[~known])
        own = smoothed(asked) if query.row < 0 else self.smoothed.take(self.leaders[[query.row]]).unpack()
        return candidates @ asked[0], after @ own[0]

    def _by_object(
        self, query: Query, vectors: Float32, rows: Int64, new_taps: NDArray[Any]
    ) -> tuple[Float32, Float32]:
        """Fused cosines of the candidates, and what their circles share with the query's."""
        known, leaders, firsts = self._leaders(rows)
        taps = np.empty((len(rows) + 1, self.taps.dim), np.float32)
        taps[:-1][known] = self.taps.take(rows[known]).unpack()
        taps[:-1][~known] = self._reduced(new_taps, int(np.count_nonzero(~known)))
        taps[-1:] = self._reduced(query.tap[None, :], 1)
        every = _fused(np.vstack([vectors, query.vector]), self.fused_weights, taps, self.tap_reducer)
        candidates, asked = every[:-1], every[-1:]
        near, here = candidates[firsts], self.leaders[rows[firsts]]
        of_near = self._circles(here)

        def circles(outside: Float32) -> Circles:
            return rerank.circles_outside(outside @ near.T, here, self.reached[here], of_near)

        own = circles(asked) if query.row < 0 else self._circles(self.leaders[[query.row]])
        shared = np.empty(len(rows), np.float32)
        shared[known] = rerank.overlap(own, self._circles(leaders))
        shared[~known] = rerank.overlap(own, circles(candidates[~known]))
        return candidates @ asked[0], shared

    def _leaders(self, rows: Int64) -> tuple[NDArray[np.bool_], Int32, NDArray[np.intp]]:
        """Which candidates are known, the leaders of those, and the first known candidate of each leader.

        Whoever comes from outside has leaders for neighbours, and a burst counts as one.
        """
        known = rows >= 0
        leaders = self.leaders[rows[known]]
        firsts = np.flatnonzero(known)[np.sort(np.unique(leaders, return_index=True)[1])]
        return known, leaders, firsts

    def _circles(self, rows: Int32) -> Circles:
        return Circles(self.members[rows], self.shares[rows].astype(np.float32))

    def _reduced(self, taps: NDArray[Any], count: int) -> Float32:
        """Taps in their space; zeros, which neither help nor hurt anybody, where there are none."""
        if not self.taps.dim or taps.shape[1] != len(self.tap_reducer.mean):
            return np.zeros((count, self.taps.dim), np.float32)
        return reduce.transform(self.tap_reducer, taps)


# -- learning ------------------------------------------------------------------------------------------------------


def learn(
    reducer: Reducer, numbers: Int64, vectors: NDArray[Any], taps: NDArray[Any], *, threads: int = 1
) -> Neighbourhoods:
    """Neighbourhoods of contents.

    Args:
        reducer: That made the vectors.
        numbers: (n,) int64 of the contents, ascending.
        vectors: (n, d) unit vectors in the plain space, float16 or float32.
        taps: (n, T) as the network gives them; T is 0 where it gives none.
        threads: Of faiss.
    """
    tap_reducer = _fit_taps(taps)
    reduced = _reduced_taps(tap_reducer, numbers, taps)
    even_weights, fused_weights = (
        reduce.whitening_weights(reducer, power) for power in (rerank.KIND_POWER, rerank.OBJECT_POWER)
    )
    bursts = find_bursts(vectors, even_weights, rerank.KIND_NEIGHBOURS, threads=threads)
    leader_rows = bursts.leader_rows
    packed = _packed(numbers[leader_rows], rerank.smooth(bursts.rows, bursts.neighbours, bursts.scores))
    of_leaders = reduced.take(leader_rows)
    rows = in_blocks(
        len(leader_rows),
        lambda block: _fused(
            vectors[leader_rows[block]].astype(np.float32), fused_weights, of_leaders.take(block).unpack(), tap_reducer
        ),
    )
    neighbours, scores = graph.nearest(rows, rerank.OBJECT_NEIGHBOURS, threads=threads)
    circles = rerank.circles(neighbours, scores)
    return Neighbourhoods(
        reduced,
        bursts.leaders,
        packed,
        circles.members,
        circles.shares.astype(np.float16),
        rerank.reach(scores),
        even_weights,
        fused_weights,
        tap_reducer,
    )


def _fit_taps(taps: NDArray[Any]) -> Reducer:
    if not taps.shape[1]:
        none = np.zeros(0, np.float32)
        return Reducer(none, None, none, fitted_on=len(taps))
    moments = reduce.Moments(taps.shape[1])
    moments.add(taps)
    return reduce.fit(moments, dim=_TAP_DIM)


def _reduced_taps(tap_reducer: Reducer, numbers: Int64, taps: NDArray[Any]) -> Rows:
    if not tap_reducer.dim:
        return Rows(numbers, np.zeros((len(numbers), 0), np.int16), np.ones(len(numbers), np.float32))
    starts = range(0, len(taps), _BLOCK_ROWS)
    parts = [
        Rows.pack(
            numbers[start : start + _BLOCK_ROWS], reduce.transform(tap_reducer, taps[start : start + _BLOCK_ROWS])
        )
        for start in starts
    ]
    return _joined(parts)


def _fused(vectors: Float32, weights: Float32, taps: Float32, tap_reducer: Reducer) -> Float32:
    return rerank.fused(vectors, weights, taps, reduce.whitening_weights(tap_reducer, rerank.OBJECT_POWER))


def _packed(numbers: Int64, rows: NDArray[Any]) -> Rows:
    blocks = (slice(start, start + _BLOCK_ROWS) for start in range(0, len(rows), _BLOCK_ROWS))
    return _joined([Rows.pack(numbers[block], rerank.unit(rows[block].astype(np.float32))) for block in blocks])


def _joined(parts: list[Rows]) -> Rows:
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("keys", "codes", "scales")))


# -- the file ------------------------------------------------------------------------------------------------------


def save(file: Path, hoods: Neighbourhoods, space: str) -> None:
    """Write the file, or replace it.

    Raises:
        OSError: it could not be written; what was there is as it was.
    """
    taps = hoods.tap_reducer
    arrays: dict[str, NDArray[Any]] = {
        "numbers": hoods.numbers,
        "leaders": hoods.leaders,
        "leader_numbers": hoods.smoothed.keys,
        "smoothed": hoods.smoothed.codes,
        "smoothed_scales": hoods.smoothed.scales,
        "taps": hoods.taps.codes,
        "tap_scales": hoods.taps.scales,
        "members": hoods.members,
        "shares": hoods.shares,
        "reached": hoods.reached,
        "even_weights": hoods.even_weights,
        "fused_weights": hoods.fused_weights,
        "tap_mean": taps.mean,
        "tap_variances": taps.variances,
    }
    if taps.components is not None:
        arrays["tap_components"] = taps.components
    facts = {"space": space, "taps_fitted_on": taps.fitted_on, "taps_trained": taps.components is not None}
    write(file, _KIND, facts, {name: [array] for name, array in arrays.items()})


def load(file: Path, space: str) -> Neighbourhoods | None:
    """What the file holds, left on disk where it is large; None where it is of another space.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        GalleryFormatError: it is damaged, cut short, or something else.
    """
    with CacheFile(file, _KIND) as cache:
        if cache.facts["space"] != space:
            return None
        numbers = cache.array("numbers", "<i8")
        smoothed = cache.array("smoothed", "<i2", mapped=True), cache.array("smoothed_scales", "<f4")
        taps = cache.array("taps", "<i2", mapped=True), cache.array("tap_scales", "<f4")
        return Neighbourhoods(
            Rows(numbers, *taps),
            cache.array("leaders", "<i4"),
            Rows(cache.array("leader_numbers", "<i8"), *smoothed),
            cache.array("members", "<i4", mapped=True),
            cache.array("shares", "<f2", mapped=True),
            cache.array("reached", "<f4"),
            cache.array("even_weights", "<f4"),
            cache.array("fused_weights", "<f4"),
            _read_tap_reducer(cache),
        )


def _read_tap_reducer(cache: CacheFile) -> Reducer:
    components = cache.array("tap_components", "<f4") if cache.facts["taps_trained"] else None
    mean, variances = cache.array("tap_mean", "<f4"), cache.array("tap_variances", "<f4")
    return Reducer(mean, components, variances, cache.facts["taps_fitted_on"])

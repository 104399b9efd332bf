"""Parts of images: switched on and off, learned a space for, followed by an engine of their own, and searched.

While a gallery holds few regions, their embeddings are kept, and what is learned from them is learned again whenever
they have doubled. From ``ENOUGH`` contents on the space stays, and only codes are kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lookalike import reduce, regions
from lookalike.catalogue.data import Extracted, RegionChanges
from lookalike.engines.base import NO_KEY, EngineState, SearchEngine
from lookalike.errors import GalleryFormatError
from lookalike.gallery.parts import Parts
from lookalike.types import DecodedImage, Float32, Int64, Reducer, space_of

ENOUGH = 300  # contents to learn the space from: more make it no better (docs/regions.md)
_SWITCH, _SPACE = "regions", "region space"  # names in ``Catalogue.derived``
_ROWS = 512  # regions that the engine hands over
_PLACES = 16  # keys of one content in the engine; COUNT of them are used


# -- on and off -------------------------------------------------------------------------------------------------


def are_on(parts: Parts) -> bool:
    """Whether the gallery keeps regions."""
    return parts.catalogue.derived(_SWITCH) is not None


def switch(parts: Parts, on: bool | None) -> bool:
    """Switch regions on or off, None leaves them; off drops them. Returns whether they are on now.

    Raises:
        ModelError: the network gives no map to pool them from; nothing was changed.
    """
    if on and not are_on(parts):
        embedder = parts.embedder(throughput=True)
        embedder.feature_maps(np.zeros((*embedder.info.shapes[0], 3), np.uint8))
        parts.catalogue.set_derived(_SWITCH, "", b"on")
    elif on is False and are_on(parts):
        parts.catalogue.set_derived(_SWITCH, "", None)
        parts.catalogue.regions.clear()
        parts.region_engine.clear()
        parts.region_engine.commit(EngineState())
    return are_on(parts)


# -- filling ----------------------------------------------------------------------------------------------------


class Coder:
    """Turns region embeddings into codes as soon as there is a space for them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._space = self._settled()

    def coded(self, batch: Sequence[Extracted]) -> list[Extracted]:
        """The batch as it is to be written."""
        return [self._one(result) for result in batch]

    def learn_if_enough(self) -> None:
        """After a batch was written: learn the space once that many embeddings are there."""
        if self._space is None and self._parts.catalogue.regions.count_drafts()[0] >= ENOUGH:
            learn(self._parts)
            self._space = self._settled()

    def _one(self, result: Extracted) -> Extracted:
        if self._space is None or result.regions is None:
            return result
        vectors = regions.transform(self._space, result.regions)
        return replace(result, regions=regions.to_codes(vectors))

    def _settled(self) -> Reducer | None:
        drafts, _ = self._parts.catalogue.regions.count_drafts()
        return None if drafts else _space(self._parts)


def learn(parts: Parts) -> None:
    """Give every content that has none yet its codes, and learn the space for them where that is due.

    Belongs at the end of an index run, under the writer lock.
    """
    with parts.catalogue.snapshot():
        store = parts.catalogue.regions
        count, without = store.count_drafts()
        if not without:
            return
        space, fitted = _space(parts), None
        if space is None or count >= ENOUGH or count * regions.COUNT >= 2 * space.fitted_on:
            fitted = space = _fit(parts)
        numbers, codes = [], []
        for block in store.drafts():
            embeddings = block.embeddings.reshape(-1, parts.catalogue.model().dim)
            codes.append(regions.to_codes(regions.transform(space, embeddings)).reshape(len(block.numbers), -1))
            numbers.append(block.numbers)
    kept = None if fitted is None else (parts.catalogue.model().fingerprint, _to_bytes(fitted))
    store.settle(np.concatenate(numbers), np.concatenate(codes), is_final=count >= ENOUGH, space=kept)


def _fit(parts: Parts) -> Reducer:
    dim = parts.catalogue.model().dim
    moments = reduce.Moments(dim)
    for block in parts.catalogue.regions.drafts():
        moments.add(block.embeddings.reshape(-1, dim))
    return reduce.fit(moments, dim=regions.DIM)


def _space(parts: Parts) -> Reducer | None:
    """The space of region vectors; None until it is learned."""
    kept = parts.catalogue.derived(_SPACE)
    return None if kept is None else _from_bytes(kept[1])


def _to_bytes(reducer: Reducer) -> bytes:
    shape = None if reducer.components is None else reducer.components.shape
    head = {"dim": reducer.dim, "shape": shape, "fitted_on": reducer.fitted_on}
    arrays = [reducer.variances, reducer.mean, *([] if reducer.components is None else [reducer.components])]
    return b"\n".join([json.dumps(head).encode(), b"".join(array.astype("<f4").tobytes() for array in arrays)])


def _from_bytes(data: bytes) -> Reducer:
    try:
        head, body = data.split(b"\n", 1)
        facts = json.loads(head)
        values = np.frombuffer(body, "<f4").astype(np.float32)
        d, shape = int(facts["dim"]), facts["shape"]
        mean = values[d:] if shape is None else values[d : d + shape[1]]
        components = None if shape is None else values[d + shape[1] :].reshape(shape)
        return Reducer(mean, components, values[:d], int(facts["fitted_on"]))
    except (ValueError, KeyError, TypeError) as error:
        hint = "lookalike index --no-regions, then --regions, makes regions anew"
        raise GalleryFormatError("the space of the gallery's regions is damaged", hint=hint) from error


# -- the engine follows the catalogue -----------------------------------------------------------------------------


def synced(parts: Parts) -> tuple[SearchEngine, Reducer] | None:
    """The engine of regions, holding what the catalogue holds now, and their space; None where there are none."""
    with parts.lock, parts.catalogue.snapshot():
        catalogue = parts.catalogue
        generation = catalogue.generation()
        followed = parts.followed_regions
        if followed is not None and followed[0] == parts.region_engine.state.generation == generation:
            return parts.region_engine, followed[1]
        reducer = _space(parts)
        if reducer is None:
            return None
        engine = parts.region_engine
        space = f"{space_of(catalogue.model(), reducer)}-{catalogue.identity()}"
        if engine.state.space != space or engine.state.generation > generation:
            engine.clear()
        if engine.state.generation < generation:
            for change in catalogue.regions.changes(engine.state.generation):
                _follow(engine, change)
        engine.commit(EngineState(space, generation))
        parts.followed_regions = generation, reducer
        return engine, reducer


def _follow(engine: SearchEngine, change: RegionChanges) -> None:
    if len(change.removed):
        engine.delete(_keys(change.removed))
    if len(change.numbers):
        codes = change.codes.reshape(len(change.numbers) * regions.COUNT, -1)
        engine.upsert(_keys(change.numbers), regions.from_codes(codes))


def _keys(numbers: Int64) -> Int64:
    """Keys (n * R,) in the engine of the regions of contents (n,)."""
    return (numbers[:, None] * _PLACES + np.arange(regions.COUNT)).ravel()


# -- searching --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Images of which a part is like the query, each with its best region.

    Attributes:
        keys: (h,) int64, ascending.
        standings: (h,) float32, what the region is worth as a score of the whole.
        boxes: (h, 4) float32, x0, y0, x1, y1 as fractions.
    """

    keys: Int64
    standings: Float32
    boxes: Float32


def look(parts: Parts, decoded: DecodedImage) -> Float32 | None:
    """The embedding (D,) by which a query picture is looked for in regions; None where the gallery has none.

    One more pass of the network.
    """
    if parts.catalogue.derived(_SPACE) is None:
        return None
    embedder = parts.embedder(throughput=False)
    red, green, blue = (int(np.clip(round(side), 0, 255)) for side in embedder.info.mean)
    maps = embedder.feature_maps(regions.shrunk(decoded.pixels, (red, green, blue)))
    return regions.pool_shrunk(maps.final.transpose(2, 0, 1))


def find(parts: Parts, embedding: Float32, allowed: Int64 | None) -> Hits | None:
    """Images with a part like the query; read it inside a snapshot.

    Args:
        parts: Of the gallery.
        embedding: From ``look``.
        allowed: (a,) keys to search among; None for all.

    Returns:
        None where the gallery has no regions.
    """
    held = synced(parts)
    if held is None:
        return None
    engine, space = held
    query = regions.transform(space, embedding[None, :])
    among = None if allowed is None else _keys(np.unique(parts.catalogue.contents_of(allowed)))
    found, scores = (rows[0] for rows in engine.search(query, _ROWS, among))
    found, scores = found[found != NO_KEY], scores[found != NO_KEY]
    numbers, best = np.unique(found // _PLACES, return_index=True)  # the first of each is its best
    keys, contents = parts.catalogue.regions.keys_of_contents(numbers)
    rows = best[np.searchsorted(numbers, contents)]
    if allowed is not None:
        wanted = np.isin(keys, allowed)
        keys, rows = keys[wanted], rows[wanted]
    boxes = np.array(regions.BOXES, np.float32)[found[rows] % _PLACES]
    return Hits(keys, regions.standing(scores[rows]), boxes)


@dataclass(frozen=True, slots=True, eq=False)
class Lift:
    """What regions change in an order of candidates.

    Attributes:
        rank_scores: (c,) float32, the new ones.
        boxes: (c, 4) float32, the part that gave an image its place, NaN where the whole image did.
        standings: (c,) float32, what that part is worth as a plain score, NaN likewise.
    """

    rank_scores: Float32
    boxes: Float32
    standings: Float32


def lift(hits: Hits, keys: Int64, scores: Float32, rank_scores: Float32) -> Lift:
    """Let candidates rise whose best region is worth more than the whole.

    Args:
        hits: From ``find``.
        keys: (c,) int64, the candidates.
        scores: (c,) float32, their plain scores.
        rank_scores: (c,) float32, what their order is by.
    """
    boxes = np.full((len(keys), 4), np.nan, np.float32)
    standings = np.full(len(keys), np.nan, np.float32)
    if not len(hits.keys) or not len(keys):
        return Lift(rank_scores, boxes, standings)
    rows = np.minimum(np.searchsorted(hits.keys, keys), len(hits.keys) - 1)
    wanted = np.where(hits.keys[rows] == keys, hits.standings[rows], -np.inf).astype(np.float32)
    lifted = regions.lift(scores, rank_scores, wanted)
    rises = lifted > rank_scores
    boxes[rises], standings[rises] = hits.boxes[rows[rises]], wanted[rises]
    return Lift(lifted, boxes, standings)

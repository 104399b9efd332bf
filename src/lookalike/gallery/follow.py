"""The search engine follows the catalogue: what changed since it last looked, in one vector space at a time."""

from __future__ import annotations

from lookalike import reduce
from lookalike.catalogue.data import Changes
from lookalike.engines.base import EngineState, SearchEngine
from lookalike.gallery.parts import Parts
from lookalike.types import Reducer, space_of


def synced(parts: Parts) -> tuple[SearchEngine, Reducer]:
    """The engine, holding exactly what the catalogue holds now, and the reducer that made its vectors."""
    with parts.lock, parts.catalogue.snapshot():
        catalogue, engine = parts.catalogue, parts.engine
        generation = catalogue.generation()
        if parts.followed is not None and parts.followed[0] == engine.state.generation == generation:
            return engine, parts.followed[1]
        reducer = catalogue.reducer() or _interim(parts)
        space = f"{space_of(catalogue.model(), reducer)}-{catalogue.identity()}"
        if engine.state.space != space or engine.state.generation > generation:
            engine.clear()
        is_behind = engine.state.generation < generation
        if is_behind:
            for change in catalogue.changes(engine.state.generation):
                _follow(engine, reducer, change)
        if is_behind or not parts.index_ready:
            engine.commit(EngineState(space, generation))
            parts.index_ready = True
        parts.followed = generation, reducer
        return engine, reducer


def _follow(engine: SearchEngine, reducer: Reducer, change: Changes) -> None:
    if len(change.removed):
        engine.delete(change.removed)
    if len(change.keys):
        engine.upsert(change.keys, reduce.transform(reducer, change.embeddings))


def _interim(parts: Parts) -> Reducer:
    """Before the first fit: centred embeddings; the centre is kept until the gallery has doubled."""
    count = parts.catalogue.count_contents()
    if parts.interim is None or count >= 2 * parts.interim.fitted_on:
        moments = reduce.Moments(parts.catalogue.model().dim)
        for block in parts.catalogue.contents():
            moments.add(block.embeddings)
        parts.interim = reduce.centre_only(moments)
    return parts.interim

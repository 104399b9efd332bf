"""Clusters as people look at them: sizes, names, images to see, and samples to inspect."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike import exemplars, label
from lookalike.cluster_results import ClusterDetail, Clustering, ClusterView, ShownImage
from lookalike.errors import SettingError
from lookalike.exemplars import Standing
from lookalike.gallery import sorting
from lookalike.gallery.parts import Parts
from lookalike.gallery.sorting import UNASSIGNED, Sorted
from lookalike.types import Float32, ImageRecord, Int64, format_id

EXEMPLARS = 6
SHOWN = 12
_SIMILAR = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What views are made from.

    Attributes:
        state: The sorted gallery.
        ids: (c,) int64, the clusters that hold an image, ascending.
        members: (m,) int64, rows of what they hold.
        standing: Of those.
        labels: Label by key.
        keys: (i,) int64, of all images, ascending.
        rows: (i,) int64, the row of each one's content.
    """

    state: Sorted
    ids: Int64
    members: Int64
    standing: Standing
    labels: dict[int, str]
    keys: Int64
    rows: Int64

    def of(self, cluster: int) -> Int64:
        """Places in ``members`` of what a cluster holds."""
        return np.flatnonzero(self.state.ids[self.members] == cluster)

    def keys_of(self, cluster: int) -> Int64:
        """Keys of all images of a cluster, copies included."""
        keys: Int64 = self.keys[self.state.ids[self.rows] == cluster]
        return keys


def overview(parts: Parts) -> Clustering:
    """All clusters; see ``Gallery.clusters``."""
    with parts.lock, parts.catalogue.snapshot():
        scene = _scene(parts)
        wanted = {int(number): _pick(scene, int(number)) for number in scene.ids}
        records = parts.catalogue.records([int(scene.state.rows.keys[row]) for rows in wanted.values() for row in rows])
        views = [_view(scene, number, rows, records) for number, rows in wanted.items()]
        run, count = scene.state.run, len(scene.keys)
    views.sort(key=lambda view: (-view.size, view.id))
    return Clustering(
        gallery=parts.path,
        run=run.number,
        at=run.at,
        method=run.facts["method"],
        asked=run.facts["asked"],
        automatic=run.facts["automatic"],
        clusters=tuple(views),
        n_images=count,
        n_unassigned=count - sum(view.size for view in views),
    )


def detail(parts: Parts, number: int, *, sample: int | None, seed: int, target: float) -> ClusterDetail:
    """One cluster; see ``Gallery.cluster_detail``."""
    with parts.lock, parts.catalogue.snapshot():
        scene = _scene(parts)
        scene.state.cluster(number)
        places = scene.of(number)
        if not len(places):
            raise SettingError(f"cluster {number} holds no image now", hint="they come back when their files do")
        rows, own, margin = scene.members[places], scene.standing.own[places], scene.standing.margin[places]
        drawn = inspection_order(scene.keys_of(number), seed)
        needed = label.looks_needed(len(drawn), 0, 0, target)
        picks = {
            "central": rows[exemplars.central(own, SHOWN)],
            "diverse": rows[exemplars.diverse(scene.state.rows.vectors[rows], own, SHOWN)],
            "border": rows[exemplars.border(margin, SHOWN)],
            "strangers": rows[exemplars.strangers(own, margin)],
        }
        shown = {name: scene.state.rows.keys[row] for name, row in picks.items()}
        shown["sample"] = drawn[: needed if sample is None else sample]
        picked = _pick(scene, number)
        wanted = [int(key) for keys in shown.values() for key in keys] + _keys(scene, picked)
        records = parts.catalogue.records(wanted)
        score = dict(zip(rows.tolist(), own.tolist(), strict=True))
        images = {name: tuple(_shown(scene, records, keys, score)) for name, keys in shown.items()}
        view = _view(scene, number, picked, records)
    return ClusterDetail(view, scene.state.run.number, **images, seed=seed, looks_needed=needed, target=target)


def unassigned(parts: Parts) -> list[ImageRecord]:
    """The images that are in no cluster, by root and path."""
    with parts.lock, parts.catalogue.snapshot():
        state = sorting.opened(parts)
        keys, contents = parts.catalogue.content_numbers()
        out = state.rows.numbers[state.ids <= UNASSIGNED]
        records = parts.catalogue.records(keys[np.isin(contents, out)].tolist())
    return sorted(records.values(), key=lambda record: (record.root, record.relative_path))


def keys_in(parts: Parts, number: int) -> tuple[int, Int64]:
    """Number of the run, and the keys of all images of a cluster, ascending."""
    with parts.lock, parts.catalogue.snapshot():
        state = sorting.opened(parts)
        state.cluster(number)
        keys, contents = parts.catalogue.content_numbers()
        return state.run.number, keys[np.isin(contents, state.rows.numbers[state.members(number)])]


def inspection_order(keys: Int64, seed: int) -> Int64:
    """The keys in an order that the seed decides, the same for the same images whatever else there is."""

    def luck(key: int) -> bytes:
        return hashlib.sha256(f"{seed} {format_id(key)}".encode()).digest()

    return np.array(sorted(keys.tolist(), key=luck), np.int64)


def _scene(parts: Parts) -> _Scene:
    state = sorting.opened(parts)
    ids = state.occupied()
    members, standing = state.standing(ids)
    keys, contents = parts.catalogue.content_numbers()
    rows = np.searchsorted(state.rows.numbers, contents)
    return _Scene(state, ids, members, standing, parts.catalogue.labels(), keys, rows)


def _pick(scene: _Scene, number: int) -> Int64:
    places = scene.of(number)
    rows = scene.members[places]
    return rows[exemplars.diverse(scene.state.rows.vectors[rows], scene.standing.own[places], EXEMPLARS)]


def _keys(scene: _Scene, rows: Int64) -> list[int]:
    return [int(key) for key in scene.state.rows.keys[rows]]


def _view(scene: _Scene, number: int, picked: Int64, records: dict[int, ImageRecord]) -> ClusterView:
    places = scene.of(number)
    own, margin = scene.standing.own[places], scene.standing.margin[places]
    keys = scene.keys_of(number)
    said = [scene.labels[key] for key in keys.tolist() if key in scene.labels]
    score = dict(zip(scene.members[places].tolist(), own.tolist(), strict=True))
    return ClusterView(
        id=number,
        size=len(keys),
        label=_name(said, len(keys)),
        labelled=len(said),
        cohesion=float(own.mean()),
        exemplars=tuple(_shown(scene, records, scene.state.rows.keys[picked], score)),
        similar=_similar(scene, number),
        n_strangers=len(exemplars.strangers(own, margin)),
    )


def _name(said: Sequence[str], size: int) -> str | None:
    """What most are called."""
    if not said:
        return None
    name, count = min(Counter(said).items(), key=lambda item: (-item[1], item[0]))
    return name if 2 * count >= size else None


def _similar(scene: _Scene, number: int) -> tuple[tuple[int, float], ...]:
    at = int(np.searchsorted(scene.ids, number))
    scores: Float32 = scene.standing.centres @ scene.standing.centres[at]
    nearest = [int(place) for place in np.argsort(-scores, kind="stable") if place != at][:_SIMILAR]
    return tuple((int(scene.ids[place]), float(scores[place])) for place in nearest)


def _shown(
    scene: _Scene, records: dict[int, ImageRecord], keys: Int64, score: dict[int, float]
) -> Iterable[ShownImage]:
    for key in keys.tolist():
        row = int(scene.rows[np.searchsorted(scene.keys, key)])
        yield ShownImage(format_id(key), records[key].path, score[row], scene.labels.get(key))

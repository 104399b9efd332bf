"""Labelling whole clusters with a known error, and what all inspections together say.

People look at a sample that the program draws, and say which of it is wrong. Those get no label and leave the cluster;
the rest is labelled, together with what the sample proves about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike import label
from lookalike.catalogue.data import LabelChange
from lookalike.cluster_results import ErrorReport, LabelReport, SampleImage
from lookalike.errors import SettingError
from lookalike.gallery.cluster_views import inspection_order, keys_in
from lookalike.gallery.curate import account_name
from lookalike.gallery.parts import Parts
from lookalike.label import Stratum
from lookalike.types import Int64, LabelEvent, format_id

SOURCE = "cluster"
_NOBODY = ""
_MOST_WRONG = 0.2  # share of the sample: a cluster with more is two kinds, and should be split


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a person saw of a sample.

    Attributes:
        inspected: How many were looked at, from the first on.
        wrong: Ids of those among them that are something else.
        seed: Of the sample.
    """

    inspected: int
    wrong: Sequence[str] = ()
    seed: int = 0


def label_cluster(
    parts: Parts, number: int, text: str, seen: Inspection, *, by: str | None, target: float, force: bool
) -> LabelReport:
    """Label a cluster; see ``Gallery.label_cluster``."""
    if not text.strip():
        raise SettingError("the label is empty", hint="labels undo takes labels away")
    run, keys = keys_in(parts, number)
    drawn = inspection_order(keys, seen.seed)
    wrong_at = _places(drawn, seen)
    wrong = len(wrong_at)
    bound = label.error_bound(len(drawn), seen.inspected, wrong)
    failed = not force and seen.inspected > 0 and wrong > _MOST_WRONG * seen.inspected
    batch = None
    if not failed:
        kept = np.delete(drawn, wrong_at)
        facts = {
            "run": run,
            "cluster": number,
            "size": len(drawn),
            "inspected": seen.inspected,
            "wrong_at": wrong_at,
            "seed": seen.seed,
            "bound": round(bound, 4),
        }
        changes = [LabelChange(int(key), text.strip()) for key in kept]
        batch = parts.catalogue.add_labels(changes, by=by or account_name(), source=SOURCE, facts=facts)
        _take_out(parts, number, drawn[wrong_at])
    return LabelReport(
        cluster=number,
        label=text.strip(),
        batch=batch,
        labelled=0 if failed else len(drawn) - wrong,
        inspected=seen.inspected,
        wrong=tuple(format_id(int(key)) for key in drawn[wrong_at]),
        bound=bound,
        target=target,
        more_looks=label.looks_needed(len(drawn), seen.inspected, wrong, target),
        failed=failed,
    )


def _places(drawn: Int64, seen: Inspection) -> list[int]:
    """At which places of the sample the wrong ones are.

    Raises:
        SettingError: more were inspected than there are, or a wrong one was not among those.
    """
    if not 0 <= seen.inspected <= len(drawn):
        raise SettingError(f"{seen.inspected} inspected of {len(drawn)}", hint="the cluster does not hold that many")
    place = {format_id(int(key)): at for at, key in enumerate(drawn[: seen.inspected])}
    unknown = [image_id for image_id in seen.wrong if image_id not in place]
    if unknown:
        raise SettingError(
            f"{unknown[0]} is not among the first {seen.inspected} of the sample",
            hint="give the same seed as when you looked; if the cluster has changed since, look again: cluster show",
        )
    return sorted({place[image_id] for image_id in seen.wrong})


def _take_out(parts: Parts, number: int, keys: Int64) -> None:
    """Make contents of images unassigned."""
    if not len(keys):
        return
    contents = np.unique(parts.catalogue.contents_of(keys))
    cluster = next(each for each in parts.catalogue.clusters.all() if each.id == number)
    members, clusters = parts.catalogue.clusters.members()
    stays = members[(clusters == number) & ~np.isin(members, contents)]
    place = np.concatenate([np.zeros(len(stays), np.int64), np.full(len(contents), -1)])
    parts.catalogue.clusters.replace([cluster], np.concatenate([stays, contents]), place, instead_of=[number])


# -- all of them together ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """The images that one labelling of a cluster still stands for.

    Attributes:
        batch: Its number.
        order: (m,) int64, their keys in the order of inspection.
        stratum: What was seen of them.
    """

    batch: int
    order: Int64
    stratum: Stratum


def error(parts: Parts, target: float) -> ErrorReport:
    """What is known of the labels of clusters; see ``Gallery.label_error``."""
    with parts.catalogue.snapshot():
        standing = _standing(parts)
        drawn = _next_to_inspect(standing, target)
        records = parts.catalogue.records(drawn)
    pooled = label.pooled([part.stratum for part in standing])
    return ErrorReport(
        clusters=len(standing),
        images=pooled.size,
        looks=pooled.looks,
        wrong=pooled.wrong,
        bound=pooled.bound if standing else None,
        target=target,
        sample=tuple(SampleImage(format_id(key), records[key].path, records[key].label) for key in drawn),
    )


def bound_among(parts: Parts, count: int) -> float | None:
    """Upper bound on the share of wrong labels among some images that have theirs from clusters; None for none.

    All wrong ones that there can be may be among them.
    """
    if not count:
        return None
    pooled = label.pooled([part.stratum for part in _standing(parts)])
    return min(1.0, pooled.bound * pooled.size / count)


def check(parts: Parts, inspected: int, wrong: Sequence[str], *, by: str | None, target: float) -> int | None:
    """Note that the first of the sample of ``error`` were inspected; see ``Gallery.check_labels``."""
    standing = _standing(parts)
    drawn = _next_to_inspect(standing, target)
    if not 0 <= inspected <= len(drawn):
        raise SettingError(f"{inspected} inspected of a sample of {len(drawn)}", hint="labels check lists the sample")
    seen = drawn[:inspected]
    bad = [key for key in seen if format_id(key) in set(wrong)]
    if len(bad) < len(set(wrong)):
        raise SettingError("an image is called wrong that was not inspected", hint="labels check lists the sample")
    if not seen:
        return None
    looked = {str(part.batch): [format_id(int(k)) for k in part.order if int(k) in set(seen)] for part in standing}
    changes = [LabelChange(key, None) for key in bad]
    facts = {"checked": {batch: ids for batch, ids in looked.items() if ids}, "wrong": [format_id(key) for key in bad]}
    return parts.catalogue.add_labels(changes, by=by or account_name(), source="person", facts=facts)


def _next_to_inspect(standing: Sequence[_Labelled], target: float) -> list[int]:
    """Keys to inspect, so that the pooled bound reaches the target if none of them is wrong."""
    strata = [part.stratum for part in standing]
    more = label.allocate(strata, label.pooled_looks(strata, target))
    return [
        int(key)
        for part, count in zip(standing, more, strict=True)
        for key in part.order[part.stratum.inspected :][:count]
    ]


def _standing(parts: Parts) -> list[_Labelled]:
    """All labellings of clusters that still stand for something."""
    with parts.catalogue.snapshot():
        events = [event for event in reversed(parts.catalogue.label_events()) if event.undone_at is None]
        current = parts.catalogue.label_batches()
        every = [_labelled(parts, event, current, events) for event in events if event.source == SOURCE]
    return [labelled for labelled in every if labelled.stratum.size > len(labelled.stratum.wrong_at)]


def _labelled(parts: Parts, event: LabelEvent, current: Mapping[int, int], events: Sequence[LabelEvent]) -> _Labelled:
    """What is left of a labelling: an image that got another label since, or whose file is gone, has left it."""
    facts, batch = event.facts, str(event.batch)
    checks = [each.facts for each in events if batch in each.facts.get("checked", {})]
    looked = {image_id for each in checks for image_id in each["checked"][batch]}
    bad = {image_id for each in checks for image_id in each["wrong"]}
    # Those wrong at once were never labelled: they stand in the order as nobody.
    order = [format_id(key) for key in parts.catalogue.labelled_in(event.batch)]
    for at in facts["wrong_at"]:
        order.insert(at, _NOBODY)
    seen = order[: facts["inspected"]] + [image_id for image_id in order[facts["inspected"] :] if image_id in looked]
    rest = [image_id for image_id in order[facts["inspected"] :] if image_id not in looked]

    def stays(image_id: str) -> bool:
        return image_id == _NOBODY or image_id in bad or current.get(int(image_id, 16)) == event.batch

    seen, rest = list(filter(stays, seen)), list(filter(stays, rest))
    wrong_at = tuple(at for at, image_id in enumerate(seen) if image_id == _NOBODY or image_id in bad)
    keys = [-1 if image_id == _NOBODY else int(image_id, 16) for image_id in [*seen, *rest]]
    return _Labelled(event.batch, np.array(keys, np.int64), Stratum(len(keys), len(seen), wrong_at))

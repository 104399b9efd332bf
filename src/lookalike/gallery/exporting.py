"""Exporting: what is asked is checked, images are listed and divided, and one writer gets them all."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lookalike import path_templates, split
from lookalike.catalogue.labels import now
from lookalike.errors import SettingError
from lookalike.export import target as targets
from lookalike.export.card import card
from lookalike.export.formats import Format, choose
from lookalike.export.photos import CHANGED, GONE, Photos
from lookalike.export.report import ExportReport
from lookalike.export.rows import ExportRow, Job, LeftOut, columns, values
from lookalike.export.target import Target
from lookalike.filters import parse
from lookalike.gallery import labelling
from lookalike.gallery.export_plan import Division, Listing, Wanted, divide, listing
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts, Progress
from lookalike.tables import CsvFile, is_utf8, utf8
from lookalike.types import Float32, parse_id

URL_PREFIX = "/data/local-files/?d="
RELABELLED = "it was labelled anew during the export"
_PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Ask:
    """What was asked for; see ``Gallery.export``."""

    format: str | None = None
    split: Sequence[float] | str | None = None
    group_by: str | None = None
    where: str | None = None
    files: str | None = None
    labelled_only: bool = False
    url_prefix: str | None = None
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What is written, and where to."""

    form: Format
    files: str | None
    target: Target
    wanted: Wanted
    listed: Listing
    division: Division | None

    @property
    def field_names(self) -> tuple[str, ...]:
        return self.wanted.group_by.fields if self.wanted.group_by else ()

    @property
    def unmatched(self) -> int:
        return int(np.count_nonzero(self.listed.fields < 0)) if self.wanted.group_by else 0

    @property
    def splits(self) -> tuple[str, ...]:
        return self.division.names if self.division else ("",)


@dataclass(slots=True)
class _Tally:
    """What became of the images."""

    left_out: Counter[str]
    by_split: dict[str, Counter[str]]
    sources: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    escaped: int = 0

    def count(self, row: ExportRow) -> None:
        self.by_split[row.split][row.detail.label if row.detail else ""] += 1
        self.escaped += not is_utf8(str(row.record.path))
        if row.detail:
            self.sources[row.detail.source] += 1
            self.changed += row.detail.is_changed


def export(parts: Parts, path: Path, ask: Ask, progress: Progress) -> ExportReport:
    """See ``Gallery.export``."""
    started = time.monotonic()
    plan = _planned(parts, path, ask, progress)
    tally = _Tally(Counter(plan.listed.left_out), {name: Counter() for name in plan.splits})
    photos = Photos(plan.files or "")
    with plan.target.draft() as draft:
        _write(parts, plan, _job(parts, plan, ask, photos, draft), tally, progress)
        report = _report(parts, plan, ask, tally, photos, time.monotonic() - started)
        (draft / plan.target.card.name).write_text(card(report), encoding="utf-8", newline="\n")
        if plan.form.is_folder:
            targets.mark(draft, report.to_dict())
    return report


# -- what is asked -------------------------------------------------------------------------------------------------


def _planned(parts: Parts, path: Path, ask: Ask, progress: Progress) -> _Plan:
    form = choose(ask.format, path)
    files = form.choose_files(ask.files)
    if ask.url_prefix is not None and form.name != "labelstudio":
        raise SettingError(f"url_prefix: {ask.url_prefix!r} with {form.name}", hint="it belongs to labelstudio")
    if form.check is not None:
        form.check()
    roots = [Path(root.location) for root in parts.catalogue.roots()]
    target = targets.check(
        path, is_folder=form.is_folder, overwrite=ask.overwrite, photos=roots, gallery=parts.path.absolute()
    )
    fractions = split.parse_fractions(ask.split) if isinstance(ask.split, str) else ask.split
    wanted = Wanted(
        where=parse(ask.where) if ask.where else (),
        labelled_only=ask.labelled_only or form.needs_labels,
        group_by=path_templates.parse(ask.group_by) if ask.group_by else None,
    )
    if fractions is None:
        return _Plan(form, files, target, wanted, listing(parts, wanted), None)
    division = divide(parts, wanted, split.check_fractions(fractions), ask.seed, progress)
    return _Plan(form, files, target, wanted, *division)


def _job(parts: Parts, plan: _Plan, ask: Ask, photos: Photos, draft: Path) -> Job:
    return Job(
        draft=draft,
        name=plan.target.path.name,
        splits=plan.splits,
        labels=plan.listed.label_texts,
        field_names=plan.field_names,
        photos=photos,
        base=_base(parts),
        url_prefix=URL_PREFIX if ask.url_prefix is None else ask.url_prefix,
        vectors=lambda ids: _vectors(parts, ids),
        space=parts.space(),
    )


def _base(parts: Parts) -> Path:
    """The folder that holds all photos."""
    try:
        return Path(os.path.commonpath([root.location for root in parts.catalogue.roots()]))
    except ValueError:  # on several drives
        return Path()


def _vectors(parts: Parts, ids: Sequence[str]) -> Float32:
    with parts.lock, parts.catalogue.snapshot():
        engine, _ = synced(parts)
        return engine.vectors(np.array([parse_id(image_id) for image_id in ids], np.int64))


# -- writing -------------------------------------------------------------------------------------------------------


def _write(parts: Parts, plan: _Plan, job: Job, tally: _Tally, progress: Progress) -> None:
    with ExitStack() as stack:
        writer = stack.enter_context(closing(plan.form.writer(job)))
        manifest = stack.enter_context(closing(_manifest(plan, job))) if plan.form.is_folder else None
        for done, row in enumerate(_rows(parts, plan), 1):
            if isinstance(row, LeftOut):
                tally.left_out[str(row)] += 1
                continue
            try:
                file = writer.add(row)
            except LeftOut as reason:
                tally.left_out[str(reason)] += 1
                continue
            tally.count(row)
            if manifest is not None:
                manifest.write([utf8(file), *values(row, plan.field_names).values()])
            progress("export", done, len(plan.listed))
        writer.finish()


def _manifest(plan: _Plan, job: Job) -> CsvFile:
    """Says of every file in a folder which image it is."""
    file = (job.draft / "manifest.csv").open("w", encoding="utf-8", newline="")
    return CsvFile(file, ["file", *columns(plan.field_names)])


def _rows(parts: Parts, plan: _Plan) -> Iterator[ExportRow | LeftOut]:
    """All images of the plan as they are now; a page at a time, so that memory does not grow with them."""
    listed, division = plan.listed, plan.division
    nothing = ("",) * len(plan.field_names)
    for start in range(0, len(listed), _PAGE_ROWS):
        keys = listed.keys[start : start + _PAGE_ROWS]
        with parts.catalogue.snapshot():
            records, details = parts.catalogue.records(keys.tolist()), parts.catalogue.label_details(keys)
            contents = parts.catalogue.contents_of(keys)
        for row, (key, content) in enumerate(zip(keys.tolist(), contents.tolist(), strict=True), start):
            detail = details.get(key)
            if key not in records or content != listed.contents[row]:
                yield LeftOut(CHANGED if key in records else GONE)
            elif (detail.label if detail else None) != listed.label_of(row):
                yield LeftOut(RELABELLED)
            else:
                part, group = ("", None) if division is None else division.of(row)
                yield ExportRow(records[key], detail, part, group, listed.fields_of(row) or nothing)


# -- telling -------------------------------------------------------------------------------------------------------


def _report(parts: Parts, plan: _Plan, ask: Ask, tally: _Tally, photos: Photos, seconds: float) -> ExportReport:
    listed = plan.listed
    by_label = sum(tally.by_split.values(), Counter())
    return ExportReport(
        gallery=parts.path,
        target=plan.target.path,
        card=plan.target.card,
        format=plan.form.name,
        files=plan.files,
        where=ask.where,
        found=listed.found,
        exported=by_label.total(),
        left_out=dict(tally.left_out.most_common()),
        labels={label: count for label, count in by_label.most_common() if label},
        unlabelled=by_label[""],
        sources=dict(tally.sources.most_common()),
        by_split={name: dict(labels.most_common()) for name, labels in tally.by_split.items()},
        split=plan.division.report if plan.division else None,
        fields=plan.field_names,
        unmatched=plan.unmatched,
        unmatched_examples=listed.unmatched_examples,
        changed_since_labelled=tally.changed,
        escaped_paths=tally.escaped,
        model=parts.catalogue.model().name,
        notes=tuple(_notes(parts, plan, tally, photos)),
        at=now(),
        seconds=seconds,
        error_bound=labelling.bound_among(parts, tally.sources[labelling.SOURCE]),
    )


def _notes(parts: Parts, plan: _Plan, tally: _Tally, photos: Photos) -> Iterator[str]:
    if plan.division is not None:
        yield from plan.division.notes
    if unmatched := plan.unmatched:
        example = plan.listed.unmatched_examples[0]
        yield f"{unmatched:,} paths do not match the template of the fields; for example {example}"
    if photos.copied_instead:
        yield f"{photos.copied_instead:,} photos were copied: hard links to them cannot be made there"
    if tally.escaped:
        yield f"paths that are no UTF-8: {tally.escaped:,}; their other bytes are written as \\xff and the like"
    if photos.stay or plan.form.name == "labelstudio":
        begin = _base(parts) if photos.stay else plan.target.path
        serve = ", which is LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT" if plan.form.name == "labelstudio" else ""
        yield f"paths of photos begin at {begin}{serve}"

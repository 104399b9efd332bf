"""Bringing a gallery up to date with its folders."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from lookalike import reduce
from lookalike.catalogue.base import Catalogue, Scan
from lookalike.catalogue.data import Extracted, Root, Tally
from lookalike.errors import SettingError
from lookalike.extract import embed_shard
from lookalike.gallery import calibration, dial, regions, unusual
from lookalike.gallery.follow import synced
from lookalike.gallery.joining import join_new
from lookalike.gallery.parts import Parts, Progress
from lookalike.results import IndexReport
from lookalike.sources.base import SourceEntry, Unlistable
from lookalike.sources.folder import FolderSource

COMMIT_IMAGES = 256
COMMIT_SECONDS = 5.0
_LIST_ROWS = 1000
_MORE_READERS = 2  # than decoders: they wait for the disk
DEFAULT_DIM = 256


@dataclass
class _Listing:
    found: int = 0
    ignored: int = 0
    unreadable: int = 0


def index(
    parts: Parts,
    paths: Sequence[Path],
    *,
    excludes: Sequence[str] | None,
    retry_failed: bool,
    with_regions: bool | None,
    progress: Progress,
) -> IndexReport:
    """List, compare, extract, take out what is gone, fit the reducer, bring the engine up to date.

    Each step's result is on disk before the next begins; a killed run goes on where it stopped. See ``Gallery.index``.
    """
    started = time.monotonic()
    with parts.writer_lock("index"):
        scope = _scope(parts.catalogue, paths, excludes)
        with_regions = regions.switch(parts, with_regions)
        sources = {root.name: _source(root, within) for root, within in scope}
        with parts.catalogue.scan(scope) as scan:
            listing = _list(scan, scope, parts.catalogue, progress)
            tally = scan.compare(retry_failed=retry_failed, regions=with_regions)
            tally += _extract(parts, scan, sources, with_regions, progress)
            removed = scan.finish()
        fit_if_due(parts, progress)
        regions.learn(parts)
        progress("prepare search", 0, None)
        if not parts.catalogue.is_empty():
            synced(parts)
            regions.synced(parts)
            dial.build(parts, progress)
            calibration.run_if_due(parts, progress)
            join_new(parts)
    seconds = time.monotonic() - started
    return IndexReport(
        gallery=parts.path,
        found=listing.found,
        added=tally.added,
        updated=tally.updated,
        reused=tally.reused,
        unchanged=tally.unchanged,
        removed=removed,
        failed=tally.failed,
        ignored=listing.ignored,
        unreadable_folders=listing.unreadable,
        seconds=seconds,
        images_per_second=(tally.added + tally.updated) / seconds if seconds > 0 else 0.0,
        model=parts.catalogue.model().name,
        dim=_dim(parts.catalogue),
        precision=parts.precision_in_use(),
    )


def fit_if_due(parts: Parts, progress: Progress, *, force: bool = False) -> bool:
    """Fit the reducer where there is none yet or the gallery has doubled since; returns whether it was fitted."""
    catalogue = parts.catalogue
    old = catalogue.reducer()
    count = catalogue.count_contents()
    if count == 0 or not (force or old is None or count >= 2 * old.fitted_on):
        return False
    moments = reduce.Moments(catalogue.model().dim)
    with catalogue.snapshot():
        for block in catalogue.contents():
            moments.add(block.embeddings)
            progress("learn what varies", moments.n, count)
    catalogue.set_reducer(reduce.fit(moments, dim=DEFAULT_DIM, power=old.power if old else 0.0))
    return True


def _scope(catalogue: Catalogue, paths: Sequence[Path], excludes: Sequence[str] | None) -> list[tuple[Root, str]]:
    """(root, what within it) to list. Paths that overlap are listed once."""
    if not paths:
        roots = catalogue.roots()
        if not roots:
            raise SettingError("no folder was given, and the gallery knows none yet", hint="lookalike index FOLDER")
        return [(_existing(root), "") for root in roots]
    absolute = sorted({_resolve(path) for path in paths})
    scope: list[tuple[Root, str]] = []
    for path in absolute:
        if not any(path.is_relative_to(Path(root.location, within)) for root, within in scope):
            scope.append(_root_of(catalogue, path, excludes))
    return scope


def _resolve(path: Path) -> Path:
    try:
        return path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SettingError(f"{path} is not there", hint="give a folder of images, or one image") from error


def _existing(root: Root) -> Root:
    if not os.path.isdir(root.location):  # noqa: PTH112 - a location is text
        raise SettingError(
            f"the folder of root {root.name!r} is not there: {root.location}",
            hint="connect its drive, or say where it is now: lookalike doctor --move-root NAME FOLDER",
        )
    return root


def _root_of(catalogue: Catalogue, path: Path, excludes: Sequence[str] | None) -> tuple[Root, str]:
    """The root that a path belongs to: a known one that holds it, one made of those that it holds, or a new one."""
    folder = path if path.is_dir() else path.parent
    for root in catalogue.roots():
        if path.is_relative_to(root.location):
            within = path.relative_to(root.location).as_posix()
            return catalogue.add_root(root.location, excludes), "" if within == "." else within
    inside = [root for root in catalogue.roots() if Path(root.location).is_relative_to(folder)]
    if inside:
        catalogue.widen_root(inside, str(folder))
    root = catalogue.add_root(str(folder), excludes)
    return root, "" if path.is_dir() else path.name


def _source(root: Root, within: str) -> FolderSource:
    return FolderSource(root.location, within=within, excludes=root.excludes)


def _list(scan: Scan, scope: Sequence[tuple[Root, str]], catalogue: Catalogue, progress: Progress) -> _Listing:
    listing = _Listing()
    for root, within in scope:
        pending: list[SourceEntry] = []
        for item in _source(root, within).list():
            if isinstance(item, SourceEntry):
                pending.append(item)
                listing.found += 1
            elif isinstance(item, Unlistable):
                listing.unreadable += 1
                scan.keep_below(root.name, item.path)
                catalogue.add_folder_failure(root.name, item.path, item.message)
            else:
                listing.ignored += 1
            if len(pending) == _LIST_ROWS:
                scan.add(root.name, pending)
                pending.clear()
                progress("list files", listing.found, None)
        scan.add(root.name, pending)
    progress("list files", listing.found, listing.found)
    return listing


def _extract(
    parts: Parts, scan: Scan, sources: dict[str, FolderSource], with_regions: bool, progress: Progress
) -> Tally:
    total, done, tally = scan.count_todo(), 0, Tally()
    if not total:
        return tally
    unusual.note_run(parts)
    parts.decoders.start()  # they get ready while the network is loaded
    embedder = parts.embedder(throughput=True)
    coder = regions.Coder(parts)
    progress("embed images", 0, total)
    for root, rows in groupby(scan.todo(), key=itemgetter(0)):
        results = embed_shard(
            sources[root],
            (entry for _, entry in rows),
            embedder=embedder,
            decoders=parts.decoders,
            is_known=partial(parts.catalogue.is_known, regions=with_regions),
            max_file_bytes=parts.settings.max_file_bytes,
            readers=parts.settings.worker_count + _MORE_READERS,
            thumbnails=parts.settings.thumbnails,
            regions=with_regions,
        )
        for batch in _in_batches(results):
            parts.thumbnails.put((result.content, result.thumbnail) for result in batch)
            tally += scan.apply(root, coder.coded(batch))
            coder.learn_if_enough()
            done += len(batch)
            progress("embed images", done, total)
    return tally


def _in_batches(results: Iterator[Extracted]) -> Iterator[list[Extracted]]:
    """Groups to write in one transaction: large enough to be cheap, never long in coming."""
    batch: list[Extracted] = []
    started = time.monotonic()
    for result in results:
        batch.append(result)
        if len(batch) >= COMMIT_IMAGES or time.monotonic() - started > COMMIT_SECONDS:
            yield batch
            batch, started = [], time.monotonic()
    if batch:
        yield batch


def _dim(catalogue: Catalogue) -> int:
    reducer = catalogue.reducer()
    return catalogue.model().dim if reducer is None else reducer.dim

"""The state of a gallery, and checks of it against its folders and itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from lookalike.errors import SpaceMismatchError
from lookalike.gallery import adaptation, calibration, curate, dial, regions
from lookalike.gallery.follow import synced
from lookalike.gallery.ingest import fit_if_due
from lookalike.gallery.parts import Parts, Progress
from lookalike.types import ImageRecord

_PROGRESS_EVERY = 1000


def require_model(parts: Parts, model: str) -> None:
    """Raise SpaceMismatchError unless the gallery was made with this network."""
    from lookalike.models import registry

    wanted, have = registry.info(model), parts.catalogue.model()
    if wanted.fingerprint != have.fingerprint:
        raise SpaceMismatchError(
            f"{parts.path} holds embeddings of {have.name}, not of {wanted.name}: they cannot be compared",
            hint="index into a new gallery for another network: -g FOLDER --model NAME",
        )


def info(parts: Parts) -> dict[str, Any]:
    """See ``Gallery.info``."""
    catalogue = parts.catalogue
    with catalogue.snapshot():
        facts = catalogue.facts()
        model, reducer = catalogue.model(), catalogue.reducer()
        return {
            "gallery": str(parts.path),
            **facts,
            "generation": catalogue.generation(),
            "roots": [
                {"name": root.name, "folder": root.location, "excludes": list(root.excludes)}
                for root in catalogue.roots()
            ],
            "model": model.to_dict(),
            "dim": model.dim if reducer is None else reducer.dim,
            "fitted_on": None if reducer is None else reducer.fitted_on,
            "power": None if reducer is None else reducer.power,
            "space": parts.space() or None,
            "regions": catalogue.regions.count() if regions.are_on(parts) else None,
            "labels": curate.label_counts(parts),
            "calibrated": calibration.load(parts) is not None,
            "adaptation": adaptation.state(parts),
            "cache_bytes": sum(p.stat().st_size for p in parts.cache.rglob("*") if p.is_file()),
        }


def doctor(
    parts: Parts, *, repair: bool, refit: bool, move_root: tuple[str, str] | None, progress: Progress
) -> dict[str, Any]:
    """See ``Gallery.doctor``."""
    if move_root is not None:
        parts.catalogue.move_root(move_root[0], str(Path(move_root[1]).expanduser().resolve()))
    files = _check_files(parts, progress)
    progress("check the catalogue", 0, None)
    integrity = parts.catalogue.check()
    done = []
    if (repair or refit) and not integrity:
        with parts.writer_lock("doctor"):
            if refit and fit_if_due(parts, progress, force=True):
                done.append("fitted the reducer again")
                dial.build(parts, progress)
            if repair:
                done += _rebuild_caches(parts, progress)
    caches = _check_caches(parts) if not integrity else []
    absent = [root.location for root in parts.catalogue.roots() if not os.path.isdir(root.location)]  # noqa: PTH112
    problems = [f"the folder {location} is not there" for location in absent] + integrity + caches
    problems += [f"{len(paths):,} {kind}" for kind, paths in files.items() if paths]
    return {
        "ok": not problems,
        "problems": problems,
        "repaired": done,
        **{kind: [str(record.path) for record in records] for kind, records in files.items()},
        "absent_folders": absent,
        "integrity": integrity,
        "caches": caches,
        "failures": len(parts.catalogue.failures()),
    }


def _check_files(parts: Parts, progress: Progress) -> dict[str, list[ImageRecord]]:
    """Records whose file is missing, has changed or cannot be read."""
    found: dict[str, list[ImageRecord]] = {"missing": [], "changed": [], "unreadable": []}
    total = parts.catalogue.count()
    for done, record in enumerate(parts.catalogue.all_records(), 1):
        if kind := _verdict(record):
            found[kind].append(record)
        if done % _PROGRESS_EVERY == 0:
            progress("check files", done, total)
    return found


def _verdict(record: ImageRecord) -> str | None:
    try:
        status = record.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return "unreadable"
    if not stat.S_ISREG(status.st_mode):
        return "missing"
    if (status.st_size, status.st_mtime_ns) != (record.size_bytes, record.mtime_ns):
        return "changed"
    return None if os.access(record.path, os.R_OK) else "unreadable"


def _check_caches(parts: Parts) -> list[str]:
    """Complaints about caches; none of them loses anything."""
    count = parts.catalogue.count()
    if not count:
        return []
    engine, _ = synced(parts)
    return [] if len(engine) == count else [f"the search engine holds {len(engine):,} of {count:,} images"]


def _rebuild_caches(parts: Parts, progress: Progress) -> list[str]:
    done = []
    if parts.catalogue.count():
        progress("rebuild search", 0, None)
        parts.engine.clear()
        synced(parts)
        parts.region_engine.clear()
        regions.synced(parts)
        done.append("rebuilt the search index")
        if dial.build(parts, progress, force=True):
            done.append("learned the neighbourhoods again")
    return done

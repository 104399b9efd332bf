"""Contact sheets of clusters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lookalike import contact_sheet
from lookalike.cluster_results import ClusterDetail, Clustering, ClusterView, ShownImage
from lookalike.contact_sheet import Cell, Section, Sheet
from lookalike.gallery.parts import Parts
from lookalike.gallery.writing import write_file
from lookalike.types import parse_id

_READING = (
    "Each row shows the variety of one cluster, its most typical picture first. Cohesion says how alike its pictures "
    "are: 1 means all the same."
)
_SECTIONS = (
    ("sample", "to inspect before labelling", "drawn at random"),
    ("central", "most typical", ""),
    ("diverse", "its variety", ""),
    ("border", "nearest to another cluster", ""),
    ("strangers", "may not belong", "nearer to another cluster, or unusually far from this one"),
)


def write(parts: Parts, shown: Clustering | ClusterDetail, html: Path | None, png: Path | None) -> None:
    """Write a contact sheet of all clusters, or of one; see ``Gallery.write_cluster_sheet``."""
    sheet = _overview(parts, shown) if isinstance(shown, Clustering) else _detail(parts, shown)
    if html is not None:
        write_file(parts, html, contact_sheet.page(sheet))
    if png is not None:
        write_file(parts, png, contact_sheet.png(sheet))


def _overview(parts: Parts, clustering: Clustering) -> Sheet:
    sections = [
        Section(f"cluster {view.id}", list(_cells(parts, view.exemplars)), badge=view.label or "", note=_words(view))
        for view in clustering.clusters
    ]
    facts = [
        ("gallery", str(parts.path)),
        ("images", f"{clustering.n_images:,}"),
        ("clusters", f"{len(clustering.clusters):,}"),
        ("unassigned", f"{clustering.n_unassigned:,}"),
    ]
    return Sheet(f"{parts.path.name}, sorted", sections, facts, _READING)


def _detail(parts: Parts, detail: ClusterDetail) -> Sheet:
    view = detail.cluster
    sections = []
    for name, title, note in _SECTIONS:
        images: Sequence[ShownImage] = getattr(detail, name)
        numbered = name == "sample"
        if images:
            sections.append(Section(title, list(_cells(parts, images, numbered=numbered)), note=note))
    facts = [
        ("gallery", str(parts.path)),
        ("images", f"{view.size:,}"),
        ("cohesion", f"{view.cohesion:.3f}"),
        ("label", view.label or "none"),
        ("most similar clusters", ", ".join(str(other) for other, _ in view.similar) or "none"),
    ]
    reading = (
        f"Look at the first row: {detail.looks_needed} pictures drawn at random. If all of them are the same kind, at"
        f" most {100 * detail.target:g} % of the cluster is something else, at 95 % confidence."
    )
    return Sheet(f"cluster {view.id}", sections, facts, reading)


def _words(view: ClusterView) -> str:
    words = [f"{view.size:,} images", f"cohesion {view.cohesion:.3f}"]
    if view.n_strangers:
        words.append(f"{view.n_strangers:,} may not belong")
    return ", ".join(words)


def _cells(parts: Parts, images: Iterable[ShownImage], *, numbered: bool = False) -> Iterable[Cell]:
    for number, image in enumerate(images, start=1):
        key = parse_id(image.id)
        record = None if key is None else parts.catalogue.record(key)
        thumbnail = b"" if record is None else parts.thumbnails.get(bytes.fromhex(record.content)) or b""
        mark = str(number) if numbered else f"{image.score:.3f}"
        yield Cell(image.path, thumbnail, mark, image.id if numbered else image.label or "")

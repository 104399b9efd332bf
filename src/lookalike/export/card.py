"""The card beside an export: what it holds, where that comes from, and what to know before it is used. Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lookalike.display import display_text
from lookalike.export.report import ExportReport, SplitReport

_MOST_LABELS = 500
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")
_SOURCES = {
    "person": "said by people, image by image",
    "import": "brought along from a file",
    "cluster": "said by people of a whole cluster after looking at some of it",
    "propagated": "passed on from labelled images to similar ones; nobody looked at each",
}


def card(report: ExportReport) -> str:
    """The text; it can always be encoded as UTF-8."""
    sections = (_head(report), _labels(report), _division(report), _missing(report), _notes(report))
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section))) + "\n"


def _head(report: ExportReport) -> Iterator[str]:
    yield f"# {_plain(report.target.name)}"
    yield ""
    yield f"{report.exported:,} images, exported by lookalike {_day(report.at)} as {report.format}."
    yield ""
    facts = {
        "gallery": str(report.gallery),
        "network": report.model,
        "filter": report.where,
        "photos": report.files,
        "fields read from the paths": ", ".join(report.fields),
    }
    yield from _table(("", ""), ((name, value) for name, value in facts.items() if value))


def _labels(report: ExportReport) -> Iterator[str]:
    yield "## Labels"
    yield ""
    names = list(report.by_split)
    shown = list(report.labels)[:_MOST_LABELS]
    header = ("label", "images", *(name for name in names if name))
    rows = [(label, report.labels[label], *_counts(report, label)) for label in shown]
    if report.unlabelled:
        rows.append(("(no label)", report.unlabelled, *_counts(report, "")))
    rows.append(("all", report.exported, *(sum(report.by_split[name].values()) for name in names if name)))
    yield from _table(header, rows)
    if len(report.labels) > len(shown):
        yield f"\n{len(report.labels) - len(shown):,} further labels are not shown."
    yield ""
    yield from (f"* {count:,} labels: {_SOURCES.get(name, name)} ({name})" for name, count in report.sources.items())
    if report.error_bound is not None:
        bound = f"{100 * report.error_bound:.1f}"
        yield f"* of the labels from clusters at most {bound} % are wrong, at 95 % confidence, by what was inspected"
    if report.changed_since_labelled:
        yield f"* {report.changed_since_labelled:,} images have changed since they were labelled"


def _counts(report: ExportReport, label: str) -> Iterator[int]:
    return (labels.get(label, 0) for name, labels in report.by_split.items() if name)


def _division(report: ExportReport) -> Iterator[str]:
    if report.split is None:
        return
    yield "## Division"
    yield ""
    yield from (f"* {line}" for line in _division_lines(report.split))


def _division_lines(split: SplitReport) -> Iterator[str]:
    asked = ", ".join(f"{name} {fraction:g}" for name, fraction in split.fractions.items())
    yield f"asked for: {asked}; seed {split.seed}"
    together = " and images that share the fields" + f" of {_plain(split.group_by)}" if split.group_by else ""
    yield f"copies, near-duplicates{together} are in one part; they form {split.groups:,} groups"
    yield f"the largest group has {split.largest_group:,} images"
    yield split.verdict


def _missing(report: ExportReport) -> Iterator[str]:
    if not report.left_out:
        return
    yield "## Not exported"
    yield ""
    yield f"{report.found - report.exported:,} of {report.found:,} images."
    yield ""
    yield from _table(("why", "images"), report.left_out.items())


def _notes(report: ExportReport) -> Iterator[str]:
    if not report.notes:
        return
    yield "## To know"
    yield ""
    yield from (f"* {_plain(note)}" for note in report.notes)


def _day(at: str) -> str:
    return f"on {at[:10]}"


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    header = list(header)
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        cells = (f"{cell:,}" if isinstance(cell, int) else _plain(str(cell)) for cell in row)
        yield f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Other people's text as text: what Markdown would take for markup is escaped."""
    return _MARKUP.sub(r"\\\1", display_text(text))

"""How well a gallery finds what is right: rankings of the very search, judged, for every order that it offers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import reduce
from lookalike.engines.base import SearchEngine
from lookalike.errors import EmptyGalleryError, SettingError
from lookalike.evaluate import Judgement, judge, ranking, summary
from lookalike.gallery import dial, questions
from lookalike.gallery.follow import synced
from lookalike.gallery.parts import Parts, Progress
from lookalike.gallery.query import MATCHES
from lookalike.gallery.questions import Exam, Question, Seen
from lookalike.gallery.ranking import SHORTLIST, Subject, candidates
from lookalike.neighbours import SCORE_DECIMALS, agreement_at_k, top_k
from lookalike.results import EvalReport
from lookalike.types import Float32, Int64, Reducer

_ORDERS = ("auto", "kind", "object", "plain")  # what every search can be asked for; the default first
KNOWN_ITEMS = 100  # images that are edited, unless told otherwise
_SCORES_AT_ONCE = 2**24  # 64 MB of float32, in two spaces
_COMPARED = 500  # queries by which approximate search is compared with exact search
_NONE = np.zeros(0, np.int64)
_KNOWN_ITEM_METRICS = ("recall_at_1", "recall_at_5", "recall_at_10", "mean_reciprocal_rank")


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """The gallery, as it stands while it is examined.

    Attributes:
        engine: Which searches it.
        reducer: That of its vectors.
        keys: (n,) ascending.
        contents: (n,) number of each one's content.
        vectors: (n, d) in the plain space.
    """

    engine: SearchEngine
    reducer: Reducer
    keys: Int64
    contents: Int64
    vectors: Float32

    def places(self, keys: Int64) -> Int64:
        """Where keys of the gallery are in ``keys``."""
        return np.searchsorted(self.keys, keys)


@dataclass(slots=True)
class _Marks:
    """What came out, one entry per query: judgements by order, and the score of the first right image."""

    by_match: dict[str, list[Judgement | None]] = field(default_factory=lambda: defaultdict(list))
    by_dim: dict[int, list[Judgement | None]] = field(default_factory=lambda: defaultdict(list))
    kinds: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def evaluate(
    parts: Parts,
    *,
    labels: Path | Mapping[str, str] | None,
    queries: Path | None,
    edits: bool,
    match: str | None,
    sample: int | None,
    seed: int,
    progress: Progress,
) -> EvalReport:
    """Examine the gallery; see ``Gallery.evaluate``."""
    started = time.monotonic()
    if sum((labels is not None, queries is not None, edits)) > 1:
        raise SettingError("labels, queries and edits are three protocols", hint="choose one of them")
    if match is not None and match not in MATCHES:
        raise SettingError(f"match is {match!r}, it must be one of {', '.join(MATCHES)}")
    if sample is not None and sample < 1:
        raise SettingError(f"sample is {sample}, it must be at least 1")
    if seed < 0:
        raise SettingError(f"seed is {seed}, it must be 0 or more")
    if parts.catalogue.is_empty():
        raise EmptyGalleryError(f"{parts.path} holds no images yet", hint="lookalike index FOLDER")
    if queries is not None:
        exam = questions.by_queries(parts, queries, sample, seed)
    elif labels is not None or (not edits and parts.catalogue.labels()):
        exam = questions.by_label(parts, labels, sample, seed)
    else:
        exam = questions.by_edits(parts, sample or KNOWN_ITEMS, seed, progress)
    with parts.lock, parts.catalogue.snapshot():
        ground = _ground(parts)
        marks = _examine(parts, ground, exam, [match] if match else _ORDERS, progress)
        agreement = _agreement(ground, exam)
    return _report(parts, ground, exam, marks, agreement, seed, time.monotonic() - started)


def _ground(parts: Parts) -> _Ground:
    engine, reducer = synced(parts)
    keys, contents = parts.catalogue.content_numbers()
    return _Ground(engine, reducer, keys, contents, engine.vectors(keys))


# -- rankings -----------------------------------------------------------------------------------------------------


def _examine(parts: Parts, ground: _Ground, exam: Exam, matches: Sequence[str], progress: Progress) -> _Marks:
    marks, done = _Marks(), 0
    everything = _unreduced(ground.reducer)
    counted = np.ones(len(ground.keys), bool)
    if exam.counted is not None:
        counted = np.isin(ground.keys, exam.counted)
    step = max(1, _SCORES_AT_ONCE // len(ground.keys))
    for start in range(0, len(exam.questions), step):
        block = exam.questions[start : start + step]
        seen = [_seen(parts, ground, question) for question in block]
        embeddings = np.stack([each.embedding for each in seen])
        vectors = reduce.transform(ground.reducer, embeddings)
        plain = np.round(vectors @ ground.vectors.T, SCORE_DECIMALS)
        full = _full_scores(parts, ground, everything, reduce.transform(everything, embeddings))
        for i, (question, picture) in enumerate(zip(block, seen, strict=True)):
            subject = _subject(ground, question, picture, vectors[i])
            judging = _Judging.of(ground, question, subject, counted)
            order = ranking(plain[i])
            for match in matches:
                found = candidates(parts, subject, SHORTLIST, match=match, power=None, allowed=None)
                if found.match == match or len(matches) == 1:
                    marks.by_match[found.match].append(judging.judge(_followed_by(ground.places(found.keys), order)))
            marks.by_dim[ground.reducer.dim].append(judging.judge(order))
            if everything.dim != ground.reducer.dim:
                marks.by_dim[everything.dim].append(judging.judge(ranking(full[i])))
            marks.kinds.append(question.kind)
            marks.scores.append(judging.best_score(plain[i]))
            done += 1
            progress("rank", done, len(exam.questions))
    return marks


def _unreduced(reducer: Reducer) -> Reducer:
    """The same centre, all D dimensions."""
    return Reducer(reducer.mean, None, np.zeros_like(reducer.mean), reducer.fitted_on)


def _seen(parts: Parts, ground: _Ground, question: Question) -> Seen:
    """What the network saw in the query; copies of an image of the gallery come first, as in every search."""
    if isinstance(question.query, Seen):
        return question.query
    features = parts.catalogue.features(question.query)
    assert features is not None
    content = ground.contents[ground.places(np.array([question.query]))]
    embedding, tap = (row.astype(np.float32) for row in features)
    return Seen(embedding, tap, ground.keys[ground.contents == content])


def _subject(ground: _Ground, question: Question, seen: Seen, vector: Float32) -> Subject:
    content = int(ground.contents[ground.places(seen.own[:1])[0]]) if len(seen.own) else None
    own = np.setdiff1d(seen.own, [question.query]) if isinstance(question.query, int) else seen.own
    return Subject(vector, seen.tap, content, own, np.setdiff1d(seen.own, own))


def _followed_by(first: Int64, rest: Int64) -> Int64:
    """The places that the search put in order, then all others in their plain order."""
    return np.concatenate([first, rest[~np.isin(rest, first)]])


def _full_scores(parts: Parts, ground: _Ground, everything: Reducer, queries: Float32) -> Float32:
    """Scores (m, n) of all images without any reduction, from what the catalogue stores."""
    numbers, blocks = [], []
    for block in parts.catalogue.contents():
        numbers.append(block.numbers)
        blocks.append(queries @ reduce.transform(everything, block.embeddings).T)
    columns = np.searchsorted(np.concatenate(numbers), ground.contents)
    scores: Float32 = np.concatenate(blocks, axis=1)[:, columns]
    return scores.round(SCORE_DECIMALS)


@dataclass(frozen=True, slots=True, eq=False)
class _Judging:
    """Judges rankings (all places of the gallery, best first) for one question.

    Attributes:
        counts: (n,) bool, which places count in a ranking.
        right: (n,) bool, which are right.
        n_right: How many of those count.
    """

    counts: NDArray[np.bool_]
    right: NDArray[np.bool_]
    n_right: int

    @classmethod
    def of(cls, ground: _Ground, question: Question, subject: Subject, counted: NDArray[np.bool_]) -> _Judging:
        counts, right = counted.copy(), np.zeros(len(ground.keys), bool)
        right[ground.places(question.right)] = True
        if isinstance(question.query, int):
            counts[ground.places(subject.without)] = False
        else:  # a copy of the query finds itself, which is no merit unless it was asked for
            counts[ground.places(np.setdiff1d(subject.own, question.right))] = False
        right &= counts
        return cls(counts, right, int(right.sum()))

    def judge(self, order: Int64) -> Judgement | None:
        return judge(self.right[order[self.counts[order]]], self.n_right)

    def best_score(self, scores: Float32) -> float:
        return float(scores[self.right].max()) if self.n_right else 0.0


def _agreement(ground: _Ground, exam: Exam) -> float:
    """Of the engine's first ten with exact search, by the first images that count."""
    keys = ground.keys if exam.counted is None else exam.counted
    some = ground.vectors[ground.places(keys[:: max(1, len(keys) // _COMPARED)][:_COMPARED])]
    exact, _ = top_k(some, ground.vectors, ground.keys, 10)
    return agreement_at_k(ground.engine.search(some, 10)[0], exact)


# -- the report ---------------------------------------------------------------------------------------------------


def _report(
    parts: Parts, ground: _Ground, exam: Exam, marks: _Marks, agreement: float, seed: int, seconds: float
) -> EvalReport:
    by_match = {match: _metrics(exam, rows, marks) for match, rows in marks.by_match.items()}
    first = next(iter(by_match))
    hopeless = sum(row is None for row in marks.by_match[first])
    return EvalReport(
        gallery=parts.path,
        protocol=exam.protocol,
        match=first,
        metrics=by_match[first],
        by_match=by_match,
        by_dimension={str(dim): _metrics(exam, rows, marks) for dim, rows in marks.by_dim.items()},
        by_edit=dict(_by_edit(marks, first)) if exam.protocol == questions.KNOWN_ITEM else {},
        n_images=len(ground.keys),
        n_queries=len(exam.questions) - hopeless,
        n_left_out=hopeless + len(exam.unreadable),
        unknown=exam.unknown,
        unreadable=exam.unreadable,
        why_plain=dial.why_plain(parts),
        agreement_at_10=agreement,
        exact=len(ground.keys) <= parts.settings.exact_limit,
        model=parts.catalogue.model().name,
        dim=ground.reducer.dim,
        precision=parts.precision_in_use(),
        seed=seed,
        seconds=seconds,
    )


def _metrics(exam: Exam, rows: Sequence[Judgement | None], marks: _Marks) -> dict[str, float]:
    found: dict[str, Any] = summary(rows, marks.kinds).to_dict()
    if exam.protocol == questions.KNOWN_ITEM:
        return {name: found[name] for name in _KNOWN_ITEM_METRICS}
    return {name: value for name, value in found.items() if isinstance(value, float)}


def _by_edit(marks: _Marks, match: str) -> Iterator[tuple[str, dict[str, float]]]:
    for edit in dict.fromkeys(marks.kinds):
        rows = [i for i, kind in enumerate(marks.kinds) if kind == edit]
        found = summary([marks.by_match[match][i] for i in rows], [edit] * len(rows)).to_dict()
        score = round(float(np.median([marks.scores[i] for i in rows])), 3)
        yield edit, {**{name: found[name] for name in _KNOWN_ITEM_METRICS}, "median_score": score}

"""Is there anything like it in the gallery? Arrays in, arrays out.

Three tests of a query's nearest images, each held against what the gallery's own images score when they are left out:
out of the neighbours and out of what the space was learned on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import reduce
from lookalike.errors import ShapeError
from lookalike.types import Float32, Reducer

Float64 = NDArray[np.float64]

CUT_SHARE = 0.1  # of the gallery's own images would be told that there is nothing like them, by all tests together
FOLDS = 10
NEIGHBOURS = 5  # whose surroundings a query's are compared with
LOOKED_AT = 10  # nearest images whose embeddings are compared
SHARES = np.array([1.0, 0.7, 1.0])  # of that which each test may cut; the crowd cuts true queries more often
TOO_ALIKE = 0.95  # copies and bursts say nothing about how far apart images are around here


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What speaks for m queries having something like them, higher is more.

    Attributes:
        first: (m,) float32, the best plain score.
        crowd: (m,) float32, how near the 5 nearest are, compared with how near their own 5 nearest are to them.
        raw: (m,) float32, the best cosine of embeddings as the network gives them; NaN where there is no embedding.
    """

    first: Float32
    crowd: Float32
    raw: Float32

    @property
    def tests(self) -> Float32:
        """The three side by side, (m, 3)."""
        return np.stack([self.first, self.crowd, self.raw], axis=1)

    def take(self, rows: slice) -> Evidence:
        """Some of the queries."""
        return Evidence(self.first[rows], self.crowd[rows], self.raw[rows])


def join(parts: Sequence[Evidence]) -> Evidence:
    """The queries of all parts, in order."""
    return Evidence(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "crowd", "raw")))


def evidence(scores: NDArray[Any], radii: NDArray[Any], cosines: NDArray[Any]) -> Evidence:
    """What speaks for m queries having something like them.

    Args:
        scores: (m, a) plain scores of the nearest images, best first, a at least 1; the first 5 count.
        radii: (m, b) ``radius`` of the nearest images, likewise.
        cosines: (m, c) cosines of the embeddings; NaN where there is none.

    *Source*: the score and the cosine are nearest-neighbour tests (Sun et al. 2022, "Out-of-distribution detection with
    deep nearest neighbors"), after and before centring; the crowd is a local outlier factor (Breunig et al. 2000) of
    similarities.
    """
    crowd = scores[:, :NEIGHBOURS].mean(axis=1) - radii[:, :NEIGHBOURS].mean(axis=1)
    return Evidence(*(row.astype(np.float32) for row in (scores[:, 0], crowd, cosines.max(axis=1))))


def radius(scores: NDArray[Any]) -> Float32:
    """How near the neighbours of images are to them: the mean of their 5 best scores, copies and bursts left out.

    Args:
        scores: (m, a) plain scores of each image with others, in any order; -inf where there is nobody.

    Returns:
        (m,) float32.
    """
    usable = np.where(scores < TOO_ALIKE, scores, -np.inf)
    best = -np.sort(-usable, axis=1)[:, :NEIGHBOURS]
    count = np.isfinite(best).sum(axis=1)
    total = np.where(np.isfinite(best), best, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), TOO_ALIKE).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What queries find in a gallery that does not know them.

    Attributes:
        evidence: Of m queries.
        scores: (m, n') float32, their plain scores with all images left.
    """

    evidence: Evidence
    scores: Float32


def held_out(embeddings: NDArray[Any], queries: NDArray[Any], dim: int) -> HeldOut:
    """Let a gallery of n embeddings (n, D), whose space is learned on them alone, be asked by m others (m, D).

    Leaving an image out of the neighbours but not out of the PCA will not do: with n images of d = n - 1 dimensions
    it lies in the space wholly, as no query does.

    Args:
        embeddings: Of any float dtype and length; at least 3 different ones.
        queries: Likewise.
        dim: Most dimensions of the space.
    """
    reducer = _small_fit(embeddings, dim)
    vectors, asked = reduce.transform(reducer, embeddings), reduce.transform(reducer, queries)
    among = vectors @ vectors.T
    np.fill_diagonal(among, -np.inf)
    radii = radius(among)
    scores = asked @ vectors.T
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :LOOKED_AT]
    cosines = np.einsum("mkd,md->mk", unit(embeddings)[nearest], unit(queries))
    return HeldOut(evidence(np.take_along_axis(scores, nearest, axis=1), radii[nearest], cosines), scores)


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """What the images of a gallery find when they are left out of it.

    Attributes:
        as_they_are: Evidence of n images, in order of the folds.
        framed: Evidence of edited copies, likewise.
        pairs: (p,) float32, plain scores of left-out images with all that were not.
    """

    as_they_are: Evidence
    framed: Evidence
    pairs: Float32


def crossed(
    embeddings: NDArray[Any], framed: NDArray[Any], originals: NDArray[np.integer[Any]], dim: int, seed: int = 0
) -> Crossed:
    """Leave all images out, a tenth of them at a time, of the neighbours and of the space.

    Args:
        embeddings: (n, D) of different images, of any float dtype and length.
        framed: (e, D) of copies that are framed differently, e at least 1; each is left out with its original.
        originals: (e,) row of the original.
        dim: Most dimensions of the space.
        seed: Decides which are left out together.
    """
    fold = np.random.default_rng(seed).permutation(len(embeddings)) % FOLDS
    as_they_are, differently, pairs = [], [], []
    for part in range(FOLDS):
        here = fold == part
        asked = np.concatenate([embeddings[here], framed[fold[originals] == part]])
        out, count = held_out(embeddings[~here], asked, dim), np.count_nonzero(here)
        as_they_are.append(out.evidence.take(slice(count)))
        differently.append(out.evidence.take(slice(count, None)))
        pairs.append(out.scores[:count].ravel())
    return Crossed(join(as_they_are), join(differently), np.concatenate(pairs))


def fit_lines(groups: Sequence[Evidence]) -> tuple[float, float, float]:
    """Lines such that, of each group of the gallery's own images, ``CUT_SHARE`` fall below any of them.

    All lines lie at the same quantile, but for ``SHARES``. With several groups (images as they are, images
    framed differently) the most lenient line of each test counts.

    Args:
        groups: Each of at least 1 image.
    """
    lines = np.min([_lines(group.tests.astype(np.float64)) for group in groups], axis=0)
    return float(lines[0]), float(lines[1]), float(lines[2])


def _lines(tests: Float64) -> Float64:
    ordered, n = np.sort(tests, axis=0), len(tests)
    places = np.column_stack([np.searchsorted(column, test) for column, test in zip(ordered.T, tests.T, strict=True)])
    worst = np.sort(((places + 1) / SHARES).min(axis=1))  # each image falls by the test that it does worst in
    place = worst[max(0, int(CUT_SHARE * (n + 1)) - 1)]
    rows = np.maximum((place * SHARES).astype(np.intp) - 1, 0)
    lines: Float64 = ordered[rows, np.arange(len(SHARES))]
    return lines


def falls(lines: Sequence[float], found: Evidence) -> NDArray[np.bool_]:
    """Whether each of m queries falls below a line, (m,); a test without a value is passed."""
    below = found.tests < np.asarray(lines, np.float32)
    return below[:, 0] | below[:, 1] | below[:, 2]


def _small_fit(embeddings: NDArray[Any], dim: int) -> Reducer:
    """``reduce.fit`` by the n x n products of the images: much faster where n is smaller than D."""
    n = len(embeddings)
    if n >= embeddings.shape[1] or n < reduce.LEAST_IMAGES:
        moments = reduce.Moments(embeddings.shape[1])
        moments.add(embeddings.astype(np.float32))
        return reduce.fit(moments, dim=dim)
    rows = unit(embeddings).astype(np.float64)
    mean = rows.mean(axis=0)
    centred = rows - mean
    sizes, columns = np.linalg.eigh(centred @ centred.T)
    variances = sizes[::-1][: min(dim, n - 1)] / (n - 1)
    kept = np.count_nonzero(variances > reduce.LEAST_VARIANCE)
    if not kept:
        raise ShapeError(f"held_out: {n} embeddings are all the same")
    components = columns[:, ::-1][:, :kept].T @ centred / np.sqrt(variances[:kept, None] * (n - 1))
    learned = [a.astype(np.float32) for a in (mean, components, variances[:kept])]
    return Reducer(learned[0], learned[1], learned[2], fitted_on=n)


def unit(rows: NDArray[Any]) -> Float32:
    """Rows (n, D) of any float dtype as float32 of unit length."""
    rows = rows.astype(np.float32)
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), reduce.LEAST_NORM)
    units: Float32 = (rows / lengths).astype(np.float32)
    return units

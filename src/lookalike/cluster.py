"""Clusters as a tree: Ward's method joins images step by step, so that any number of clusters is one cut away.

Up to ``EXACT_ROWS`` rows the tree is exactly Ward's. Above, near neighbours are joined first, along a neighbourhood
graph, until that many clusters remain. Memory grows with the rows; nothing is random.

*Source*: Ward 1963. Joining at once all pairs that are each other's nearest gives the same tree, because a joined pair
is never nearer to others than its parts were (Bruynooghe 1978; Murtagh 1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ShapeError
from lookalike.types import Float32, Int32, Int64

Float64 = NDArray[np.float64]

EXACT_ROWS = 16_384  # all pairs of more take longer than the rest of a clustering
SLACK = 0.01  # of the best modularity: what a finer cut may lose
_BLOCK_VALUES = 2**22  # distances at a time: 32 MB
_BLOCK_PAIRS = 2**15  # pairs of rows at a time: 32 MB each at d = 256


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """How n rows were joined into one. Rows are nodes 0 to n - 1; the i-th join makes node n + i.

    Attributes:
        joins: (n - 1, 2) int32, the two nodes of each join, the cheapest first; parts come before the whole.
        costs: (n - 1,) float32, what each join added to the sum of squares, ascending.
    """

    joins: Int32
    costs: Float32

    def __post_init__(self) -> None:
        if self.joins.shape != (len(self.costs), 2):
            raise ShapeError(f"tree: {self.joins.shape} joins do not go with {len(self.costs)} costs")

    @property
    def n_rows(self) -> int:
        """How many rows were joined."""
        return len(self.joins) + 1

    @property
    def root(self) -> int:
        """The node that holds every row."""
        return 2 * len(self.joins)

    def parents(self) -> Int64:
        """(2 n - 1,) int64, the node that each node became a part of; the root is its own."""
        parents = np.arange(self.root + 1)
        parents[self.joins.ravel()] = np.repeat(self.n_rows + np.arange(len(self.joins)), 2)
        return parents

    def parts(self, node: int) -> tuple[int, int] | None:
        """The two nodes that this one was joined of; None for a single row."""
        if node < self.n_rows:
            return None
        first, second = self.joins[node - self.n_rows]
        return int(first), int(second)

    def cut(self, count: int) -> Int64:
        """The nodes that are there when ``count`` (1 to n) clusters remain, ascending."""
        made = self.root + 1 - (min(count, self.n_rows) - 1)  # nodes from here on are not made yet
        nodes = np.arange(made)
        parents = self.parents()[:made]
        left: Int64 = nodes[(parents >= made) | (parents == nodes)]
        return left

    def holders(self, nodes: Int64) -> Int64:
        """(n,) int64: for each row the place in ``nodes`` of the one that holds it, -1 where none does."""
        up = self.parents()
        up[nodes] = nodes
        while not np.array_equal(further := up[up], up):
            up = further
        place = np.full(self.root + 1, -1)
        place[nodes] = np.arange(len(nodes))
        return place[up[: self.n_rows]]


# -- making it -----------------------------------------------------------------------------------------------------


def ward(rows: NDArray[Any], sizes: NDArray[Any] | None = None, neighbours: Int32 | None = None) -> Tree:
    """Join rows into a tree: always the two clusters whose union adds least to the sum of squares.

    Args:
        rows: (n, d) float16 or float32, n at least 1.
        sizes: (n,) how many images each row stands for; None: one.
        neighbours: (n, k) int32, near rows of each row; needed above ``EXACT_ROWS``.

    Returns:
        The tree; equal costs are settled by order of row.
    """
    clusters = _Clusters(rows, sizes)
    if len(rows) > EXACT_ROWS:
        if neighbours is None:
            raise ShapeError(f"ward: {len(rows)} rows are more than {EXACT_ROWS}, so their neighbours are needed")
        _join_along(clusters, neighbours, EXACT_ROWS)
    _join_all(clusters)
    return clusters.tree()


class _Clusters:
    """The clusters that are left while a tree is made.

    Attributes:
        means: (m, d) float32.
        sizes: (m,) float64.
        nodes: (m,) int64, which node each is.
    """

    def __init__(self, rows: NDArray[Any], sizes: NDArray[Any] | None) -> None:
        self.n_rows = len(rows)
        self.means: Float32 = rows.astype(np.float32)
        self.sizes: Float64 = np.ones(len(rows)) if sizes is None else sizes.astype(np.float64)
        self.nodes: Int64 = np.arange(len(rows))
        self._joins: list[Int64] = []
        self._costs: Float64 = np.zeros(0)
        self._cost_of: Float64 = np.zeros(len(rows))  # of the node that each cluster is

    def __len__(self) -> int:
        return len(self.nodes)

    def join(self, first: Int64, second: Int64, costs: Float64) -> Int64:
        """Join pairs (p,) of clusters, all of them distinct; the first of each stays.

        Returns:
            (m,) the place of each cluster from now on, -1 for the second of each pair.
        """
        order = np.argsort(costs, kind="stable")
        first, second, costs = first[order], second[order], costs[order]
        # Along a graph a pair may be joined late, at less than its parts cost: the whole never costs less than a part.
        costs = np.maximum(costs, np.maximum(self._cost_of[first], self._cost_of[second]))
        self._joins.append(np.stack([self.nodes[first], self.nodes[second]], axis=1))
        total = self.sizes[first] + self.sizes[second]
        share = (self.sizes[second] / total)[:, None].astype(np.float32)
        self.means[first] += share * (self.means[second] - self.means[first])
        self.sizes[first] = total
        self.nodes[first] = self.n_rows + len(self._costs) + np.arange(len(first))
        self._costs = np.concatenate([self._costs, costs])
        self._cost_of[first] = costs
        keep = np.ones(len(self), bool)
        keep[second] = False
        place = np.where(keep, np.cumsum(keep) - 1, -1)
        self.means, self.sizes, self.nodes = self.means[keep], self.sizes[keep], self.nodes[keep]
        self._cost_of = self._cost_of[keep]
        return place

    def tree(self) -> Tree:
        """The tree, once one cluster is left: its joins in order of cost."""
        joins = np.concatenate([*self._joins, np.zeros((0, 2), np.int64)])
        order = np.argsort(self._costs, kind="stable")
        place = np.arange(self.n_rows + len(joins))
        place[self.n_rows + order] = self.n_rows + np.arange(len(order))
        return Tree(place[joins[order]].astype(np.int32), self._costs[order].astype(np.float32))


def _join_all(clusters: _Clusters) -> None:
    """Join all that is left, comparing everything with everything."""
    nearest, costs = np.zeros(len(clusters), np.int64), np.zeros(len(clusters))
    stale = np.arange(len(clusters))
    while len(clusters) > 1:
        nearest[stale], costs[stale] = _nearest(clusters, stale)
        own = np.arange(len(clusters))
        first = np.flatnonzero((nearest[nearest] == own) & (own < nearest))
        if not len(first):  # rounding can make three in a ring of each other's nearest
            first = np.array([int(costs.argmin())])
        second = nearest[first]
        joined = np.zeros(len(clusters), bool)
        joined[first] = joined[second] = True
        place = clusters.join(first, second, costs[first])
        kept = place >= 0
        is_stale = (joined | joined[nearest])[kept]
        nearest, costs = place[nearest][kept], costs[kept]
        stale = np.flatnonzero(is_stale)


def _nearest(clusters: _Clusters, some: Int64) -> tuple[Int64, Float64]:
    """The cheapest other cluster to join each of some with, and at which cost."""
    nearest, costs = np.empty(len(some), np.int64), np.empty(len(some))
    means, sizes = clusters.means, clusters.sizes.astype(np.float32)
    squares = np.einsum("ij,ij->i", means, means)
    step = max(1, _BLOCK_VALUES // len(clusters))
    for start in range(0, len(some), step):
        block = some[start : start + step]
        cost = means[block] @ means.T
        cost *= -2
        cost += squares
        cost += squares[block, None]
        np.maximum(cost, 0, out=cost)
        cost *= sizes / (sizes + sizes[block, None])
        cost *= sizes[block, None]
        cost[np.arange(len(block)), block] = np.inf
        nearest[start : start + step] = cost.argmin(axis=1)
        costs[start : start + step] = cost[np.arange(len(block)), nearest[start : start + step]]
    return nearest, costs


def _join_along(clusters: _Clusters, neighbours: Int32, count: int) -> None:
    """Join neighbours in a graph until ``count`` clusters are left, or nobody has a neighbour."""
    own = np.repeat(np.arange(len(neighbours)), neighbours.shape[1])
    pairs = _distinct(np.stack([own, neighbours.ravel()], axis=1))
    costs = _pair_costs(clusters, pairs)
    while len(clusters) > count and len(pairs):
        nearest, least = _cheapest(pairs, costs, len(clusters))
        own = np.arange(len(clusters))
        first = np.flatnonzero((nearest >= 0) & (nearest[nearest] == own) & (own < nearest))
        first = first[np.argsort(least[first], kind="stable")][: len(clusters) - count]
        joined = np.zeros(len(clusters), bool)
        joined[first] = joined[nearest[first]] = True
        moved = joined[pairs].any(axis=1)
        place = clusters.join(first, nearest[first], least[first])
        place[nearest[first]] = place[first]
        # A pair of which neither was joined costs what it did.
        fresh = _distinct(place[pairs[moved]])
        pairs = np.concatenate([place[pairs[~moved]], fresh])
        costs = np.concatenate([costs[~moved], _pair_costs(clusters, fresh)])


def _distinct(pairs: Int64) -> Int64:
    """Each pair once, the smaller first, without those of one and itself."""
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    codes = np.sort((low * 2**32 + high)[low < high])  # np.unique hashes, which is five times slower
    codes = codes[np.concatenate([[True], codes[1:] != codes[:-1]])] if len(codes) else codes
    return np.stack([codes >> 32, codes & (2**32 - 1)], axis=1)


def _pair_costs(clusters: _Clusters, pairs: Int64) -> Float64:
    costs = np.empty(len(pairs))
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        first, second = pairs[start : start + _BLOCK_PAIRS].T
        apart = clusters.means[first] - clusters.means[second]
        one, other = clusters.sizes[first], clusters.sizes[second]
        costs[start : start + _BLOCK_PAIRS] = np.einsum("ij,ij->i", apart, apart) * (one * other / (one + other))
    return costs


def _cheapest(pairs: Int64, costs: Float64, n: int) -> tuple[Int64, Float64]:
    """For each of n clusters the cheapest one in the pairs, ties by place, -1 where there is none; and its cost."""
    least, nearest = np.full(n, np.inf), np.full(n, n)
    for end in (0, 1):
        np.minimum.at(least, pairs[:, end], costs)
    for end in (0, 1):
        best = np.flatnonzero(costs == least[pairs[:, end]])
        np.minimum.at(nearest, pairs[best, end], pairs[best, 1 - end])
    return np.where(nearest < n, nearest, -1), least


# -- choosing a cut ------------------------------------------------------------------------------------------------


def modularity(tree: Tree, neighbours: Int32, scores: Float32) -> Float64:
    """How well each cut of a tree keeps neighbours together, beyond what chance would.

    Args:
        tree: Of n rows.
        neighbours: (n, k) int32, near rows of each row.
        scores: (n, k) cosines with them; a pair counts with its square, not at all where negative.

    Returns:
        (n,) float64: at [c - 1] that of the cut into c clusters; at most 1.

    *Source*: Newman & Girvan 2004, for all cuts of a tree in one pass.
    """
    n = tree.n_rows
    weights = np.square(np.maximum(scores.astype(np.float64), 0)).ravel()
    ends = np.stack([np.repeat(np.arange(n), neighbours.shape[1]), neighbours.ravel().astype(np.int64)])
    weights[ends[0] == ends[1]] = 0
    total = weights.sum()
    if not total:
        return np.zeros(n)
    degrees = np.zeros(tree.root + 1)
    degrees[:n] = np.bincount(ends[0], weights, n) + np.bincount(ends[1], weights, n)
    for join, (one, other) in enumerate(tree.joins.tolist()):
        degrees[n + join] = degrees[one] + degrees[other]
    within = np.bincount(_joined_at(tree, ends) - n, weights, n - 1) / total
    expected = 2 * degrees[tree.joins[:, 0]] * degrees[tree.joins[:, 1]] / (2 * total) ** 2
    alone = -np.square(degrees[:n] / (2 * total)).sum()
    kept: Float64 = alone + np.concatenate([[0.0], np.cumsum(within - expected)])[::-1]
    return kept


def natural_cut(kept: Float64) -> int:
    """How many clusters suggest themselves: in small galleries the best cut, in large ones the finest nearly as good.

    Modularity cannot tell kinds of fewer than about sqrt(n / 5) images with ten neighbours each (Fortunato &
    Barthelemy 2007): of n = 1,000 that is 14, hardly more than such a neighbourhood; of a million 450. But it hardly
    falls when they are parted, so a loss is allowed: nothing up to 1,000 images, rising to ``SLACK`` at 10,000.

    Args:
        kept: (n,) from ``modularity``.
    """
    loss = SLACK * float(np.clip(np.log10(len(kept) / 1000), 0, 1))
    return int(np.flatnonzero(kept >= kept.max() - loss * abs(kept.max()))[-1]) + 1


def _joined_at(tree: Tree, ends: Int64) -> Int64:
    """The node that first holds both of two rows, for pairs (2, p) of them."""
    parents = tree.parents()
    one, other = ends[0].copy(), ends[1].copy()
    open_ = np.flatnonzero(one != other)
    while len(open_):
        # The one with the lower number cannot hold the other: nodes are numbered in the order in which they were made.
        behind = one[open_] < other[open_]
        one[open_[behind]] = parents[one[open_[behind]]]
        other[open_[~behind]] = parents[other[open_[~behind]]]
        open_ = open_[one[open_] != other[open_]]
    first: Int64 = np.maximum(one, tree.n_rows)  # a row and itself weighs nothing, so it may count anywhere
    return first


# -- followers -----------------------------------------------------------------------------------------------------


def with_followers(tree: Tree, leader_rows: Int64, leaders: Int32) -> Tree:
    """The tree of n rows of which only m leaders were joined: every follower joins its leader first, at no cost.

    Args:
        tree: Of m rows.
        leader_rows: (m,) int64, which of the n rows lead, ascending.
        leaders: (n,) int32, which of the m each row follows.
    """
    n = len(leaders)
    node = leader_rows.copy()  # of each leader, with the followers that it has so far
    joins = []
    for row in np.flatnonzero(leader_rows[leaders] != np.arange(n)).tolist():
        leader = leaders[row]
        joins.append((node[leader], row))
        node[leader] = n + len(joins) - 1
    of_tree = np.concatenate([node, n + len(joins) + np.arange(len(tree.joins))])
    above = of_tree[tree.joins].reshape(-1, 2)
    costs = np.concatenate([np.zeros(len(joins), np.float32), tree.costs])
    return Tree(np.concatenate([np.array(joins, np.int64).reshape(-1, 2), above]).astype(np.int32), costs)

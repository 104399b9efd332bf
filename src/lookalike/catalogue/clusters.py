"""Clusters in SQLite: one tree, the clusters that are cut from it, and where each content belongs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np

from lookalike.catalogue.data import Cluster, ClusterRun
from lookalike.catalogue.labels import now
from lookalike.catalogue.sql import rows
from lookalike.types import Int64

if TYPE_CHECKING:
    from lookalike.catalogue.sqlite import SqliteCatalogue


class SqliteClusters:
    """See ``catalogue.base.Clusters``.

    Args:
        catalogue: Whose clusters these are; only it opens transactions.
        db: Its connection.
    """

    def __init__(self, catalogue: SqliteCatalogue, db: apsw.Connection) -> None:
        self._catalogue = catalogue
        self._db = db

    def run(self) -> ClusterRun | None:
        """The tree; None before the first clustering."""
        with self._catalogue.snapshot():
            found = rows(self._db, "SELECT number, at, facts, leaves, joins, costs FROM cluster_runs")
        if not found:
            return None
        number, at, facts, leaves, joins, costs = found[0]
        pairs = np.frombuffer(joins, "<i4").astype(np.int32).reshape(-1, 2)
        every, each = np.frombuffer(leaves, "<i8").astype(np.int64), np.frombuffer(costs, "<f4").astype(np.float32)
        return ClusterRun(every, pairs, each, json.loads(facts), number, at)

    def all(self) -> list[Cluster]:
        """The clusters that there are, by id."""
        with self._catalogue.snapshot():
            found = rows(self._db, "SELECT id, nodes FROM clusters ORDER BY id")
        return [Cluster(number, np.frombuffer(nodes, "<i4").astype(np.int32)) for number, nodes in found]

    def members(self) -> tuple[Int64, Int64]:
        """Contents that were sorted, ascending, and the cluster of each; 0 is unassigned."""
        with self._catalogue.snapshot():
            found = rows(self._db, "SELECT content, coalesce(cluster, 0) FROM cluster_members ORDER BY content")
        pairs = np.array(found, np.int64).reshape(-1, 2)
        return pairs[:, 0].copy(), pairs[:, 1].copy()

    def replace(
        self,
        clusters: Sequence[Cluster],
        contents: Int64,
        place: Int64,
        *,
        instead_of: Sequence[int] | None = None,
        run: ClusterRun | None = None,
    ) -> list[int]:
        """Put clusters in the place of others, in one transaction; returns the ids of the new ones."""
        with self._catalogue.write() as db:
            if run is not None:
                _keep_run(db, run)
            if instead_of is None:
                db.execute("DELETE FROM cluster_members")
                instead_of = [row[0] for row in rows(db, "SELECT id FROM clusters")]
            kept = {cluster.id for cluster in clusters}
            for old in instead_of:
                db.execute("UPDATE cluster_members SET cluster = NULL WHERE cluster = ?", (old,))
                if old not in kept:
                    db.execute("DELETE FROM clusters WHERE id = ?", (old,))
            ids = [_keep_cluster(db, cluster) for cluster in clusters]
            of_place = np.array([*ids, 0], np.int64)  # place -1 is the last: unassigned
            _sort(db, contents, of_place[place])
        return ids

    def assign(self, contents: Int64, clusters: Int64) -> None:
        """Sort contents that were not sorted yet into clusters; 0 is unassigned."""
        with self._catalogue.write() as db:
            _sort(db, contents, clusters)

    def set_facts(self, facts: Mapping[str, Any]) -> None:
        """Replace what is known of the run."""
        with self._catalogue.write() as db:
            db.execute("UPDATE cluster_runs SET facts = ?", (json.dumps(facts),))


def _keep_run(db: apsw.Connection, run: ClusterRun) -> None:
    db.execute("DELETE FROM cluster_runs")
    db.execute(
        "INSERT INTO cluster_runs (at, facts, leaves, joins, costs) VALUES (?, ?, ?, ?, ?)",
        (
            now(),
            json.dumps(run.facts),
            run.leaves.astype("<i8").tobytes(),
            run.joins.astype("<i4").tobytes(),
            run.costs.astype("<f4").tobytes(),
        ),
    )


def _keep_cluster(db: apsw.Connection, cluster: Cluster) -> int:
    nodes = cluster.nodes.astype("<i4").tobytes()
    if cluster.id:
        db.execute("UPDATE clusters SET nodes = ? WHERE id = ?", (nodes, cluster.id))
        return cluster.id
    db.execute("INSERT INTO clusters (nodes) VALUES (?)", (nodes,))
    return int(db.last_insert_rowid())


def _sort(db: apsw.Connection, contents: Int64, clusters: Int64) -> None:
    sql = "INSERT INTO cluster_members VALUES (?, nullif(?, 0)) ON CONFLICT DO UPDATE SET cluster = excluded.cluster"
    db.executemany(sql, zip(contents.tolist(), clusters.tolist(), strict=True))

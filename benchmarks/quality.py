"""How good the plain ranking is, with the project's own parts, next to the article's pipeline on the same images.

    python benchmarks/quality.py [--fast] [--set NAME ...] [--part ranking|precision]

Each set of the measuring images (``LOOKALIKE_TEST_DATA``, else ``../shared/data``) is indexed by ``Gallery.index``
into a temporary gallery; ``gallery.vectors()`` and the set's labels or queries then go to ``lookalike.evaluate``. The
article's pipeline runs beside it: centre crop 224 of 256, average pooling, no L2 before PCA, PCA to min(256, n/4),
cosine. The reducer is fitted on all images of a set, also where some are queries (as a gallery that holds them would
do); one row of the table fits it on the database alone.

Then, on one set: what float16 storage, the engine's 16-bit vectors, another runtime and bf16 change.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import Gallery, Settings, reduce
from lookalike.catalogue.sqlite import SqliteCatalogue
from lookalike.decode import DecoderPool
from lookalike.errors import ModelError
from lookalike.evaluate import RankingMetrics, leave_one_out, query_protocol
from lookalike.gallery.parts import CATALOGUE_NAME
from lookalike.models import lite0
from lookalike.models.embedder import Network, NetworkEmbedder
from lookalike.models.graph_cache import cached_graph
from lookalike.models.runtimes import open_runtime
from lookalike.neighbours import agreement_at_k, top_k
from lookalike.settings import cache_path
from lookalike.types import DecodeSpec, Float16, Float32, Pixels, Reducer

DATA = Path(os.environ.get("LOOKALIKE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
# mAP % of the article's pipeline, measured once by hand: the column that the targets refer to.
ARTICLE_COLUMN = {
    "eth80-4view": 69.6,
    "vpr-corridor": 45.2,
    "pacs-photo": 86.7,
    "clothing-test": 64.6,
    "neu-det-100": 81.6,
    "deeppcb-pairs": 97.3,
}
SETS = (*ARTICLE_COLUMN, "many-kinds")
LEAST_AVERAGE_GAIN, LARGEST_LOSS = 2.0, 2.5
PRECISION_SET = "pacs-photo"
BATCH = 128  # decoded pictures in memory: 25 MB
ARTICLE_SPEC = DecodeSpec(((224, 224),), crop_fraction=0.875)


# -- sets and protocols --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Questions:
    """The files of a set in the order of labels.csv, and what is relevant to what.

    Attributes:
        paths: n files.
        labels: n labels; used where there are no queries.
        queries: Row of each query; empty where every image is a query against all others.
        database: Rows that are searched.
        relevant: For each query the places in ``database`` that are relevant.
    """

    paths: list[Path]
    labels: list[str]
    queries: list[int]
    database: list[int]
    relevant: list[list[int]]

    def measure(self, vectors: Float32) -> RankingMetrics:
        """Metrics of unit vectors (n, d) in the order of ``paths``."""
        if self.queries:
            return query_protocol(vectors[self.queries], vectors[self.database], self.relevant)
        return leave_one_out(vectors, self.labels)


def read_set(folder: Path) -> Questions:
    rows = _table(folder / "labels.csv")
    paths, labels = [folder / row["path"] for row in rows], [row["label"] for row in rows]
    if not (folder / "queries.csv").is_file():
        return Questions(paths, labels, [], list(range(len(rows))), [])
    database = [i for i, row in enumerate(rows) if row["role"] in ("database", "temp", "ref")]
    place = {rows[i]["path"]: place for place, i in enumerate(database)}
    row_of = {row["path"]: i for i, row in enumerate(rows)}
    asked = _table(folder / "queries.csv")
    relevant = [[place[path] for path in row["relevant"].split(";") if path] for row in asked]
    return Questions(paths, labels, [row_of[row["query"]] for row in asked], database, relevant)


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


# -- the two pipelines ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """What a gallery holds of a set, in the order of its files.

    Attributes:
        embeddings: (n, D) float16 as stored.
        vectors: (n, d) float32 in the plain space, as the engine gives them.
        reducer: That of the gallery.
    """

    embeddings: Float16
    vectors: Float32
    reducer: Reducer


def index_set(folder: Path, paths: Sequence[Path]) -> Indexed:
    """Index a folder as anybody would; the gallery is thrown away."""
    with tempfile.TemporaryDirectory() as temporary:
        with Gallery.create(Path(temporary) / "gallery") as gallery:
            report = gallery.index(folder)
            if report.failed:
                raise SystemExit(f"{folder}: {report.failed} images could not be indexed")
            ids, vectors = gallery.vectors()
            id_of = {record.path: record.id for record in gallery.images()}
        catalogue = SqliteCatalogue(Path(temporary) / "gallery" / CATALOGUE_NAME)
        with catalogue.snapshot():
            stored = {key: row for change in catalogue.changes(0) for key, row in zip(*_pair(change), strict=True)}
            reducer = catalogue.reducer()
        catalogue.close()
    wanted = [id_of[path.resolve()] for path in paths]
    row_of = {image_id: row for row, image_id in enumerate(ids)}
    embeddings = np.stack([stored[int(image_id, 16)] for image_id in wanted])
    assert reducer is not None
    return Indexed(embeddings, vectors[[row_of[image_id] for image_id in wanted]], reducer)


def _pair(change: Any) -> tuple[list[int], Float16]:
    return change.keys.tolist(), change.embeddings


def article_embeddings(paths: Sequence[Path]) -> Float32:
    """(n, 1280) of centre crops, average pooling, with the same decoder, network and runtime."""
    settings = Settings.from_environment()
    embedder = embedder_of(lite0.network(pooling="mean", shapes=ARTICLE_SPEC.shapes), settings.precision)
    return np.concatenate([embedder.embed(pixels) for pixels in decoded(paths, ARTICLE_SPEC)])


def article_vectors(embeddings: Float32, fitted_on: Sequence[int]) -> Float32:
    """Minus mean -> PCA to min(256, n/4) -> L2, for cosine similarity."""
    known = embeddings[fitted_on].astype(np.float64)
    mean = known.mean(0)
    components = np.linalg.svd(known - mean, full_matrices=False)[2][: min(256, len(known) // 4)]
    return unit((embeddings - mean) @ components.T)


def embedder_of(network: Network, precision: str, engine: str = "") -> NetworkEmbedder:
    graph = cached_graph(cache_path() / "models", network.key, network.build)
    threads = Settings.from_environment().thread_count
    return NetworkEmbedder(network, open_runtime(graph, precision=precision, threads=threads, engine=engine))


def decoded(paths: Sequence[Path], spec: DecodeSpec) -> Iterator[list[Pixels]]:
    settings = Settings.from_environment()
    with DecoderPool(settings) as pool, ThreadPoolExecutor(settings.worker_count) as threads:
        for start in range(0, len(paths), BATCH):
            some = paths[start : start + BATCH]
            yield list(threads.map(lambda p: pool.decode(p.read_bytes(), spec, thumbnail=False).pixels, some))


def unit(rows: NDArray[Any]) -> Float32:
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    vectors: Float32 = (rows / lengths).astype(np.float32)
    return vectors


# -- the main table ------------------------------------------------------------------------------------------------


def plain_reducer(embeddings: NDArray[Any], dim: int) -> Reducer:
    moments = reduce.Moments(embeddings.shape[1])
    moments.add(np.unique(embeddings, axis=0))  # as a gallery does: copies count once
    return reduce.fit(moments, dim=dim)


def weighted(vectors: Float32, reducer: Reducer, power: float) -> Float32:
    """What the dial orders by, for all pairs at once."""
    return unit(vectors * reduce.whitening_weights(reducer, power))


def measure(folder: Path) -> dict[str, RankingMetrics]:
    """All rows of the table for one set."""
    asked = read_set(folder)
    found = index_set(folder, asked.paths)
    full = plain_reducer(found.embeddings, found.embeddings.shape[1])
    full_vectors = reduce.transform(full, found.embeddings)
    crops = article_embeddings(asked.paths)
    everything = range(len(asked.paths))
    table = {
        "article, here": asked.measure(article_vectors(crops, everything)),
        "plain, 256": asked.measure(found.vectors),
        "plain, full": asked.measure(full_vectors),
        "power .25, 256": asked.measure(weighted(found.vectors, found.reducer, 0.25)),
        "power .25, full": asked.measure(weighted(full_vectors, full, 0.25)),
    }
    if asked.queries:
        without = plain_reducer(found.embeddings[asked.database], 256)
        table["article, PCA without queries"] = asked.measure(article_vectors(crops, asked.database))
        table["plain, 256, PCA without queries"] = asked.measure(reduce.transform(without, found.embeddings))
    return table


def print_tables(tables: dict[str, dict[str, RankingMetrics]]) -> None:
    """One table per metric, in percent; rows are settings, columns are sets."""
    names = list(dict.fromkeys(name for table in tables.values() for name in table))
    for title, metric in (("mAP", "map"), ("P@10", "precision_at_10"), ("R@1", "recall_at_1")):
        values = {
            name: {key: 100 * getattr(table[name], metric) for key, table in tables.items() if name in table}
            for name in names
        }
        if metric == "map":
            values = {
                "article, published": {key: ARTICLE_COLUMN[key] for key in tables if key in ARTICLE_COLUMN}
            } | values
            values["difference to published"] = differences(values["plain, 256"], values["article, published"])
            values["difference to article here"] = differences(values["plain, 256"], values["article, here"])
        print(f"\n| {title}, % | " + " | ".join(tables) + " | mean of the six |")
        print("|---|" + "---:|" * (len(tables) + 1))
        for name, row in values.items():
            signed = "+" if name.startswith("difference") else ""
            cells = [format(row[key], f"{signed}.1f") if key in row else "" for key in tables]
            six = [row[key] for key in ARTICLE_COLUMN if key in row]
            mean = format(np.mean(six), f"{signed}.2f") if len(six) == len(ARTICLE_COLUMN) else ""
            print(f"| {name} | " + " | ".join([*cells, mean]) + " |")


def differences(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    return {key: ours[key] - theirs[key] for key in theirs}


def targets_hold(tables: dict[str, dict[str, RankingMetrics]]) -> bool:
    """Say whether the plain default beats the article's column as it should, where all six sets were measured."""
    if not set(ARTICLE_COLUMN) <= set(tables):
        print("\ntargets: not all six sets of the article's column were measured")
        return True
    gains = differences({key: 100 * tables[key]["plain, 256"].map for key in tables}, ARTICLE_COLUMN)
    average, worst = float(np.mean(list(gains.values()))), min(gains, key=gains.__getitem__)
    met = average >= LEAST_AVERAGE_GAIN and gains[worst] >= -LARGEST_LOSS
    print(
        f"\ntargets {'hold' if met else 'FAIL'}: {average:+.2f} mAP on average (at least +{LEAST_AVERAGE_GAIN:g}),"
        f" worst {worst} {gains[worst]:+.1f} (at least -{LARGEST_LOSS:g})"
    )
    return met


# -- precision -----------------------------------------------------------------------------------------------------


def precision_table(folder: Path) -> None:
    """What each saving changes against float32 embeddings of the default runtime, on one set."""
    asked = read_set(folder)
    network = lite0.network()
    pixels = [image for batch in decoded(asked.paths, network.info.decode_spec) for image in batch]
    reference = embedder_of(network, "fp32")
    exact = reference.embed(pixels)
    reducer = plain_reducer(exact, 256)
    keys = np.arange(len(exact), dtype=np.int64)
    true_vectors = reduce.transform(reducer, exact)

    def report(name: str, exact_rows: Float32, rows: NDArray[Any], vectors: Float32) -> None:
        off = 1 - _cosines(exact_rows, rows)
        found, wanted = (_neighbours(v, keys) for v in (vectors, true_vectors))
        print(
            f"| {name} | {off.max():.0e} | {np.median(off):.0e} | {agreement_at_k(found, wanted):.4f}"
            f" | {100 * (asked.measure(vectors).map - asked.measure(true_vectors).map):+.2f} |",
            flush=True,
        )

    def report_embeddings(name: str, rows: NDArray[Any]) -> None:
        report(name, exact, rows, reduce.transform(reducer, rows))

    print(f"\nAgainst float32 by {reference.runtime}, on {folder.name}:\n")
    print("| | 1 - cosine, largest | median | top-10 overlap | mAP, points |\n|---|---:|---:|---:|---:|")
    packed = _through_engine(true_vectors)
    report("vectors of the engine, 16 bits", true_vectors, packed, packed)
    report_embeddings("embeddings stored as float16", exact.astype(np.float16))
    for name, make in _other_arithmetic(network).items():
        try:
            embedder = make()
        except ModelError as error:
            print(f"| {name} | not measured: {error} | | | |")
            continue
        report_embeddings(f"{name}, {embedder.runtime}", embedder.embed(pixels))


def _cosines(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    a, b = a.astype(np.float64), b.astype(np.float64)
    cosines: NDArray[np.float64] = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return cosines


def _neighbours(vectors: Float32, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keys (n, 10) of the nearest others."""
    found = top_k(vectors, vectors, keys, 11)[0]
    rows = [[key for key in row if key != own][:10] for own, row in zip(keys, found, strict=True)]
    return np.array(rows, np.int64)


def _through_engine(vectors: Float32) -> Float32:
    from lookalike.engines.table import Rows

    return Rows.pack(np.arange(len(vectors), dtype=np.int64), vectors).unpack()


def _other_arithmetic(network: Network) -> dict[str, Callable[[], NetworkEmbedder]]:
    def emulated() -> NetworkEmbedder:
        graph = rounded_to_bf16(network.build())
        return NetworkEmbedder(network, open_runtime(graph, precision="fp32", threads=2, engine="onnxruntime"))

    return {
        "another runtime, fp32": lambda: embedder_of(network, "fp32", "onnxruntime"),
        "bf16": lambda: embedder_of(network, "bf16", "openvino"),
        "bf16 EMULATED (kernels and all results rounded, sums in float32)": emulated,
    }


def rounded_to_bf16(graph: bytes) -> bytes:
    """The graph with its kernels, and what every node gives, rounded to bfloat16: an emulation of bf16 processors."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(graph)
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.ndim == 4 and values.size > 4:
            bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
            even = bits + 0x7FFF + ((bits >> 16) & 1)
            rounded = (even & np.uint32(0xFFFF0000)).view(np.float32)
            constant.CopyFrom(numpy_helper.from_array(rounded, constant.name))
    nodes = []
    for node in list(model.graph.node):
        nodes.append(node)
        if node.op_type in ("Conv", "Clip", "Add", "Mul", "Div", "Pow", "Relu", "GlobalAveragePool"):
            name = node.output[0]
            node.output[0] = f"{name}/exact"
            nodes.append(helper.make_node("Cast", [node.output[0]], [f"{name}/bf16"], to=TensorProto.BFLOAT16))
            nodes.append(helper.make_node("Cast", [f"{name}/bf16"], [name], to=TensorProto.FLOAT))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    content: bytes = model.SerializeToString()
    return content


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", choices=SETS, dest="sets", help="only this set; may be repeated")
    parser.add_argument("--fast", action="store_true", help="leave out many-kinds, three quarters of all images")
    parser.add_argument("--part", choices=("ranking", "precision"), help="only this part; default: both")
    options = parser.parse_args()
    wanted = options.sets or [name for name in SETS if not (options.fast and name == "many-kinds")]
    met = True
    if options.part != "precision":
        tables = measure_all(wanted)
        if tables:
            print_tables(tables)
            met = targets_hold(tables)
    if options.part != "ranking" and is_here(PRECISION_SET):
        precision_table(DATA / PRECISION_SET)
    return 0 if met else 1


def measure_all(names: Sequence[str]) -> dict[str, dict[str, RankingMetrics]]:
    tables = {}
    for name in filter(is_here, names):
        started = time.monotonic()
        tables[name] = measure(DATA / name)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return tables


def is_here(name: str) -> bool:
    found = (DATA / name / "labels.csv").is_file()
    if not found:
        print(f"quality: {name} is left out, it is not in {DATA}")
    return found


if __name__ == "__main__":
    sys.exit(main())

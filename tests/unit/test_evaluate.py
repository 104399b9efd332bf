from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, top_k_accuracy_score

from lookalike.errors import ShapeError
from lookalike.evaluate import (
    average_precision,
    judge,
    leave_one_out,
    precision_at_k,
    query_protocol,
    ranking,
    recall_at_k,
    reciprocal_rank,
    summary,
)


def on_a_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(np.asarray(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def bools(text: str) -> np.ndarray:
    return np.array([c == "1" for c in text])


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [("1", 1.0), ("0", 0.0), ("01", 1 / 2), ("101", (1 + 2 / 3) / 2), ("0011", (1 / 3 + 2 / 4) / 2), ("110", 1.0)],
)
def test_average_precision_by_hand(relevance: str, expected: float) -> None:
    assert average_precision(bools(relevance)) == pytest.approx(expected)


def test_relevant_images_that_the_ranking_misses_count_as_zero() -> None:
    assert average_precision(bools("10"), n_relevant=4) == pytest.approx(1 / 4)
    with pytest.raises(ShapeError, match="n_relevant says 1"):
        average_precision(bools("11"), n_relevant=1)


def test_average_precision_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        wanted, scores = rng.random(50) < 0.2, rng.permutation(50)
        wanted[rng.integers(50)] = True
        assert average_precision(wanted[np.argsort(-scores)]) == pytest.approx(average_precision_score(wanted, scores))


def test_precision_counts_empty_places_as_wrong() -> None:
    assert precision_at_k(bools("1010"), 2) == 0.5
    assert precision_at_k(bools("11"), 10) == 0.2


def test_recall_is_whether_anything_relevant_was_found() -> None:
    assert recall_at_k(bools("0101"), 1) == 0.0
    assert recall_at_k(bools("0101"), 2) == 1.0
    assert recall_at_k(bools("0101"), 10) == 1.0


def test_the_reciprocal_rank_is_that_of_the_first() -> None:
    assert [reciprocal_rank(bools(text)) for text in ("1", "011", "0001", "000", "")] == [1, 1 / 2, 1 / 4, 0, 0]


def test_a_ranking_is_by_score_and_then_by_place() -> None:
    assert ranking(np.array([0.1, 0.5, 0.5, -0.2, 0.5], np.float32)).tolist() == [1, 2, 4, 0, 3]


def test_a_ranking_cut_short_is_judged_by_what_there_is_in_all() -> None:
    found = judge(bools("0101"), n_relevant=4)
    assert found is not None
    assert found.average_precision == pytest.approx((1 / 2 + 2 / 4) / 4)
    assert found.precision_at_10 == pytest.approx(0.2)
    assert (found.recall_at_1, found.recall_at_5, found.recall_at_10) == (0.0, 1.0, 1.0)
    assert found.reciprocal_rank == pytest.approx(1 / 2)
    assert judge(bools("000"), n_relevant=0) is None
    missed = judge(bools("000"), n_relevant=2)
    assert missed is not None
    assert set(missed) == {0.0}


def test_a_summary_is_the_mean_over_queries_and_over_kinds() -> None:
    judged = [judge(bools("1"), 1), judge(bools("01"), 1), judge(bools("0001"), 1), judge(bools("0"), 0)]
    metrics = summary(judged, ["a", "a", "b", "c"])
    assert metrics.map == metrics.mean_reciprocal_rank == pytest.approx((1 + 1 / 2 + 1 / 4) / 3)
    assert metrics.macro_map == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert metrics.recall_at_1 == pytest.approx(1 / 3)
    assert (metrics.n_queries, metrics.n_left_out) == (3, 1)


def test_metrics_of_one_right_answer_equal_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    scores, answers = rng.random((60, 30)), rng.integers(0, 30, 60)
    wanted = answers[:, None] == np.arange(30)
    judged = [judge(row[ranking(score)], 1) for row, score in zip(wanted, scores.astype(np.float32), strict=True)]
    metrics = summary(judged, [""] * 60)
    assert metrics.mean_reciprocal_rank == pytest.approx(label_ranking_average_precision_score(wanted, scores))
    for k in (1, 5, 10):
        expected = top_k_accuracy_score(answers, scores, k=k, labels=np.arange(30))
        assert getattr(metrics, f"recall_at_{k}") == pytest.approx(expected)


def test_leave_one_out_equals_scikit_learn() -> None:
    rng = np.random.default_rng(6)
    vectors = rng.normal(size=(80, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels, scores = rng.integers(0, 5, 80), vectors @ vectors.T
    others = ~np.eye(80, dtype=bool)
    each = [average_precision_score(labels[o] == labels[i], scores[i, o]) for i, o in enumerate(others)]
    metrics = leave_one_out(vectors, labels.astype(str))
    assert metrics.map == pytest.approx(np.mean(each))
    assert metrics.macro_map == pytest.approx(np.mean([np.mean(np.array(each)[labels == k]) for k in range(5)]))


def test_leave_one_out_by_hand() -> None:
    # rankings: a0 -> a1 b0 b1 (1 . .) | a1 -> a0 b0 b1 (1 . .) | b0 -> a1 a0 b1 (. . 1) | b1 -> b0 a1 a0 (1 . .)
    metrics = leave_one_out(on_a_circle(0, 10, 25, 60), ["a", "a", "b", "b"])
    assert metrics.map == pytest.approx((1 + 1 + 1 / 3 + 1) / 4)
    assert metrics.macro_map == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.recall_at_1 == 0.75
    assert metrics.recall_at_5 == 1.0
    assert metrics.precision_at_10 == pytest.approx(0.1)
    assert (metrics.n_queries, metrics.n_left_out) == (4, 0)


def test_queries_without_a_relevant_image_are_left_out_and_counted() -> None:
    metrics = leave_one_out(on_a_circle(0, 5, 50), ["a", "a", "only one"])
    assert (metrics.map, metrics.n_queries, metrics.n_left_out) == (1.0, 2, 1)


def test_macro_map_gives_every_label_the_same_say() -> None:
    metrics = leave_one_out(on_a_circle(0, 1, 2, 3, 90, 270, 92), ["a", "a", "a", "a", "b", "b", "c"])
    assert metrics.map == pytest.approx((4 * 1 + 2 * 1 / 6) / 6)
    assert metrics.macro_map == pytest.approx((1 + 1 / 6) / 2)


def test_equal_scores_rank_in_gallery_order() -> None:
    queries, gallery = on_a_circle(0), on_a_circle(30, 30, 30)
    assert [query_protocol(queries, gallery, [[i]]).map for i in range(3)] == pytest.approx([1, 1 / 2, 1 / 3])


def test_the_query_does_not_find_itself_even_among_copies() -> None:
    assert leave_one_out(on_a_circle(0, 0, 0), ["a", "b", "a"]).map == pytest.approx((1 / 2 + 1) / 2)


def test_query_protocol_by_hand() -> None:
    metrics = query_protocol(on_a_circle(0, 90), on_a_circle(5, 20, 80), [[1], [2, 0]])
    assert metrics.map == pytest.approx((1 / 2 + (1 + 2 / 3) / 2) / 2)
    assert metrics.macro_map == metrics.map
    assert (metrics.recall_at_1, metrics.recall_at_5) == (0.5, 1.0)


def test_many_queries_are_the_mean_of_single_ones() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(600, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevant = [[int(i)] for i in rng.integers(0, 300, 300)]
    together = query_protocol(vectors[:300], vectors[300:], relevant)  # more than one block
    alone = [query_protocol(vectors[i : i + 1], vectors[300:], relevant[i : i + 1]).map for i in range(300)]
    assert together.map == pytest.approx(np.mean(alone))


def test_nothing_to_measure_gives_zeros_and_says_so() -> None:
    metrics = leave_one_out(on_a_circle(0, 90), ["a", "b"])
    assert (metrics.map, metrics.n_queries, metrics.n_left_out) == (0.0, 0, 2)
    assert leave_one_out(np.zeros((0, 2), np.float32), []).n_queries == 0


def test_counts_that_do_not_match_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 vectors, 2 labels"):
        leave_one_out(on_a_circle(0, 1, 2), ["a", "b"])
    with pytest.raises(ShapeError, match="1 queries, 2 lists"):
        query_protocol(on_a_circle(0), on_a_circle(1), [[0], [0]])


def test_metrics_print_as_json() -> None:
    printed = json.loads(json.dumps(leave_one_out(on_a_circle(0, 10, 25), ["a", "a", "b"]).to_dict()))
    assert set(printed) >= {"map", "macro_map", "precision_at_10", "recall_at_1", "n_queries"}
    assert isinstance(printed["n_queries"], int)

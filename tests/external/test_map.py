"""A map of real photos keeps what scikit-learn's t-SNE keeps, as docs/map.md says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.manifold import TSNE

from lookalike import Gallery, map2d

pytestmark = pytest.mark.external

SET = "clothing-test"


def test_a_map_of_photos_is_as_good_as_scikit_learns(
    require_sets: Callable[..., None], data_dir: Path, tmp_path: Path
) -> None:
    require_sets(SET)
    with Gallery.create(tmp_path / "gallery") as gallery:
        gallery.index(data_dir / SET)
        ids, vectors = gallery.vectors()
        drawn, coarse = gallery.map(), gallery.map(method="pca")
    row_of = {image_id: row for row, image_id in enumerate(ids)}
    vectors = vectors[[row_of[record.id] for record in drawn.records]]
    reference = np.asarray(TSNE(init="pca", perplexity=30, random_state=0).fit_transform(vectors), np.float32)
    trust = [map2d.trustworthiness(vectors, layout) for layout in (drawn.xy, reference, coarse.xy)]
    kept = [map2d.neighbour_preservation(vectors, layout) for layout in (drawn.xy, reference, coarse.xy)]
    assert trust[0] > trust[1] - 0.005
    assert kept[0] > kept[1] - 0.01
    assert trust[0] > trust[2] + 0.08
    assert kept[0] > kept[2] + 0.25

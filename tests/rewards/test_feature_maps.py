"""Feature maps: standardised views, and blocks that maps share are worked on once."""

import numpy as np
import pytest

from assay.rewards.feature_maps import FEATURE_MAPS, Block, fit_map
from assay.rewards.features import Features


@pytest.fixture
def some_features():
    rng = np.random.default_rng(0)
    return Features(rng.normal(size=(40, 2, 12)), rng.normal(size=(40, 2, 12)), rng.normal(size=(40, 7)))


@pytest.mark.parametrize("name", [*FEATURE_MAPS, "mean-last+surface"])
def test_each_view_has_mean_zero_and_deviation_one_on_what_it_was_fitted_on(name, some_features):
    x = fit_map(name, some_features, directions=5).apply(some_features)
    assert x.shape[1] == 5 * len(FEATURE_MAPS[name.removesuffix("+surface")]) + 7 * name.endswith("+surface")
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(0), 1)


def test_maps_that_share_a_block_share_its_cost_and_nothing_else_changes(some_features, monkeypatch):
    names = ["mean-high", "last-low", "mean-last", "mean-both"]
    alone = [fit_map(name, some_features, directions=5).apply(some_features) for name in names]
    count, real = [], np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda *a, **k: count.append(1) or real(*a, **k))
    known = {}
    together = [fit_map(name, some_features, directions=5, known=known).apply(some_features) for name in names]
    assert set(known) == {Block("mean", -1), Block("last", 0), Block("mean", 0)}
    assert len(count) == 3
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)

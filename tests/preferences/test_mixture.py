"""Mixture: hidden groups are found where there are some, and one group where there is one."""

import numpy as np
import pytest

from assay.preferences import cells_from, select_mixture
from assay.preferences.mixture import fit_mixture

PEOPLE, PAIRS = 30, 60


def cells(*, turned, seed=0):
    """Thirty people judge forty of sixty pairs each; the last ten see the first `turned` pairs the other way round."""
    rng = np.random.default_rng(seed)
    worth = rng.choice([-2.0, 2.0], size=PAIRS)
    pair = np.argsort(rng.random((PEOPLE, PAIRS)), axis=1)[:, :40].ravel()
    who = np.repeat(np.arange(PEOPLE), 40)
    seen = worth[pair] * np.where((who >= 20) & (pair < turned), -1, 1)
    said = np.where(rng.logistic(size=len(pair)) < seen, 1, -1)
    return cells_from(who, 2 * pair, 2 * pair + 1, said, rng.choice([-1, 1], len(pair)), items=2 * PAIRS), worth


def test_two_groups_are_chosen_and_their_members_and_views_found():
    given, worth = cells(turned=40)
    found = select_mixture(given, most=2, folds=2, rng=np.random.default_rng(0))
    assert found.held_out[1] > found.held_out[0]
    mixture = found.mixture
    assert mixture.share == pytest.approx([2 / 3, 1 / 3], abs=0.02)
    assert mixture.membership[:20, 0].min() > 0.9
    assert mixture.membership[20:, 1].min() > 0.9
    right = np.sign(mixture.difference) == np.sign(worth)
    assert right[0].mean() > 0.9
    assert right[1][:40].mean() < 0.15


def test_one_group_is_chosen_where_all_are_of_one_mind():
    given, _ = cells(turned=0)
    found = select_mixture(given, most=2, folds=2, rng=np.random.default_rng(0))
    assert len(found.mixture.share) == 1
    assert found.standard_error[0] == 0


def test_memberships_are_chances_and_more_groups_never_fit_worse():
    given, _ = cells(turned=40)
    one, two = (fit_mixture(given, groups=n, rng=np.random.default_rng(0)) for n in (1, 2))
    assert two.membership.sum(axis=1) == pytest.approx(np.ones(PEOPLE))
    assert two.log_likelihood > one.log_likelihood

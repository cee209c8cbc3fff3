"""Best-of-n: exact against enumeration, monotone, indifferent to the order of candidates."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.rewards.best_of_n import best_of_n_kl, best_of_n_weights


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_weights_equal_those_of_all_subsets(n):
    rewards = np.array([[0.3, -1.0, 2.0, 0.9, 0.1]])
    counts = np.zeros(5)
    subsets = list(combinations(range(5), n))
    for subset in subsets:
        counts[max(subset, key=lambda i: rewards[0, i])] += 1
    np.testing.assert_allclose(best_of_n_weights(rewards, n)[0], counts / len(subsets), atol=1e-12)


@given(st.permutations(range(6)), st.integers(1, 6))
def test_the_order_of_candidates_does_not_matter(order, n):
    rewards = np.array([[0.0, 1.0, 1.0, 2.0, -3.0, 5.0]])
    gold = np.array([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    plain = (best_of_n_weights(rewards, n) * gold).sum()
    mixed = (best_of_n_weights(rewards[:, order], n) * gold[:, order]).sum()
    assert plain == pytest.approx(mixed)


def test_equal_rewards_share_the_choice():
    np.testing.assert_allclose(best_of_n_weights(np.zeros((1, 4)), 3), np.full((1, 4), 0.25))


def test_choosing_by_gold_is_the_oracle_and_never_gets_worse():
    gold = np.random.default_rng(0).normal(size=(8, 16))
    means = [(best_of_n_weights(gold, n) * gold).sum(1).mean() for n in range(1, 17)]
    assert np.all(np.diff(means) > 0)
    assert means[-1] == pytest.approx(gold.max(1).mean())


def test_the_kl_bound_has_its_known_values():
    assert best_of_n_kl(1) == 0.0
    assert best_of_n_kl(2) == pytest.approx(0.1931471806)
    assert best_of_n_kl(512) == pytest.approx(5.2403, abs=1e-3)


def test_n_beyond_the_candidates_is_refused():
    with pytest.raises(ValueError, match="n from 1 to 4"):
        best_of_n_weights(np.zeros((1, 4)), 5)

"""MBR-BoN: similarity to the others, by hand and against pairs, and a lone extreme that no longer wins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assay.records.errors import InputError
from assay.rewards.inference_time import mbr_rewards, mean_cosine, mean_similarity

FEATURES = arrays(np.float64, (2, 5, 3), elements=st.floats(-3, 3).map(lambda value: round(value, 3)))


def cosines(features):
    norm = np.linalg.norm(features, axis=2, keepdims=True)
    unit = features / np.where(norm > 0, norm, 1)
    return unit @ unit.transpose(0, 2, 1)


def test_the_mean_cosine_is_as_worked_by_hand():
    features = np.array([[[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(mean_cosine(features), [[half / 2, half / 2, half]])
    rewards = np.array([[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(mbr_rewards(rewards, features, 2.0), [[1 + half, half, 2 * half]])


@settings(max_examples=30)
@given(features=FEATURES, block=st.integers(1, 7))
def test_the_short_cut_equals_all_pairs_in_blocks_of_any_size(features, block):
    matrix = cosines(features)
    by_pairs = mean_similarity(lambda rows: matrix[:, rows], 5, block_rows=block)
    np.testing.assert_allclose(mean_cosine(features), by_pairs, atol=1e-9)
    everything = (matrix.sum(2) - np.einsum("pnn->pn", matrix)) / 4
    np.testing.assert_allclose(by_pairs, everything, atol=1e-9)


@settings(max_examples=30)
@given(features=FEATURES, order=st.permutations(range(5)), weight=st.floats(0, 20))
def test_the_order_of_candidates_does_not_matter(features, order, weight):
    rewards = np.arange(10.0).reshape(2, 5)
    plain = mbr_rewards(rewards, features, weight)
    np.testing.assert_allclose(mbr_rewards(rewards[:, order], features[:, order], weight), plain[:, order], atol=1e-9)


def test_no_weight_leaves_the_rewards_alone_and_a_lone_candidate_has_no_others():
    rewards = np.array([[0.5, 2.0]])
    np.testing.assert_array_equal(mbr_rewards(rewards, np.ones((1, 2, 3)), 0.0), rewards)
    np.testing.assert_array_equal(mean_cosine(np.ones((1, 1, 3))), [[0.0]])
    np.testing.assert_array_equal(mean_cosine(np.zeros((1, 3, 2))), [[0.0, 0.0, 0.0]])


def test_a_lone_extreme_loses_to_the_crowd():
    features = np.array([[[1.0, 0.0], [1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]]])
    rewards = np.array([[0.6, 0.5, 0.4, 1.0]])
    assert rewards.argmax() == 3
    assert mbr_rewards(rewards, features, 1.0).argmax() == 0


def test_features_of_other_candidates_are_refused():
    with pytest.raises(InputError, match=r"features \[1, 3, d\]; got \[1, 2, 4\]"):
        mbr_rewards(np.zeros((1, 3)), np.zeros((1, 2, 4)), 1.0)

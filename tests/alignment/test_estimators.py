"""Estimators: KL terms, advantages, token weights and the adaptive coefficient, against numbers worked by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.alignment.estimators import (
    adapted_kl_coef,
    discounted_sums,
    gae,
    group_advantages,
    kl_terms,
    leave_one_out_advantages,
    penalised_rewards,
    reinforce_advantages,
    token_weights,
)
from assay.records.errors import TrainingError

QUICK = settings(deadline=None, max_examples=40)

POLICY, REFERENCE = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
REWARDS = st.lists(st.floats(-5, 5), min_size=6, max_size=6)


def exact_mean(kind):
    """The estimator's exact mean over the policy's own draws, and the gradient of that of the surrogate loss."""
    logits = torch.tensor(np.log(POLICY), requires_grad=True)
    logprobs = torch.log_softmax(logits, -1)
    terms = kl_terms(logprobs, torch.tensor(np.log(REFERENCE)), kind)
    mean = (torch.tensor(POLICY) * terms).sum()
    (gradient,) = torch.autograd.grad(mean, logits)
    return mean.item(), gradient.numpy()


def exact_gradient():
    logits = torch.tensor(np.log(POLICY), requires_grad=True)
    logprobs = torch.log_softmax(logits, -1)
    (logprobs.exp() * (logprobs - torch.tensor(np.log(REFERENCE)))).sum().backward()
    return logits.grad.numpy()


def test_k1_and_k3_are_unbiased_and_k2_is_not():
    kl = float((POLICY * np.log(POLICY / REFERENCE)).sum())
    assert exact_mean("k1")[0] == pytest.approx(kl)
    assert exact_mean("k3")[0] == pytest.approx(kl)
    assert exact_mean("k2")[0] == pytest.approx(float((POLICY * np.log(POLICY / REFERENCE) ** 2).sum() / 2))


def test_only_k2_has_the_gradient_of_the_kl_and_k1_has_none():
    assert exact_mean("k1")[1] == pytest.approx(np.zeros(3), abs=1e-12)
    assert exact_mean("k2")[1] == pytest.approx(exact_gradient())
    assert not np.allclose(exact_mean("k3")[1], exact_gradient(), atol=1e-3)


@QUICK
@given(st.floats(-20, 20), st.floats(-20, 20))
def test_k2_and_k3_are_never_negative_and_nought_at_the_reference(policy, reference):
    one, two = torch.tensor([policy], dtype=torch.float64), torch.tensor([reference], dtype=torch.float64)
    for kind in ("k2", "k3"):
        assert kl_terms(one, two, kind).item() >= 0
        assert kl_terms(one, one, kind).item() == 0


def test_group_advantages_are_z_scores_within_a_prompt():
    # Groups (0, 2) with s.d. sqrt 2 and (5, 5) with none.
    found = group_advantages(np.array([0.0, 2.0, 5.0, 5.0]), group=2)
    assert found == pytest.approx([-1 / (2**0.5 + 1e-4), 1 / (2**0.5 + 1e-4), 0, 0])
    by_batch = group_advantages(np.array([0.0, 2.0, 5.0, 5.0]), group=2, scale="batch")
    assert by_batch == pytest.approx([-1 / (6**0.5 + 1e-4), 1 / (6**0.5 + 1e-4), 0, 0])
    assert group_advantages(np.array([0.0, 2.0, 5.0, 5.0]), group=2, scale="none") == pytest.approx([-1, 1, 0, 0])


def test_leave_one_out_takes_off_the_mean_of_the_others():
    assert leave_one_out_advantages(np.array([0.0, 3.0, 6.0]), group=3) == pytest.approx([-4.5, 0.0, 4.5])


@QUICK
@given(REWARDS, st.floats(-9, 9))
def test_what_a_prompt_adds_to_all_its_rewards_changes_no_advantage(rewards, shift):
    rewards = np.array(rewards)
    moved = rewards + np.repeat([shift, -shift], 3)
    for advantages in (
        lambda r: group_advantages(r, group=3),
        lambda r: leave_one_out_advantages(r, group=3),
    ):
        assert advantages(moved) == pytest.approx(advantages(rewards), abs=1e-6)
        assert advantages(rewards).reshape(2, 3).sum(1) == pytest.approx([0, 0], abs=1e-6)


@QUICK
@given(REWARDS)
def test_leave_one_out_is_the_centred_reward_stretched(rewards):
    centred = group_advantages(np.array(rewards), group=3, scale="none")
    assert leave_one_out_advantages(np.array(rewards), group=3) == pytest.approx(1.5 * centred)


@pytest.mark.parametrize(("count", "group"), [(4, 1), (5, 2)])
def test_groups_that_cannot_be_compared_are_refused(count, group):
    for advantages in (group_advantages, leave_one_out_advantages):
        with pytest.raises(TrainingError, match=f"got {count} rewards in groups of {group}"):
            advantages(np.zeros(count), group=group)


def test_kl_is_taken_off_each_token_and_the_reward_stands_at_the_last():
    found = penalised_rewards(np.array([1.0, 2.0]), np.array([0.5, 0.1, 0.2]), row=np.array([0, 0, 1]), kl_coef=0.1)
    assert found == pytest.approx([-0.05, 1 - 0.01, 2 - 0.02])


def test_reinforce_advantages_equal_a_number_worked_by_hand():
    # Rewards less the KL still to come: 1 - 0.06, 1 - 0.01, 2 - 0.02; mean 1.30333, s.d. 0.58654.
    row, ratios = np.array([0, 0, 1]), np.array([0.5, 0.1, 0.2])
    found = reinforce_advantages(np.array([1.0, 2.0]), ratios, row=row, kl_coef=0.1)
    to_come = np.array([0.94, 0.99, 1.98])
    assert found == pytest.approx((to_come - to_come.mean()) / (to_come.std(ddof=1) + 1e-4))
    assert found.mean() == pytest.approx(0, abs=1e-12)


def test_the_reinforce_baseline_compares_within_a_prompt_first():
    row = np.array([0, 1, 2, 3])
    found = reinforce_advantages(np.array([0.0, 2.0, 100.0, 102.0]), np.zeros(4), row=row, kl_coef=0.0, group=2)
    assert found == pytest.approx(np.array([-1, 1, -1, 1]) / (np.std([-1, 1, -1, 1], ddof=1) + 1e-4))


def test_gae_equals_numbers_worked_by_hand_and_does_not_cross_completions():
    # Completion 0: delta_1 = 1 - 0.5 = 0.5; delta_0 = 0 + 0.9 x 0.5 - 0.2 = 0.25; A_0 = 0.25 + 0.9 x 0.8 x 0.5.
    rewards, values, row = np.array([0.0, 1.0, 3.0]), np.array([0.2, 0.5, 1.0]), np.array([0, 0, 1])
    found = gae(rewards, values, row=row, gamma=0.9, lam=0.8)
    assert found.advantages == pytest.approx([0.61, 0.5, 2.0])
    assert found.returns == pytest.approx([0.81, 1.0, 3.0])


@QUICK
@given(REWARDS, REWARDS)
def test_gae_with_lambda_one_is_return_less_value_and_with_nought_the_td_error(rewards, values):
    rewards, values, row = np.array(rewards), np.array(values), np.array([0, 0, 0, 1, 1, 1])
    to_come = discounted_sums(rewards, row=row, discount=0.9)
    assert gae(rewards, values, row=row, gamma=0.9, lam=1.0).advantages == pytest.approx(to_come - values, abs=1e-9)
    following = np.where([True, True, False, True, True, False], np.roll(values, -1), 0.0)
    td = rewards + 0.9 * following - values
    assert gae(rewards, values, row=row, gamma=0.9, lam=0.0).advantages == pytest.approx(td, abs=1e-9)


@QUICK
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_token_weights_share_out_one(lengths):
    row = torch.tensor([i for i, length in enumerate(lengths) for _ in range(length)])
    for kind in ("grpo", "dapo"):
        assert token_weights(row, kind).sum().item() == pytest.approx(1, abs=1e-6)
    own = torch.zeros(len(lengths)).index_add(0, row, token_weights(row, "grpo"))
    assert own.tolist() == pytest.approx([1 / len(lengths)] * len(lengths))
    constant = token_weights(row, "dr_grpo", max_completion_length=8)
    assert constant.tolist() == pytest.approx([1 / (8 * len(lengths))] * len(row))


def test_a_constant_weight_needs_its_length():
    with pytest.raises(TrainingError, match="max_completion_length"):
        token_weights(torch.tensor([0, 1]), "dr_grpo")


def test_the_adaptive_coefficient_moves_by_the_clipped_error():
    move = {"target": 6.0, "horizon": 1000.0, "samples": 100}
    assert adapted_kl_coef(0.1, kl=6.6, **move) == pytest.approx(0.1 * (1 + 0.1 * 0.1))
    assert adapted_kl_coef(0.1, kl=60.0, **move) == pytest.approx(0.1 * 1.02)
    assert adapted_kl_coef(0.1, kl=-3.0, **move) == pytest.approx(0.1 * 0.98)
    assert adapted_kl_coef(0.1, kl=6.0, **move) == 0.1

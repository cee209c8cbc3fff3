"""Losses: hand-worked numbers and limits."""

import math

import pytest
import torch

from assay.alignment.losses import dpo_loss, sft_loss


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_dpo_equals_a_number_worked_by_hand():
    # z = 0.5 [(-1 + 2) - (-3 + 2)] = 1; loss = log(1 + e^-1)
    terms = dpo_loss(t(-1.0), t(-3.0), t(-2.0), t(-2.0), beta=0.5)
    assert terms.loss.item() == pytest.approx(math.log1p(math.exp(-1)))
    assert terms.chosen_reward.item() == pytest.approx(0.5)
    assert terms.rejected_reward.item() == pytest.approx(-0.5)


def test_dpo_at_the_reference_is_log_two():
    assert dpo_loss(t(-5.0), t(-7.0), t(-5.0), t(-7.0), beta=0.1).loss.item() == pytest.approx(math.log(2))


def test_a_soft_label_mixes_both_orders():
    args = (t(-1.0), t(-3.0), t(-2.0), t(-2.0))
    mixed = dpo_loss(*args, beta=0.5, probability=t(0.8)).loss.item()
    assert mixed == pytest.approx(0.8 * math.log1p(math.exp(-1)) + 0.2 * math.log1p(math.exp(1)))


def test_a_label_of_one_half_is_at_its_least_where_policy_and_reference_agree():
    policy = t(-1.5).requires_grad_()
    dpo_loss(policy, t(-2.0), t(-1.5), t(-2.0), beta=0.5, probability=t(0.5)).loss.sum().backward()
    assert policy.grad.item() == pytest.approx(0.0, abs=1e-12)


def test_dpo_lowers_the_rejected_as_much_as_it_raises_the_chosen():
    chosen, rejected = t(-1.0).requires_grad_(), t(-3.0).requires_grad_()
    dpo_loss(chosen, rejected, t(-2.0), t(-2.0), beta=0.5).loss.sum().backward()
    expected = -0.5 / (1 + math.e)  # -beta (1 - sigmoid(1))
    assert chosen.grad.item() == pytest.approx(expected)
    assert rejected.grad.item() == pytest.approx(-expected)


def test_sft_is_the_mean_negative_log_probability_a_token():
    assert sft_loss(t(-1.0, -2.0, -6.0)).item() == pytest.approx(3.0)

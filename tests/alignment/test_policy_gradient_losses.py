"""Policy-gradient losses and GKD: hand-worked numbers, where the clip acts, gradients, limits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from assay.alignment.estimators import token_weights
from assay.alignment.losses import (
    TokenBatch,
    Values,
    generalised_jsd,
    grpo_loss,
    ppo_loss,
    reinforce_loss,
    rloo_loss,
)
from assay.records.errors import ConfigError

QUICK = settings(deadline=None, max_examples=40)

LOG2 = math.log(2)


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


def batch(log_ratio, advantages, row, ref=None):
    """Tokens with the given log pi/pi_old, old log-probabilities of -1 each."""
    ratio = t(*log_ratio)
    logprobs = (ratio - 1).requires_grad_()
    reference = None if ref is None else logprobs.detach() - t(*ref)
    return TokenBatch(logprobs, torch.full_like(ratio, -1.0), t(*advantages), torch.tensor(row), reference)


def test_at_the_policy_that_drew_grpo_is_minus_the_weighted_advantage():
    # Completion 0 has two tokens, 1 has one: each counts one half whatever its length.
    tokens = batch([0, 0, 0], [3, 3, -1], [0, 0, 1])
    terms = grpo_loss(tokens, token_weights(tokens.row, "grpo"))
    assert terms.loss.item() == pytest.approx(-(3 - 1) / 2)
    terms.loss.backward()
    assert tokens.logprobs.grad.tolist() == pytest.approx([-3 / 4, -3 / 4, 1 / 2])
    by_token = grpo_loss(tokens, token_weights(tokens.row, "dapo"))
    assert by_token.loss.item() == pytest.approx(-(3 + 3 - 1) / 3)
    by_length = grpo_loss(tokens, token_weights(tokens.row, "dr_grpo", max_completion_length=10))
    assert by_length.loss.item() == pytest.approx(-(3 + 3 - 1) / 20)


def test_the_clip_holds_what_has_moved_far_enough_and_lets_back_what_moved_wrongly():
    # Ratios 2, 2, 1/2, 1/2 with advantages 1, -1, 1, -1; the clip is [0.8, 1.3].
    tokens = batch([LOG2, LOG2, -LOG2, -LOG2], [1, -1, 1, -1], [0, 1, 2, 3])
    terms = grpo_loss(tokens, torch.ones(4, dtype=torch.float64), epsilon_low=0.2, epsilon_high=0.3)
    assert terms.loss.item() == pytest.approx(-1.3 + 2 - 0.5 + 0.8)
    assert (terms.clip_low, terms.clip_high) == (0.25, 0.25)
    terms.loss.backward()
    assert tokens.logprobs.grad.tolist() == pytest.approx([0, 2, -0.5, 0])


def test_kl_in_the_loss_is_k3_of_each_token_and_pulls_to_the_reference():
    tokens = batch([0, 0], [0, 0], [0, 0], ref=[LOG2, -LOG2])  # log pi/ref
    terms = grpo_loss(tokens, token_weights(tokens.row, "grpo"), kl_coef=0.1)
    k3 = [0.5 - 1 + LOG2, 2 - 1 - LOG2]
    assert terms.kl == pytest.approx(sum(k3) / 2)
    assert terms.loss.item() == pytest.approx(0.1 * sum(k3) / 2)
    terms.loss.backward()
    assert tokens.logprobs.grad[0] > 0 > tokens.logprobs.grad[1]


def test_rloo_clips_a_whole_completion():
    # Completion 0: ratio 2 of two tokens of sqrt 2; completion 1: ratio 1.
    tokens = batch([LOG2 / 2, LOG2 / 2, 0], [1, 1, -2], [0, 0, 1])
    terms = rloo_loss(tokens)
    assert terms.loss.item() == pytest.approx((-1.2 + 2) / 2)
    assert terms.clip_high == 0.5
    terms.loss.backward()
    assert tokens.logprobs.grad.tolist() == pytest.approx([0, 0, 1])


def test_at_the_policy_that_drew_rloo_has_the_gradient_of_reinforce():
    tokens = batch([0, 0, 0], [3, 3, -1], [0, 0, 1])
    rloo_loss(tokens).loss.backward()
    assert tokens.logprobs.grad.tolist() == pytest.approx([-3 / 2, -3 / 2, 1 / 2])


def test_reinforce_counts_all_tokens_alike_and_takes_an_advantage_for_each():
    tokens = batch([0, LOG2, 0], [3, 1, -1], [0, 0, 1])
    terms = reinforce_loss(tokens)
    assert terms.loss.item() == pytest.approx(-(3 + 1.2 - 1) / 3)
    assert terms.clip_high == pytest.approx(1 / 3)


def test_ppo_adds_half_the_larger_squared_error_of_the_value():
    tokens = batch([0, 0], [1, -1], [0, 1])
    values = Values(now=t(1.0, 0.1).requires_grad_(), old=t(0.0, 0.0), returns=t(2.0, 1.0))
    terms = ppo_loss(tokens, values, value_clip=0.2, vf_coef=0.5)
    # First value is clipped to 0.2: errors 1 and 3.24, the larger counts; the second is within the clip: 0.81.
    assert terms.value_loss == pytest.approx((3.24 + 0.81) / 4)
    assert terms.policy_loss == pytest.approx(0.0)
    assert terms.loss.item() == pytest.approx(0.5 * (3.24 + 0.81) / 4)
    assert terms.value_clip == 0.5
    terms.loss.backward()
    assert values.now.grad.tolist() == pytest.approx([0, -0.5 * 0.9 / 2])


@QUICK
@given(
    log_ratio=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    advantages=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
)
def test_the_clipped_loss_is_never_below_the_plain_one(log_ratio, advantages):
    tokens = batch(log_ratio, advantages, [0, 1, 2])
    clipped = reinforce_loss(tokens).loss.item()
    plain = reinforce_loss(tokens, epsilon_low=1.0, epsilon_high=1e9).loss.item()
    assert clipped >= plain - 1e-12


def test_the_gradients_are_those_of_the_formulas():
    row = torch.tensor([0, 0, 1])
    old, advantages, ref = t(-1.0, -2.0, -1.5), t(1.0, 1.0, -0.7), t(-1.3, -1.6, -1.1)
    weights = token_weights(row, "grpo").double()

    def of(loss):
        return lambda logprobs: loss(TokenBatch(logprobs, old, advantages, row, ref)).loss

    start = t(-1.05, -2.04, -1.42).requires_grad_()
    for kind in ("k1", "k2", "k3"):
        assert gradcheck(of(lambda b, kind=kind: grpo_loss(b, weights, kl_coef=0.3, kl_estimator=kind)), (start,))
    assert gradcheck(of(rloo_loss), (start,))
    assert gradcheck(of(reinforce_loss), (start,))
    values = t(0.3, 0.4, 0.5).requires_grad_()

    def ppo(logprobs, now):
        word = Values(now, old=t(0.25, 0.41, 0.6), returns=t(1.0, 0.0, 0.2))
        return ppo_loss(TokenBatch(logprobs, old, advantages, row), word).loss

    assert gradcheck(ppo, (start, values))


def distributions(*rows):
    return t(*rows).log()


def test_jsd_equals_a_number_worked_by_hand():
    teacher, student = distributions([0.75, 0.25]), distributions([0.25, 0.75])
    # The mixture at one half is (1/2, 1/2); both divergences are 3/4 log(3/2) + 1/4 log(1/2).
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert generalised_jsd(student, teacher, beta=0.5).item() == pytest.approx(expected)


def test_the_ends_are_forward_and_reverse_kl():
    teacher, student = distributions([0.9, 0.1]), distributions([0.5, 0.5])
    forward = 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    reverse = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert generalised_jsd(student, teacher, beta=0.0).item() == pytest.approx(forward)
    assert generalised_jsd(student, teacher, beta=1.0).item() == pytest.approx(reverse)
    assert generalised_jsd(student, teacher, beta=1e-7).item() / 1e-7 == pytest.approx(forward, rel=1e-4)
    assert generalised_jsd(student, teacher, beta=1 - 1e-7).item() / 1e-7 == pytest.approx(reverse, rel=1e-4)


@QUICK
@given(
    beta=st.floats(0, 1),
    one=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    two=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
)
def test_jsd_is_never_negative_nought_at_the_teacher_and_turns_round_with_beta(beta, one, two):
    student, teacher = t(one), t(two)
    value = generalised_jsd(student, teacher, beta=beta).item()
    assert value >= -1e-9
    assert generalised_jsd(teacher, teacher, beta=beta).item() == pytest.approx(0, abs=1e-9)
    if 1e-3 < beta < 1 - 1e-3:
        assert value == pytest.approx(generalised_jsd(teacher, student, beta=1 - beta).item(), abs=1e-9)


def test_temperature_divides_the_logits_and_the_gradient_is_that_of_the_formula():
    student, teacher = t([2.0, 0.0, -1.0]), t([0.0, 1.0, 0.5])
    assert torch.equal(generalised_jsd(student, teacher, temperature=2.0), generalised_jsd(student / 2, teacher / 2))
    assert gradcheck(lambda s: generalised_jsd(s, teacher, beta=0.3), (student.requires_grad_(),))


def test_a_beta_outside_its_range_is_refused():
    with pytest.raises(ConfigError, match="from 0 to 1; got 1.5"):
        generalised_jsd(t([0.0]), t([0.0]), beta=1.5)

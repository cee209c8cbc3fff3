"""Preference losses: hand-worked numbers of each, their limits, gradients, and what noise does to labels."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from assay.alignment.losses import REFERENCE_FREE, Knobs, LossType, Pairs, chosen_nll, preference_loss, sft_weight_of
from assay.alignment.losses.chipo import link
from assay.alignment.losses.orpo import log_odds
from assay.alignment.losses.preference import WITHOUT_MARGIN
from assay.alignment.losses.smoothing import conservative, robust
from assay.records.errors import ConfigError

QUICK = settings(deadline=None, max_examples=40)

NAMES = get_args(LossType)
SYMMETRIC = ("sigmoid", "robust", "rpo", "sigmoid_norm", "hinge", "ipo", "chipo", "orpo", "cpo")
"""Losses to which a pair turned round, with its label, is the same pair."""


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


def pairs(**changes):
    """One pair: log-ratios 1 and -1, so DPO's z at beta 0.5 is 1; 2 and 4 tokens."""
    plain = {
        "chosen": t(-1.0),
        "rejected": t(-3.0),
        "ref_chosen": t(-2.0),
        "ref_rejected": t(-2.0),
        "chosen_tokens": t(2.0),
        "rejected_tokens": t(4.0),
        "probability": t(1.0),
    }
    return Pairs(**plain | changes)


def loss(name, batch=None, **knobs):
    return preference_loss(name, pairs() if batch is None else batch, Knobs(**{"beta": 0.5} | knobs)).loss.item()


def softplus(x):
    return math.log1p(math.exp(x))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


HAND_WORKED = {
    "sigmoid": softplus(-1),  # z = 0.5 [1 + 1]
    "robust": softplus(-1),
    "rpo": softplus(-1),
    "sigmoid_norm": softplus(-0.375),  # z = 0.5 [1/2 + 1/4]
    "hinge": 0.0,  # z = 1 lies on the margin
    "ipo": (0.75 - 1.0) ** 2,  # gap 1/2 + 1/4, target 1 / (2 x 0.5)
    "kto": (1 - sigmoid(0.5) + 1 - sigmoid(0.5)) / 2,  # baseline 0
    "chipo": softplus(-0.5 * (math.e + 1 - math.exp(-1) + 1)),  # phi(e) - phi(1/e)
    "cpo": softplus(-1),  # z = 0.5 [-1 + 3]
    "simpo": softplus(-(0.5 * (-0.5 + 0.75) - 0.5)),  # means -1/2 and -3/4, gamma 0.5
}


@pytest.mark.parametrize("name", HAND_WORKED)
def test_a_loss_equals_a_number_worked_by_hand(name):
    assert loss(name) == pytest.approx(HAND_WORKED[name], rel=1e-12)


def test_orpo_equals_a_number_worked_by_hand():
    # P = 1/2 and 1/4 a token: odds 1 and 1/3, so z = log 3 and -log s(z) = log(4/3).
    batch = pairs(chosen=t(2 * math.log(0.5)), rejected=t(4 * math.log(0.25)))
    assert loss("orpo", batch) == pytest.approx(0.5 * math.log(4 / 3), rel=1e-12)


def test_every_name_has_a_hand_worked_number():
    assert {*HAND_WORKED, "orpo"} == set(NAMES)


def test_an_unknown_name_is_refused_with_the_names_that_are_known():
    with pytest.raises(ConfigError, match="sigmoid, robust"):
        loss("kto_pair")


def test_label_smoothing_acts_on_dpo():
    # cDPO: 0.9 of the pair as it is and 0.1 turned round.
    expected = 0.9 * softplus(-1) + 0.1 * softplus(1)
    assert loss("sigmoid", label_smoothing=0.1) == pytest.approx(expected)
    soft = pairs(probability=t(0.8))
    assert loss("sigmoid", soft, label_smoothing=0.1) == pytest.approx(0.74 * softplus(-1) + 0.26 * softplus(1))


def test_robust_equals_a_number_worked_by_hand():
    expected = (0.9 * softplus(-1) - 0.1 * softplus(1)) / 0.8
    assert loss("robust", label_smoothing=0.1) == pytest.approx(expected)


@QUICK
@given(p=st.floats(0, 1), eps=st.floats(0, 0.45))
def test_robust_takes_back_what_turning_labels_did(p, eps):
    assert robust(conservative(t(p), eps), eps).item() == pytest.approx(p, abs=1e-12)


def test_the_mean_of_robust_over_turned_labels_is_the_loss_of_the_clean_label():
    eps = 0.2
    as_is, turned = (
        loss("robust", pairs(probability=t(1.0)), label_smoothing=eps),
        loss("robust", pairs(probability=t(0.0)), label_smoothing=eps),
    )
    assert (1 - eps) * as_is + eps * turned == pytest.approx(loss("sigmoid"))


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"hinge"}))
def test_the_gradient_is_that_of_the_formula(name):
    def value(chosen, rejected):
        batch = pairs(chosen=chosen, rejected=rejected, probability=t(0.8), kl_baseline=t(0.3))
        return preference_loss(name, batch, Knobs(beta=0.5, label_smoothing=0.1)).loss

    assert gradcheck(value, (t(-1.2).requires_grad_(), t(-3.1).requires_grad_()))


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"hinge"}))
def test_a_step_against_the_gradient_raises_chosen_over_rejected(name):
    chosen, rejected = t(-1.0).requires_grad_(), t(-3.0).requires_grad_()
    preference_loss(name, pairs(chosen=chosen, rejected=rejected), Knobs(beta=0.5)).loss.sum().backward()
    assert chosen.grad.item() < 0 < rejected.grad.item()


@pytest.mark.parametrize("name", sorted(REFERENCE_FREE))
def test_a_reference_free_loss_does_not_look_at_the_reference(name):
    assert loss(name) == loss(name, pairs(ref_chosen=t(-9.0), ref_rejected=t(7.0)))


@QUICK
@given(
    name=st.sampled_from(SYMMETRIC),
    chosen=st.floats(-8, -0.5),
    rejected=st.floats(-8, -0.5),
    p=st.floats(0.5, 1),
    eps=st.floats(0, 0.4),
)
def test_turning_a_pair_round_with_its_label_changes_nothing(name, chosen, rejected, p, eps):
    batch = pairs(chosen=t(chosen), rejected=t(rejected), probability=t(p))
    turned = pairs(
        chosen=t(rejected),
        rejected=t(chosen),
        chosen_tokens=t(4.0),
        rejected_tokens=t(2.0),
        probability=t(1 - p),
    )
    assert loss(name, batch, label_smoothing=eps) == pytest.approx(loss(name, turned, label_smoothing=eps), abs=1e-9)


@QUICK
@given(
    name=st.sampled_from(sorted(set(NAMES) - WITHOUT_MARGIN - {"hinge", "chipo"})),
    margin=st.floats(0.01, 3),
    chosen=st.floats(-8, -0.5),
)
def test_a_margin_makes_the_same_pair_cost_more(name, margin, chosen):
    batch = pairs(chosen=t(chosen))
    assert loss(name, batch._replace(margin=t(margin))) > loss(name, batch)


def test_a_margin_shifts_z():
    assert loss("sigmoid", pairs(margin=t(0.25))) == pytest.approx(softplus(-0.75))
    assert loss("simpo", pairs(margin=t(0.25))) == pytest.approx(softplus(-(0.125 - 0.5 - 0.25)))
    assert loss("hinge", pairs(margin=t(0.25))) == pytest.approx(0.25)


def test_ipo_has_its_least_at_a_finite_gap_which_more_certain_dpo_does_not():
    at_target = pairs(chosen=t(0.0), rejected=t(-2.0), rejected_tokens=t(1e9))  # gap 2/2 = 1 / (2 beta)
    assert loss("ipo", at_target) == pytest.approx(0.0, abs=1e-8)
    further = at_target._replace(chosen=t(2.0))
    assert loss("ipo", further) > 0.9
    assert loss("sigmoid", further) < loss("sigmoid", at_target)


def test_kto_counts_each_completion_against_the_baseline_and_by_its_weight():
    batch = pairs(kl_baseline=t(0.4).squeeze())
    expected = 2 * (1 - sigmoid(0.5 * (1 - 0.4))) + 3 * (1 - sigmoid(0.5 * (0.4 + 1)))
    assert loss("kto", batch, desirable_weight=2, undesirable_weight=3) == pytest.approx(expected / 2)


def test_a_baseline_below_zero_counts_as_zero():
    assert loss("kto", pairs(kl_baseline=t(-5.0).squeeze())) == pytest.approx(HAND_WORKED["kto"])


def test_what_kto_says_of_one_completion_does_not_depend_on_the_other():
    chosen = t(-1.0).requires_grad_()
    grads = [
        torch.autograd.grad(preference_loss("kto", pairs(chosen=chosen, rejected=other), Knobs(beta=0.5)).loss, chosen)
        for other in (t(-3.0), t(-30.0))
    ]
    assert grads[0] == grads[1]


def test_chipo_makes_a_far_departure_from_the_reference_expensive():
    # At a log-ratio of 3 the linear link adds e^3 - 1 to what DPO sees of it.
    assert (link(t(3.0)) - link(t(0.0))).item() == pytest.approx(3 + math.exp(3) - 1)


def test_chipo_is_finite_where_the_ratio_overflows_and_gives_no_gradient_beyond_the_clip():
    chosen = torch.tensor([900.0], requires_grad=True)
    zero = torch.zeros(1)
    batch = Pairs(chosen, zero, zero, zero, zero + 1, zero + 1, zero + 1)
    terms = preference_loss("chipo", batch, Knobs(beta=0.5, reward_limit=3.0))
    terms.loss.sum().backward()
    assert torch.isfinite(terms.chosen_reward).all()
    assert terms.loss.item() == pytest.approx(softplus(-6), rel=1e-4)
    assert chosen.grad.item() == 0


@QUICK
@given(st.floats(-1e-3, 0))
def test_the_odds_stay_finite_where_a_completion_is_certain(logprob):
    value = torch.tensor([logprob], dtype=torch.float32, requires_grad=True)
    odds = log_odds(value)
    odds.sum().backward()
    assert torch.isfinite(odds).all()
    assert torch.isfinite(value.grad).all()


def test_the_sft_term_is_a_mean_over_tokens_and_counts_pairs_by_weight():
    batch = pairs(chosen=t(-1.0, -9.0), chosen_tokens=t(2.0, 3.0))
    assert chosen_nll(batch, t(1.0, 1.0)).item() == pytest.approx(10 / 5)
    assert chosen_nll(batch, t(1.0, 0.0)).item() == pytest.approx(1 / 2)
    assert {name for name in NAMES if sft_weight_of(name)} == {"rpo", "orpo", "cpo"}

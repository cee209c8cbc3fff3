"""Parity with TRL 1.16: preference losses, policy-gradient losses and JSD on the same tensors, to 1e-5.

TRL's own code runs on a stand-in for its trainer that holds the settings and hands over log-probabilities instead of
running a model. Runs with the extra `peers`: make peers.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from assay.alignment.estimators import kl_terms, token_weights
from assay.alignment.losses import (
    Knobs,
    Pairs,
    TokenBatch,
    chosen_nll,
    generalised_jsd,
    grpo_loss,
    preference_loss,
    rloo_loss,
)

pytestmark = pytest.mark.peers
trl = pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")

PAIRS, BETA = 5, 0.3
LENGTHS = torch.tensor([[3, 7, 1, 5, 4], [6, 2, 4, 5, 8]])


class Stand:
    """An accelerator that is alone."""

    device = torch.device("cpu")
    num_processes = 1
    sync_gradients = True

    def gather(self, values):
        return values

    gather_for_metrics = gather

    def reduce(self, values, reduction="sum"):
        return values


class Bag(dict):
    """A dictionary of lists that begins empty."""

    def __missing__(self, key):
        self[key] = []
        return self[key]


def stand(**settings):
    """What TRL's methods read off their trainer."""
    common = {
        "accelerator": Stand(),
        "model": SimpleNamespace(training=True),
        "_metrics": {"train": Bag(), "eval": Bag()},
        "_total_train_tokens": 0,
        "_tp_size": 1,
        "aux_loss_enabled": False,
        "label_smoothing": 0.0,
        "beta": BETA,
    }
    return SimpleNamespace(**common | settings)


@pytest.fixture(scope="module")
def tokens():
    """Log-probabilities [2 x pairs, longest] under policy and reference, 0 beyond each completion's end."""
    generator = torch.Generator().manual_seed(0)
    lengths = LENGTHS.reshape(-1)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    policy = -torch.rand(mask.shape, generator=generator) * 2 * mask
    reference = (policy + 0.8 * torch.randn(mask.shape, generator=generator)).clamp(max=-0.01) * mask
    return policy, reference, mask


@pytest.fixture(scope="module")
def pairs(tokens):
    policy, reference, _ = tokens
    chosen, rejected = policy.sum(1).chunk(2)
    ref_chosen, ref_rejected = reference.sum(1).chunk(2)
    return Pairs(chosen, rejected, ref_chosen, ref_rejected, *LENGTHS.float(), torch.ones(PAIRS))


def of_trl_dpo(tokens, loss_types, weights=None, smoothing=0.0):
    """The loss of TRL's DPO trainer, its model replaced by given log-probabilities."""
    policy, reference, mask = tokens
    completion_mask = torch.cat([torch.zeros(len(mask), 1, dtype=torch.long), mask.long()], dim=1)
    zero = torch.zeros_like(policy)

    def model(**_):
        return SimpleNamespace(log_probs=policy, entropy=zero, mean_logits=zero, is_top1=mask)

    trainer = stand(
        model=SimpleNamespace(training=True),
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=loss_types,
        loss_weights=weights or [1.0] * len(loss_types),
        label_smoothing=smoothing,
        use_weighting=False,
    )
    ref_chosen, ref_rejected = reference.sum(1).chunk(2)
    inputs = {
        "input_ids": torch.zeros_like(completion_mask),
        "attention_mask": torch.ones_like(completion_mask),
        "completion_mask": completion_mask,
        "ref_chosen_logps": ref_chosen,
        "ref_rejected_logps": ref_rejected,
    }
    return float(trl.DPOTrainer._compute_loss(trainer, model, inputs, return_outputs=False))


def ours(name, pairs, **knobs):
    return float(preference_loss(name, pairs, Knobs(beta=BETA, **knobs)).loss.mean())


@pytest.mark.parametrize("name", ["sigmoid", "hinge", "ipo"])
def test_a_loss_of_the_dpo_trainer_is_equal(tokens, pairs, name):
    assert ours(name, pairs) == pytest.approx(of_trl_dpo(tokens, [name]), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.1, 0.4])
def test_robust_dpo_is_equal(tokens, pairs, smoothing):
    theirs = of_trl_dpo(tokens, ["robust"], smoothing=smoothing)
    assert ours("robust", pairs, label_smoothing=smoothing) == pytest.approx(theirs, rel=1e-5)


def test_length_normalised_dpo_is_equal(tokens, pairs):
    assert ours("sigmoid_norm", pairs) == pytest.approx(of_trl_dpo(tokens, ["sigmoid_norm"]), rel=1e-5)


def test_rpo_is_the_dpo_and_sft_losses_of_trl_together(tokens, pairs):
    value = ours("rpo", pairs) + 0.4 * float(chosen_nll(pairs, torch.ones(PAIRS)))
    assert value == pytest.approx(of_trl_dpo(tokens, ["sigmoid", "sft"], [1.0, 0.4]), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cpo_and_simpo_are_equal(pairs, smoothing):
    from trl.experimental.cpo import CPOTrainer

    def theirs(chosen, rejected, loss_type):
        knobs = {"alpha": 0.0, "loss_type": loss_type, "label_smoothing": smoothing, "simpo_gamma": 0.7}
        return float(CPOTrainer.cpo_loss(stand(**knobs), chosen, rejected)[0].mean())

    knobs = {"label_smoothing": smoothing, "simpo_gamma": 0.7}
    expected = theirs(pairs.chosen, pairs.rejected, "sigmoid")
    assert ours("cpo", pairs, **knobs) == pytest.approx(expected, rel=1e-5)
    means = pairs.chosen / pairs.chosen_tokens, pairs.rejected / pairs.rejected_tokens
    assert ours("simpo", pairs, **knobs) == pytest.approx(theirs(*means, "simpo"), rel=1e-5)


def test_orpo_is_equal(pairs):
    from trl.experimental.orpo import ORPOTrainer

    means = pairs.chosen / pairs.chosen_tokens, pairs.rejected / pairs.rejected_tokens
    theirs = -float(ORPOTrainer.odds_ratio_loss(stand(), *means)[0].mean())
    assert ours("orpo", pairs) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("baseline", [-0.5, 0.6])
def test_kto_is_equal(tokens, pairs, baseline):
    policy, reference, mask = tokens
    completion_mask = torch.cat([torch.zeros(len(mask), 1, dtype=torch.long), mask.long()], dim=1)
    zero = torch.zeros_like(policy)

    def model(**_):
        return SimpleNamespace(log_probs=policy, entropy=zero, mean_logits=zero, is_top1=mask)

    trainer = stand(
        _compute_kl_logps=lambda *_: torch.full((2 * PAIRS,), baseline),
        precompute_ref_logps=True,
        calculate_KL=True,
        loss_type="kto",
        desirable_weight=1.5,
        undesirable_weight=0.8,
    )
    batch = {
        "input_ids": torch.zeros_like(completion_mask),
        "attention_mask": torch.ones_like(completion_mask),
        "completion_mask": completion_mask,
        "label": torch.tensor([True] * PAIRS + [False] * PAIRS),
        "ref_logps": reference.sum(1),
        "ref_KL_logps": torch.zeros(2 * PAIRS),
    }
    theirs = float(trl.KTOTrainer._compute_loss(trainer, model, batch, return_outputs=False))
    weights = {"desirable_weight": 1.5, "undesirable_weight": 0.8}
    found = ours("kto", pairs._replace(kl_baseline=torch.tensor(baseline)), **weights)
    assert found == pytest.approx(theirs, rel=1e-5)


@pytest.fixture(scope="module")
def drawn(tokens):
    """Completions as TRL lays them out and as ours lie flat, the policy a little off the one that drew them."""
    policy, reference, mask = tokens
    generator = torch.Generator().manual_seed(1)
    old = (policy + 0.3 * torch.randn(policy.shape, generator=generator)) * mask
    advantages = torch.randn(len(mask), generator=generator)
    row = torch.arange(len(mask))[:, None].expand(mask.shape)
    batch = TokenBatch(
        policy[mask], old[mask], advantages[:, None].expand(mask.shape)[mask], row[mask], reference[mask]
    )
    inputs = {
        "prompt_ids": torch.zeros(len(mask), 1, dtype=torch.long),
        "prompt_mask": torch.ones(len(mask), 1, dtype=torch.long),
        "completion_ids": torch.zeros(mask.shape, dtype=torch.long),
        "completion_mask": mask.long(),
        "advantages": advantages,
        "old_per_token_logps": old,
        "old_logps": old.sum(1),
        "ref_per_token_logps": reference,
        "num_items_in_batch": mask.sum(),
    }
    return batch, inputs


def online(policy, **settings):
    return stand(
        _get_per_token_logps_and_entropies=lambda *_, **__: (policy, torch.zeros_like(policy), None),
        epsilon_low=0.2,
        epsilon_high=0.28,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        use_vllm=False,
        current_gradient_accumulation_steps=1,
        max_completion_length=12,
        _entropy_bonus_enabled=False,
        **settings,
    )


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize("kl_coef", [0.0, 0.2])
def test_grpo_is_equal(tokens, drawn, loss_type, kl_coef):
    batch, inputs = drawn
    trainer = online(tokens[0], loss_type=loss_type, **{"beta": kl_coef})
    theirs = float(trl.GRPOTrainer._compute_loss(trainer, None, inputs))
    weights = token_weights(batch.row, loss_type, max_completion_length=12)
    terms = grpo_loss(batch, weights, epsilon_low=0.2, epsilon_high=0.28, kl_coef=kl_coef)
    assert float(terms.loss) == pytest.approx(theirs, rel=1e-5)
    metrics = trainer._metrics["train"]
    assert terms.clip_low == pytest.approx(metrics["clip_ratio/low_mean"][0], abs=1e-6)
    assert terms.clip_high == pytest.approx(metrics["clip_ratio/high_mean"][0], abs=1e-6)
    assert 0 < terms.clip_low + terms.clip_high < 1
    if kl_coef:
        assert terms.kl == pytest.approx(metrics["kl"][0], rel=1e-5)
        assert float(kl_terms(batch.logprobs, batch.ref_logprobs, "k3").mean()) == pytest.approx(terms.kl)


def test_rloo_is_equal(tokens, drawn):
    batch, inputs = drawn
    theirs = float(trl.RLOOTrainer._compute_loss(online(tokens[0]), None, inputs))
    assert float(rloo_loss(batch, epsilon_low=0.2, epsilon_high=0.28).loss) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
def test_generalised_jsd_is_equal(beta):
    from trl.experimental.gkd import GKDTrainer

    student, teacher = (torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(seed)) for seed in (2, 3))
    labels = torch.tensor([[1, 1, 1, -100], [1, 1, -100, -100]])
    theirs = float(GKDTrainer.generalized_jsd_loss(student, teacher, labels=labels, beta=beta, temperature=0.8))
    keep = labels != -100
    found = generalised_jsd(student[keep], teacher[keep], beta=beta, temperature=0.8)
    assert float(found.mean()) == pytest.approx(theirs, rel=1e-5)
    assert np.isfinite(found.numpy()).all()

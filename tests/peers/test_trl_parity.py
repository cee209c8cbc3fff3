"""Parity with TRL 1.16: DPO log-probabilities and losses of its own DPOTrainer equal ours on the same pairs to 1e-4.

Runs with the extra `peers`: make peers.
"""

import pytest
import torch

pytestmark = pytest.mark.peers

PAIRS = [
    ("Why is the sky blue?", "The air scatters short waves of light more than long ones.", "Because."),
    (
        "How do I sleep better?",
        "Walk.",
        "Drink water, sleep well, walk every day and call your friends. Then sleep again.",
    ),
    (
        "What is the capital of France?",
        "Paris is the capital of France.",
        "The largest city of the country is blue light.",
    ),
]
BETA = 0.1


def build_trainer(model_dir, output_dir, **changes):
    """TRL's own trainer on the pairs: a moved policy, its reference, and the settings that `changes` names."""
    trl = pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
        }
        for prompt, chosen, rejected in PAIRS
    ]
    settings = trl.DPOConfig(
        output_dir=str(output_dir),
        beta=BETA,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        per_device_train_batch_size=len(PAIRS),
        use_cpu=True,
        disable_dropout=True,
        **changes,
    )
    policy = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    reference = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    shake(policy)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    return trl.DPOTrainer(
        policy, ref_model=reference, args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )


def trl_loss(trainer, rows):
    """The loss that TRL's trainer takes on these rows of its own dataset."""
    trainer.model.train()
    return float(trainer.compute_loss(trainer.model, trainer.data_collator(rows)).detach())


@pytest.fixture(scope="module")
def trl_trainer(tiny_model_dir, tmp_path_factory):
    return build_trainer(tiny_model_dir, tmp_path_factory.mktemp("trl"))


def shake(model):
    """Move the policy away from its reference, the same way each time."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "proj" in name:
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture(scope="module")
def batch(trl_trainer):
    loader = torch.utils.data.DataLoader(
        trl_trainer.train_dataset, batch_size=len(PAIRS), collate_fn=trl_trainer.data_collator
    )
    return next(iter(loader))


@pytest.fixture(scope="module")
def ours(trl_trainer, tiny_model_dir):
    """Policy and reference sums [2, pairs] of our scoring, on the token ids that TRL made of the pairs."""
    from assay.lm import load
    from assay.lm.chat import EncodedPair
    from assay.lm.logprobs import sequence_logprobs

    rows = [trl_trainer.train_dataset[i] for i in range(len(PAIRS))]
    pairs = [EncodedPair(row["prompt_ids"], row[side]) for side in ("chosen_ids", "rejected_ids") for row in rows]
    lm = load(str(tiny_model_dir), dtype=torch.float32)
    with torch.no_grad():
        reference = sequence_logprobs(lm, pairs)
        shake(lm.model)
        policy = sequence_logprobs(lm, pairs)
    return policy.reshape(2, -1), reference.reshape(2, -1)


def test_reference_log_probabilities_are_equal(trl_trainer, batch, ours):
    theirs = trl_trainer.compute_ref_log_probs(trl_trainer.ref_model, batch)
    for our_sums, their_sums in zip(ours[1], theirs, strict=True):
        torch.testing.assert_close(our_sums, their_sums.float(), atol=1e-4, rtol=0)


def test_policy_log_probabilities_rewards_and_loss_are_equal(trl_trainer, ours):
    from assay.alignment.losses import dpo_loss

    policy, reference = ours
    terms = dpo_loss(policy[0], policy[1], reference[0], reference[1], beta=BETA)
    loss = trl_loss(trl_trainer, [trl_trainer.train_dataset[i] for i in range(len(PAIRS))])
    metrics = {name: values[-1] for name, values in trl_trainer._metrics["train"].items() if values}
    assert loss == pytest.approx(float(terms.loss.mean()), abs=1e-4)
    assert metrics["logps/chosen"] == pytest.approx(float(policy[0].mean()), abs=1e-4)
    assert metrics["logps/rejected"] == pytest.approx(float(policy[1].mean()), abs=1e-4)
    assert metrics["rewards/chosen"] == pytest.approx(float(terms.chosen_reward.mean()), abs=1e-4)
    assert metrics["rewards/margins"] == pytest.approx(
        float((terms.chosen_reward - terms.rejected_reward).mean()), abs=1e-4
    )


def test_policy_log_probabilities_of_each_pair_are_equal(trl_trainer, batch, ours):
    theirs = trl_trainer.compute_ref_log_probs(trl_trainer.model, batch)
    for our_sums, their_sums in zip(ours[0], theirs, strict=True):
        torch.testing.assert_close(our_sums, their_sums.float(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_smoothed_labels_give_the_losses_of_trl(tiny_model_dir, tmp_path, ours, smoothing):
    """TRL smooths `robust` and `aot`; `sigmoid` ignores the setting.

    `robust` (rDPO) is ours at probability (1 - e) / (1 - 2e), for the loss is linear in it. `aot` sorts the pairs of a
    batch; a batch of one pair leaves nothing to sort, so it is cDPO: ours at probability 1 - e.
    """
    from assay.alignment.losses import dpo_loss

    policy, reference = ours

    def our_loss(probability):
        label = torch.full((len(PAIRS),), probability)
        return dpo_loss(policy[0], policy[1], reference[0], reference[1], beta=BETA, probability=label).loss

    robust = build_trainer(tiny_model_dir, tmp_path, loss_type=["robust"], label_smoothing=smoothing)
    rows = [robust.train_dataset[i] for i in range(len(PAIRS))]
    expected = float(our_loss((1 - smoothing) / (1 - 2 * smoothing)).mean())
    assert trl_loss(robust, rows) == pytest.approx(expected, abs=1e-4)
    conservative = build_trainer(tiny_model_dir, tmp_path, loss_type=["aot"], label_smoothing=smoothing)
    for row, expected in zip(rows, our_loss(1 - smoothing).tolist(), strict=True):
        assert trl_loss(conservative, [row]) == pytest.approx(expected, abs=1e-4)


def test_our_own_encoding_of_a_pair_gives_the_ids_that_trl_trains_on(trl_trainer, tiny_model_dir):
    from assay.lm import encode_pair, load
    from assay.records.conversation import user_prompt

    lm = load(str(tiny_model_dir))
    for i, (prompt, chosen, _) in enumerate(PAIRS):
        row = trl_trainer.train_dataset[i]
        pair = encode_pair(lm, user_prompt(prompt), chosen)
        assert pair.prompt == row["prompt_ids"]
        # TRL's template closes the turn with a newline after the end token; ours ends at the end token.
        assert row["chosen_ids"][: len(pair.completion)] == pair.completion

"""GRPO of TRL 1.16 with a reward of ours: its own trainer calls the function, optimises it, and logs its doubts.

Runs with the extra `peers`: make peers.
"""

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.peers

PROMPTS = ["Why is the sky blue?", "How do I sleep better?", "What is the capital of France?", "Who are you?"]
WORDS = ["sky", "blue", "water", "sleep", "walk", "friend", "capital", "France", "city", "light", "air", "wave"]


@pytest.fixture(scope="module")
def backbone(tiny_model_dir):
    from assay.lm import load

    return load(str(tiny_model_dir))


@pytest.fixture(scope="module")
def ensemble(backbone):
    """A reward that learnt to like long answers."""
    from datetime import UTC, datetime

    from assay.records.conversation import user_prompt
    from assay.records.preference import Preference
    from assay.rewards import RewardSettings, train_reward

    rng = np.random.default_rng(0)
    preferences = [
        Preference(
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            prompt=user_prompt(f"{PROMPTS[i % 4]} ({i // 4})"),
            chosen=" ".join(rng.choice(WORDS, 12)),
            rejected=" ".join(rng.choice(WORDS, 3)),
            margin=1.0,
            standard_error=0.5,
            probability=0.9,
            judgements=(f"j{i}",),
            annotators=("ann",),
            aggregation="a",
        )
        for i in range(24)
    ]
    return train_reward(backbone, preferences, RewardSettings(directions=4), seed=1).ensemble


def as_said(prompt, form):
    return [{"role": "user", "content": prompt}] if form == "messages" else prompt


@pytest.mark.parametrize("form", ["messages", "texts"])
def test_trls_own_grpo_trainer_optimises_the_reward_for_two_steps(form, tiny_model_dir, tmp_path, backbone, ensemble):
    trl = pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from assay.records.conversation import user_prompt
    from assay.rewards import read_features
    from assay.rewards.serving import reward_function

    score, calls = reward_function(ensemble, backbone), []

    def watched(**given):
        calls.append((given["prompts"], given["completions"], score(**given)))
        return calls[-1][2]

    watched.__name__ = score.__name__
    policy = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    before = {name: parameter.detach().clone() for name, parameter in policy.named_parameters()}
    settings = trl.GRPOConfig(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=12,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        use_cpu=True,
        seed=3,
    )
    rows = [{"prompt": as_said(prompt, form), "source": "test"} for prompt in PROMPTS]
    trainer = trl.GRPOTrainer(
        policy,
        reward_funcs=watched,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(tiny_model_dir),
    )
    trainer.train()

    assert trainer.state.global_step == 2 and len(calls) == 2
    logged = [entry for entry in trainer.state.log_history if "rewards/assay_reward/mean" in entry]
    for entry, (prompts, completions, rewards) in zip(logged, calls, strict=True):
        texts = [said if isinstance(said, str) else said[-1]["content"] for said in completions]
        asked = [user_prompt(p if isinstance(p, str) else p[-1]["content"]) for p in prompts]
        own = ensemble.score(read_features(backbone, asked, texts, layers=ensemble.layers))
        np.testing.assert_allclose(rewards, own.reward, atol=1e-4)
        assert entry["rewards/assay_reward/mean"] == pytest.approx(own.reward.mean(), abs=1e-4)
        assert entry["assay_reward/spread"] == pytest.approx(own.disagreement.mean(), abs=1e-4)
        assert entry["assay_reward/outlier_rate"] == pytest.approx(own.outlier.mean())
    moved = [name for name, parameter in policy.named_parameters() if not torch.equal(parameter.cpu(), before[name])]
    assert moved

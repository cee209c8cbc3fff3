"""Training beside TRL's own trainer: twenty steps of DPO from one adapter on the same pairs give the same losses.

Runs with the extra `peers`: make peers.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.peers


def preferences(now, count):
    from assay.records.conversation import user_prompt
    from assay.records.preference import Preference

    def one(i):
        return Preference(
            created_at=now,
            prompt=user_prompt(f"Why is the sky blue on day {i % 9}?" * (1 + i % 3)),
            chosen=f"The air scatters short waves of light more than long ones, {i}.",
            rejected=f"Because {i}. " * (1 + i % 5),
            margin=1.0,
            standard_error=0.3,
            probability=1.0,
            judgements=(str(i),),
            annotators=("a",),
            aggregation="x",
        )

    return tuple(one(i) for i in range(count))


@pytest.fixture
def job_of(tiny_model_dir, tmp_path, now):
    """A job on the tiny model over so many pairs, with an adapter to start from."""
    pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")
    from assay.alignment.sft import epoch_batches
    from assay.bench.training.job import Job
    from assay.bench.training.running import ids_of
    from assay.lm import LoraSettings, add_lora, load, save_adapter

    def make(kind, count, pairs_a_step, **more):
        lora, rows = LoraSettings(r=8), preferences(now, count)
        lm = load(str(tiny_model_dir))
        order = [i for batch in epoch_batches(count, pairs_a_step, epochs=1, seed=0) for i in batch]
        ids = tuple(ids_of(lm, rows[i]) for i in order)
        add_lora(lm, lora, seed=0)
        save_adapter(lm, tmp_path / "adapter")
        return Job(
            kind=kind,
            model=str(tiny_model_dir),
            adapter=str(tmp_path / "adapter"),
            lora=lora,
            preferences=rows,
            rows=ids,
            pairs_a_step=pairs_a_step,
            learning_rate=1e-3,
            scratch=str(tmp_path / "run"),
            **more,
        )

    return make


@pytest.mark.parametrize("is_micro", [False, True])
def test_twenty_steps_of_dpo_give_the_losses_of_trl(job_of, tmp_path, monkeypatch, is_micro):
    from assay.bench.training import ours, peer_trl
    from assay.bench.training.job import Told
    from assay.bench.training.running import SETTINGS, TUNED

    micro = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4} if is_micro else {}
    asked = tmp_path / "job.json"
    asked.write_text(job_of("dpo", 80, 4, settings={**SETTINGS["dpo"][TUNED], **micro}).model_dump_json())
    monkeypatch.setattr(sys, "path", [str(Path(peer_trl.__file__).parent), *sys.path])
    told = []
    for trainer in (ours, peer_trl):
        trainer.main(str(asked), str(tmp_path / "told.json"))
        told.append(Told.model_validate_json((tmp_path / "told.json").read_bytes()))
    mine, theirs = (np.array(one.losses) for one in told)
    assert len(mine) == 20
    assert abs(mine - mine[0]).max() > 0.1  # there was something to learn
    np.testing.assert_allclose(mine, theirs, rtol=1e-3)


def test_every_step_of_grpo_draws_as_many_tokens_with_trl_and_is_paid_alike(job_of):
    from assay.bench.training import peer_trl
    from assay.bench.training.running import SETTINGS, TUNED

    settings = SETTINGS["grpo"][TUNED]
    job = job_of("grpo", 2, 2, epochs=3, completions=4, new_tokens=12, settings=settings)
    trainer = peer_trl.grpo_trainer(job.model_dump(mode="json"))
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(steps) == 3
    for step in steps:
        assert step["completions/mean_length"] == 12
        assert 0 < step["reward"] < 1
        assert "kl" in step

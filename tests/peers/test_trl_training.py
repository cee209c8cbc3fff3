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


@pytest.mark.parametrize("is_micro", [False, True])
def test_twenty_steps_of_dpo_give_the_losses_of_trl(tiny_model_dir, tmp_path, now, monkeypatch, is_micro):
    pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")
    from assay.alignment.sft import epoch_batches
    from assay.bench.training import ours, peer_trl
    from assay.bench.training.job import Job, Told
    from assay.bench.training.running import SETTINGS, TUNED, ids_of
    from assay.lm import LoraSettings, add_lora, load, save_adapter

    lora = LoraSettings(r=8)
    lm = load(str(tiny_model_dir))
    rows = preferences(now, 80)
    order = [i for batch in epoch_batches(80, 4, epochs=1, seed=0) for i in batch]
    ids = tuple(ids_of(lm, rows[i]) for i in order)
    add_lora(lm, lora, seed=0)
    save_adapter(lm, tmp_path / "adapter")
    micro = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4} if is_micro else {}
    job = Job(
        kind="dpo",
        model=str(tiny_model_dir),
        adapter=str(tmp_path / "adapter"),
        lora=lora,
        preferences=rows,
        rows=ids,
        pairs_a_step=4,
        learning_rate=1e-3,
        settings={**SETTINGS["dpo"][TUNED], **micro},
        scratch=str(tmp_path / "run"),
    )
    asked = tmp_path / "job.json"
    asked.write_text(job.model_dump_json())
    monkeypatch.setattr(sys, "path", [str(Path(peer_trl.__file__).parent), *sys.path])
    told = []
    for trainer in (ours, peer_trl):
        trainer.main(str(asked), str(tmp_path / "told.json"))
        told.append(Told.model_validate_json((tmp_path / "told.json").read_bytes()))
    mine, theirs = (np.array(one.losses) for one in told)
    assert len(mine) == 20
    assert abs(mine - mine[0]).max() > 0.1  # there was something to learn
    np.testing.assert_allclose(mine, theirs, rtol=1e-3)

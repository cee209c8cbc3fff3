"""TRL's arms of the policy benchmark: its own trainers on a small base give adapters that load and have moved.

Runs with the extra `peers`: make peers.
"""

import sys

import pytest

pytestmark = pytest.mark.peers


@pytest.fixture
def course(tmp_path):
    pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")
    from assay.bench.policy.base import train_base
    from assay.bench.policy.instructions import INSTRUCTIONS
    from assay.bench.policy.presets import QUICK
    from assay.bench.policy.running import Course
    from assay.storage import ArtifactStore

    train_base(tmp_path / "base", QUICK.base, seed=1)
    prompts = [one.prompt for one in INSTRUCTIONS[:8]]
    return Course(tmp_path / "base", prompts, ArtifactStore(tmp_path / "kept"), tmp_path / "scratch", 3, QUICK.loop)


def preferences(now, count):
    from assay.bench.policy.instructions import INSTRUCTIONS
    from assay.records.preference import Preference

    return [
        Preference(
            created_at=now,
            prompt=INSTRUCTIONS[i].prompt,
            chosen="apple , plum and fig .",
            rejected="indeed , oak and saw .",
            margin=1.0,
            standard_error=0.3,
            probability=1.0,
            judgements=(str(i),),
            annotators=("a",),
            aggregation="x",
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(("arm", "steps"), [("TRL DPO", 4), ("TRL GRPO", 2)])
def test_a_peer_leaves_adapters_on_its_way_that_have_moved(course, now, arm, steps):
    from pathlib import Path

    from assay.alignment.sampling import PolicySampler
    from assay.bench.policy.peers import PEER_ARMS, run_peer
    from assay.lm import Sampling, load

    kept = run_peer(Path(sys.executable), PEER_ARMS[arm], course, preferences(now, 32))
    assert [one.step for one in kept] == list(range(1, steps + 1))
    lm = load(str(course.base), adapter=kept[-1].adapter)
    sampler = PolicySampler(lm, course.prompts, Sampling(max_tokens=8, seed=0), n=4, ref_adapter=None)
    samples = sampler.at(0)
    assert max(abs(a - b) for a, b in zip(samples.logprobs, samples.ref_logprobs, strict=True)) > 1e-4


def test_dpo_learns_from_answers_that_end(course, now):
    from assay.bench.policy import peer_trl
    from assay.bench.policy.peers import job_of

    trainer = peer_trl.dpo_trainer(job_of("dpo", course, preferences(now, 8), out=course.scratch))
    for row in trainer.train_dataset:
        assert row["chosen_ids"][-1] == row["rejected_ids"][-1] == trainer.processing_class.eos_token_id

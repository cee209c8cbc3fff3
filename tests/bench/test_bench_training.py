"""Training benchmark: ratios by hand, bars kept and missed, jobs that ask both sides for the same, real runs."""

import gzip
import json
import stat
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from assay.alignment.dpo import DpoTask
from assay.alignment.settings import DpoSettings
from assay.bench.reward.data import FILES
from assay.bench.training import Steps, TrainingMeasurement, TrainingPlan, bars_of, ours, quick, running
from assay.bench.training.clock import StepClock, peak_mib
from assay.bench.training.job import Job, Told
from assay.bench.training.measurement import loss_gap, memory_share, second_epoch, speed_up
from assay.bench.training.running import DEFAULTS, GRPO_KL, MICRO, NO_KL, OURS, TUNED, Bench, read_told
from assay.lm import load
from assay.records.errors import ConfigError, InputError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def told(*cpu_s, losses=None, peak_mib=1000.0, before=0.0):
    return Told(
        step_s=cpu_s,
        step_cpu_s=cpu_s,
        losses=losses or (0.5,) * len(cpu_s),
        before_cpu_s=before,
        peak_mib=peak_mib,
        versions={},
    )


def test_a_speed_up_is_the_median_of_paired_steps_the_first_left_out():
    rows = {OURS: told(9.0, 1.0, 2.0, 4.0), TUNED: told(1.0, 3.0, 4.0, 16.0)}
    assert speed_up(rows, TUNED) == 3.0  # of 3, 2 and 4
    assert speed_up(rows, MICRO) is None


def test_memory_and_losses_stand_beside_trl_tuned():
    rows = {OURS: told(1, 1, losses=(0.5, 0.402), peak_mib=300), TUNED: told(1, 1, losses=(0.5, 0.4), peak_mib=600)}
    assert memory_share(rows) == 0.5
    assert loss_gap(rows) == pytest.approx(0.005)
    assert memory_share({OURS: told(1)}) is None
    assert loss_gap({OURS: told(1)}) is None


def test_the_first_epoch_pays_for_the_reference():
    assert second_epoch(told(3.0, 3.0, 2.0, 2.0, before=4.0)) == 2.5


def measured(*, faster=6.0, share=0.5, gap=0.0):
    peers = {name: told(1.0, faster, losses=(0.5, 0.5)) for name in (DEFAULTS, TUNED, MICRO, NO_KL)}
    rows = {OURS: told(1.0, 1.0, losses=(0.5, 0.5 * (1 + gap)), peak_mib=1000 * share), **peers}
    return TrainingMeasurement({2: rows, 8: rows}, rows, told(2.0, 1.0), rows)


def test_all_bars_hold_or_fall_short_each_by_its_own_number():
    assert [bar.name for bar in bars_of(measured()) if not bar.holds] == []
    assert len([bar for bar in bars_of(measured(faster=1.7)) if not bar.holds]) == 8
    assert [bar.name for bar in bars_of(measured(share=0.7)) if not bar.holds] == ["peak memory over TRL tuned, worst"]
    assert [bar.name for bar in bars_of(measured(gap=0.01)) if not bar.holds] == ["loss beside TRL's, worst step"]


def test_what_was_not_run_is_not_measured_and_falls_short():
    alone = {OURS: told(1.0, 1.0)}
    bars = bars_of(TrainingMeasurement({2: alone}, alone, told(2.0, 1.0), alone))
    assert [bar.name for bar in bars if bar.measured is not None] == ["second epoch over the first, top layers"]
    assert [bar.name for bar in bars if bar.holds] == ["second epoch over the first, top layers"]


def test_the_clock_tells_stretches_that_add_up():
    clock = StepClock()
    clock.mark()
    sum(range(200_000))
    clock.mark()
    assert len(clock.step_s) == len(clock.step_cpu_s) == 2
    assert clock.step_cpu_s[1] > clock.step_cpu_s[0] >= 0
    assert peak_mib() > 10


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data" / FILES["hh-harmless"]
    path.parent.mkdir(parents=True)
    rows = []
    for i in range(40):
        begin = f"\n\nHuman: Question {i}?\n\nAssistant:"
        rows.append({"chosen": f"{begin} A careful answer, number {i}.", "rejected": f"{begin} No {i}."})
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    return tmp_path / "data"


@pytest.fixture
def plan(tiny_model_dir, data):
    few = Steps(2, 4)
    more = {"top_layers": 2, "completions": 2, "new_tokens": 5, "max_length": 200}
    return TrainingPlan(data, str(tiny_model_dir), None, (few,), few, few, few, **more)


@pytest.fixture
def in_process(monkeypatch):
    """Our own script without a process of its own, which would take seconds to import torch."""
    threads = torch.get_num_threads()
    asked = []

    def run(command, *, what, do, environment):
        asked.append((what, Job.model_validate_json(Path(command[-2]).read_bytes())))
        ours.main(*command[-2:])

    monkeypatch.setattr(running, "run_script", run)
    yield asked
    torch.set_num_threads(threads)


def test_our_trainers_are_run_and_timed_on_the_tiny_model(plan, tmp_path, in_process):
    heard = []
    bench = Bench(plan, scratch=tmp_path, now=NOW, said=heard.append)
    dpo, reward = bench.side_by_side("dpo", plan.dpo[0]), bench.side_by_side("reward", plan.reward)
    twice = bench.two_epochs(plan.cached)
    sampled = bench.sampled(plan.grpo)
    assert list(dpo) == list(reward) == list(sampled) == [OURS]
    assert dpo[OURS].losses[0] == pytest.approx(0.6931, abs=1e-4)  # a fresh adapter is the reference: log 2
    assert all(seconds > 0 for seconds in dpo[OURS].step_cpu_s)
    assert [len(one.losses) for one in (dpo[OURS], reward[OURS], twice, sampled[OURS])] == [4, 4, 8, 4]
    assert all(after < before for before, after in pairwise(twice.losses[::4]))
    assert heard[0] == "dpo, 2 pairs a step, 8 pairs: ours"


def test_trl_is_asked_for_the_pairs_in_the_order_in_which_ours_takes_them(plan, tmp_path, in_process):
    Bench(plan, scratch=tmp_path, now=NOW).side_by_side("dpo", plan.dpo[0])
    ((_, job),) = in_process
    settings = DpoSettings(per_device_train_batch_size=2, reference_free=True)
    task = DpoTask(load(plan.model), job.preferences, settings, seed=job.seed, ref_adapter=None)
    taken = [i for batch in task._batches for i in batch]
    assert [list(row.prompt) for row in job.rows] == [task._chosen[i].prompt for i in taken]
    assert [list(row.chosen) for row in job.rows] == [task._chosen[i].completion for i in taken]
    assert [list(row.rejected) for row in job.rows] == [task._rejected[i].completion for i in taken]


TELL = """
n = len(job["rows"]) // 2 * job["epochs"]
told = {"step_s": [2.0] * n, "step_cpu_s": [2.0] * n, "losses": [0.5] * n, "before_cpu_s": 0.0, "peak_mib": 900.0,
        "versions": {"settings": json.dumps(job["settings"], sort_keys=True)}}
json.dump(told, open(sys.argv[3], "w"))
"""


def test_every_step_of_grpo_draws_as_many_tokens_for_the_same_prompts(plan, tmp_path, in_process):
    heard = []

    class Heard(ours.PolicySampler):
        def at(self, step):
            samples = super().at(step)
            heard.append((samples.prompt_index, [len(ids) for ids in samples.token_ids]))
            return samples

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "PolicySampler", Heard)
        Bench(plan, scratch=tmp_path, now=NOW).sampled(plan.grpo)
    ((_, job),) = in_process
    assert (job.pairs_a_step, job.epochs, len(job.rows), job.beta) == (2, 4, 2, GRPO_KL)
    assert all(one == ([0, 0, 1, 1], [5] * 4) for one in heard)


def fake_python(path, body):
    path.write_text(f"#!{sys.executable}\nimport json, sys\njob = json.load(open(sys.argv[2]))\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_every_row_of_trl_is_asked_with_its_settings_and_no_others(plan, tmp_path, monkeypatch):
    real = running.run_script

    def run(command, *, what, **others):
        ours.main(*command[-2:]) if what == "our own trainer" else real(command, what=what, **others)

    monkeypatch.setattr(running, "run_script", run)
    plan = plan._replace(peer_python=fake_python(tmp_path / "python", TELL))
    found = Bench(plan, scratch=tmp_path, now=NOW).side_by_side("dpo", plan.dpo[0])
    asked = {name: json.loads(one.versions["settings"]) for name, one in found.items() if name != OURS}
    sampled = Bench(plan, scratch=tmp_path, now=NOW).sampled(plan.grpo)
    kl = {name: json.loads(one.versions["settings"]).get("beta") for name, one in sampled.items() if name != OURS}
    assert kl == {DEFAULTS: None, TUNED: GRPO_KL, NO_KL: None}
    tuned = {"gradient_checkpointing": False, "precompute_ref_log_probs": True}
    micro = {**tuned, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 2}
    assert asked == {DEFAULTS: {}, TUNED: tuned, MICRO: micro}


def test_a_peer_that_does_not_finish_is_told_and_the_others_still_count(plan, tmp_path, monkeypatch):
    real = running.run_script

    def run(command, *, what, **others):
        ours.main(*command[-2:]) if what == "our own trainer" else real(command, what=what, **others)

    monkeypatch.setattr(running, "run_script", run)
    dies = "import os\nif job['settings'].get('beta'): os.kill(os.getpid(), 9)\n" + TELL
    heard = []
    bench = Bench(
        plan._replace(peer_python=fake_python(tmp_path / "python", dies)), scratch=tmp_path, now=NOW, said=heard.append
    )
    found = bench.sampled(plan.grpo)
    assert list(found) == [OURS, DEFAULTS, NO_KL]
    (said,) = [words for words in heard if "did not finish" in words]
    assert said.startswith(
        "TRL tuned did not finish: expected TRL to finish; got it was killed, as happens when memory"
    )
    assert speed_up(found, TUNED) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "4 timed steps; got .*No such file"),
        ("{", "4 timed steps"),
        (told(1.0, 1.0).model_dump_json(), r"4 timed steps; got \[2\] of seconds and losses"),
    ],
)
def test_a_run_that_told_nothing_or_too_little_is_refused(tmp_path, text, words):
    if text is not None:
        (tmp_path / "told.json").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_told(tmp_path / "told.json", steps=4)


def test_too_few_pairs_or_none_are_refused(plan, tmp_path):
    with pytest.raises(InputError, match="expected 80 pairs to train on; got 38 of at most 200 tokens"):
        Bench(plan._replace(dpo=(Steps(8, 10),)), scratch=tmp_path, now=NOW)
    with pytest.raises(InputError, match="got 0 of at most 200 tokens"):
        Bench(plan._replace(data=tmp_path / "none"), scratch=tmp_path, now=NOW)


def test_a_quick_plan_only_asks_for_less(plan):
    short = quick(plan)
    assert short.dpo == (Steps(2, 3),)
    assert (short.data, short.model, short.threads) == (plan.data, plan.model, plan.threads)

"""Distributed: two processes take the steps of one, resume from each other's checkpoints, and end when one is killed.

All on the tiny model, in processes forked from this one."""

import os
import signal

import numpy as np
import pytest
import torch
from alignment_cases import NOW, preference
from hypothesis import given
from hypothesis import strategies as st
from process_group import run_in_two

from assay.alignment import (
    DpoSettings,
    OnlineDpoSettings,
    RunContext,
    SftSettings,
    TrainingRewards,
    Watched,
    run_dpo,
    run_online_dpo,
    run_sft,
)
from assay.alignment.distributed import ALONE, Group, joined, share_out
from assay.alignment.dpo import DpoTask
from assay.alignment.sft import SftTask
from assay.alignment.trainer import train
from assay.lm import LoraSettings, add_lora, load
from assay.lm.adapters import policy_parameters
from assay.monitors.run_log import RUN_LOG
from assay.records.conversation import user_prompt
from assay.records.errors import TrainingError
from assay.records.judgement import Demonstration
from assay.storage import ArtifactStore

LORA = LoraSettings(r=4, alpha=8)
SHARED = {"per_device_train_batch_size": 5, "learning_rate": 2e-3, "save_steps": 2, "lora": LORA}
SFT = SftSettings(num_train_epochs=2, **SHARED)
DPO = DpoSettings(num_train_epochs=2, demonstrations_share=0.2, sft_weight=0.1, **SHARED)
MODES = ["ddp", "fsdp2"]


def demonstrations(count=11):
    """Of very different lengths, so that a mean of the processes' means would not be the mean over tokens."""
    return [
        Demonstration(
            created_at=NOW, annotator="a", prompt=user_prompt(f"Why {i}?"), completion="Because. " * (1 + 3 * (i % 4))
        )
        for i in range(count)
    ]


def make_sft(lm, group):
    return SftTask(lm, demonstrations(), SFT, seed=4, group=group)


def dpo_with(**changes):
    def make(lm, group):
        rows, settings = [preference(i) for i in range(11)], DPO.model_copy(update=changes)
        return DpoTask(lm, rows, settings, seed=4, ref_adapter=None, demonstrations=demonstrations(), group=group)

    return make


TASKS = {"sft": make_sft, "dpo": dpo_with(), "kto": dpo_with(loss_type="kto")}


def trajectory(source, make, group, directory, *, resume=False, progress=None, fingerprint="f"):
    """The log and the final weights of a run of this process."""
    lm = load(str(source), dtype=torch.float32)
    add_lora(lm, LORA, seed=0)
    group.shard(lm)
    own = directory / str(group.rank)
    task = make(lm, group)
    shared = {"directory": own, "fingerprint": fingerprint, "resume": resume, "progress": progress}
    log = train(lm, task, SFT, **shared).log
    return log, {name: p.detach().numpy().copy() for name, p in policy_parameters(lm).items()}


def assert_same_trajectory(found, expected):
    (log, weights), (expected_log, expected_weights) = found, expected
    assert len(log) == len(expected_log)
    for entry, other in zip(log, expected_log, strict=True):
        # Log-ratios are differences of sums of hundreds of nats, of which single precision keeps 3e-5.
        assert entry == pytest.approx(other, rel=1e-5, abs=1e-4)
    assert weights.keys() == expected_weights.keys()
    # Adam divides a gradient by its own size, so that rounding of the smallest ones shows: an eighth of a step at most.
    for name, value in weights.items():
        np.testing.assert_allclose(value, expected_weights[name], atol=SFT.learning_rate / 8, err_msg=name)


@pytest.fixture(scope="module")
def alone(tiny_model_dir, tmp_path_factory):
    """The trajectory of each task in one process."""
    place = tmp_path_factory.mktemp("alone")
    return {name: trajectory(tiny_model_dir, make, ALONE, place / name) for name, make in TASKS.items()}


@pytest.mark.parametrize("mode", MODES)
def test_two_processes_take_the_steps_of_one(tiny_model_dir, alone, tmp_path, mode):
    def work(group):
        return {name: trajectory(tiny_model_dir, make, group, tmp_path / name) for name, make in TASKS.items()}

    first, second = run_in_two(work, mode, tmp_path)
    for name in TASKS:
        assert_same_trajectory(first[name], alone[name])
        for key, value in first[name][1].items():
            assert np.array_equal(value, second[name][1][key]), key


@pytest.mark.parametrize("mode", MODES)
def test_a_watched_run_in_two_processes_is_the_run_of_one(tiny_model_dir, alone, proxy, tmp_path, mode):
    prompts, store = [user_prompt(text) for text in ("Why is the sky blue?", "Capital?")], ArtifactStore(tmp_path / "a")
    settings = DpoSettings(measure_steps=1, max_completion_length=6, **SHARED)

    def run(name, group):
        place = tmp_path / name / str(group.rank)
        context = RunContext(name, store, place, seed=5, now=lambda: NOW, group=group)
        sft = run_sft(load(str(tiny_model_dir), dtype=torch.float32), demonstrations(), SFT, context)
        watched = Watched(prompts, TrainingRewards(proxy, None), (), None)
        lm, rows = load(str(tiny_model_dir), dtype=torch.float32), [preference(i) for i in range(10)]
        return run_dpo(lm, rows, settings, context, watched, start=sft)

    expected = run("one", ALONE)
    first, second = run_in_two(lambda group: run("two", group), mode, tmp_path / mode)
    assert first == second
    assert [one.step for one in first.checkpoints] == [0, 1, 2]
    for seen, other in zip(first.checkpoints, expected.checkpoints, strict=True):
        told, wanted = (dict(one.observation.values) for one in (seen, other))
        # The root makes much of rounding: 2e-6 nats either side of none are 0 and 1.4e-3.
        assert told.pop("alignment/sqrt_kl") ** 2 == pytest.approx(wanted.pop("alignment/sqrt_kl") ** 2, abs=1e-3)
        assert told == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    assert (tmp_path / "two" / "0" / RUN_LOG).exists()


def held(lm):
    """Numbers of the layers' divided weights that this process has."""
    weights = lm.body.layers.parameters()
    return sum(p.to_local().numel() for p in weights if isinstance(p, torch.distributed.tensor.DTensor))


def test_fsdp2_leaves_each_process_half_of_the_frozen_weights_and_the_whole_adapter(tiny_model_dir, tmp_path):
    def work(group):
        lm = load(str(tiny_model_dir))
        whole = sum(p.numel() for p in lm.body.layers.parameters())
        add_lora(lm, LORA, seed=0)
        group.shard(lm)
        task = dpo_with()(lm, group)
        after_the_reference = held(lm)
        for part in task.parts(0):
            part.value.backward()
        adapters = [p for p in policy_parameters(lm).values() if isinstance(p, torch.distributed.tensor.DTensor)]
        return whole, after_the_reference, held(lm), adapters

    for whole, after_the_reference, after_a_step, divided in run_in_two(work, "fsdp2", tmp_path):
        assert after_the_reference == after_a_step == whole / 2
        assert divided == []


def test_only_process_0_writes_checkpoints(tiny_model_dir, tmp_path):
    run_in_two(lambda group: trajectory(tiny_model_dir, make_sft, group, tmp_path) and None, "ddp", tmp_path)
    assert [path.name for path in (tmp_path / "0").iterdir()] == ["checkpoint-6"]
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_run_in_a_sentence_and_any_number_of_processes_goes_on(
    tiny_model_dir, alone, tmp_path, victim
):
    def work(group):
        def kill(step, _):
            if step == 5 and group.rank == victim:
                os.kill(os.getpid(), signal.SIGKILL)

        return trajectory(tiny_model_dir, make_sft, group, tmp_path, progress=kill)

    found = run_in_two(work, "ddp", tmp_path)
    assert found[victim] == -signal.SIGKILL
    assert found[1 - victim] == (
        "expected every process of the run to answer; got one that ended or hangs; "
        "look at what it said last, then run again with --resume: the last checkpoint is whole"
    )
    assert [path.name for path in (tmp_path / "0").iterdir()] == ["checkpoint-4"]
    again = run_in_two(
        lambda group: trajectory(tiny_model_dir, make_sft, group, tmp_path, resume=True), "ddp", tmp_path / "again"
    )
    assert_same_trajectory(again[1], alone["sft"])
    assert len(again[0][0]) == 6


def test_one_process_goes_on_where_two_were_killed(tiny_model_dir, alone, tmp_path):
    def work(group):
        def kill(step, _):
            if step == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        return trajectory(tiny_model_dir, TASKS["dpo"], group, tmp_path, progress=kill)

    assert run_in_two(work, "ddp", tmp_path) == [-signal.SIGKILL] * 2
    found = trajectory(tiny_model_dir, TASKS["dpo"], ALONE, tmp_path, resume=True)
    assert_same_trajectory(found, alone["dpo"])


def test_processes_with_other_data_are_refused_in_all_of_them(tiny_model_dir, tmp_path):
    def work(group):
        return trajectory(tiny_model_dir, make_sft, group, tmp_path, fingerprint=f"data {group.rank}")

    expected = "expected the same settings, data and model in all 2 processes; got another in process 1; start every"
    assert all(said.startswith(expected) for said in run_in_two(work, "ddp", tmp_path))


def test_a_method_that_comes_whole_is_refused_in_two_processes(tiny_lm, proxy, tmp_path):
    context = RunContext("two", ArtifactStore(tmp_path), tmp_path, seed=5, now=lambda: NOW, group=Group("ddp", 0, 2))
    watched = Watched([user_prompt("Why?")], TrainingRewards(proxy, None), (), None)
    with pytest.raises(TrainingError, match="got OnlineDpoTask in 2 processes; run this method in one process"):
        run_online_dpo(tiny_lm, OnlineDpoSettings(), context, watched, start=None)


def test_fsdp2_refuses_a_model_that_cannot_be_packed(tiny_lm):
    tiny_lm.causal.config._attn_implementation = "eager"
    with pytest.raises(TrainingError, match="got a llama, which cannot be packed; take ddp"):
        Group("fsdp2", 0, 2).shard(tiny_lm)


def test_none_is_one_process_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    with joined("none") as group:
        assert group == ALONE


def test_rows_are_shared_out_by_their_tokens():
    assert share_out([10, 60, 30, 20], 2) == [[1], [0, 2, 3]]
    assert share_out([5, 5, 5], 1) == [[0, 1, 2]]
    assert share_out([7], 3) == [[0], [], []]


@given(st.lists(st.integers(1, 900), max_size=24), st.integers(1, 5), st.sampled_from(["ddp", "fsdp2"]))
def test_every_row_counts_once_whatever_the_number_of_processes(tokens, size, mode):
    parts = [Group(mode, rank, size).parts(tokens, max_tokens=512) for rank in range(size)]
    counted = [row for own in parts for part in own if part.counts for row in part.rows]
    assert sorted(counted) == list(range(len(tokens)))
    for part in (part for own in parts for part in own):
        assert sum(tokens[row] for row in part.rows) <= 512 or len(part.rows) == 1
    if mode == "fsdp2":
        assert len({len(own) for own in parts}) == 1
    if tokens:
        assert any(part.counts for part in parts[0])
        assert parts[0][0].counts

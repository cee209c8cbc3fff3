"""Faults: each ends in one clear sentence and exit status 1, with nothing lost and nothing half-written.

The faults go in through the command line, as they reach a user. Where a process must die, it is a real one.
"""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from hashlib import sha256

import pytest
from command_line import demonstration_rows, done, judgement_rows, refused, write_recipe, write_rows
from safetensors.torch import load_file, save_file

from assay.records.policy import PolicyVersion
from assay.records.reward import RewardVersion
from assay.records.run import StageRecord
from assay.storage import Workspace
from assay.storage.lock import run_lock

METADATA = {"format": "pt"}
"""What transformers asks of a file of weights."""


@pytest.fixture(scope="module")
def prepared(tiny_model_dir, tmp_path_factory):
    """A workspace with judgements and demonstrations that no test here changes."""
    place = tmp_path_factory.mktemp("prepared")
    space = place / "space"
    done("init", "-w", space, "--model", tiny_model_dir)
    for name, rows in (("judgements", judgement_rows()), ("demonstrations", demonstration_rows())):
        file = write_rows(place / f"{name}.jsonl", rows)
        done("feedback", "import", file, "-w", space, "--held-out-annotators", "none")
    done("preferences", "fit", "-w", space)
    return space


@pytest.fixture
def own(prepared, tmp_path):
    """A copy of the prepared workspace that a test may change."""
    return shutil.copytree(prepared, tmp_path / "own")


@pytest.fixture
def space(tmp_path):
    """An empty workspace of a model that no command here loads."""
    directory = tmp_path / "space"
    done("init", "-w", directory, "--model", "never-loaded")
    return directory


def kinds(directory):
    workspace = Workspace(directory)
    try:
        return workspace.records.kinds()
    finally:
        workspace.close()


def leftovers(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob(".new-*"))


@contextmanager
def files_of_at_most(size):
    """A disk that takes no file beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_unknown_keys_are_all_named_before_anything_is_made(small_recipe, tmp_path):
    recipe = tmp_path / "wrong.yaml"
    recipe.write_text(small_recipe.read_text() + "colour: red\nsede: 1\n")
    said = refused("run", recipe, "--out", tmp_path / "run", "--set", "alignment.dpo.bta=1")
    assert [key for key in ("colour", "sede", "alignment.dpo.bta") if f"{key}: unknown key" not in said] == []
    assert not (tmp_path / "run").exists()


def test_missing_files_are_named(small_recipe, space, tmp_path):
    assert str(tmp_path / "absent.yaml") in refused("run", tmp_path / "absent.yaml")
    assert str(tmp_path / "absent.jsonl") in refused("feedback", "import", tmp_path / "absent.jsonl", "-w", space)
    said = refused("run", small_recipe, "--out", tmp_path / "run", "--judgements", tmp_path / "absent.jsonl")
    assert str(tmp_path / "absent.jsonl") in said
    assert kinds(tmp_path / "run") == {"policy": 1, "stage": 1}


def test_a_run_that_lacked_a_file_goes_on_when_the_file_is_there(tiny_model_dir, tmp_path):
    recipe = write_recipe(tmp_path, tiny_model_dir, alignment={"best_of_n": 1})
    file = tmp_path / "judgements.jsonl"
    file.rename(tmp_path / "away.jsonl")
    refused("run", recipe, "--out", tmp_path / "run")
    (tmp_path / "away.jsonl").rename(file)
    said = done("run", recipe, "--out", tmp_path / "run", "--resume")
    assert "model: done before" in said
    assert "evaluation: no policy was tuned" in said


@pytest.mark.parametrize("text", ["water " * 600, "x" * 5000])
def test_a_prompt_longer_than_the_context_is_named_before_training(tiny_model_dir, tmp_path, text):
    rows = [*judgement_rows(), {**judgement_rows()[0], "prompt": text}]
    recipe = write_recipe(tmp_path, tiny_model_dir)
    write_rows(tmp_path / "judgements.jsonl", rows)
    shares = "feedback.folds.shares={train: 1.0, watch: 0.0, held_out: 0.0, sealed: 0.0}"
    said = refused("run", recipe, "--out", tmp_path / "run", "--set", shares, "--set", "alignment.sft=null")
    assert "at most 512 tokens" in said
    assert f"'{text[:60]}': " in said
    assert "shorten or leave these out" in said
    assert "reward" not in kinds(tmp_path / "run")


@pytest.mark.parametrize("content", ["", "\n\n", "[]"])
def test_an_empty_data_set_is_told(space, tmp_path, content):
    (tmp_path / "empty.jsonl").write_text(content)
    refused("feedback", "import", tmp_path / "empty.jsonl", "-w", space)
    assert "got none" in refused("preferences", "fit", "-w", space)


def test_a_one_sided_data_set_is_told(space, tmp_path):
    rows = [{**row, "first_shown": "left", "choice": "first"} for row in judgement_rows()]
    said = done("feedback", "import", write_rows(tmp_path / "one.jsonl", rows), "-w", space)
    assert "picks the left side" in said
    said = refused("preferences", "fit", "-w", space)
    assert "expected choices of both shown sides" in said
    assert "majority" in said
    assert "preference" not in kinds(space)


def test_a_data_set_of_ties_is_told(space, tmp_path):
    rows = [{**row, "choice": "tie"} for row in judgement_rows()]
    done("feedback", "import", write_rows(tmp_path / "ties.jsonl", rows), "-w", space)
    assert "all ties" in refused("preferences", "fit", "-w", space)


def test_identical_completions_are_named_by_their_line_and_nothing_is_imported(space, tmp_path):
    rows = judgement_rows(3)
    rows[2] = {**rows[2], "second": rows[2]["first"]}
    rows[7] = {**rows[7], "second": rows[7]["first"]}
    said = refused("feedback", "import", write_rows(tmp_path / "same.jsonl", rows), "-w", space)
    assert "line 3:" in said
    assert "line 8:" in said
    assert "judgement" not in kinds(space)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_no_policy(own):
    before = kinds(own)
    said = refused("align", "sft", "-w", own, "--set", "sft.learning_rate=1e30", "--set", "sft.save_steps=1")
    assert "expected a finite loss and gradient; got loss nan" in said
    assert "lower learning_rate" in said
    assert kinds(own) == before
    assert leftovers(own) == []


def test_a_full_disk_in_training_loses_nothing_and_the_run_goes_on(own):
    command = ["align", "sft", "-w", own, "--set", "sft.lora.r=64", "--set", "sft.save_steps=1"]
    before = kinds(own)
    with files_of_at_most(40_000):
        said = refused(*command)
    assert "File too large" in said
    assert "free disk space" in said
    assert kinds(own) == before
    assert leftovers(own) == []
    assert not list((own / "scratch").glob("sft/checkpoint-*"))
    done(*command, "--resume")


def test_a_full_disk_while_records_are_written_stores_all_or_nothing(space, tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", judgement_rows(200))
    before = kinds(space)
    with files_of_at_most(100_000):
        said = refused("feedback", "import", rows, "-w", space)
    assert "free disk space" in said
    assert kinds(space) == before
    assert "800 of them new" in done("feedback", "import", rows, "-w", space)


def test_a_full_disk_leaves_no_half_file(prepared, tmp_path):
    (tmp_path / "out.jsonl").write_text("kept")
    with files_of_at_most(40_000):
        said = refused("feedback", "export", tmp_path / "out.jsonl", "-w", prepared)
    assert "free disk space" in said
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == "kept"


def test_two_runs_on_one_directory_do_not_mix(small_recipe, tmp_path):
    with run_lock(tmp_path / "run"):
        said = refused("run", small_recipe, "--out", tmp_path / "run")
    assert f"a run in process {os.getpid()}" in said
    assert "--out" in said
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_step_does_not_enter_a_workspace_that_a_run_holds(prepared):
    before = kinds(prepared)
    with run_lock(prepared):
        assert "to be free" in refused("align", "sft", "-w", prepared)
    assert kinds(prepared) == before


def test_a_finished_run_is_not_run_over(small_recipe, small_run):
    said = refused("run", small_recipe, "--out", small_run)
    assert "to hold no run yet" in said
    assert "--resume" in said
    assert "expected configuration" in refused("run", small_recipe, "--out", small_run, "--resume", "--set", "seed=4")
    said = refused("run", small_recipe, "--out", small_run, "--resume", "--set", "name=another")
    assert "no other run; got stages of 'small'" in said


def test_another_model_under_the_same_name_does_not_go_on_with_a_run(tiny_model_dir, tmp_path):
    model = shutil.copytree(tiny_model_dir, tmp_path / "model")
    recipe = write_recipe(tmp_path, model, alignment={"sft": {}})
    file = tmp_path / "judgements.jsonl"
    file.rename(tmp_path / "away.jsonl")
    refused("run", recipe, "--out", tmp_path / "run")
    (tmp_path / "away.jsonl").rename(file)
    weights = load_file(model / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, model / "model.safetensors", METADATA)
    assert "restore the model" in refused("run", recipe, "--out", tmp_path / "run", "--resume")


@pytest.mark.parametrize("place", ["first", "last"])
def test_one_flipped_byte_in_the_ledger_is_found(space, place):
    for name in ("ada", "bob", "cyd"):
        done("release", "enroll", name, "--role", "approver", "-w", space)
    assert "3 entries verified" in done("ledger", "verify", "-w", space)
    ledger = space / "ledger.db"
    connection = sqlite3.connect(ledger)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(ledger.read_bytes())
    name = {"first": b'"ada"', "last": b'"cyd"'}[place]
    data[data.index(name) + 1] ^= 1
    ledger.write_bytes(data)
    said = refused("ledger", "verify", "-w", space)
    assert f"at entry {1 if place == 'first' else 3}" in said
    assert "stop releases" in said
    refused("release", "request", "any", "--by", "ada", "--reason", "why", "-w", space)


@pytest.mark.parametrize("model", ["nobody/nothing", "no-such-directory", "./here"])
def test_a_model_that_is_not_there_while_offline_is_told(small_recipe, tmp_path, model):
    said = refused("run", small_recipe, "--out", tmp_path / "run", "--model", model)
    assert model in said
    assert "`model: default`" in said or "`default`" in said
    assert kinds(tmp_path / "run") == {}
    assert done("run", small_recipe, "--out", tmp_path / "run", "--help")


def test_a_model_directory_without_weights_is_told(small_recipe, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{")
    refused("run", small_recipe, "--out", tmp_path / "run", "--model", tmp_path / "model")


def test_a_killed_run_goes_on_to_the_same_policies(small_recipe, small_run, tmp_path):
    directory = tmp_path / "run"
    command = [sys.executable, "-m", "assay", "run", str(small_recipe), "--out", str(directory)]
    # The run gives way to who waits to kill it: on a loaded machine it would be over before it is looked at again.
    command = ["nice", "-n", "19", *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = directory / "scratch" / "dpo" / "checkpoint-5"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    interrupted = Workspace(directory)
    stages = [record.stage for record in interrupted.records.all(StageRecord)]
    assert stages == ["model", "feedback", "sft", "preferences", "rewards"]
    interrupted.close()
    said = done("run", small_recipe, "--out", directory, "--resume")
    assert "rewards: done before" in said
    assert made_in(directory) == made_in(small_run)
    assert leftovers(directory) == []


def made_in(directory):
    """The weights of every policy, checkpoint and reward, and what was sampled on the way, by name.

    Weights are compared by their bytes: peft writes a list of modules beside them in an order of each process's own.
    """
    workspace = Workspace(directory)

    def weights(artifact):
        return sha256((workspace.artifacts.path(artifact) / "adapter_model.safetensors").read_bytes()).hexdigest()

    try:
        policies = {
            policy.name: (
                weights(policy.adapter),
                [(weights(one.adapter), one.samples, one.observation) for one in policy.checkpoints],
                (policy.step, policy.steps_run, policy.stop_reason),
            )
            for policy in workspace.records.all(PolicyVersion)
            if policy.adapter is not None
        }
        rewards = {version.name: version.artifact for version in workspace.records.all(RewardVersion)}
        assert policies.keys() == {"sft", "dpo", "guarded"}
        assert rewards.keys() == {"proxy", "watch-panel", "held-out-reward"}
        return policies, rewards
    finally:
        workspace.close()

"""Steps: the walk by single commands on one workspace, each printing what it made and what comes next."""

import re
import runpy

import pytest
import torch
import yaml
from command_line import assay, demonstration_rows, done, judgement_rows, refused, write_rows
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from assay.alignment import trainer
from assay.cli.config import parse_config
from assay.cli.standing import walk_over
from assay.monitors.run_files import find_run_file, read_trail
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion
from assay.records.reward import RewardVersion
from assay.records.run import StageRecord
from assay.storage import Workspace

TINY = {
    "max_prompts": 4,
    "online_dpo": {"rounds": 1, "max_completion_length": 4},
    "grpo": {
        "rounds": 1,
        "num_generations": 2,
        "max_completion_length": 4,
        "constraints": [{"name": "kl", "limit": 3.0}, {"name": "rules", "limit": 0.9, "direction": "at_least"}],
        "rules": [{"rule": "ends_sentence"}],
    },
    "ppo": {"rounds": 1, "num_generations": 1, "num_iterations": 1, "max_completion_length": 4},
    "best_of_n_sft": {"num_generations": 2, "max_completion_length": 4},
    "gkd": {"teachers": ["guarded", "grpo"], "rounds": 1, "max_completion_length": 4},
}


@pytest.fixture(scope="module")
def stepped(tiny_model_dir, tmp_path_factory):
    """A workspace with one reward, one policy by each method and one evidence, and what each command said."""
    place = tmp_path_factory.mktemp("steps")
    space = place / "space"
    config = place / "online.yaml"
    config.write_text(yaml.safe_dump(TINY))
    said = {"init": done("init", "-w", space, "--model", tiny_model_dir)}
    for name, rows in (("judgements", judgement_rows()), ("demonstrations", demonstration_rows())):
        file = write_rows(place / f"{name}.jsonl", rows)
        said[name] = done("feedback", "import", file, "-w", space, "--held-out-annotators", "none")
    for split in ("train", "watch", "held_out"):
        said[split] = done("preferences", "fit", "-w", space, "--split", split)
    said["reward"] = done("reward", "train", "-w", space, "--set", "directions=4")
    said["sft"] = done("align", "sft", "-w", space, "--set", "sft.num_train_epochs=1")
    small = [
        "max_prompts=4",
        "max_preferences=16",
        "dpo.loss_type=rpo",
        "dpo.demonstrations_share=0.2",
        "dpo.max_completion_length=4",
        "dpo.measure_steps=1",
    ]
    said["dpo"] = done("align", "dpo", "-w", space, *(word for one in small for word in ("--set", one)))
    said["online-dpo"] = done("align", "online-dpo", "-w", space, "--config", config)
    said["grpo"] = done("align", "grpo", "-w", space, "--config", config)
    said["ppo"] = done("align", "ppo", "-w", space, "--config", config)
    said["best-of-n-sft"] = done("align", "best-of-n-sft", "-w", space, "--config", config)
    said["gkd"] = done("align", "gkd", "-w", space, "--config", config)
    policy = made(said["online-dpo"])
    said["evaluate"] = done("evaluate", policy, "-w", space, "--set", "max_prompts=4", "--set", "max_tokens=4")
    workspace = Workspace(space)
    yield workspace, said
    workspace.close()


def made(said: str) -> str:
    """The id that a command printed."""
    return re.findall(r"\b[0-9a-f]{64}\b", said)[-1]


def test_each_command_prints_the_id_of_what_it_made_and_the_next_command(stepped):
    workspace, said = stepped
    policies = {policy.name: policy for policy in workspace.records.all(PolicyVersion)}
    rewards = {version.name: version for version in workspace.records.all(RewardVersion)}
    assert made(said["init"]) == policies["reference"].id
    assert made(said["reward"]) == rewards["proxy"].id
    assert made(said["sft"]) == policies["sft"].id
    assert made(said["dpo"]) == policies["dpo"].id
    assert made(said["online-dpo"]) == policies["guarded"].id
    assert made(said["grpo"]) == policies["grpo"].id
    assert made(said["ppo"]) == policies["ppo"].id
    assert made(said["best-of-n-sft"]) == policies["best-of-n-sft"].id
    assert made(said["gkd"]) == policies["gkd"].id
    assert made(said["evaluate"]) == workspace.records.latest(Evidence).id
    assert all(f"-w {workspace.directory}" in text or "--workspace" in text for text in said.values())
    assert all("next: assay " in text for text in said.values())


def test_each_method_starts_from_the_latest_one_before(stepped):
    workspace, _ = stepped
    policies = {policy.name: policy for policy in workspace.records.all(PolicyVersion)}
    assert policies["sft"].ref_policy is None
    assert policies["dpo"].ref_policy == policies["sft"].id
    assert policies["guarded"].ref_policy == policies["grpo"].ref_policy == policies["dpo"].id
    assert policies["dpo"].settings["demonstrations_share"] == 0.2
    assert policies["guarded"].settings["rounds"] == 1
    assert policies["best-of-n-sft"].ref_policy == policies["gkd"].ref_policy == policies["dpo"].id
    assert all(policies[name].id in policies["gkd"].settings["teachers"] for name in ("guarded", "grpo"))


def test_the_evidence_is_on_the_policy_that_was_named(stepped):
    workspace, said = stepped
    evidence = workspace.records.latest(Evidence)
    policies = {policy.name: policy for policy in workspace.records.all(PolicyVersion)}
    assert (evidence.policy, evidence.reference) == (policies["guarded"].id, policies["reference"].id)
    assert evidence.prompts == 4
    assert not evidence.is_simulated
    again = done("evaluate", policies["sft"].short_id, "-w", workspace.directory, "--set", "max_tokens=2")
    assert workspace.records.get(Evidence, made(again)).policy == policies["sft"].id


def test_what_each_stage_took_is_recorded(stepped):
    workspace, _ = stepped
    stages = [record.stage for record in workspace.records.all(StageRecord, subject="steps")]
    assert stages[5:8] == ["ppo", "best-of-n-sft", "gkd"]
    assert stages[:5] == ["rewards", "sft", "dpo", "guarded", "grpo"]


def test_the_rewards_are_listed_with_their_quality(stepped):
    workspace, _ = stepped
    said = done("reward", "show", "-w", workspace.directory)
    assert "proxy" in said
    assert "held-out" in said


def test_a_workspace_says_what_it_holds(stepped):
    workspace, _ = stepped
    said = done("init", "--show", "-w", workspace.directory)
    assert re.search(r"judgement\W+160", said)
    assert re.search(r"policy\W+8", said)


def test_a_workspace_is_made_once_and_of_one_model(stepped):
    workspace, said = stepped
    model = workspace.records.all(PolicyVersion)[0].base_model
    assert made(done("init", "-w", workspace.directory, "--model", model)) == made(said["init"])
    assert "two models do not mix" in refused("init", "-w", workspace.directory)


def test_a_policy_without_weights_of_its_own_is_not_judged(stepped):
    workspace, said = stepped
    assert "got reference" in refused("evaluate", made(said["init"]), "-w", workspace.directory)


def test_a_constraint_on_rules_is_measured_and_its_rules_count_as_training(stepped):
    workspace, _ = stepped
    policy = next(one for one in workspace.records.all(PolicyVersion) if one.name == "grpo")
    seen = policy.checkpoints[-1].observation.values
    assert 0 <= seen["constraints/rules/value"] <= 1
    assert seen["constraints/rules/violation"] == pytest.approx(0.9 - seen["constraints/rules/value"])
    assert [signal.name for signal in policy.training_signals][-1] == "constraint-rules"
    assert "multiplier_bound" in policy.monitors


def test_a_teacher_needs_weights_of_its_own(stepped):
    workspace, _ = stepped
    said = refused("align", "gkd", "-w", workspace.directory, "--set", "gkd.teachers=[reference]")
    assert "a teacher with weights of its own; got reference" in said


def test_what_is_missing_is_named_with_the_command_that_makes_it(tmp_path):
    space = tmp_path / "space"
    done("init", "-w", space, "--model", "nothing-is-loaded")
    assert "assay preferences fit" in refused("reward", "train", "-w", space)
    assert "assay preferences fit" in refused("align", "dpo", "-w", space)
    assert "assay feedback import" in refused("align", "sft", "-w", space)
    assert "assay init" in refused("align", "sft", "-w", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_held_out_reward_is_never_taken_for_the_proxy(stepped, tmp_path):
    workspace, _ = stepped
    held_out = next(one for one in workspace.records.all(RewardVersion) if one.name == "held-out-reward")
    other = Workspace(tmp_path)
    other.records.put(held_out, subject=held_out.name)
    config = parse_config({"name": "steps", "feedback": {"source": "file"}}, where="")
    assert walk_over(other, config).output("rewards", "proxy") is None
    other.close()


def test_a_watch_panel_of_other_layers_is_left_out(stepped, tmp_path):
    workspace, _ = stepped
    proxy = next(one for one in workspace.records.all(RewardVersion) if one.name == "proxy")
    config = parse_config({"name": "steps", "feedback": {"source": "file"}}, where="")
    for number, (layer, expected) in enumerate([(proxy.layer, True), (proxy.layer + 1, False)]):
        other = Workspace(tmp_path / str(number))
        watch = RewardVersion.model_validate({**proxy.model_dump(), "name": "watch-panel", "layer": layer})
        other.records.put_all([(proxy, None, proxy.name), (watch, None, watch.name)])
        assert (walk_over(other, config).output("rewards", "watch") == watch.id) is expected
        other.close()


def test_judgements_of_simulated_people_mark_the_evidence_wherever_they_came_from(stepped, tmp_path, tiny_model_dir):
    rows = [{**row, "source": "simulated"} for row in judgement_rows()]
    space = tmp_path / "space"
    done("init", "-w", space, "--model", tiny_model_dir)
    for name, data in (("judgements", rows), ("demonstrations", demonstration_rows())):
        done("feedback", "import", write_rows(tmp_path / name, data), "-w", space, "--held-out-annotators", "none")
    done("preferences", "fit", "-w", space, "--split", "held_out")
    policy = made(done("align", "sft", "-w", space, "--set", "sft.num_train_epochs=1"))
    said = done("evaluate", policy, "-w", space, "--set", "max_prompts=4", "--set", "max_tokens=2")
    workspace = Workspace(space)
    assert workspace.records.get(Evidence, made(said)).is_simulated
    workspace.close()


def test_an_interrupted_step_goes_on_from_its_checkpoint_with_the_same_result(stepped, monkeypatch):
    workspace, _ = stepped
    command = [
        "align",
        "sft",
        "-w",
        workspace.directory,
        "--set",
        "sft.num_train_epochs=2",
        "--set",
        "sft.save_steps=1",
    ]
    whole = made(done(*command))
    steps = workspace.records.get(PolicyVersion, whole).steps_run
    real, taken = trainer._take_step, []

    def take_step(lm, task, settings, optimizer, parameters, step):
        taken.append(step)
        if len(taken) == 3:
            raise SystemExit(130)
        return real(lm, task, settings, optimizer, parameters, step)

    monkeypatch.setattr(trainer, "_take_step", take_step)
    assert assay(*command).code == 130
    resumed = made(done(*command, "--resume"))
    assert taken == [0, 1, 2, *range(2, steps)]
    assert resumed == whole


def test_a_rollout_server_without_its_key_or_away_is_told_in_a_sentence(stepped, monkeypatch):
    workspace, _ = stepped
    monkeypatch.delenv("ROLLOUT_KEY", raising=False)
    served = ["--set", "rollouts={url: 'http://127.0.0.1:9/v1', model: base, key_variable: ROLLOUT_KEY}"]
    command = ["align", "grpo", "-w", workspace.directory, *served]
    assert refused(*command).startswith("expected the server's key in ROLLOUT_KEY; got nothing; export ROLLOUT_KEY")
    monkeypatch.setenv("ROLLOUT_KEY", "secret")
    assert "an answer from http://127.0.0.1:9/v1; got none" in refused(*command)


def test_a_configuration_of_trl_is_run_and_what_it_does_not_say_is_told(stepped, tmp_path):
    workspace, _ = stepped
    kto = tmp_path / "kto.yaml"
    given = {"max_steps": 1, "per_device_train_batch_size": 4, "desirable_weight": 2.0, "bf16": True, "seed": 9}
    kto.write_text(yaml.safe_dump({**given, "learning_rate": "1e-4", "dataset_name": "d"}))
    # Keys of a recipe overrule the file; a policy of its own name would stand in the way of the other tests.
    command = ["align", "dpo", "-w", workspace.directory, "--from-trl", kto, "--trl-trainer", "kto"]
    said = done(*command, "--set", "dpo.max_completion_length=2", "--set", "dpo.beta=0.3", "--set", "max_prompts=2")
    policy = workspace.records.get(PolicyVersion, made(said))
    assert (policy.steps_run, policy.settings["loss_type"], policy.settings["desirable_weight"]) == (1, "kto", 2.0)
    assert (policy.settings["beta"], policy.settings["learning_rate"]) == (0.3, 1e-4)
    assert policy.settings["per_device_train_batch_size"] == 2
    assert "no effect on what is learnt: bf16" in said
    assert "the workspace has its own: dataset_name" in said
    assert "otherwise than TRL: use_peft" in said
    kto.write_text(yaml.safe_dump({**given, "sync_ref_model": True, "adam_beta1": 0.8}))
    faults = refused(*command)
    assert "sync_ref_model" in faults
    assert "adam_beta1" in faults
    assert "assay align dpo" in refused("align", "sft", *command[2:])


@pytest.mark.parametrize("peer", ["trl", "verl", "openrlhf"])
def test_a_run_is_written_for_another_trainer_with_the_policy_that_it_begins_from(stepped, tmp_path, peer):
    workspace, _ = stepped
    out = tmp_path / "run"
    command = ["align", "export", "grpo", "--to", peer, "-w", workspace.directory, "--out", out]
    said = done(*command, "--set", "max_prompts=4")
    assert "otherwise than here: monitors" in said
    assert (out / "launch.sh").exists()
    assert (out / "model" / "model.safetensors").exists()
    if peer == "trl":
        config = yaml.safe_load((out / "config.yaml").read_text())
        assert config["model_name_or_path"] == "model"
        assert len((out / "data" / "train.jsonl").read_text().splitlines()) == 4
        reward = runpy.run_path(str(out / "assay_reward.py"))["reward"]
        prompt, answer = [{"role": "user", "content": "Sky?"}], [{"role": "assistant", "content": "Blue."}]
        assert len(reward(prompts=[prompt], completions=[answer])) == 1
    assert "one that is there" in refused(*command)
    assert "a reward with the aggregation mean" in refused(
        *command[:-1], tmp_path / "b", "--set", "grpo.aggregation=mean"
    )
    parts = "reward_parts.learnt.weight=2"
    assert "the learnt reward alone" in refused(*command[:-1], tmp_path / "c", "--set", parts)


def test_a_run_from_the_base_model_names_it(stepped, tmp_path, tiny_model_dir):
    workspace, _ = stepped
    done("align", "export", "sft", "--to", "openrlhf", "-w", workspace.directory, "--out", tmp_path / "run")
    assert str(tiny_model_dir) in (tmp_path / "run" / "launch.sh").read_text()
    assert not (tmp_path / "run" / "model").exists()
    assert len((tmp_path / "run" / "train.jsonl").read_text().splitlines()) > 10


def test_a_policy_is_saved_as_an_adapter_and_as_a_whole_model_that_say_the_same(stepped, tmp_path, tiny_model_dir):
    workspace, said = stepped
    policy = workspace.records.get(PolicyVersion, made(said["online-dpo"]))
    command = ["align", "save", policy.id, "-w", workspace.directory, "--out"]
    assert "an adapter of" in done(*command, tmp_path / "adapter")
    assert "the whole model" in done(*command, tmp_path / "whole", "--merged")
    for place in (tmp_path / "adapter", tmp_path / "whole"):
        assert policy.id in (place / "README.md").read_text()
        trail = read_trail(find_run_file(place))
        assert [one.step for one in trail.observations] == [one.step for one in policy.checkpoints]
        assert (
            trail.observations[-1].values["alignment/kl"] == policy.checkpoints[-1].observation.values["alignment/kl"]
        )
    ids = torch.tensor([[5, 6, 7, 8]])
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    plain = base(ids).logits
    tuned = PeftModel.from_pretrained(base, str(tmp_path / "adapter"))(ids).logits
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")(ids).logits
    torch.testing.assert_close(whole, tuned, atol=1e-4, rtol=1e-3)
    assert not torch.equal(plain, tuned)
    templates = {AutoTokenizer.from_pretrained(tmp_path / name).chat_template for name in ("whole", "adapter")}
    assert len(templates) == 1
    assert None not in templates
    assert "one that is there" in refused(*command, tmp_path / "whole")


def test_the_reference_is_saved_as_the_model_that_it_is(stepped, tmp_path):
    workspace, _ = stepped
    reference = next(one for one in workspace.records.all(PolicyVersion) if one.method == "reference")
    assert "the whole model" in done("align", "save", reference.id, "-w", workspace.directory, "-o", tmp_path / "base")
    assert not (tmp_path / "base" / "adapter_config.json").exists()

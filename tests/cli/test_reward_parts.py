"""Reward parts as a user names them: flags and recipe, what a run logs of them, what the firewall lets through."""

import re

import pytest
import yaml
from command_line import done, judgement_rows, refused, write_recipe, write_rows

from assay.records.policy import PolicyVersion
from assay.records.reward import RewardVersion
from assay.storage import Workspace
from assay.storage.firewall import Registration

SMALL = ("max_prompts=4", "grpo.rounds=1", "grpo.max_completion_length=4", "grpo.num_generations=2")


@pytest.fixture(scope="module")
def learnt(tiny_model_dir, tmp_path_factory):
    """A workspace with a proxy, a watch panel and a further reward."""
    place = tmp_path_factory.mktemp("parts")
    space = place / "space"
    done("init", "-w", space, "--model", tiny_model_dir)
    rows = write_rows(place / "rows.jsonl", judgement_rows(100))
    done("feedback", "import", rows, "-w", space, "--held-out-annotators", "none")
    for split in ("train", "watch"):
        done("preferences", "fit", "-w", space, "--split", split)
    done("reward", "train", "-w", space, "--set", "directions=4")
    done(
        "reward", "train", "-w", space, "--name", "plainer", "--set", "directions=2", "--set", "feature_maps=[mean-low]"
    )
    workspace = Workspace(space)
    yield workspace
    workspace.close()


def grpo(space, *arguments, settings=()):
    told = [word for one in (*SMALL, *settings) for word in ("--set", one)]
    return ("align", "grpo", "-w", space, *told, *arguments)


def policy_of(workspace, said):
    return workspace.records.get(PolicyVersion, re.findall(r"\b[0-9a-f]{64}\b", said)[-1])


def funcs(*names):
    return [word for name in names for word in ("--reward-funcs", name)]


def weights(*values):
    return [word for value in values for word in ("--reward-weights", value)]


def test_flags_name_parts_and_weights_and_the_run_logs_what_each_contributes(learnt):
    named = [*funcs("learnt", "plainer", "word_window"), *weights(1, 0.5, 2)]
    said = done(*grpo(learnt.directory, *named, settings=["reward_parts.word_window.most=1"]))
    policy = policy_of(learnt, said)
    values = policy.checkpoints[0].observation.values
    parts = [values[f"components/{name}"] for name in ("learnt", "plainer", "word_window")]
    assert sum(parts) == pytest.approx(values["alignment/proxy_reward"])
    assert "components/plainer_sd" in values
    assert "rewards/disagreement" in values and "rewards/half_a" in values
    assert "watch/panel_reward" in values
    assert "word_window +" in said
    signals = {signal.name: signal for signal in policy.training_signals}
    assert list(signals) == ["proxy", "plainer", "word_window", "1 learnt + 0.5 plainer + 2 word_window", "watch-panel"]
    registered = {one.identity.content_hash for one in learnt.records.all(Registration, subject="training")}
    assert {signal.content_hash for signal in signals.values()} <= registered


def test_a_method_that_pushes_against_no_reward_refuses_the_flags(learnt):
    said = refused("align", "sft", "-w", learnt.directory, *funcs("learnt"))
    assert "a method that pushes against a reward; got sft; leave --reward-funcs and --reward-weights out" in said


def test_rules_alone_are_bounded_and_state_no_disagreement(learnt):
    config = learnt.directory / "parts.yaml"
    config.write_text(
        yaml.safe_dump({"reward_parts": {"tidy": {"rule": "ends_sentence"}, "fresh": {"rule": "no_repetition"}}})
    )
    policy = policy_of(learnt, done(*grpo(learnt.directory, "--config", config)))
    values = policy.checkpoints[0].observation.values
    assert 0 <= values["rewards/at_ceiling"] <= 1
    assert values["components/fresh"] > 0
    assert not {"rewards/disagreement", "rewards/outlier_rate", "rewards/half_a"} & set(values)
    assert "rewards/within_group_sd" in values


def test_without_parts_nothing_of_components_is_logged(learnt):
    policy = policy_of(learnt, done(*grpo(learnt.directory)))
    assert not [name for name in policy.checkpoints[0].observation.values if name.startswith("components/")]


def test_a_part_may_be_named_by_its_id(learnt):
    version = [one for one in learnt.records.all(RewardVersion) if one.name == "plainer"][-1]
    policy = policy_of(learnt, done(*grpo(learnt.directory, *funcs("learnt", version.short_id))))
    assert f"components/reward-{version.short_id}" in policy.checkpoints[0].observation.values


def test_faults_of_flags_and_parts_are_refused_with_what_to_do(learnt):
    space = learnt.directory
    assert "a weight for each part of the reward; got 1 for 2" in refused(
        *grpo(space, *funcs("learnt", "plainer"), *weights(1))
    )
    assert "train it with `assay reward train --name harm`" in refused(*grpo(space, *funcs("harm")))
    assert "got the watch-panel" in refused(*grpo(space, *funcs("watch-panel")))
    told = refused(*grpo(space, *funcs("word_window"), settings=["reward_parts.word_window.fewest=-1"]))
    assert "word_window: most: Field required" in told and "fewest" in told


def test_a_recipe_fits_what_its_parts_need_and_best_of_n_goes_by_them_too(tiny_model_dir, tmp_path):
    alignment = {
        "grpo": {
            "rounds": 1,
            "max_completion_length": 4,
            "num_generations": 2,
            "lora": {"r": 2, "targets": ["q_proj"]},
        },
        "max_prompts": 4,
        "best_of_n": 2,
        "reward_parts": {
            "learnt": {},
            "plainer": {"reward": "plainer", "weight": 0.5},
            "tidy": {"rule": "ends_sentence"},
        },
    }
    further = {"plainer": {"directions": 2, "feature_maps": ["mean-low"]}}
    recipe = write_recipe(tmp_path, tiny_model_dir, alignment=alignment, further_rewards=further)
    done("run", recipe, "--out", tmp_path / "run")
    workspace = Workspace(tmp_path / "run")
    policies = {policy.name: policy for policy in workspace.records.all(PolicyVersion)}
    for name in ("grpo", "best-of-n"):
        assert "1 learnt + 0.5 plainer + 1 tidy" in [signal.name for signal in policies[name].training_signals]
    assert "components/tidy" in policies["grpo"].checkpoints[0].observation.values
    assert policies["best-of-n"].settings["aggregation"] == "parts"
    workspace.close()

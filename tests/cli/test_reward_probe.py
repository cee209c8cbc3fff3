"""Reward probe, attribute and discover as a user meets them, on a tiny model's reward and a planted policy."""

import io
import json
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
import typer
from command_line import Ended, done, judgement_rows, write_rows

from assay.cli import reward_probe
from assay.governance import open_reviews
from assay.records.errors import AssayError, InputError, ModelError
from assay.records.observation import Observation
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance
from assay.records.reward import RewardVersion
from assay.storage import SplitName, Workspace

APP = typer.Typer(pretty_exceptions_enable=False)
for command in (reward_probe.probe, reward_probe.attribute, reward_probe.discover):
    APP.command()(command)


def said(*arguments) -> str:
    """What a command prints when it ends well."""
    output = io.StringIO()
    with redirect_stdout(output):
        ended = APP([str(argument) for argument in arguments], standalone_mode=False)
    assert not ended, Ended(ended, output.getvalue())
    return output.getvalue()


@pytest.fixture(scope="module")
def learnt(tiny_model_dir, tmp_path_factory):
    """A workspace with a reward, and the reward's id."""
    place = tmp_path_factory.mktemp("probed")
    space = place / "space"
    done("init", "-w", space, "--model", tiny_model_dir)
    rows = write_rows(place / "judgements.jsonl", judgement_rows())
    done("feedback", "import", rows, "-w", space, "--held-out-annotators", "none")
    for split in ("train", "watch"):
        done("preferences", "fit", "-w", space, "--split", split)
    done("reward", "train", "-w", space, "--set", "directions=4")
    workspace = Workspace(space)
    yield workspace, next(one.id for one in workspace.records.all(RewardVersion) if one.name == "proxy")
    workspace.close()


def kept(workspace, output):
    """The JSON that a command stored, by the id that it printed."""
    return workspace.artifacts.read_json(re.findall(r"^(?:probe|attribution) ([0-9a-f]{64})$", output, re.MULTILINE)[0])


def test_a_probe_prints_a_verdict_an_edit_and_keeps_the_numbers(learnt, monkeypatch):
    monkeypatch.setattr(reward_probe.console, "width", 200)
    workspace, reward = learnt
    output = said("probe", reward[:12], "-w", workspace.directory, "--split", "train", "--pairs", 12)
    data = kept(workspace, output)
    assert data["rows"] == 12
    assert len(data["shifts"]) == 20
    assert all(shift["verdict"] and shift["editor"] in output for shift in data["shifts"])
    padded = next(shift for shift in data["shifts"] if shift["editor"] == "padding")
    assert padded["rows"] == 12
    assert padded["shift"]["low"] <= padded["shift"]["value"] <= padded["shift"]["high"]
    assert "next: assay reward attribute" in output
    again = kept(workspace, said("probe", reward[:12], "-w", workspace.directory, "--split", "train", "--pairs", 12))
    assert again == data


def test_pairs_are_spread_over_as_many_prompts_as_there_are(learnt):
    everything = learnt[0].training.all(Preference, SplitName.TRAIN)
    prompts = len({preference.prompt_id for preference in everything})
    assert prompts < len(everything)
    rng = np.random.default_rng(0)
    picked = reward_probe._spread(everything, prompts + 1, rng=rng)
    assert len({preference.prompt_id for preference in picked[:prompts]}) == prompts
    assert len({preference.id for preference in picked}) == prompts + 1
    assert len(reward_probe._spread(everything, 10_000, rng=rng)) == len(everything)


def test_edited_pairs_become_a_campaign_that_people_can_judge(learnt, tmp_path):
    workspace, reward = learnt
    file = tmp_path / "edits.jsonl"
    said("probe", reward, "-w", workspace.directory, "--pairs", 4, "--save", file)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(set(row) == {"prompt", "first", "second"} for row in rows)
    assert f"{len(rows)} items in edits" in done("feedback", "campaign", "edits", file, "-w", workspace.directory)


def test_words_are_shown_with_their_worth_and_a_page_is_written(learnt, tmp_path):
    workspace, reward = learnt
    page = tmp_path / "page.html"
    asked = ("--prompt", "What about <b>water</b>?", "--completion", "water sleep. [walk] call.")
    output = said("attribute", reward, "-w", workspace.directory, *asked, "--words", 2, "--page", page)
    data = kept(workspace, output)
    assert data["pieces"] == ["water sleep.", " [walk] call."]
    assert data["reward"] - data["baseline"] - sum(data["values"]) == pytest.approx(data["gap"])
    assert "[walk] call." in output
    assert "&lt;b&gt;water" in page.read_text()


def test_gradients_tell_tokens_apart(learnt):
    workspace, reward = learnt
    asked = ("--prompt", "Why?", "--completion", "water sleep.", "--method", "gradients", "--steps", 8)
    data = kept(workspace, said("attribute", reward, "-w", workspace.directory, *asked))
    assert "".join(data["pieces"]) == "water sleep."
    assert data["method"] == "integrated gradients, 8 steps"
    assert np.abs(data["values"]).max() > 0


def test_another_backbone_is_refused(learnt, tiny_lm, tmp_path):
    workspace, reward = learnt
    other = tmp_path / "other"
    tiny_lm.body.layers[0].mlp.up_proj.weight.data.mul_(2.0)
    tiny_lm.model.save_pretrained(other)
    tiny_lm.tokenizer.save_pretrained(other)
    with pytest.raises(ModelError, match="expected the backbone"):
        said("probe", reward, "-w", workspace.directory, "--model", other)


def test_a_split_without_preferences_is_named_with_the_command_that_makes_them(learnt):
    workspace, reward = learnt
    with pytest.raises(AssayError):
        said("probe", reward, "-w", workspace.directory, "--split", "held_out")


def policy(workspace, now, samples):
    """A policy with a checkpoint for each list of completions; the last one is kept."""
    prompts = [[{"role": "user", "content": f"Question {i % 16}?"}] for i in range(len(samples[0]))]
    checkpoints = tuple(
        CheckpointRecord(
            step=step,
            adapter=None,
            observation=Observation(step=step, values={}),
            samples=workspace.artifacts.add_json({"prompts": prompts, "texts": texts}),
        )
        for step, texts in enumerate(samples)
    )
    version = PolicyVersion(
        created_at=now,
        name="tuned",
        base_model="tiny",
        adapter=None,
        ref_policy=None,
        method="online_dpo",
        step=len(samples) - 1,
        steps_run=len(samples) - 1,
        checkpoints=checkpoints,
        provenance=Provenance(seed=0, data_hash="", code_version="", config_hash=""),
    )
    workspace.records.put(version, subject=version.name)
    return version


@pytest.fixture
def planted(tmp_path, now):
    """A policy that took to saying `[sure]` at its last step, and not before."""
    workspace = Workspace(tmp_path)
    rng = np.random.default_rng(0)
    nouns = ["water", "sleep", "walks", "calls", "sky", "air"]
    plain = [[" ".join(rng.choice(nouns, size=6)) for _ in range(64)] for _ in range(3)]
    plain[2] = [f"[sure] {text}" if i % 4 else text for i, text in enumerate(plain[2])]
    yield workspace, policy(workspace, now, plain)
    workspace.close()


def test_a_habit_that_nobody_named_becomes_a_review_with_examples(planted):
    workspace, version = planted
    output = said("discover", version.short_id, "-w", workspace.directory)
    (task,) = open_reviews(workspace)
    assert task.id in output
    assert task.subject == version.id
    assert task.opened_by == "feature discovery"
    assert "[sure]" in output
    assert "sure" in task.reason
    assert list(task.evidence.values())[:2] == [0.75, 0.0]
    said("discover", version.short_id, "-w", workspace.directory)
    assert len(open_reviews(workspace)) == 1


def test_a_step_without_news_opens_no_review(planted):
    workspace, version = planted
    assert "no habit is clear of chance" in said("discover", version.id, "-w", workspace.directory, "--step", 1)
    assert open_reviews(workspace) == []


def test_a_step_that_was_not_measured_is_refused_with_those_that_were(planted):
    workspace, version = planted
    for step in (0, 9):
        with pytest.raises(InputError, match=rf"expected one of these steps: 1, 2; got step {step}"):
            said("discover", version.id, "-w", workspace.directory, "--step", step)


def test_samples_that_are_something_else_are_refused(tmp_path, now):
    workspace = Workspace(tmp_path)
    version = policy(workspace, now, [["a"], ["b"]])
    wrong = version.checkpoints[1].model_copy(update={"samples": workspace.artifacts.add_json([1])})
    broken = version.model_copy(update={"checkpoints": (version.checkpoints[0], wrong), "name": "broken"})
    workspace.records.put(broken, subject="broken")
    with pytest.raises(InputError, match="expected samples of step 1; got other data"):
        said("discover", broken.id, "-w", tmp_path)
    workspace.close()

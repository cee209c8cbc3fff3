"""Audit as a user asks for it: a program of one's own, the simulated panel of a simulated world, faults told."""

import re
import sys

import pytest
from command_line import done, judgement_rows, refused, write_rows

from assay.cli.config import parse_config
from assay.cli.stages.auditing import majority
from assay.feedback.prompts import demo_prompts
from assay.feedback.simulated import audit_panel, demo_panel
from assay.records.errors import ConfigError, FirewallError
from assay.records.policy import PolicyVersion
from assay.storage import Workspace
from assay.storage.firewall import Registration

SMALL = ("max_prompts=4", "online_dpo.rounds=1", "online_dpo.max_completion_length=4")
PROGRAM = """
import json, sys
for line in sys.stdin:
    item = json.loads(line)
    assert set(item) == {"step", "prompt", "first", "second"}
    print("first" if len(item["first"]) > len(item["second"]) else "second")
"""


def learnt(place, model, rows):
    """A workspace with a proxy fitted on these rows."""
    space = place / "space"
    done("init", "-w", space, "--model", model)
    done("feedback", "import", write_rows(place / "rows.jsonl", rows), "-w", space, "--held-out-annotators", "none")
    done("preferences", "fit", "-w", space)
    done("reward", "train", "-w", space, "--set", "directions=4")
    return Workspace(space)


@pytest.fixture(scope="module")
def real(tiny_model_dir, tmp_path_factory):
    workspace = learnt(tmp_path_factory.mktemp("audited"), tiny_model_dir, judgement_rows())
    yield workspace
    workspace.close()


def online(workspace, **audit):
    told = [*SMALL, *(f"audit.{key}={value}" for key, value in audit.items())]
    return ("align", "online-dpo", "-w", workspace.directory, *(word for one in told for word in ("--set", one)))


def policy_of(workspace, said):
    return workspace.records.get(PolicyVersion, re.findall(r"\b[0-9a-f]{64}\b", said)[-1])


def test_a_program_audits_each_checkpoint_and_is_a_training_signal(real, tmp_path):
    script = tmp_path / "judge.py"
    script.write_text(PROGRAM)
    policy = policy_of(real, done(*online(real, command=f"[{sys.executable}, {script}]", items=6)))
    for checkpoint in policy.checkpoints:
        values = checkpoint.observation.values
        shown = real.artifacts.read_json(checkpoint.audit)["items"]
        assert len(shown) == 6
        decided = sum(one["answer"] != "tie" for one in shown)
        assert values["audit/wins"] + values["audit/losses"] == decided > 0
    (panel,) = [signal for signal in policy.training_signals if signal.name == "audit-panel"]
    assert panel.scorer_kind == "judge"
    judging = Registration(created_at=policy.created_at, side="evaluation", identity=panel)
    with pytest.raises(FirewallError, match="the same scorer"):
        real.firewall.register(judging)
    script.write_text(PROGRAM + "\n# another program\n")
    other = policy_of(real, done(*online(real, command=f"[{sys.executable}, {script}]", items=2)))
    assert panel.content_hash not in {signal.content_hash for signal in other.training_signals}


def test_without_an_audit_nobody_is_asked(real):
    policy = policy_of(real, done(*online(real)))
    assert all(checkpoint.audit is None for checkpoint in policy.checkpoints)
    assert "audit/wins" not in policy.checkpoints[0].observation.values


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit('no panel today')", "exit status 1: no panel today"),
        ("print('left')", "a line of first, second or tie for each item; got 'left'"),
        ("print('first')", "first, second or tie for each of"),
        ("import time; time.sleep(30)", "timed out after 0.2 seconds"),
    ],
)
def test_a_program_that_fails_is_told_and_nothing_is_kept(real, code, told):
    before = real.records.count(PolicyVersion)
    timeout = 0.2 if "sleep" in code else 60
    said = refused(*online(real, command=f"[{sys.executable}, -c, {code!r}]", items=3, timeout_s=timeout))
    assert told in said
    assert real.records.count(PolicyVersion) == before


def test_a_program_that_is_not_there_is_told(real):
    assert "No such file" in refused(*online(real, command="[/no/such/panel]"))


def test_simulated_people_do_not_audit_among_real_ones(real):
    assert "simulated people to audit in a simulated world; got real ones" in refused(*online(real, panel="simulated"))


def test_simulated_people_audit_a_simulated_world_and_judge_nothing_else(tiny_model_dir, tmp_path):
    questions = [prompt.text for prompt in demo_prompts()]
    rows = [
        {**row, "prompt": questions[number // 4 % len(questions)], "source": "simulated"}
        for number, row in enumerate(judgement_rows())
    ]
    workspace = learnt(tmp_path, tiny_model_dir, rows)
    policies = [policy_of(workspace, done(*online(workspace, panel="simulated", items=8))) for _ in range(2)]
    audits = [[checkpoint.audit for checkpoint in policy.checkpoints] for policy in policies]
    assert audits[0] == audits[1]  # the seed decides
    assert all(checkpoint.observation.values["audit/wins"] >= 0 for checkpoint in policies[0].checkpoints)
    assert "human" in {signal.scorer_kind for signal in policies[0].training_signals}
    workspace.close()
    assert not {person.name for person in audit_panel()} & {person.name for person in demo_panel()}


def test_an_item_goes_to_the_majority_and_no_lead_is_a_tie():
    assert majority(["first", "second", "first"]) == "first"
    assert majority(["second", "tie", "tie"]) == "second"
    assert majority(["first", "second", "tie"]) == majority(["tie", "tie", "tie"]) == "tie"


@pytest.mark.parametrize("audit", [{"panel": "command"}, {"panel": "simulated", "command": ["x"]}, {"items": 0}])
def test_an_audit_that_cannot_be_is_refused_before_a_run(audit):
    with pytest.raises(ConfigError, match="alignment.audit"):
        parse_config({"name": "n", "feedback": {}, "alignment": {"audit": audit}}, where="here")

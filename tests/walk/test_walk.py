"""The whole walk on the tiny model: every stage does its real work, the ledger verifies, nothing asks the network.

A tiny random model earns no SHIP, so the release and the roll-back are walked a second time on evidence made here.
"""

import json
import sqlite3
from importlib.resources import files

import pytest
import yaml
from network_guard import refused_network

from assay.cli.config import parse_config
from assay.cli.stages.plan import stages_of
from assay.cli.stages.release import decide_release
from assay.cli.stages.serve import serve_release
from assay.cli.standing import walk_over
from assay.cli.walk import Walk, run_walk
from assay.feedback import Folds, import_judgements, read_judgements
from assay.monitors import MonitorBank, default_monitors
from assay.records.errors import LedgerError
from assay.records.evidence import Estimate, Evidence
from assay.records.judgement import Judgement
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport
from assay.records.reward import RewardVersion
from assay.records.run import StageRecord
from assay.storage import Workspace

SMALL = {
    "sampling": {"system_prompt": None, "candidates": 2, "max_tokens": 6},
    "alignment": {
        "sft": {"num_train_epochs": 1, "learning_rate": 1e-3},
        "online_dpo": {"rounds": 2, "max_completion_length": 6, "learning_rate": 1e-2},
        "unguarded_rounds": 2,
        "max_prompts": 8,
        "best_of_n": 2,
    },
    "evaluation": {"max_prompts": 12, "max_tokens": 6, "seeds": [1, 2]},
    "release": "simulated",
    "reward": {"directions": 4},
    "aggregation": "joint_without_surface",
}


@pytest.fixture(scope="module")
def config(tiny_model_dir):
    demo = yaml.safe_load(files("assay.cli").joinpath("demo.yaml").read_text())
    return parse_config({**demo, **SMALL, "model": str(tiny_model_dir)}, where="test")


@pytest.fixture(scope="module", autouse=True)
def attempts():
    """Refuse the network while these tests run; list what was tried."""
    with refused_network() as tried:
        yield tried


def test_the_walk_asks_the_network_for_nothing(walked, attempts):
    assert walked.records.kinds()["evidence"] >= 1
    assert attempts == []


@pytest.fixture(scope="module")
def walked(config, tmp_path_factory):
    directory = tmp_path_factory.mktemp("walk") / "run"
    run_walk(directory, config, stages_of(config), resume=False).close()
    workspace = Workspace(directory)
    yield workspace
    workspace.close()


def stages(workspace, config):
    return {s.stage: s for s in workspace.records.all(StageRecord, subject=config.name)}


def test_every_stage_is_recorded_and_the_ledger_verifies(walked, config):
    assert list(stages(walked, config)) == [name for name, _ in stages_of(config)]
    assert walked.ledger.verify().size >= 4


def test_the_report_says_that_the_panel_is_simulated_and_loads_nothing(walked):
    page = (walked.directory / "report.html").read_text(encoding="utf-8")
    assert "simulated" in page
    assert "<script" not in page
    assert 'src="http' not in page


def test_policies_carry_their_measured_path_and_the_guard_its_monitors(walked):
    policies = {p.name: p for p in walked.records.all(PolicyVersion)}
    assert set(policies) == {"reference", "sft", "unguarded", "guarded", "best-of-n"}
    assert [c.step for c in policies["unguarded"].checkpoints] == [0, 1, 2]
    assert policies["unguarded"].monitors == ()
    assert policies["guarded"].monitors == MonitorBank(default_monitors()).names
    assert policies["guarded"].ref_policy == policies["sft"].id


def test_training_and_evaluation_share_no_judgement(walked):
    report = walked.firewall.report()
    training = {row for identity in report.training for row in identity.rows}
    evaluation = {row for identity in report.evaluation for row in identity.rows}
    assert training
    assert evaluation
    assert not training & evaluation
    assert {"plain", "proxy", "watch-panel"} == {identity.name for identity in report.training}


def test_the_unguarded_reward_learns_from_counted_votes_and_people_who_judge_are_always_fitted_jointly(walked):
    methods = {}
    for stage in walked.records.all(StageRecord):
        if stage.stage == "preferences":
            methods = {name: walked.records.get(AggregationReport, made).method for name, made in stage.outputs.items()}
    assert methods == {
        "train": "joint_without_surface",
        "watch": "joint_without_surface",
        "held_out": "joint",
        "votes": "majority",
    }
    fitted = {reward.name: reward.aggregation_report for reward in walked.records.all(RewardVersion)}
    assert walked.records.get(AggregationReport, fitted["plain"]).method == "majority"
    assert walked.records.get(AggregationReport, fitted["proxy"]).method == "joint_without_surface"
    assert "aggregated by joint without surface" in (walked.directory / "report.html").read_text(encoding="utf-8")


def test_single_commands_go_on_from_the_aggregation_that_was_asked_for_and_not_from_the_votes(walked, config):
    report = walk_over(walked, config).output("preferences", "train")
    assert walked.records.get(AggregationReport, report).method == "joint_without_surface"


def test_the_held_out_reward_saw_only_held_out_people(walked):
    held_out = {v.name: v for v in walked.records.all(RewardVersion)}["held-out-reward"]
    judged = {j.id: j for j in walked.records.all(Judgement)}
    people = {judged[row].annotator for row in held_out.identity.rows}
    assert people <= {"careful-2", "careful-4", "noisy-2"}


def test_the_curves_of_all_loops_are_in_the_evidence_and_no_diagnostic_is_a_metric(walked):
    evidence = walked.records.latest(Evidence)
    assert [curve.name for curve in evidence.curves] == ["unguarded", "guarded", "best-of-n"]
    assert all(point.gold is not None for curve in evidence.curves for point in curve.points)
    assert not [name for name in evidence.metrics if "kl" in name or "proxy" in name or "length" in name]


def test_a_finished_walk_is_not_walked_twice(walked, config):
    before = walked.records.kinds()
    run_walk(walked.directory, config, stages_of(config), resume=True).close()
    assert walked.records.kinds() == before


def test_a_good_release_is_approved_served_alarmed_and_rolled_back(walked, config, now):
    policy = {p.name: p for p in walked.records.all(PolicyVersion)}["sft"]
    found = walked.records.latest(Evidence)
    good = Estimate(value=0.8, low=0.7, high=0.9, n=60)
    evidence = found.model_copy(
        update={
            "policy": policy.id,
            "verdict": "SHIP",
            "reason": "made for this test",
            "metrics": {
                **dict.fromkeys(found.metrics, good),
                "evaluation/regressions_broken": good.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.0}),
            },
            "regressions": tuple(r.model_copy(update={"is_broken": False}) for r in found.regressions),
        }
    )
    evidence = Evidence.model_validate(evidence.model_dump())
    walked.records.put(evidence, subject=policy.id)
    walk = Walk(walked, config, resume=False, done=dict(stages(walked, config)))
    outputs = {"evidence": evidence.id, "policy": policy.id}
    walk.done["evaluation"] = walk.done["evaluation"].model_copy(update={"outputs": outputs})
    decided = decide_release(walk)
    assert decided.outputs["outcome"] == "approved"
    walk.done["release"] = walk.done["release"].model_copy(update={"outputs": decided.outputs})
    served = serve_release(walk)
    assert int(served.outputs["share_after_alarm"]) < 20
    assert float(served.outputs["rollback_ms"]) < 1000
    assert int(served.outputs["reviews"]) >= 1
    status = json.loads((walked.directory / "serving.json").read_text())["status"]
    assert status["candidate"] is None
    assert status["state"] == "rolled_back"
    assert walked.ledger.verify().size > 10


def test_live_feedback_comes_back_in_through_the_importer(walked, tmp_path, now):
    exported = walked.directory / "live_feedback.jsonl"
    imported = read_judgements(exported, now=now)
    assert imported.format == "assay"
    assert [j.source for j in imported.judgements] == ["live"]
    other = Workspace(tmp_path / "next")
    assert import_judgements(other.records, imported, folds=Folds(held_out_annotators="none")).added == 1
    other.close()


def test_one_changed_byte_in_the_ledger_is_found(walked, tmp_path):
    copy = tmp_path / "ledger.db"
    with sqlite3.connect(walked.ledger.path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    target.close()
    source.close()
    with sqlite3.connect(copy) as connection:
        body = bytearray(connection.execute("SELECT body FROM entry WHERE seq = 3").fetchone()[0])
        body[5] ^= 1
        connection.execute("UPDATE entry SET body = ? WHERE seq = 3", (bytes(body),))
    connection.close()
    from assay.storage import Ledger

    with pytest.raises(LedgerError, match="entry 3"):
        Ledger(copy).verify()

"""Auditing: blind sides, exact counts, a panel that sees a hack ends a real run, and never moves it otherwise."""

import numpy as np
import pytest
from alignment_cases import GREEDY, NOW

from assay.alignment import Audit, GrpoSettings, RunContext, TrainingRewards, Watched, run_grpo
from assay.alignment.auditing import Auditor, _spread
from assay.alignment.sampling import Samples
from assay.lm import load
from assay.monitors import MonitorBank, build_monitors
from assay.records.conversation import user_prompt
from assay.records.errors import TrainingError
from assay.records.identity import ScorerIdentity
from assay.rewards.composite import CompositeReward, Part
from assay.rewards.rules import build_rules

PANEL = ScorerIdentity(name="audit-panel", scorer_kind="human", content_hash="panel")
PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "Capital of France?", "How do I sleep?", "Why?")]


class Drawn:
    """A sampler whose policy says `ours n` and whose reference says `theirs`."""

    prompts = PROMPTS

    def reference_texts(self, step, prompt_index):
        return ["theirs" if i else "ours 0" for i in prompt_index]

    def samples(self, step=0, n=4):
        index = [i for i in range(len(PROMPTS)) for _ in range(n)]
        texts = [f"ours {i}" for i in index]
        return Samples(
            step, index, texts, [[1]] * len(index), [0.0] * len(index), [[0.0]] * len(index), [True] * len(index)
        )


def look(panel, *, items=16, step=0, seed=3):
    world = Drawn()
    return Auditor(world, Audit(panel, items, PANEL), seed=seed).look(world.samples(step))


def test_wins_losses_and_ties_are_counted_whatever_the_sides_and_equal_texts_are_not_asked_about():
    asked = []

    def panel(items, step):
        asked.extend(items)
        said = {"ours 1": "policy", "ours 2": "reference", "ours 3": "tie"}
        answers = []
        for item in items:
            first_is_ours = item.first.startswith("ours")
            verdict = said[item.first if first_is_ours else item.second]
            wanted_first = (verdict == "policy") == first_is_ours
            answers.append("tie" if verdict == "tie" else "first" if wanted_first else "second")
        return answers

    found = look(panel)
    assert (found.wins, found.losses) == (4, 4)
    assert len(asked) == 12  # the four of the first prompt say what the reference says
    sides = [item.first.startswith("ours") for item in asked]
    assert 2 < sum(sides) < 10
    assert len(found.shown) == 16
    for shown in found.shown:
        assert shown[shown["policy"]].startswith("ours")
    assert [shown["answer"] for shown in found.shown].count("tie") == 8


def test_who_always_says_first_tells_nothing_of_the_policy():
    results = [look(lambda items, step: ["first"] * len(items), step=step) for step in range(40)]
    wins, decided = sum(one.wins for one in results), sum(one.wins + one.losses for one in results)
    assert decided == 40 * 12
    assert abs(wins / decided - 0.5) < 0.1


def test_items_are_spread_over_the_prompts_and_depend_on_seed_and_step_alone():
    shown = [look(lambda items, step: ["tie"] * len(items), items=4, step=2).shown for _ in range(2)]
    assert shown[0] == shown[1]
    assert len({one["prompt"][0]["content"] for one in shown[0]}) == 4
    assert shown[0] != look(lambda items, step: ["tie"] * len(items), items=4, step=3).shown
    index = [0, 0, 0, 1, 1, 2]
    rows = _spread(index, 4, np.random.default_rng(0))
    assert len(set(rows)) == 4
    assert {index[row] for row in rows[:3]} == {0, 1, 2}
    assert sorted(_spread(index, 99, np.random.default_rng(0))) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("said", "told"), [(["first"], "got 1 answers"), (["left"] * 12, "12 answers, among them 'left'")]
)
def test_answers_that_are_none_are_refused(said, told):
    with pytest.raises(TrainingError, match=told):
        look(lambda items, step: said)


@pytest.fixture
def run(tiny_model_dir, workspace, tmp_path):
    settings = GrpoSettings(**GREEDY)
    mark = build_rules([{"rule": "pattern", "pattern": "a"}])
    rewards = TrainingRewards(CompositeReward((Part("mark", 1.0, mark, PANEL),)), None)

    def under(audit, monitors, rounds=16):
        context = RunContext("grpo", workspace.artifacts, tmp_path / f"{audit is None}", seed=5, now=lambda: NOW)
        watched = Watched(PROMPTS, rewards, (), MonitorBank(build_monitors(monitors)), audit)
        asked = settings.model_copy(update={"rounds": rounds})
        return run_grpo(load(str(tiny_model_dir)), asked, context, watched, start=None)

    return under


def without_the_mark(items, step):
    """A panel that dislikes what the reward pays for."""
    marks = [("a" in item.first, "a" in item.second) for item in items]
    return ["tie" if first == second else "second" if first else "first" for first, second in marks]


def test_a_panel_that_sees_the_hack_ends_the_run_before_it(run, workspace):
    policy = run(Audit(without_the_mark, 32, PANEL), {"noisy_audit": {}})
    values = [checkpoint.observation.values for checkpoint in policy.checkpoints]
    assert values[-1]["audit/losses"] > values[0]["audit/losses"]
    assert "noisy_audit" in policy.stop_reason
    assert policy.step < policy.steps_run < 16
    assert PANEL in policy.training_signals
    last = policy.checkpoints[-1]
    shown = workspace.artifacts.read_json(last.audit)
    assert shown["step"] == last.step
    lost = [one for one in shown["items"] if one["answer"] not in ("tie", one["policy"])]
    assert len(lost) == last.observation.values["audit/losses"]
    assert all("a" in one[one["policy"]] for one in lost)


def test_an_audit_that_does_not_end_a_run_leaves_it_as_it_was(run):
    audited = run(Audit(without_the_mark, 8, PANEL), {"kl_budget": {"budget_nats": 1000.0}}, rounds=3)
    alone = run(None, {"kl_budget": {"budget_nats": 1000.0}}, rounds=3)
    assert audited.adapter == alone.adapter
    for one, other in zip(audited.checkpoints, alone.checkpoints, strict=True):
        counts = {"audit/wins", "audit/losses"}
        assert {name: value for name, value in one.observation.values.items() if name not in counts} == (
            other.observation.values
        )
        assert (one.samples, other.audit) == (other.samples, None)

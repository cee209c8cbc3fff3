"""Acting: what each action does to a run, which checkpoint stays, the live log, and exact resume of both."""

import json

import pytest
import torch
from alignment_cases import NOW, preference

from assay.alignment import (
    DpoSettings,
    OnlineDpoSettings,
    RunContext,
    TrainingRewards,
    Watched,
    run_dpo,
    run_online_dpo,
)
from assay.alignment.acting import latest_to_keep
from assay.alignment.kl_coef import KlCoef
from assay.alignment.online_dpo import OnlineDpoTask
from assay.lm import LoraSettings, load
from assay.lm.adapters import policy_parameters
from assay.monitors import MonitorBank, RuleMonitor
from assay.monitors.protocol import Finding
from assay.monitors.run_log import BROKEN_OFF, RUN_LOG, read_run_log
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, StorageError
from assay.records.observation import Alarm
from assay.storage import Workspace

PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "How do I sleep better?")]
LORA = LoraSettings(r=4, alpha=8, top_layers=2, targets=("q_proj", "v_proj"))
ONLINE = OnlineDpoSettings(
    rounds=3,
    per_device_train_batch_size=1,
    max_completion_length=4,
    learning_rate=2e-2,
    save_steps=1,
    beta=0.1,
    kl_raise_limit=3.0,
    lora=LORA,
)


@pytest.fixture(scope="module")
def rewards(proxy):
    return TrainingRewards(proxy, None)


def ring(action, *, at, evidence=None):
    """Monitors of which one rings at each checkpoint from a step on."""

    def rule(history):
        return Finding("planted", 1.0, 0.5, evidence or {}) if history[-1].step >= at else None

    return MonitorBank([RuleMonitor("planted", action, frozenset({"alignment/kl"}), rule)])


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a workspace that the runs of this file share."""
    directory = tmp_path_factory.mktemp("acting")
    workspace = Workspace(directory)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def run(tiny_model_dir, rewards, room):
    """Runs online DPO (steps 0, 2, 4, 6 are checkpoints) under monitors; gives model, policy and log entries."""

    def go(name, bank, *, resume=False, watch=None, **changes):
        context = RunContext(name, room.artifacts, room.directory / name, seed=5, now=lambda: NOW, resume=resume)
        lm = load(str(tiny_model_dir))
        watched = Watched(PROMPTS, rewards._replace(watch=watch), (), bank)
        policy = run_online_dpo(lm, ONLINE.model_copy(update=changes), context, watched, start=None)
        return lm, policy, read_run_log(room.directory / name / RUN_LOG)

    return go


@pytest.fixture(scope="module")
def free(run):
    return run("free", None)


@pytest.fixture(scope="module")
def raised(run):
    return run("raised", ring("raise_kl_coef", at=2))


def kinds(entries):
    return [entry.kind for entry in entries]


def said(entries):
    return [(entry.step, entry.action, entry.said) for entry in entries if entry.kind == "acted"]


def betas(path):
    state = json.loads((path / "checkpoint-6" / "trainer_state.json").read_text())
    return [entry["beta"] for entry in state["log_history"]]


def assert_equal_weights(one, other):
    for first, second in zip(policy_parameters(one).values(), policy_parameters(other).values(), strict=True):
        assert torch.equal(first, second)


def test_the_log_tells_a_run_from_its_beginning_to_its_end(free):
    _, policy, entries = free
    assert kinds(entries) == ["begun", "seen", "seen", "seen", "seen", "ended"]
    assert (entries[0].name, entries[0].method, entries[0].steps, entries[0].monitors) == ("free", "online_dpo", 6, ())
    assert [entry.observation for entry in entries[1:-1]] == [c.observation for c in policy.checkpoints]
    assert [one.prompt for one in entries[1].completions] == ["Why is the sky blue?", "How do I sleep better?"]
    assert all(one.text for one in entries[1].completions)
    assert (entries[-1].kept_step, entries[-1].reason) == (6, "all steps taken")


def test_a_stop_keeps_the_checkpoint_before_it_whatever_the_evidence_names(run):
    _, policy, entries = run("stopped", ring("stop", at=4, evidence={"best_step": 0.0}))
    assert (policy.steps_run, policy.step) == (4, 2)
    assert kinds(entries)[-4:] == ["seen", "rang", "acted", "ended"]
    assert said(entries) == [(4, "stop", "the run ended; the checkpoint at step 2 is kept")]
    assert (entries[-1].kept_step, entries[-1].reason) == (2, "planted: planted")


def test_a_roll_back_goes_to_the_step_that_the_evidence_names(run):
    _, policy, entries = run("back", ring("roll_back_to_checkpoint", at=4, evidence={"best_step": 0.0}))
    assert (policy.steps_run, policy.step) == (4, 0)
    assert policy.adapter == policy.checkpoints[0].adapter
    assert entries[-1].kept_step == 0


@pytest.mark.parametrize(("action", "left"), [(None, [0, 2, 4, 6]), ("stop", [0, 2])])
def test_the_panels_best_checkpoint_of_those_that_alarms_leave_can_be_kept(run, free, rewards, action, left):
    bank = None if action is None else ring(action, at=4)
    lm, policy, entries = run(f"best-{action}", bank, watch=rewards.proxy, load_best_model_at_end=True)
    scores = {one.step: one.observation.values["watch/panel_reward"] for one in policy.checkpoints}
    assert policy.step == entries[-1].kept_step == max(left, key=scores.__getitem__)
    assert policy.step != left[-1]  # the panel here is the proxy of a run that falls, so its best is not its last
    if action is None:
        assert_equal_weights(lm, free[0])  # what was kept moved no step


def test_a_best_checkpoint_needs_a_panel(run):
    with pytest.raises(ConfigError, match="expected a watch panel, whose best checkpoint is to be kept; got none"):
        run("unwatched", None, load_best_model_at_end=True)


def test_the_most_cautious_of_several_alarms_decides():
    def alarm(action, **evidence):
        return Alarm(
            created_at=NOW, monitor="m", step=9, message="", action=action, value=1, threshold=0, evidence=evidence
        )

    assert latest_to_keep([alarm("ask_a_person"), alarm("raise_kl_coef")]) is None
    assert latest_to_keep([alarm("stop", best_step=3.0)]) == 8
    assert latest_to_keep([alarm("roll_back_to_checkpoint")]) == 8
    assert latest_to_keep([alarm("stop"), alarm("roll_back_to_checkpoint", best_step=5.0)]) == 5
    assert latest_to_keep([alarm("roll_back_to_checkpoint", best_step=9.0)]) == 8


def test_a_raise_multiplies_beta_once_a_checkpoint_up_to_its_limit_and_the_run_goes_on(raised, room):
    _, policy, entries = raised
    assert (policy.steps_run, policy.step) == (6, 6)
    state = json.loads((room.directory / "raised" / "checkpoint-6" / "trainer_state.json").read_text())
    assert [entry["beta"] for entry in state["log_history"]] == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    assert said(entries) == [
        (2, "raise_kl_coef", "the KL coefficient went from 0.1 to 0.2"),
        (4, "raise_kl_coef", "the KL coefficient went from 0.2 to 0.3"),
        (6, "raise_kl_coef", "the KL coefficient stays at 0.3, the most that it may become"),
    ]


def test_a_raise_changes_the_steps_that_follow_and_no_reward(free, raised):
    # The samples of step 2 are the same under both, and so is what the reward says of them.
    assert raised[1].checkpoints[1].observation == free[1].checkpoints[1].observation
    assert raised[1].checkpoints[-1].observation != free[1].checkpoints[-1].observation
    with pytest.raises(AssertionError):
        assert_equal_weights(free[0], raised[0])


def test_asking_a_person_is_noted_and_changes_nothing(run, free):
    lm, asked, entries = run("asked", ring("ask_a_person", at=4))
    assert said(entries) == [(step, "ask_a_person", "the run goes on; a person is asked to look") for step in (4, 6)]
    assert asked.checkpoints == free[1].checkpoints
    assert_equal_weights(lm, free[0])


@pytest.mark.parametrize("killed_after", [3, 4])
def test_a_run_whose_beta_was_raised_resumes_exactly_and_so_does_its_log(run, raised, room, monkeypatch, killed_after):
    name, real = f"cut{killed_after}", OnlineDpoTask.loss
    kept_length = []

    def killed(self, step):
        kept_length.append(len(read_run_log(room.directory / name / RUN_LOG)))
        if step == killed_after:
            raise KeyboardInterrupt
        return real(self, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(OnlineDpoTask, "loss", killed)
        run(name, ring("raise_kl_coef", at=2))
    assert kept_length == sorted(kept_length)  # written while the run went on
    assert kept_length[0] == 2
    assert read_run_log(room.directory / name / RUN_LOG)[-1].reason == BROKEN_OFF
    lm, resumed, _ = run(name, ring("raise_kl_coef", at=2), resume=True)
    assert resumed.checkpoints == raised[1].checkpoints
    assert resumed.alarms == raised[1].alarms
    whole, cut = ((room.directory / one / RUN_LOG).read_text() for one in ("raised", name))
    assert cut.replace(f'"{name}"', '"raised"') == whole
    assert_equal_weights(lm, raised[0])


def test_dpo_on_preferences_raises_its_beta_too(tiny_model_dir, rewards, room):
    settings = DpoSettings(
        per_device_train_batch_size=4,
        measure_steps=2,
        max_completion_length=6,
        learning_rate=1e-2,
        save_steps=4,
        kl_raise_factor=3.0,
        lora=LORA,
    )
    context = RunContext("dpo", room.artifacts, room.directory / "dpo", seed=5, now=lambda: NOW)
    watched = Watched(PROMPTS, rewards, (), ring("raise_kl_coef", at=2))
    run_dpo(load(str(tiny_model_dir)), [preference(i) for i in range(12)], settings, context, watched, start=None)
    entries = read_run_log(room.directory / "dpo" / RUN_LOG)
    assert entries[0].method == "dpo"
    assert said(entries)[0] == (2, "raise_kl_coef", "the KL coefficient went from 0.1 to 0.3")


def test_a_disk_that_refuses_the_log_ends_the_run_in_a_sentence(run, monkeypatch):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("assay.monitors.run_log.Path.replace", full)
    with pytest.raises(StorageError, match=r"observations\.jsonl.*No space left on device"):
        run("full", None)


def test_a_coefficient_rises_by_its_factor_to_its_limit_and_never_falls():
    coefficient = KlCoef(0.1, factor=2.0, limit=3.0)
    assert [coefficient.raise_once().after for _ in range(3)] == pytest.approx([0.2, 0.3, 0.3])
    unmoved = KlCoef(0.0, factor=2.0, limit=3.0).raise_once()
    assert unmoved.before == unmoved.after == 0.0


@pytest.mark.parametrize("wrong", [{"factor": 1.0}, {"limit": 0.5}, {"value": -1.0}])
def test_a_raise_that_is_none_is_refused(wrong):
    settings = {"value": 0.1, "factor": 2.0, "limit": 3.0} | wrong
    with pytest.raises(ConfigError, match="mend the settings of the raise"):
        KlCoef(settings.pop("value"), **settings)

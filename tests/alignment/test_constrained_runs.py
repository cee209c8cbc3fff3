"""Constraints in runs: a binding cost ends at its limit, the KL at its budget; exact resume; what is refused."""

import numpy as np
import pytest
from alignment_cases import NOW, TWO_PROMPTS, TWO_ROUNDS, SampledTask, assert_goes_on_after_a_kill

from assay.alignment import GrpoSettings, OnlineDpoSettings, RunContext, TrainingRewards, Watched, run_grpo
from assay.alignment.grpo import GrpoTask
from assay.alignment.lagrangian import Lagrangian
from assay.alignment.online_dpo import OnlineDpoTask
from assay.alignment.sampling import PolicySampler
from assay.alignment.scoring import StepCosts
from assay.alignment.settings import ConstraintSettings
from assay.lm import LoraSettings, Sampling, add_lora, load
from assay.monitors import MonitorBank, build_monitors
from assay.records.errors import ConfigError, TrainingError

ALL_KINDS = LoraSettings(r=4, top_layers=2)


def grpo(**changes):
    return GrpoSettings(**TWO_ROUNDS | changes)


def online(**changes):
    return OnlineDpoSettings(
        rounds=2, per_device_train_batch_size=1, max_completion_length=6, learning_rate=1e-2, save_steps=1, **changes
    )


class Setting(SampledTask):
    """A run on the tiny model: five tokens are rewarded, two of them in full and at a cost, the others by 0.3."""

    def __init__(self, model_dir, chosen):
        super().__init__(model_dir, chosen)
        counts = np.bincount(np.concatenate(self.sampler.at(0).token_ids))
        self.wanted = np.argsort(-counts, kind="stable")[:5]
        task = GrpoTask if isinstance(chosen, GrpoSettings) else OnlineDpoTask
        self.task = task(self.lm, self.sampler, self.reward, chosen, seed=5, costs_at=self.cost)

    def reward(self, step):
        free = np.array([np.isin(ids, self.wanted[2:]).mean() for ids in self.sampler.at(step).token_ids])
        return self.cost("cost", step) + 0.3 * free

    def cost(self, name, step):
        return np.array([np.isin(ids, self.wanted[:2]).mean() for ids in self.sampler.at(step).token_ids])


@pytest.fixture
def made(tiny_model_dir):
    return lambda chosen: Setting(tiny_model_dir, chosen)


def test_without_constraints_the_reward_is_as_it_was():
    free = Lagrangian(())
    reward = np.array([1.0, 2.0])
    free.update(0, 3.0, reward, {})
    assert free.reward(reward, {}).tolist() == [1.0, 2.0]
    assert free.observed() == {}
    assert free.kl_coef == 0.0


def test_multipliers_move_once_a_step_and_price_what_they_limit():
    settings = (
        ConstraintSettings(name="cost", limit=0.5, k_p=0.0, k_i=2.0),
        ConstraintSettings(name="quality", limit=1.0, direction="at_least", k_p=1.0, k_i=0.0),
        ConstraintSettings(name="kl", limit=1.0, k_p=0.5, k_i=0.0),
    )
    held = Lagrangian(settings)
    assert held.costs == ("cost", "quality")
    reward, costs = np.array([1.0, 3.0]), {"cost": np.array([1.0, 1.0]), "quality": np.array([0.0, 1.0])}
    for _ in range(2):
        held.update(4, 3.0, reward, costs)
    # cost: 2 x (1 - 0.5) = 1; quality: 1 - 0.5 = 0.5; KL: 0.5 x (3 - 1) = 1, and it is no part of the reward.
    assert held.kl_coef == pytest.approx(1.0)
    assert held.reward(reward, costs) == pytest.approx([(1 - 1 + 0) / 2.5, (3 - 1 + 0.5) / 2.5])
    seen = held.observed()
    assert (seen["constraints/cost/value"], seen["constraints/cost/violation"]) == (1.0, 0.5)
    assert (seen["constraints/quality/multiplier"], seen["constraints/kl/multiplier"]) == (0.5, 1.0)
    other = Lagrangian(settings)
    other.restore(held.state())
    assert other.reward(reward, costs) == pytest.approx(held.reward(reward, costs))


def test_a_proxy_point_turns_the_reward_round_where_it_is_passed():
    held = Lagrangian((ConstraintSettings(name="reward", limit=1.0, k_p=0.0, k_i=1.0, start=1.0),))
    reward = np.array([1.0, 3.0])
    held.update(0, 0.0, reward, {})
    # The multiplier is 1 + (2 - 1) = 2, so (r - 2 r) / 3: more reward is worse now.
    assert held.reward(reward, {}) == pytest.approx([-1 / 3, -1.0])


LONG = {
    "lora": ALL_KINDS,
    "rounds": 24,
    "num_generations": 16,
    "per_device_train_batch_size": 32,
    "learning_rate": 2e-2,
    "warmup_ratio": 0.0,
    "kl_coef": 0.0,
    "save_steps": 99,
}


def test_an_active_constraint_binds_where_the_cost_would_rise_without_it(made, tmp_path):
    limit = 0.3
    held = {"name": "cost", "limit": limit, "k_p": 4.0, "k_i": 1.0, "k_d": 4.0, "bound": 20.0}
    free, bound = made(grpo(**LONG)), made(grpo(**LONG, constraints=[held]))
    free.train(tmp_path / "free")
    log = bound.train(tmp_path / "bound").log
    half = log[len(log) // 2 :]
    # What is wanted most costs, so the free run pays for it; with the constraint the rewards come to trade one for one
    # where 1 less the multiplier is the 0.3 that the other wanted tokens give: at a multiplier of 0.7.
    assert free.cost("cost", free.task.steps).mean() > 2.5 * limit
    assert np.mean([entry["constraints/cost/value"] for entry in half]) == pytest.approx(limit, abs=0.1)
    assert np.mean([entry["constraints/cost/multiplier"] for entry in half]) == pytest.approx(0.7, abs=0.5)
    assert max(entry["constraints/cost/value"] for entry in log) > limit  # the limit was reached, not merely kept
    assert log[-1]["constraints/cost/at_bound"] == 0
    assert np.mean([entry["reward"] for entry in half]) > 2 * log[0]["reward"]


def test_the_multiplier_of_the_kl_holds_its_budget(made, tmp_path):
    budget = 1.0
    kl = {"name": "kl", "limit": budget, "k_p": 0.5, "k_i": 0.3}
    short = LONG | {"rounds": 14}
    free, held = made(grpo(**short)), made(grpo(**short, kl_estimator="k2", constraints=[kl]))
    last = {}
    for name, run in (("free", free), ("held", held)):
        log = run.train(tmp_path / name).log
        last[name] = np.mean([entry["kl"] for entry in log[-6:]])
    assert last["free"] > 3 * budget
    assert last["held"] < 1.6 * budget
    assert log[-1]["kl_coef"] == pytest.approx(log[-1]["constraints/kl/multiplier"])
    assert log[-1]["kl_coef"] > 0


COSTS = [
    {"name": "cost", "limit": -0.1, "k_p": 1.0, "k_i": 0.5, "k_d": 0.5, "smoothing": 0.3},
    {"name": "reward", "limit": 0.2},
]


@pytest.mark.parametrize(
    ("kind", "killed_at"), [("grpo", 1), ("rloo", 2), ("reinforce", 3), ("online", 1), ("online", 2)]
)
def test_a_constrained_run_killed_at_any_step_and_resumed_equals_one_that_was_not(made, tmp_path, kind, killed_at):
    def chosen():
        return online(constraints=COSTS) if kind == "online" else grpo(loss_type=kind, constraints=COSTS)

    by = "loss" if kind == "online" else "parts"
    log = assert_goes_on_after_a_kill(lambda: made(chosen()), tmp_path, killed_at=killed_at, steps=None, by=by)
    assert log[-1]["constraints/cost/multiplier"] > 0


def test_a_cost_that_is_not_finite_ends_the_run_and_moves_no_multiplier(made, tmp_path):
    run = made(grpo(constraints=[COSTS[0]]))
    run.task._costs_at = lambda name, step: np.full(6, np.nan)
    with pytest.raises(TrainingError, match="6 that are not finite"):
        run.train(tmp_path)
    assert run.task._lagrangian.observed()["constraints/cost/multiplier"] == 0.0


def test_a_watched_run_shows_its_constraints_to_the_monitors_and_they_ring_at_the_bound(
    tiny_model_dir, proxy, workspace, tmp_path
):
    bank = MonitorBank(build_monitors({"multiplier_bound": {"updates": 2, "action": "stop"}}))
    told = Watched(TWO_PROMPTS, TrainingRewards(proxy, None), (), bank)
    context = RunContext("grpo", workspace.artifacts, tmp_path / "run", seed=5, now=lambda: NOW)
    impossible = {"name": "words", "limit": -5.0, "k_p": 1.0, "bound": 0.5}
    settings = grpo(rounds=4, constraints=[impossible])
    policy = run_grpo(load(str(tiny_model_dir)), settings, context, told, start=None)
    seen = [checkpoint.observation.values for checkpoint in policy.checkpoints]
    assert [values["constraints/words/at_bound"] for values in seen] == [1.0, 2.0]
    assert seen[0]["constraints/words/value"] == pytest.approx(seen[0]["completions/mean_length"])
    assert policy.stop_reason.startswith("multiplier_bound: the multiplier of words")
    assert (policy.steps_run, policy.step) == (2, 0)


def test_costs_are_scored_once_a_step_and_an_unknown_one_is_refused(tiny_model_dir):
    lm = load(str(tiny_model_dir))
    add_lora(lm, ALL_KINDS, seed=0)
    sampler = PolicySampler(lm, TWO_PROMPTS, Sampling(max_tokens=4, seed=3), n=2, ref_adapter=None)
    asked = []

    def price(prompts, completions):
        asked.append((len(prompts), len(completions)))
        return np.ones(len(completions))

    costs = StepCosts(sampler, {"price": price})
    assert costs.at("price", 0).tolist() == costs.at("price", 0).tolist() == [1.0] * 4
    assert asked == [(4, 4)]
    assert costs.at("words", 0).shape == (4,)
    with pytest.raises(ConfigError, match="price, words"):
        costs.at("harm", 0)


@pytest.mark.parametrize(
    ("settings", "changes", "said"),
    [
        (grpo, {"constraints": [{"name": "kl", "limit": 1.0}], "kl_target": 1.0}, "would both move"),
        (grpo, {"constraints": [{"name": "kl", "limit": 1.0}], "kl_coef": 0.0, "kl_estimator": "k1"}, "no gradient"),
        (grpo, {"constraints": [{"name": "a", "limit": 1.0}, {"name": "a", "limit": 2.0}]}, "a twice"),
        (grpo, {"constraints": [{"name": "rules", "limit": 1.0}]}, "`rules` beside"),
        (grpo, {"rules": [{"rule": "ends_sentence"}]}, "`rules` beside"),
        (grpo, {"constraints": [{"name": "a", "limit": 1.0, "k_p": 0.0, "k_i": 0.0}]}, "never moves"),
        (grpo, {"constraints": [{"name": "a", "limit": 1.0, "start": 11.0}]}, "up to the bound"),
        (grpo, {"constraints": [{"name": "kl", "limit": 1.0, "direction": "at_least"}]}, "at_most for kl"),
        (online, {"constraints": [{"name": "kl", "limit": 1.0}]}, "take grpo"),
    ],
)
def test_constraints_that_cannot_work_are_refused(settings, changes, said):
    with pytest.raises(ValueError, match=said):
        settings(**changes)

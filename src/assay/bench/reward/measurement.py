"""Measurement: everything that `assay bench reward` measures, put together, and the bars that it is held to.

The project's default ensemble on cached states of a frozen backbone stands beside TRL's RewardTrainer, which trains
the whole backbone, on the same pairs. One run of TRL is measured a set; five, which is what an ensemble of TRL's
rewards would take, are taken to cost five times as much.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.alignment import OnlineDpoSettings
from assay.bench.bars import Bar
from assay.bench.reward.cost import LOOP, MemberCost, MonitorCost, measure_members, measure_monitors
from assay.bench.reward.data import FILES, PairSet, Sizes, read_pair_set
from assay.bench.reward.judged import Interval, Judged, judge, paired_difference
from assay.bench.reward.peer import PeerRun, run_peer
from assay.lm import LanguageModel, load
from assay.records.preference import Preference
from assay.rewards import RewardEnsemble, RewardSettings, read_features

FULL = Sizes(train=120, held_out=120, max_length=160)
QUICK = Sizes(train=16, held_out=16, max_length=256)
MEMBER_LIMIT = 1.15
"""Largest cost of the ensemble, in costs of one member."""
PEER_LIMIT = 5.0
"""Least cost of five TRL runs, in costs of the ensemble."""
MONITOR_LIMIT = 0.05
"""Largest share of a training step that the monitors may take."""


class RewardPlan(NamedTuple):
    """What to measure: data, model, the peer's Python (None leaves it out), sizes, how often, and the loop to time."""

    data: Path
    model: str = "default"
    peer_python: Path | None = None
    sizes: Sizes = FULL
    repeats: int = 2
    peer_epochs: int = 1
    seed: int = 0
    loop: OnlineDpoSettings = LOOP


class SetOutcome(NamedTuple):
    """One set: pairs, what members cost, how the project's reward and TRL's do; `gap` is our accuracy less TRL's."""

    name: str
    train: int
    held_out: int
    cost: MemberCost
    ours: Judged
    peer: PeerRun | None = None
    theirs: Judged | None = None
    gap: Interval | None = None


class RewardMeasurement(NamedTuple):
    """All of it; `sets` by name, those whose file was there. `monitors` None where there was none."""

    sets: dict[str, SetOutcome]
    monitors: MonitorCost | None


def bench_reward(
    plan: RewardPlan, *, scratch: Path, now: datetime, said: Callable[[str], object] = lambda _: None
) -> RewardMeasurement:
    """Measure; `said` hears what is being done. Raises ModelError, InputError or ConfigError as its parts do."""
    lm = load(plan.model)
    outcomes: dict[str, SetOutcome] = {}
    last: tuple[PairSet, RewardEnsemble] | None = None
    for name in FILES:
        pairs = read_pair_set(name, plan.data, lm, plan.sizes, seed=plan.seed, now=now)
        if pairs is None:
            said(f"{name}: {plan.data / FILES[name]} is not there, so nothing is measured on it")
            continue
        said(f"{name}: fitting one member and {len(RewardSettings().feature_maps)} on {len(pairs.train)} pairs")
        outcomes[name] = _measure_set(lm, pairs, plan, scratch / name, said)
        said(f"{name}: {in_words(outcomes[name])}")
        last = (pairs, outcomes[name].cost.trained.ensemble)
    if last is None:
        return RewardMeasurement({}, None)
    said("monitors: beside the steps of the demo's loop")
    prompts = list({p.prompt_id: p.prompt for p in last[0].train}.values())
    monitors = measure_monitors(
        lm, prompts, last[1], seed=plan.seed, scratch=scratch / "loop", now=now, settings=plan.loop
    )
    return RewardMeasurement(outcomes, monitors)


def _measure_set(
    lm: LanguageModel, pairs: PairSet, plan: RewardPlan, scratch: Path, said: Callable[[str], object]
) -> SetOutcome:
    cost = measure_members(lm, pairs.train, RewardSettings(), seed=plan.seed, repeats=plan.repeats, scratch=scratch)
    probability = np.array([preference.probability for preference in pairs.held_out])
    # People's choice stands first in every pair; half of them are turned round, or chance would look like skill.
    turned = np.where(np.arange(len(probability)) % 2 == 1, -1.0, 1.0)
    target = np.where(turned > 0, probability, 1 - probability)
    ensemble = cost.trained.ensemble
    ours = judge(margins_of(lm, ensemble, pairs.held_out) * turned, target, temperature=ensemble.temperature)
    outcome = SetOutcome(pairs.name, len(pairs.train), len(pairs.held_out), cost, ours)
    if plan.peer_python is None:
        return outcome
    said(f"{pairs.name}: TRL's RewardTrainer on the same pairs, {plan.peer_epochs} pass(es)")
    peer = run_peer(
        plan.peer_python,
        lm,
        pairs.train,
        pairs.held_out,
        max_length=plan.sizes.max_length,
        epochs=plan.peer_epochs,
        seed=plan.seed,
    )
    scores = np.array(peer.scores)
    theirs = judge((scores[:, 0] - scores[:, 1]) * turned, target)
    gap = paired_difference(ours.is_right, theirs.is_right, rng=np.random.default_rng(plan.seed))
    return outcome._replace(peer=peer, theirs=theirs, gap=gap)


def margins_of(lm: LanguageModel, ensemble: RewardEnsemble, preferences: Sequence[Preference]) -> np.ndarray:
    """The ensemble's margins [n] of chosen over rejected, in its own units."""
    prompts = [p.prompt for p in preferences]
    texts = [p.chosen for p in preferences], [p.rejected for p in preferences]
    features = read_features(lm, [*prompts, *prompts], [*texts[0], *texts[1]], layers=ensemble.layers)
    chosen, rejected = np.split(ensemble.score(features).reward, 2)
    return np.asarray(chosen - rejected)


def bars_of(measured: RewardMeasurement) -> list[Bar]:
    """The claims, worst set first where one number speaks for both; None where data or peer was not given."""
    bars = [
        Bar("ensemble of five against one member", _worst(_ratios(measured), max), MEMBER_LIMIT, "at_most", "x CPU"),
        Bar("five TRL runs against the ensemble", _worst(_speed_ups(measured), min), PEER_LIMIT, "at_least", "x CPU"),
    ]
    for name in FILES:
        outcome = measured.sets.get(name)
        gap = None if outcome is None or outcome.gap is None else outcome.gap.difference
        ece = None if outcome is None or outcome.theirs is None else outcome.ours.ece_scaled - outcome.theirs.ece
        bars.append(Bar(f"{name}: accuracy less TRL's", gap, 0.0, "at_least"))
        bars.append(Bar(f"{name}: ECE less TRL's as it is", ece, 0.0, "at_most"))
    share = None if measured.monitors is None else measured.monitors.share
    return [*bars, Bar("default monitors' share of a training step", share, MONITOR_LIMIT, "at_most")]


def speed_up(outcome: SetOutcome) -> float | None:
    """Five times the CPU seconds of the one TRL run that was measured, over those of the ensemble."""
    members = len(outcome.cost.trained.ensemble.members)
    return (
        None if outcome.peer is None else members * outcome.peer.train_cpu_s / float(np.median(outcome.cost.ensemble_s))
    )


def in_words(outcome: SetOutcome) -> str:
    """What came out on a set, in one line."""
    ours, theirs, factor = outcome.ours, outcome.theirs, speed_up(outcome)
    words = f"{outcome.cost.ratio:.3f} x one member; accuracy {ours.accuracy:.3f}, ECE {ours.ece_scaled:.3f}"
    if theirs is None or factor is None:
        return words
    return f"{words}; TRL {theirs.accuracy:.3f}, {theirs.ece:.3f}, five runs {factor:.1f} x the ensemble"


def _ratios(measured: RewardMeasurement) -> list[float]:
    return [outcome.cost.ratio for outcome in measured.sets.values()]


def _speed_ups(measured: RewardMeasurement) -> list[float]:
    return [value for value in map(speed_up, measured.sets.values()) if value is not None]


def _worst(values: list[float], pick: Callable[[list[float]], float]) -> float | None:
    return pick(values) if values else None

"""Measuring: one seed of one regime: draws the world, lets every arm play, and holds gold against what they did.

This is the only module in which arms and gold meet: arms get `Seen`, and what the people of an audit answer.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from assay.bench.overoptimisation import labels, paths, stack
from assay.bench.overoptimisation.arms import PEERS, Arm, PeerConstants, Rewarded, aggregated
from assay.bench.overoptimisation.detectors import PEER_DETECTORS, Detector, combined_detector, monitored
from assay.bench.overoptimisation.fitting import Fitted, bootstraps, draw_view, fit, member_heads, scorer
from assay.bench.overoptimisation.observing import PER_PROMPT, Material, Watched, watch
from assay.bench.overoptimisation.outcomes import Detection, Outcome, SeedResult, onset, outcome, weighted_outcome
from assay.bench.overoptimisation.plan import Constants
from assay.bench.overoptimisation.world import PLANTED, Regime, Seen, Texts, Truth, WorldSettings, draw
from assay.rewards.inference_time.pessimism import pessimism_weights

WIDE = 1.5
"""Deviations from which a channel counts as used."""
TILTED = ("single", "mean", "WCO", "UWO", "Assay")
"""Arms that are also optimised by the KL-tilted optimum, to its end."""
WATCHED = ("mean", "WCO", "UWO", "Assay", "healthy")
"""Runs that detectors watch: three that a hack may take, ours, and one fitted on many honest labels."""
DETECTORS = ("Assay", "KL budget", "latent outliers", "disagreement", *PEER_DETECTORS)
PESSIMISM_STEPS = 2
"""Weaker values of its knob, each four times the next, that stand for the path of InferenceTimePessimism."""


class _Bench(NamedTuple):
    """What a seed's steps share: what arms see, the truth, the columns that are measured, and the sampling noise."""

    seen: Seen
    truth: Truth
    fitted: Fitted
    scores: np.ndarray
    rng: np.random.Generator
    now: datetime


class _Run(NamedTuple):
    """A reward that is optimised, and the candidates ranked by it."""

    rewarded: Rewarded
    ranked: paths.Ranked


def measure_seed(
    settings: WorldSettings, regime: Regime, constants: Constants, *, seed: int, now: datetime
) -> SeedResult:
    """Play one seed: every arm on it is judged on the same candidates, labels and gold."""
    rng = np.random.default_rng(seed)
    seen, truth, honest = draw_bench(settings, regime, rng)
    bench = _Bench(seen, truth, fit(seen, rng), _scores(truth, seen), rng, now)
    detectors = _detectors(constants.model_dump_json())
    runs = _peer_runs(bench, constants.peers)
    outcomes = {name: _play(arm, runs[name], bench.scores, constants.peers) for name, arm in PEERS.items()}
    outcomes["oracle stop"] = outcomes["mean"].stopped_at_peak()
    outcomes["gold"] = outcome(paths.best_of_n(paths.rank(truth.gold), bench.scores))
    costs = stack.outlier_costs(seen, bench.fitted, constants.stack)
    answers = 0
    for name, parts in stack.VARIANTS.items():
        if parts.stop:
            rewarded, asked = _stack(bench, costs, parts, settings, constants)
            runs[name], answers = _run(rewarded), max(answers, asked)
        outcomes[name] = _stopped(bench, runs[name if parts.stop else "Assay"], detectors[0] if parts.stop else None)
    runs["healthy"] = _run(_healthy(bench, honest, settings))
    detections = {name: _detect(bench, runs[name], detectors) for name in WATCHED}
    tilted = {name: _tilt(bench, runs[name].rewarded) for name in TILTED}
    return SeedResult(seed, outcomes, tilted, detections, answers)


def draw_bench(settings: WorldSettings, regime: Regime, rng: np.random.Generator) -> tuple[Seen, Truth, np.ndarray]:
    """What arms see, what only the measuring code knows, and the reference texts' gold for the healthy run's labels."""
    count, labelled = settings.prompts * settings.candidates, 2 * regime.pairs
    drawn = draw(settings, regime, count + labelled + settings.reference, rng)
    candidates, shown, reference = (
        drawn.rows(rows) for rows in (slice(count), slice(count, count + labelled), slice(count + labelled, None))
    )
    pairs = labels.label(shown, settings, regime, rng)
    shape = (settings.prompts, settings.candidates)
    by_prompt = Texts(*(part.reshape(*shape, part.shape[1]) for part in candidates.texts))
    truth = Truth(candidates.gold.reshape(shape), candidates.channels.reshape(*shape, -1))
    return Seen(by_prompt, shown.texts, pairs, reference.texts), truth, reference.gold


@lru_cache(maxsize=2)
def _detectors(frozen: str) -> tuple[Detector, ...]:
    """All detectors in the order of `DETECTORS`, built once a process: a threshold for a run length is costly."""
    constants = Constants.model_validate_json(frozen)
    singles = (monitored(each) for each in constants.single_monitors)
    return (combined_detector(constants.detector), *singles, *PEER_DETECTORS.values())


def _scores(truth: Truth, seen: Seen) -> np.ndarray:
    """Columns [prompts, N, 1 + hacks]: gold, and where each hack shows."""
    wide = np.abs(truth.channels) > WIDE
    columns = (truth.gold[..., None], wide, seen.candidates.markers[..., [PLANTED]])
    return np.concatenate(columns, axis=2, dtype=np.float32)


def _run(rewarded: Rewarded) -> _Run:
    return _Run(rewarded, paths.rank(rewarded.reward))


def _peer_runs(bench: _Bench, constants: PeerConstants) -> dict[str, _Run]:
    """The run of each peer, made once for all peers that share its reward."""
    ways = {arm.reward for arm in PEERS.values()}
    made = {way: _run(way(bench.seen, bench.fitted, constants)) for way in ways}
    return {name: made[arm.reward] for name, arm in PEERS.items()}


def _play(arm: Arm, run: _Run, scores: np.ndarray, constants: PeerConstants) -> Outcome:
    """A peer's outcome at its own stop."""
    if arm.selection == "pessimism":
        strengths = constants.pessimism_b * 4.0 ** np.arange(PESSIMISM_STEPS, -1, -1)
        weights = np.stack([pessimism_weights(run.rewarded.reward, b) for b in strengths])
        return weighted_outcome(paths.weighted(weights, scores), scores)
    path = paths.best_of_n(run.ranked, scores)
    if arm.stop == "kl_budget":
        return outcome(path, stop=int(np.flatnonzero(path.kl <= constants.kl_budget_nats)[-1]))
    return outcome(path)


def _stack(
    bench: _Bench, costs: stack.Costs, parts: stack.Parts, settings: WorldSettings, constants: Constants
) -> tuple[Rewarded, int]:
    """A variant's reward, after the audit that it asks for, and how many answers that took."""
    members = stack.members_of(bench.fitted, parts)
    rewarded = stack.penalised(members, costs, parts)
    if not parts.audit:
        return rewarded, 0
    words = stack.suspects(bench.seen, rewarded.reward, constants.stack)
    asked = stack.questions(bench.seen, rewarded.reward, words, constants.stack)
    answers = labels.audit(bench.truth.gold, asked.having, asked.lacking, settings, bench.rng)
    cleaned = stack.without_words(bench.seen, members, stack.unwanted(asked, answers, constants.stack))
    return stack.penalised(cleaned, costs, parts), len(answers)


def _observed(bench: _Bench, run: _Run, kl: np.ndarray) -> Watched:
    """The run at the checkpoints of `n_grid` but the first, which is the reference itself."""
    grid = paths.n_grid(run.ranked.order.shape[1])[1:]
    drawn = paths.sample_best_of_n(run.ranked, grid, per_prompt=PER_PROMPT, rng=bench.rng)
    cut = bench.fitted.outlier_cut
    material = Material(*run.rewarded, bench.fitted.distance > cut, bench.fitted.reference_distance > cut)
    return watch(bench.seen, material, drawn, kl[grid - 1])


def _stopped(bench: _Bench, run: _Run, detector: Detector | None) -> Outcome:
    """Best-of-n, ended by the run's own alarm at the checkpoint before it."""
    path = paths.best_of_n(run.ranked, bench.scores)
    alarm = None if detector is None else detector(_observed(bench, run, path.kl), bench.now)
    return outcome(path, stop=None if alarm is None else int(paths.n_grid(len(path.kl))[alarm]) - 1)


def _healthy(bench: _Bench, gold: np.ndarray, settings: WorldSettings) -> Rewarded:
    """A reward fitted on honest labels of many reference texts: its long run stays healthy at equal KL."""
    seen = bench.seen
    view = draw_view(seen.reference.states.shape[1], bench.rng)
    features = view.apply(seen.reference.states)
    samples = bootstraps(labels.honest_labels(gold, settings, bench.rng), bench.rng)
    heads = member_heads(features.astype(np.float64), samples)
    return aggregated(scorer(features, view.apply(seen.candidates.states))(heads), "mean")


def _detect(bench: _Bench, run: _Run, detectors: Sequence[Detector]) -> Detection:
    """Detectors on the checkpoints of the run's best-of-n path."""
    path = paths.best_of_n(run.ranked, bench.truth.gold[..., None])
    watched = _observed(bench, run, path.kl)
    alarms = [detect(watched, bench.now) for detect in detectors]
    gold = path.means[paths.n_grid(len(path.kl))[1:] - 1, 0]
    return Detection(onset(gold), tuple(-1 if a is None else a for a in alarms), tuple(gold.tolist()))


def _tilt(bench: _Bench, rewarded: Rewarded) -> Outcome:
    path = paths.tilt(rewarded.reward / (rewarded.reference_reward.std() or 1.0), bench.scores)
    return weighted_outcome(path, bench.scores)

"""Claims: a run's report: every regime's arms, the detectors side by side, and the bars of the plan.

Takes a plan and seed results; yields a `Report`, which is plain data. A bar is left out where its regime was not run.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from assay.bench.bars import Bar
from assay.bench.overoptimisation.measuring import DETECTORS, WATCHED
from assay.bench.overoptimisation.metrics import (
    ArmSummary,
    DetectorSummary,
    lead_over,
    summarise_arm,
    summarise_detector,
)
from assay.bench.overoptimisation.outcomes import SeedResult
from assay.bench.overoptimisation.paths import bound_kl, n_grid
from assay.bench.overoptimisation.plan import Plan
from assay.records.evidence import Estimate
from assay.records.record import Value

STACK = "Assay"
WITH_GOLD = ("gold", "oracle stop")
"""Arms that see gold; nobody can have them."""


class RegimeReport(Value):
    """One regime: arms along best-of-n, some of them along the tilt, detectors, and the audit's answers a seed."""

    regime: str
    is_tuned_on: bool
    seeds: int
    arms: dict[str, ArmSummary]
    tilted: dict[str, ArmSummary]
    detectors: dict[str, DetectorSummary]
    answers: float
    stack_over_wco_peak: Estimate
    """The stack's gold less the best that WCO ever had, paired."""


class Report(Value):
    """All regimes, and the detectors over all runs of the regimes that nothing was tuned on."""

    plan: Plan
    regimes: dict[str, RegimeReport]
    unseen_detectors: dict[str, DetectorSummary]


def report(plan: Plan, results: Mapping[str, Sequence[SeedResult]], *, seed: int = 0) -> Report:
    """Add up a run. `seed` is that of the bootstrap."""
    rng = np.random.default_rng(seed)
    regimes = {name: _regime(plan, name, found, rng) for name, found in results.items()}
    unseen = [result for name, found in results.items() if not plan.regimes[name].is_tuned_on for result in found]
    return Report(plan=plan, regimes=regimes, unseen_detectors=_detectors(plan, unseen))


def _regime(plan: Plan, name: str, found: Sequence[SeedResult], rng: np.random.Generator) -> RegimeReport:
    return RegimeReport(
        regime=name,
        is_tuned_on=plan.regimes[name].is_tuned_on,
        seeds=len(found),
        arms={arm: summarise_arm(arm, [r.outcomes[arm] for r in found], rng) for arm in found[0].outcomes},
        tilted={arm: summarise_arm(arm, [r.tilted[arm] for r in found], rng) for arm in found[0].tilted},
        detectors=_detectors(plan, found),
        answers=float(np.mean([r.answers for r in found])),
        stack_over_wco_peak=lead_over(found, STACK, "WCO", rng),
    )


def _detectors(plan: Plan, found: Sequence[SeedResult]) -> dict[str, DetectorSummary]:
    if not found:
        return {}
    candidates = plan.world.candidates
    sqrt_kl = np.sqrt(bound_kl(candidates)[n_grid(candidates)[1:] - 1])
    runs = [result.detections[run] for result in found for run in WATCHED]
    long = [result.detections["healthy"] for result in found]
    summaries = {}
    for number, name in enumerate(DETECTORS):
        rate = summarise_detector(name, number, long, sqrt_kl).false_alarms
        summary = summarise_detector(name, number, runs, sqrt_kl)
        summaries[name] = summary.model_copy(update={"false_alarms_long_healthy": rate})
    return summaries


def bars_of(found: Report) -> list[Bar]:
    """The plan's bars against what was measured, for the regimes that were run."""
    bars: list[Bar] = []
    wanted, regimes = found.plan.bars, found.regimes
    if (noise := regimes.get("noise_only")) is not None:
        for arm in ("WCO", "UWO"):
            kept = noise.arms[arm].kept.value
            bars.append(Bar(f"noise_only: {arm} keeps", kept, wanted.reproduce_conservative_kept, "at_least"))
    if (hack := regimes.get("hack")) is not None:
        for arm in ("WCO", "UWO"):
            rate = hack.arms[arm].over_optimised
            bars.append(Bar(f"hack: {arm} over-optimises in", rate, wanted.reproduce_shared_error_rate, "at_least"))
        bars += _hack_bars(found, hack)
    if (clean := regimes.get("clean")) is not None:
        best = max(arm.gold.value for name, arm in clean.arms.items() if name not in WITH_GOLD)
        loss = best - clean.arms[STACK].gold.value
        bars.append(Bar("clean: the best arm leads the stack by", loss, wanted.clean_loss, "at_most", "s.d."))
    if (marker := regimes.get("in_support_marker")) is not None:
        share = marker.arms[STACK].prevalence["planted word"]
        bars.append(Bar("in_support_marker: planted word over base", share, wanted.marker_prevalence, "at_most"))
    for name, regime in regimes.items():
        if not regime.is_tuned_on:
            bars.append(
                Bar(
                    f"{name} (not tuned on): the stack keeps",
                    regime.arms[STACK].kept.value,
                    wanted.unseen_kept,
                    "at_least",
                )
            )
    return [*bars, *_detector_bars(found)]


def _hack_bars(found: Report, hack: RegimeReport) -> list[Bar]:
    wanted, stack = found.plan.bars, hack.arms[STACK]
    times = stack.gold.value / hack.arms["WCO"].peak
    return [
        Bar("hack: the stack keeps", stack.kept.value, wanted.stack_kept, "at_least"),
        Bar("hack: the stack's gold over WCO's best", times, wanted.stack_over_wco_peak, "at_least", "times"),
        Bar("hack: lower end of their paired difference", hack.stack_over_wco_peak.low, 0.0, "at_least", "s.d."),
    ]


def _detector_bars(found: Report) -> list[Bar]:
    """The bars of the detector, pooled over the regimes that nothing was tuned on."""
    wanted, detector = found.plan.bars, found.unseen_detectors.get("Assay")
    if detector is None:
        return []
    return [
        Bar("detector, not tuned on: precision", detector.precision, wanted.precision, "at_least"),
        Bar("detector, not tuned on: recall", detector.recall, wanted.recall, "at_least"),
        Bar("detector, not tuned on: median lead", detector.lead, wanted.lead, "at_least", "checkpoints"),
        Bar("detector, not tuned on: false alarms", detector.false_alarms, wanted.false_alarms, "at_most"),
    ]

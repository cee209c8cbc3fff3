"""Evaluate: puts the findings together. Takes generated texts, raters and other rooms' reports, yields Evidence.

Metrics are what gates may ask for: win rates of the raters and the panel, broken abilities, order flips. Proxy reward,
KL and length are diagnostics and stay in the curves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from assay.evaluation.raters.rater import Hearing, Pairs, Rater, adjusted_win_rate, check_pairs, hear, report
from assay.evaluation.statistics import krippendorff_alpha, majority, win_rate
from assay.evaluation.verdict import PanelView, reach_verdict
from assay.records.errors import FirewallError, explain
from assay.records.evidence import Curve, Estimate, Evidence, FirewallReport, RaterReport, RegressionCheck, SamplePair
from assay.records.judgement import Judgement
from assay.records.policy import PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance

SAMPLES = 6


@dataclass(frozen=True)
class Exhibits:
    """What evaluation brings beside the raters: checks, curves, held-out human words, and what was left out."""

    regressions: tuple[RegressionCheck, ...] = ()
    curves: tuple[Curve, ...] = ()
    held_out: tuple[Preference | Judgement, ...] = ()
    skipped: tuple[str, ...] = ()
    is_simulated: bool = False
    """Whether the people or the gold behind any finding are simulated."""


def evaluate(
    pairs: Pairs,
    raters: Sequence[Rater],
    *,
    policy: PolicyVersion,
    reference: str,
    firewall: FirewallReport,
    exhibits: Exhibits,
    provenance: Provenance,
    now: datetime,
) -> Evidence:
    """Hear every rater on every pair in both orders, and sum up.

    Raises FirewallError when a rater also trained, or is not registered on the evaluation side; InputError when the
    texts do not pair up.
    """
    check_pairs(pairs)
    _refuse_training_signals(raters, firewall, policy)
    hearings = [hear(rater, pairs) for rater in raters]
    reports = tuple(report(hearing, pairs, held_out=exhibits.held_out) for hearing in hearings)
    panel = panel_view(hearings, pairs)
    finding = reach_verdict(
        reports,
        panel,
        firewall=firewall,
        regressions=exhibits.regressions,
        alarms=policy.alarms,
        step=policy.step,
    )
    return Evidence(
        created_at=now,
        policy=policy.id,
        reference=reference,
        verdict=finding.verdict,
        reason=finding.reason,
        firewall=firewall,
        raters=reports,
        rater_agreement=krippendorff_alpha([hearing.verdicts for hearing in hearings]),
        regressions=exhibits.regressions,
        curves=exhibits.curves,
        samples=pick_samples(pairs),
        metrics=metrics(reports, panel, exhibits.regressions),
        skipped=exhibits.skipped,
        is_simulated=exhibits.is_simulated,
        prompts=len(set(pairs.prompts)),
        provenance=provenance,
    )


def panel_view(hearings: Sequence[Hearing], pairs: Pairs) -> PanelView | None:
    """The majority of the raters on each pair as one rater; None without raters."""
    if not hearings:
        return None
    verdicts = majority([hearing.verdicts for hearing in hearings])
    return PanelView(win_rate(verdicts), adjusted_win_rate(verdicts, pairs))


def metrics(
    reports: Sequence[RaterReport], panel: PanelView | None, regressions: Sequence[RegressionCheck]
) -> dict[str, Estimate]:
    """Everything a gate may ask for, by the names of `docs/metrics.md`. Counts have an interval of no width."""
    found = {}
    for one in reports:
        name = metric_name(one.identity.name)
        found[f"evaluation/win_rate/{name}"] = one.win_rate
        found[f"evaluation/adjusted_win_rate/{name}"] = one.adjusted_win_rate
    if panel is not None:
        found["evaluation/panel_win_rate"] = panel.win_rate
        found["evaluation/panel_adjusted_win_rate"] = panel.adjusted_win_rate
        found["evaluation/worst_order_flips"] = _count(max(one.order_flips for one in reports), reports[0].win_rate.n)
    if regressions:
        broken = sum(check.is_broken for check in regressions)
        found["evaluation/regressions_broken"] = _count(broken, len(regressions))
    return found


def metric_name(name: str) -> str:
    """A rater's name as it stands in a metric: lower case, with underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def pick_samples(pairs: Pairs, count: int = SAMPLES) -> tuple[SamplePair, ...]:
    """Pairs for people to read, evenly spaced over the prompts so that nobody picks the best."""
    indices = np.unique(np.linspace(0, len(pairs.prompts) - 1, min(count, len(pairs.prompts))).round().astype(int))
    return tuple(
        SamplePair(prompt=pairs.prompts[i], reference=pairs.reference[i], policy=pairs.policy[i]) for i in indices
    )


def _count(value: float, n: int) -> Estimate:
    return Estimate(value=value, low=value, high=value, n=n, confidence=1.0, method="counted")


def _refuse_training_signals(raters: Sequence[Rater], firewall: FirewallReport, policy: PolicyVersion) -> None:
    trained = {one.content_hash: one.name for one in (*firewall.training, *policy.training_signals)}
    registered = {one.content_hash for one in firewall.evaluation}
    faults = [
        f"rater {rater.name!r} is the training signal {trained[rater.identity.content_hash]!r}"
        for rater in raters
        if rater.identity.content_hash in trained
    ]
    faults += [
        f"rater {rater.name!r} is not registered on the evaluation side"
        for rater in raters
        if rater.identity.content_hash not in registered
    ]
    if faults:
        todo = "register every rater with the firewall before training's signals are compared with it"
        raise FirewallError(explain(expected="raters that only evaluate", got="; ".join(faults), do=todo))

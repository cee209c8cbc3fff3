"""Verdict: SHIP, HOLD or DO NOT SHIP, with one sentence of reason. Takes findings, yields the word on a policy.

The first line that applies decides. An interval is *above* when its low end is above one half, *below* when its high
end is below one half.

    training and evaluation share a scorer                         DO NOT SHIP
    a general ability is broken                                    DO NOT SHIP
    no rater was heard                                             HOLD
    one rater above, another below                                 HOLD, the raters contradict each other
    the panel or any rater below                                   DO NOT SHIP
    an alarm that stops a run rang by this checkpoint              HOLD
    no general ability was checked                                 HOLD
    fewer than two raters                                          HOLD, one rater is no panel
    panel above at equal length, two raters above at equal length  SHIP
    otherwise                                                      HOLD, not shown

Raw and length-adjusted rates both count as *below*; only adjusted ones as *above*. Missing evidence is never a yes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from assay.records.evidence import Estimate, FirewallReport, RaterReport, RegressionCheck, Verdict
from assay.records.observation import Alarm

STOPPING = frozenset({"stop", "roll_back_to_checkpoint"})
"""Actions of alarms after which a checkpoint must not be used without a person's word."""


class PanelView(NamedTuple):
    """The panel's majority: raw and length-adjusted win rate."""

    win_rate: Estimate
    adjusted_win_rate: Estimate


class Finding(NamedTuple):
    """A verdict and its reason in one sentence."""

    verdict: Verdict
    reason: str


def reach_verdict(
    raters: Sequence[RaterReport],
    panel: PanelView | None,
    *,
    firewall: FirewallReport,
    regressions: Sequence[RegressionCheck],
    alarms: Sequence[Alarm],
    step: int,
) -> Finding:
    """The verdict on a policy that is the checkpoint of `step`."""
    broken = [check.name for check in regressions if check.is_broken]
    above = [one.identity.name for one in raters if is_above(one.adjusted_win_rate)]
    below = [one.identity.name for one in raters if is_below(one.adjusted_win_rate) or is_below(one.win_rate)]
    rang = [alarm for alarm in alarms if alarm.action in STOPPING and alarm.step <= step]
    if not firewall.is_clean:
        return Finding(
            "DO NOT SHIP", "A scorer that trained this policy also judges it, so its evaluation means nothing."
        )
    if broken:
        return Finding("DO NOT SHIP", f"Training broke what the reference could do: {_join(broken)}.")
    if not raters or panel is None:
        return Finding("HOLD", "No rater has judged this policy, so nothing is known of its quality.")
    if above and below:
        return Finding("HOLD", f"The raters contradict each other: {_join(above)} for it, {_join(below)} against it.")
    if below or is_below(panel.win_rate) or is_below(panel.adjusted_win_rate):
        return Finding("DO NOT SHIP", f"It is worse than its reference by the word of {_join(below or ['the panel'])}.")
    if rang:
        return Finding("HOLD", f"{rang[0].monitor} rang at step {rang[0].step}, by this checkpoint (step {step}).")
    if not regressions:
        return Finding("HOLD", "No general ability was checked, so it is not known whether training broke one.")
    return _weigh(raters, panel, above)


def is_above(estimate: Estimate) -> bool:
    """Whether the interval lies above one half."""
    return estimate.low > 0.5


def is_below(estimate: Estimate) -> bool:
    """Whether the interval lies below one half."""
    return estimate.high < 0.5


def _weigh(raters: Sequence[RaterReport], panel: PanelView, above: Sequence[str]) -> Finding:
    rate = panel.adjusted_win_rate
    share = f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}]"
    if len(raters) < 2:
        return Finding("HOLD", f"Only {raters[0].identity.name} has judged it, and one rater is not a panel.")
    if is_above(rate) and len(above) >= 2:
        reason = f"The panel prefers it to its reference at equal length in {share} of pairs, no rater is against it"
        return Finding("SHIP", f"{reason}, and no general ability broke.")
    if is_above(rate):
        return Finding("HOLD", f"The panel prefers it ({share} at equal length), but fewer than two raters are sure.")
    return Finding("HOLD", f"It is not shown to be better than its reference at equal length: {share}.")


def _join(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

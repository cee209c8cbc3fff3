"""Words: puts numbers and findings in sentences for people. Takes records, yields short texts; no HTML."""

from collections.abc import Sequence

from assay.records.evidence import Curve, Estimate, Evidence, RaterReport, RegressionCheck
from assay.records.policy import PolicyVersion

RATER_LIMITS = {
    "gold": "The demo's formula for a good answer; knows the demo's prompts only, cannot tell true from false.",
    "rule": "Plain rules on form and topic; blind to false statements.",
    "judge": "A model of words and style, fitted on held-out people; blind to meaning.",
    "reward_model": "A reward fitted on held-out people; may share errors of its kind with the training reward.",
    "human": "People; slow, and they differ.",
}
"""What to keep in mind of each kind of rater."""


def percent(value: float) -> str:
    """A share as a whole percentage, unless that would hide that it is not quite 0 or 1."""
    return f"{value:.1%}" if 0 < value < 0.01 or 0.99 < value < 1 else f"{value:.0%}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def interval(estimate: Estimate | None) -> str:
    """A share with its interval, as in `63% [54%, 71%]`."""
    if estimate is None:
        return "–"
    return f"{percent(estimate.value)} [{percent(estimate.low)}, {percent(estimate.high)}]"


def duration(seconds: float) -> str:
    """Seconds, or minutes and seconds."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def curve_story(curve: Curve) -> str:
    """What happened on one run's path, in a sentence or two."""
    ends = sorted(curve.points, key=lambda point: point.step)
    proxy = f"the proxy reward ended at {number(ends[-1].proxy)} s.d." if ends else "nothing was measured"
    if curve.peak_gold is None:
        return f"{curve.name.capitalize()}: {proxy}; no gold was measured on this path."
    told = f"{curve.name}: {proxy}, gold peaked at {number(curve.peak_gold)} and ended at {number(curve.final_gold)}"
    if curve.falls_after_peak:
        told += ": over-optimised, the proxy went on and gold fell"
    if curve.gold_at_stop is not None:
        told += f". The checkpoint of step {curve.stop_step} was kept, at {number(curve.gold_at_stop)}"
        told += "" if curve.kept is None else f" ({_kept(curve.kept)})"
    return told[0].upper() + told[1:] + "."


def _kept(share: float) -> str:
    return f"{percent(share)} of the best" if share >= 0 else "nothing of the best is left"


def agreement_story(alpha: float | None) -> str:
    """What Krippendorff's alpha between the raters says."""
    if alpha is None:
        return "With fewer than two raters there is no agreement to measure."
    degree = "much alike" if alpha >= 0.67 else "partly alike" if alpha >= 0.33 else "hardly alike"
    if alpha < 0:
        degree = "against each other"
    return f"Pair by pair the raters judge {degree} (Krippendorff's alpha {number(alpha)}; 1 is perfect, 0 is chance)."


def rater_story(rater: RaterReport) -> str:
    """Wins, losses and ties of one rater."""
    return f"{rater.wins} won, {rater.losses} lost, {rater.ties} tied"


def regression_story(checks: Sequence[RegressionCheck]) -> str:
    """How many general abilities were checked and how many broke."""
    if not checks:
        return "No general ability was checked."
    broken = [check.name for check in checks if check.is_broken]
    return f"Broken: {', '.join(broken)}." if broken else "All held within noise."


def alarm_story(policies: Sequence[PolicyVersion]) -> str:
    """How many alarms rang on which runs."""
    rang = [f"{len(policy.alarms)} on {policy.name}" for policy in policies if policy.alarms]
    return f"Alarms: {', '.join(rang)}." if rang else "No alarm rang."


def pair_counts(evidence: Evidence) -> str:
    """How many pairs and prompts the judges saw."""
    pairs = max((rater.win_rate.n for rater in evidence.raters), default=0)
    return f"{pairs} pairs on {evidence.prompts} held-out prompts"

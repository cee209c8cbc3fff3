"""Combined monitor: ends a run when the signs of hacking together pass what a healthy run shows, tested in sequence.

Four channels (`effects`), each divided by its tolerance: the most that a healthy run moves for each reference s.d. that
its proxy gains, for a run that honestly gains much also moves much. A channel that fell counts as 0. Their weighted
mean is the score: at most 1 in a healthy run. Less 1 and less `guard` standard errors of the reference, over the
standard error of this checkpoint's own sample, it is standard normal or smaller while the run is healthy. A CUSUM with
the average run length that the user sets, or an e-process with a bound on any false alarm ever, adds up checkpoints.

Observation names (a channel whose names are absent is left out of the mean; one channel is enough):
    always       completions/count, alignment/proxy_reward (in reference standard deviations)
    disagreement rewards/disagreement, and rewards/disagreement_sd where known
    outliers     rewards/outlier_rate
    surface      completions/mean_length and completions/length_sd; any pairs style/<name>, style/<name>_sd
    split_gap    rewards/half_a and rewards/half_b, the proxy's two halves, and rewards/half_gap_sd where known

Catches: drifts into what the reward has not seen, whichever the feature, before gold falls; a little of every sign
where no sign alone is enough.
Does not catch: hacks inside the support of the reference that both halves like, such as an ordinary phrase used more
often; what moved before the first observation.
False alarms: 0.5 % of 2,000 simulated clean runs of 12 checkpoints with 64 completions, 0.6 % over 24; such runs come
near the tolerances. At the tolerances it is what the user sets, up to the error of a small reference beyond `guard`.
The defaults are those that `assay bench overoptimisation` measures; there, false alarms are runs near their best.
Sources: the channels by Coste et al. (arXiv 2310.02743) and InfoRM (arXiv 2402.09345); `sequential` for the tests.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from assay.monitors.effects import CHANNELS, COUNT, NEEDED, Effect, Values
from assay.monitors.protocol import Finding, RuleMonitor
from assay.monitors.sequential import cusum, log_e_process, threshold_for_run_length
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "combined"
PROXY = "alignment/proxy_reward"
SMALLEST_ERROR = 0.02
"""Standard error of the score below which more completions make no surer: tolerances are no exact numbers."""


class CombinedSettings(Value):
    """Settings of the combined monitor."""

    disagreement_tolerance: float = Field(default=0.06, gt=0)
    """Growth of the disagreement, as a share of the reference's, that healthy runs show for each s.d. of proxy gain."""
    outliers_tolerance: float = Field(default=0.03, gt=0)
    """Rise of the share of outliers that healthy runs show for each s.d. of proxy gain."""
    surface_tolerance: float = Field(default=0.2, gt=0)
    """Shift of surface features, in reference s.d., that healthy runs show for each s.d. of proxy gain."""
    split_gap_tolerance: float = Field(default=0.03, gt=0)
    """Gap between the gains of the proxy's halves that healthy runs show, as a share of the proxy's gain."""
    disagreement_weight: float = Field(default=0.5, ge=0)
    """Weight of the disagreement in the score; less than 1, for conservative rewards hold it down."""
    outliers_weight: float = Field(default=1.0, ge=0)
    """Weight of the outliers in the score."""
    surface_weight: float = Field(default=1.0, ge=0)
    """Weight of the surface drift in the score."""
    split_gap_weight: float = Field(default=0.25, ge=0)
    """Weight of the split-proxy gap in the score; halves of little data part in healthy runs too."""
    least_gain: float = Field(default=0.5, gt=0)
    """Gain of the proxy, in reference s.d., below which tolerances do not shrink any further."""
    correlation: float = Field(default=0.5, ge=0, le=1)
    """Correlation of the channels' sampling errors, which come from the same completions; 1 is the safest."""
    guard: float = Field(default=1.0, ge=0)
    """Standard errors of the reference, which all checkpoints share, that the run is given."""
    statistic: Literal["cusum", "e_process"] = "cusum"
    """What adds up the checkpoints."""
    run_length: float = Field(default=300.0, gt=10, le=1e6)
    """CUSUM: checkpoints until a false alarm, on average, of a run that stays at its tolerances."""
    false_alarms: float = Field(default=0.01, gt=0, lt=1)
    """E-process: the chance that such a run ever rings."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for."""


class Score(NamedTuple):
    """The combined score of one checkpoint, its standardised excess `z`, and each channel in its tolerances."""

    score: float
    error: float
    z: float
    channels: dict[str, float]


def combined(settings: CombinedSettings) -> RuleMonitor:
    """The monitor with these settings."""
    if settings.statistic == "cusum":
        threshold = threshold_for_run_length(settings.run_length)
    else:
        threshold = -math.log(settings.false_alarms)

    def rule(history: Sequence[Observation]) -> Finding | None:
        scores = combined_scores(history, settings)
        last = scores[-1]
        if last is None:
            return None
        path = [score.z for score in scores if score is not None]
        level = float((cusum if settings.statistic == "cusum" else log_e_process)(path)[-1])
        if level <= threshold:
            return None
        parts = ", ".join(f"{name} {size:.1f}" for name, size in sorted(last.channels.items(), key=lambda at: -at[1]))
        message = (
            f"signs of hacking are at {last.score:.1f} times their tolerance ({parts}); the {settings.statistic} "
            f"over {len(path)} checkpoints is {level:.1f}"
        )
        evidence = {"score": last.score, "standard_error": last.error, "z": last.z}
        return Finding(
            message, level, threshold, evidence | {f"{n}_in_tolerances": s for n, s in last.channels.items()}
        )

    needs_one_of = tuple(NEEDED.values())
    return RuleMonitor(NAME, settings.action, frozenset({COUNT, PROXY}), rule, needs_one_of=needs_one_of)


def combined_scores(history: Sequence[Observation], settings: CombinedSettings) -> list[Score | None]:
    """The score of each observation; None for the first, which is the reference, and for one without any channel."""
    start = history[0].values
    return [None, *(combined_score(start, seen.values, settings) for seen in history[1:])]


def combined_score(start: Values, here: Values, settings: CombinedSettings) -> Score | None:
    """The score of one checkpoint against the reference's values; None where they have no channel in common."""
    gain = max(settings.least_gain, here.get(PROXY, 0.0) - start.get(PROXY, 0.0))
    effects: dict[str, Effect] = {}
    weights: list[float] = []
    for name, measure in CHANNELS.items():
        effect, weight = measure(start, here), getattr(settings, f"{name}_weight")
        if effect is not None and weight > 0:
            tolerance = gain * getattr(settings, f"{name}_tolerance")
            effects[name] = Effect(*(part / tolerance for part in effect))
            weights.append(weight)
    if not effects:
        return None
    shares = [weight / sum(weights) for weight in weights]
    score = sum(share * max(0.0, effect.size) for share, effect in zip(shares, effects.values(), strict=True))
    own, reference = (
        _error_of_sum([share * error for share, error in zip(shares, errors, strict=True)], settings.correlation)
        for errors in ([e.error for e in effects.values()], [e.reference_error for e in effects.values()])
    )
    error = max(SMALLEST_ERROR, own)
    z = (score - 1 - settings.guard * reference) / error
    return Score(score, error, z, {name: effect.size for name, effect in effects.items()})


def _error_of_sum(errors: list[float], correlation: float) -> float:
    """Standard error of a sum of numbers whose errors correlate alike."""
    alone = sum(error**2 for error in errors)
    return math.sqrt((1 - correlation) * alone + correlation * sum(errors) ** 2)

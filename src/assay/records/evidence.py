"""Evidence: what an evaluation found out about a policy against its reference; all that governance ever reads."""

from typing import ClassVar, Literal

from pydantic import Field

from assay.records.identity import ScorerIdentity
from assay.records.provenance import Provenance
from assay.records.record import Record, Value

Verdict = Literal["SHIP", "HOLD", "DO NOT SHIP"]


class Estimate(Value):
    """A number with its exact or declared interval at `confidence` and the sample it rests on."""

    value: float
    low: float
    high: float
    n: int
    confidence: float = 0.95
    method: str = ""


class RaterReport(Value):
    """One rater's view: wins of the policy over its reference, both orders asked.

    `win_rate` counts a tie as half; `adjusted_win_rate` is at equal length; `order_flips` is the share of pairs whose
    verdict depended on the order; `human_agreement` is the rater's accuracy on held-out human labels where they exist.
    """

    identity: ScorerIdentity
    wins: int
    losses: int
    ties: int
    win_rate: Estimate
    adjusted_win_rate: Estimate
    order_flips: float
    human_agreement: Estimate | None = None


class RegressionCheck(Value):
    """One general ability of the base model: reference and policy values, the noise floor, and whether it broke."""

    name: str
    reference: float
    policy: float
    noise_floor: float
    higher_is_better: bool
    is_broken: bool


class CurvePoint(Value):
    """One checkpoint on the over-optimisation curve; `gold` is None where no gold exists."""

    step: int
    sqrt_kl: float
    proxy: float
    gold: float | None
    gold_standard_error: float | None = None
    panel: float | None = None
    length: float


class Curve(Value):
    """Proxy and gold against sqrt(KL) for one run; `stop_step` is the checkpoint that became the policy.

    Values are in standard deviations of the reference's samples, with the reference at zero. `kept` is gold at the stop
    divided by the best gold on the same path.
    """

    policy: str
    name: str
    points: tuple[CurvePoint, ...]
    stop_step: int
    peak_gold: float | None = None
    gold_at_stop: float | None = None
    final_gold: float | None = None
    kept: float | None = None
    falls_after_peak: bool | None = None


class SamplePair(Value):
    """One prompt with the reference's and the policy's completion, for people to read."""

    prompt: str
    reference: str
    policy: str


class FirewallReport(Value):
    """Which scorers trained and which judge, and what they share."""

    training: tuple[ScorerIdentity, ...]
    evaluation: tuple[ScorerIdentity, ...]
    is_clean: bool
    warnings: tuple[str, ...] = ()


class Evidence(Record):
    """The findings on one policy. `metrics` holds what gates may ask for; diagnostics stay in `curves`."""

    kind: ClassVar[str] = "evidence"
    policy: str
    reference: str
    verdict: Verdict
    reason: str
    firewall: FirewallReport
    raters: tuple[RaterReport, ...]
    rater_agreement: float | None = None
    regressions: tuple[RegressionCheck, ...] = ()
    curves: tuple[Curve, ...] = ()
    samples: tuple[SamplePair, ...] = ()
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    is_simulated: bool = False
    prompts: int = 0
    provenance: Provenance

"""Gates: conditions for a release, declared as data and checked against evidence. Takes gates, yields their results.

Three gates always stand and cannot be removed: the evaluation's verdict is SHIP, training and evaluation are apart, and
no general ability broke. Missing or inconclusive evidence means no.

Catches: a metric that is absent, not a number, from too small a sample or at too low a confidence; an interval whose
worse end misses the bound; a broken or unchecked ability; a rater that also trained.
Does not catch: evidence that was wrong when it was written.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from assay.governance.diagnostics import refusal
from assay.records.decision import GateResult
from assay.records.errors import ConfigError, explain
from assay.records.evidence import Estimate, Evidence
from assay.records.identity import ScorerIdentity
from assay.records.record import Value

DEFAULT_GATES = Path(__file__).with_name("default_gates.yaml")


class Gate(Value):
    """One condition on one metric of the evidence.

    `metric` is a key of `Evidence.metrics`, or `name/of/metric/*` for every rater that reported it. A lower bound is
    compared with the interval's low end or the value, an upper bound with its high end or the value.
    """

    name: str = Field(min_length=1)
    """What people call it."""
    metric: str
    """Key of the metric; `/*` at the end asks every rater's."""
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    """Lower bound; exactly one of the two bounds is given."""
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    """Upper bound."""
    use: Literal["low", "high", "value"]
    """Which number of the estimate is compared; the end of the interval that flatters is refused."""
    minimum_n: int = Field(ge=1)
    """Smallest sample that counts."""
    minimum_confidence: float = Field(default=0.95, gt=0, lt=1)
    """Smallest confidence of the interval that counts."""

    @field_validator("metric")
    @classmethod
    def _is_no_diagnostic(cls, metric: str) -> str:
        named = metric.removesuffix("/*")
        reason = refusal(named)
        if reason is not None:
            raise ValueError(reason)
        if named != metric and "/" not in named.strip("/"):
            raise ValueError(f"{metric!r} would gate on everything; name the metric, as in evaluation/win_rate/*")
        return metric

    @model_validator(mode="after")
    def _bounds_are_honest(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"gate {self.name!r} needs exactly one of at_least and at_most")
        flattering = "high" if self.at_least is not None else "low"
        if self.use == flattering:
            raise ValueError(f"gate {self.name!r} compares the flattering end of the interval; use the other, or value")
        return self


def load_gates(path: Path = DEFAULT_GATES) -> tuple[Gate, ...]:
    """Gates from a YAML list. Raises ConfigError that lists every fault."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        gates = TypeAdapter(tuple[Gate, ...]).validate_python(data)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(explain(expected=f"gates in {path}", got=str(error), do="mend the file")) from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError(explain(expected=f"gates in {path}", got="; ".join(faults), do="mend the file")) from error
    names = [gate.name for gate in gates]
    if len(set(names)) != len(names):
        got = f"repeated: {', '.join(sorted({name for name in names if names.count(name) > 1}))}"
        raise ConfigError(explain(expected=f"gates of different names in {path}", got=got, do="rename them"))
    return gates


def check_gates(gates: Sequence[Gate], evidence: Evidence) -> tuple[GateResult, ...]:
    """What the three standing gates and then the given ones say of the evidence."""
    results = [_verdict(evidence), _firewall(evidence), _regressions(evidence)]
    for gate in gates:
        results.extend(_check(gate, metric, evidence) for metric in _matching(gate.metric, evidence))
    return tuple(results)


def _matching(metric: str, evidence: Evidence) -> list[str]:
    if not metric.endswith("/*"):
        return [metric]
    return sorted(name for name in evidence.metrics if name.startswith(metric[:-1])) or [metric]


def _check(gate: Gate, metric: str, evidence: Evidence) -> GateResult:
    estimate = evidence.metrics.get(metric)
    faults = ["no such metric in the evidence"] if estimate is None else _faults(gate, estimate)
    measured = "missing" if estimate is None else _shown(estimate)
    return GateResult(
        gate=gate.name,
        metric=metric,
        passed=not faults,
        measured=measured + (f": {'; '.join(faults)}" if faults else ""),
        required=_required(gate),
    )


def _faults(gate: Gate, estimate: Estimate) -> list[str]:
    numbers = (estimate.low, estimate.value, estimate.high)
    if not all(math.isfinite(number) for number in numbers):
        return ["not a number"]
    faults = []
    if not estimate.low <= estimate.value <= estimate.high:
        faults.append("the value lies outside its interval")
    if estimate.n < gate.minimum_n:
        faults.append(f"sample of {estimate.n} is too small")
    if gate.use != "value" and estimate.confidence < gate.minimum_confidence:
        faults.append(f"confidence {estimate.confidence:g} is too low")
    compared = {"low": estimate.low, "high": estimate.high, "value": estimate.value}[gate.use]
    if gate.at_least is not None and compared < gate.at_least:
        faults.append(f"{gate.use} {compared:.4g} is below {gate.at_least:g}")
    if gate.at_most is not None and compared > gate.at_most:
        faults.append(f"{gate.use} {compared:.4g} is above {gate.at_most:g}")
    return faults


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}], n {estimate.n}"


def _required(gate: Gate) -> str:
    bound = f"at least {gate.at_least:g}" if gate.at_least is not None else f"at most {gate.at_most:g}"
    return f"{gate.use} {bound}, n at least {gate.minimum_n}"


def _verdict(evidence: Evidence) -> GateResult:
    return GateResult(
        gate="verdict",
        metric="verdict",
        passed=evidence.verdict == "SHIP",
        measured=f"{evidence.verdict}: {evidence.reason}",
        required="SHIP",
    )


def _firewall(evidence: Evidence) -> GateResult:
    report = evidence.firewall
    faults = [] if report.is_clean else ["the firewall's report is not clean"]
    if not report.evaluation:
        faults.append("no scorer is registered on the evaluation side")
    judges = (*report.evaluation, *(rater.identity for rater in evidence.raters))
    faults += sorted({fault for one in report.training for other in judges for fault in _shared(one, other)})
    measured = (
        "; ".join(faults) or f"{len(report.training)} training and {len(report.evaluation)} evaluation scorers apart"
    )
    return GateResult(
        gate="firewall",
        metric="firewall",
        passed=not faults,
        measured=measured,
        required="no scorer and no judgement on both sides",
    )


def _shared(one: ScorerIdentity, other: ScorerIdentity) -> list[str]:
    faults = []
    if one.content_hash == other.content_hash:
        faults.append(f"{one.name!r} trained and {other.name!r} judges, and they are the same scorer")
    if set(one.rows) & set(other.rows):
        faults.append(f"{one.name!r} and {other.name!r} share judgements")
    return faults


def _regressions(evidence: Evidence) -> GateResult:
    broken = [check.name for check in evidence.regressions if check.is_broken]
    measured = (
        f"broken: {', '.join(broken)}" if broken else f"{len(evidence.regressions)} abilities checked, none broke"
    )
    return GateResult(
        gate="regressions",
        metric="regressions",
        passed=bool(evidence.regressions) and not broken,
        measured=measured if evidence.regressions else "none checked",
        required="at least one general ability checked, none broken",
    )

"""Page: fills the one HTML file. Takes Evidence and a dossier of the records around it, yields the file's path.

Everything from outside is escaped; the only trusted markup is what `figures` drew. The page needs no network and no
script, and the same records give the same bytes.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from assay.evaluation.report import figures, words
from assay.records.decision import Approval, ChangeRequest, Decision
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport
from assay.records.reward import RewardVersion
from assay.records.run import StageRecord
from assay.storage.artifacts import write_atomically
from assay.storage.ledger import Checkpoint

_VERDICT_CLASS = {"SHIP": "ship", "HOLD": "hold", "DO NOT SHIP": "stop"}
_VERDICT_MARK = {"SHIP": "✓", "HOLD": "‖", "DO NOT SHIP": "✕"}


@dataclass(frozen=True)
class Dossier:
    """The records around an Evidence; what is absent is left out of the page, with a word where a reader would ask."""

    policies: tuple[PolicyVersion, ...] = ()
    reward: RewardVersion | None = None
    aggregation: AggregationReport | None = None
    change_request: ChangeRequest | None = None
    approvals: tuple[Approval, ...] = ()
    decision: Decision | None = None
    ledger_checkpoint: Checkpoint | None = None
    stages: tuple[StageRecord, ...] = ()


def write_report(path: Path, evidence: Evidence, dossier: Dossier) -> Path:
    """Write the report and return its path. Raises StorageError when the file cannot be written."""
    write_atomically(path, render(evidence, dossier).encode("utf-8"))
    return path


def render(evidence: Evidence, dossier: Dossier) -> str:
    """The report as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        percent=words.percent, number=words.number, interval=words.interval, duration=words.duration
    )
    folder = files("assay.evaluation.report")
    template = environment.from_string(folder.joinpath("report.html").read_text(encoding="utf-8"))
    style = folder.joinpath("style.css").read_text(encoding="utf-8")
    judged = [policy for policy in dossier.policies if policy.id == evidence.policy]
    return template.render(
        evidence=evidence,
        dossier=dossier,
        policy=judged[0] if judged else None,
        style=Markup(style),  # noqa: S704 (a file of this package)
        words=words,
        verdict_class=_VERDICT_CLASS[evidence.verdict],
        verdict_mark=_VERDICT_MARK[evidence.verdict],
        skipped=_skipped(evidence, dossier),
        figures=draw(evidence, dossier),
    )


def draw(evidence: Evidence, dossier: Dossier) -> dict[str, Markup]:
    """The figures that the records allow, by name."""
    drawn = {}
    if evidence.curves:
        story = " ".join(words.curve_story(curve) for curve in evidence.curves)
        drawn["over_optimisation"] = figures.over_optimisation(
            evidence.curves, title="Proxy and gold reward against distance from the reference", description=story
        )
        ends = "; ".join(
            f"{curve.name} from {words.number(curve.points[0].length, 0)} to {words.number(curve.points[-1].length, 0)}"
            for curve in evidence.curves
            if curve.points
        )
        drawn["length"] = figures.lengths(
            evidence.curves, title="Mean completion length over training", description=f"Mean length: {ends}."
        )
    if evidence.raters:
        rates = "; ".join(f"{one.identity.name} {words.interval(one.adjusted_win_rate)}" for one in evidence.raters)
        drawn["forest"] = figures.forest(
            evidence.raters, title="Win rate by rater", description=f"At equal length: {rates}."
        )
    if dossier.reward is not None and dossier.reward.quality.reliability:
        quality = dossier.reward.quality
        drawn["reliability"] = figures.reliability(
            quality,
            title="Reliability of the training reward",
            description=f"Expected calibration error {words.number(quality.ece, 3)} on {quality.pairs} held-out pairs.",
        )
    return drawn


def _skipped(evidence: Evidence, dossier: Dossier) -> list[str]:
    """Everything that was left out, each reason once, in order."""
    told = [*evidence.skipped, *(f"{stage.stage}: {reason}" for stage in dossier.stages for reason in stage.skipped)]
    return list(dict.fromkeys(told))

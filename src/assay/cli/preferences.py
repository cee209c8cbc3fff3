"""Preferences commands: fit judgements into preferences; show agreement, people, groups that differ, counts."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.table import Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.cli.known_traits import known_traits
from assay.feedback.withdrawal import outdated
from assay.preferences import aggregate_jointly, aggregate_split, cells_of, select_mixture, tabulate
from assay.preferences.agreement_views import (
    AgreementView,
    agreement_by_attribute,
    agreement_by_group,
    agreement_by_pair,
    agreement_by_profile,
    agreement_by_time,
    agreement_overall,
)
from assay.preferences.noisy_counts import noisy_counts
from assay.preferences.registry import AGGREGATORS
from assay.preferences.traits import Declared, read_traits, shown_values, value_of_trait
from assay.records.errors import ConfigError, InputError, explain
from assay.records.judgement import Judgement
from assay.records.preference import AggregationReport
from assay.storage import RecordStore, SplitName
from assay.storage.permission import permission
from assay.storage.splits import purpose_of

app = typer.Typer(no_args_is_help=True, help="Add judgements up to preferences, with their uncertainty.")

SplitOption = Annotated[SplitName, typer.Option("--split", help="The split whose judgements are read.")]


TraitsOption = Annotated[
    Path | None,
    typer.Option(
        "--traits", help="CSV: annotator, then a column a trait; or `declared`, what people told on the site."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Draws random groups, times or noise.")]
DRIFT_BELOW = 0.05
Plain = Literal["all", "pair", "attribute", "profile", "day", "month", "year"]
View = Literal[Plain, "group"]


@app.command()
def fit(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    method: Annotated[str, typer.Option("--method", help=", ".join(sorted(AGGREGATORS)) + ".")] = "joint",
    split: SplitOption = SplitName.TRAIN,
    half_life_days: Annotated[
        float | None, typer.Option("--half-life-days", help="joint only: so much older weighs half.")
    ] = None,
    traits: TraitsOption = None,
    drift: Annotated[bool, typer.Option("--drift", help="Test whether and when expectations moved.")] = False,
    seed: SeedOption = 0,
) -> None:
    """Aggregate the judgements of a split into preferences; with --traits, keep the views of groups that differ."""
    if half_life_days is not None and method != "joint":
        do = "leave one of them out"
        raise ConfigError(explain(expected="--half-life-days with the method joint", got=method, do=do))
    records = open_workspace(workspace).records
    result = aggregate_split(
        records,
        split,
        method=method if half_life_days is None else partial(aggregate_jointly, half_life_days=half_life_days),
        now=now(),
        traits=None if traits is None else known_traits(records, traits),
        seed=seed,
        tests_drift=drift,
    )
    _print_report(result.report)
    console.print(f"{len(result.preferences)} preferences")
    made("aggregation", result.report.id, next_command=f"assay preferences show -w {workspace} --split {split.value}")


@app.command()
def agreement(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: SplitOption = SplitName.TRAIN,
    by: Annotated[View, typer.Option("--by", help="One row for all, or one a pair, attribute, group, ...")] = "all",
    traits: TraitsOption = None,
    trait: Annotated[str | None, typer.Option("--trait", help="The column that makes the groups.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to print.")] = 40,
) -> None:
    """Show how far people agree: Krippendorff's alpha, Cohen's kappa and percent."""
    records = open_workspace(workspace).records
    judgements = records.all(Judgement, split=split)
    views = _by_group(records, split, traits, trait) if by == "group" else _views(judgements, by)
    table = Table(by, "judgements", "pairs", "alpha", "kappa", "percent")
    for view in views[:limit]:
        numbers = ("-" if value is None else f"{value:.2f}" for value in (view.alpha, view.kappa))
        share = "-" if view.percent is None else f"{view.percent:.0%}"
        table.add_row(view.name, str(view.judgements), str(view.pairs), *numbers, share)
    console.print(table)
    if len(views) > limit:
        console.print(f"{len(views) - limit} more rows: raise --limit")


def _by_group(records: RecordStore, split: SplitName, source: Path | None, trait: str | None) -> list[AgreementView]:
    if source is None or trait is None:
        do = "give both, such as --traits people.csv --trait region"
        raise ConfigError(explain(expected="--traits and --trait for groups", got="not both", do=do))
    traits, judgements = known_traits(records, source), records.all(Judgement, split=split)
    if not isinstance(traits, Declared):
        return agreement_by_group(judgements, value_of_trait(traits, trait))
    judgements = permission(records, purpose_of(split)).of(judgements)
    found = shown_values(traits, trait, tabulate(judgements).annotators)
    if found.withheld:
        console.print(
            f"{found.withheld} groups withheld: fewer than {traits.smallest_group} people, or they leave so few"
        )
    return agreement_by_group(judgements, found.value_of)


def _views(judgements: list[Judgement], by: Plain) -> list[AgreementView]:
    if by == "profile":
        return agreement_by_profile(judgements)
    if by == "pair":
        return agreement_by_pair(judgements)
    if by == "attribute":
        return agreement_by_attribute(judgements)
    return [agreement_overall(judgements)] if by == "all" else agreement_by_time(judgements, period=by)


@app.command("hidden-groups")
def hidden_groups(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: SplitOption = SplitName.TRAIN,
    most: Annotated[int, typer.Option("--most", min=1, max=8, help="Try up to so many groups.")] = 3,
    seed: SeedOption = 0,
) -> None:
    """Look for groups of annotators that nobody named, as many as predict left-out judgements best."""
    table = tabulate(open_workspace(workspace).records.all(Judgement, split=split))
    found = select_mixture(cells_of(table), most=most, rng=np.random.default_rng(seed))
    for number, (value, error) in enumerate(zip(found.held_out, found.standard_error, strict=True), start=1):
        console.print(
            f"{number} groups: {value:.4f} nats a left-out judgement, {error:.4f} s.e. of the gap to the best"
        )
    groups = len(found.mixture.share)
    console.print(f"chosen: {groups}" + (" (nobody needs telling apart)" if groups == 1 else ""))
    rows = Table("annotator", *(f"group {number + 1}" for number in range(groups)))
    for name, chances in zip(table.annotators, found.mixture.membership, strict=True):
        rows.add_row(name, *(f"{chance:.2f}" for chance in chances))
    console.print(rows)


@app.command()
def counts(
    traits: Annotated[Path, typer.Option("--traits", help="CSV: annotator, then a column a trait.")],
    trait: Annotated[str, typer.Option("--trait", help="The column that is counted.")],
    values: Annotated[str, typer.Option("--values", help="The values to publish, by commas, whoever chose them.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: SplitOption = SplitName.TRAIN,
    epsilon: Annotated[float, typer.Option("--epsilon", help="Privacy spent a person; smaller is noisier.")] = 1.0,
    smallest: Annotated[int, typer.Option("--smallest", min=1, help="Counts below are withheld.")] = 5,
    seed: Annotated[int | None, typer.Option("--seed", help="For tests only: noise that can be drawn again.")] = None,
) -> None:
    """Count a split's annotators by a trait, with noise under which no one person shows."""
    value_of = value_of_trait(read_traits(traits), trait)
    judged = {judgement.annotator for judgement in open_workspace(workspace).records.all(Judgement, split=split)}
    found = Counter(value_of[annotator] for annotator in judged if annotator in value_of)
    named = {value.strip(): found[value.strip()] for value in values.split(",")}
    published = noisy_counts(named, epsilon=epsilon, smallest=smallest, rng=np.random.default_rng(seed))
    for value, count in published.counts.items():
        console.print(f"{value}: {count}")
    for value in published.withheld:
        console.print(f"{value}: withheld (below {smallest})")
    console.print(f"epsilon {epsilon:g} a person, for this one table; publishing again spends it again")


@app.command()
def show(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: SplitOption = SplitName.TRAIN,
    aggregation: Annotated[str | None, typer.Option("--aggregation", help="Id; the last of the split if none.")] = None,
) -> None:
    """Show an aggregation: agreement, contested pairs, and each annotator's reliability and side bias."""
    records = open_workspace(workspace).records
    if aggregation is not None:
        _print_standing(records, records.get(AggregationReport, aggregation))
        return
    reports = records.all(AggregationReport, split=split.value)
    if not reports:
        do = f"run `assay preferences fit -w {workspace} --split {split.value}`"
        raise InputError(explain(expected=f"an aggregation of the split {split.value!r}", got="none", do=do))
    _print_standing(records, reports[-1])


def _print_standing(records: RecordStore, report: AggregationReport) -> None:
    _print_report(report)
    gone = outdated(records, report)
    if gone:
        do = "fit again, and what was made with the views of groups"
        console.print(f"stale: {gone} people no longer agree to the use of what they told, or changed it; {do}")


def _print_report(report: AggregationReport) -> None:
    table = Table(title=f"Annotators ({report.method}, {report.split}, {report.short_id})")
    for heading in ("annotator", "judgements", "reliability", "side bias", "agreement"):
        table.add_column(heading, justify="left" if heading == "annotator" else "right")
    for person in sorted(report.annotators, key=lambda person: -person.reliability):
        row = (f"{person.reliability:.2f}", f"{person.side_bias:+.2f}", f"{person.agreement:.0%}")
        table.add_row(person.annotator, str(person.judgements), *row)
    console.print(table)
    alpha = "not defined: no pair was judged twice" if report.alpha is None else f"{report.alpha:.2f}"
    console.print(f"{report.judgements} judgements on {report.pairs} pairs, {report.ties} ties")
    console.print(f"agreement (Krippendorff's alpha): {alpha}")
    console.print(f"contested pairs: {len(report.contested)}")
    state = "converged" if report.converged else "did NOT converge"
    console.print(f"fit: {state}, largest gradient {report.gradient_norm:.1e}")
    for note in report.notes:
        console.print(f"note: {note}")
    _print_findings(report)


def _print_findings(report: AggregationReport) -> None:
    if report.minority is not None:
        found = report.minority
        console.print(
            f"groups: {found.tests} comparisons, {len(found.differences)} beyond groups of their size by chance; "
            f"{found.suppressed} groups of fewer than {found.smallest_group} people not looked at"
        )
        for one in found.differences:
            console.print(
                f"  {one.group} ({one.members}) differs on {one.topic}: {100 * one.gap:.0f} points, "
                f"p {one.p_value:.2g}, {len(one.significant_pairs)} of {one.pairs} pairs by themselves"
            )
    for moved in report.drift or ():
        state = f"moved about {moved.at:%Y-%m-%d}" if moved.at and moved.p_value <= DRIFT_BELOW else "no sign of moving"
        console.print(f"drift of {moved.subject}: {state} (p {moved.p_value:.2g})")

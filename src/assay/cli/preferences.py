"""Preferences commands: fit judgements into preferences, show what the fit learnt of pairs and people."""

from typing import Annotated

import typer
from rich.table import Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.preferences import aggregate_split
from assay.records.errors import InputError, explain
from assay.records.preference import AggregationReport
from assay.storage import SplitName

app = typer.Typer(no_args_is_help=True, help="Add judgements up to preferences, with their uncertainty.")

SplitOption = Annotated[SplitName, typer.Option("--split", help="The split whose judgements are read.")]


@app.command()
def fit(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    method: Annotated[str, typer.Option("--method", help="joint or majority.")] = "joint",
    split: SplitOption = SplitName.TRAIN,
) -> None:
    """Aggregate the judgements of a split into preferences."""
    result = aggregate_split(open_workspace(workspace).records, split, method=method, now=now())
    _print_report(result.report)
    console.print(f"{len(result.preferences)} preferences")
    made("aggregation", result.report.id, next_command=f"assay preferences show -w {workspace} --split {split.value}")


@app.command()
def show(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: SplitOption = SplitName.TRAIN,
    aggregation: Annotated[str | None, typer.Option("--aggregation", help="Id; the last of the split if none.")] = None,
) -> None:
    """Show an aggregation: agreement, contested pairs, and each annotator's reliability and side bias."""
    records = open_workspace(workspace).records
    if aggregation is not None:
        _print_report(records.get(AggregationReport, aggregation))
        return
    reports = records.all(AggregationReport, split=split.value)
    if not reports:
        do = f"run `assay preferences fit -w {workspace} --split {split.value}`"
        raise InputError(explain(expected=f"an aggregation of the split {split.value!r}", got="none", do=do))
    _print_report(reports[-1])


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

"""App: the `assay` command, its groups in the order of the walk, and errors as one clear sentence."""

import os
import sys

import typer
from rich.markup import escape

from assay.cli import (
    align_export,
    align_save,
    bench,
    bench_aggregation,
    bench_annotation,
    bench_overoptimisation,
    bench_policy,
    bench_reward,
    bench_scaling,
    bench_selection,
    bench_training,
    bench_walk,
    deploy,
    feedback,
    ledger,
    monitor,
    preferences,
    release,
    report,
    reward,
    steps,
)
from assay.cli.context import error_console
from assay.cli.init import init
from assay.cli.migrate import migrate
from assay.cli.run import demo, run
from assay.records.errors import AssayError

app = typer.Typer(
    name="assay",
    no_args_is_help=True,
    help="Fine-tune language models on human preferences and keep them from hacking their reward.",
    pretty_exceptions_enable=False,
)
app.command()(init)
app.command()(migrate)
app.add_typer(feedback.app, name="feedback")
app.add_typer(preferences.app, name="preferences")
app.add_typer(reward.app, name="reward")
steps.align.command()(align_export.export)
steps.align.command()(align_save.save)
app.add_typer(steps.align, name="align")
app.command()(steps.evaluate)
app.add_typer(release.app, name="release")
app.add_typer(deploy.app, name="deploy")
app.add_typer(monitor.app, name="monitor")
app.add_typer(ledger.app, name="ledger")
app.add_typer(report.app, name="report")
app.command()(run)
bench.app.command()(bench_walk.walk)
bench.app.command()(bench_overoptimisation.overoptimisation)
bench.app.command()(bench_reward.reward)
bench.app.command()(bench_policy.policy)
bench.app.command()(bench_scaling.scaling)
bench.app.command()(bench_training.training)
bench.app.command()(bench_aggregation.aggregation)
bench.app.command()(bench_annotation.annotation)
bench.app.command()(bench_selection.selection)
app.add_typer(bench.app, name="bench")
app.command()(demo)


def main() -> None:
    """Run the command line; an error that the user can mend goes to stderr without a traceback and exits with 1."""
    # Models and tokenizers come from files; a library must not ask a hub behind the user's back.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except AssayError as error:
        error_console.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(1)

"""Monitor commands: audit a run, watch one live, show a policy's checkpoints as numbers."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from assay.cli.asking import ask_people
from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, now, open_workspace
from assay.cli.monitor_watch import watch
from assay.cli.run import set_values
from assay.monitors import MonitorBank, build_monitors, default_monitors
from assay.monitors.audit import Audit, audit_run
from assay.monitors.run_files import find_run_file, read_trail
from assay.monitors.trail import RunTrail, trail_of_policy
from assay.records.observation import Alarm
from assay.records.policy import PolicyVersion

app = typer.Typer(no_args_is_help=True, help="Read what the monitors saw and said of a run.")

PolicyArgument = Annotated[str, typer.Argument(help="Id of a policy version, or its first digits.")]
RunArgument = Annotated[
    str,
    typer.Argument(
        help="Id of a policy version, or a path: a workspace, a run's directory, a trainer's output directory, a run "
        "log or a trainer_state.json."
    ),
]
StepOption = Annotated[int | None, typer.Option(help="Judge this checkpoint instead of the one that was kept.")]
CompletionsOption = Annotated[
    int | None,
    typer.Option(help="trainer_state.json: how many sampled completions one log entry averages over.", min=1),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A replay's setting of a monitor: --set kl_budget.budget_nats=30 (repeatable)."),
]

COLUMNS = {
    "KL": "alignment/kl",
    "proxy": "alignment/proxy_reward",
    "panel": "watch/panel_reward",
    "disagreement": "rewards/disagreement",
    "outliers": "rewards/outlier_rate",
    "length": "completions/mean_length",
    "repetition": "completions/repetition",
}


@app.command()
def audit(
    run: RunArgument,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    step: StepOption = None,
    completions: CompletionsOption = None,
    settings: SetOption = None,
) -> None:
    """Print the alarms of a run; exit with 1 when its policy is from after one that asked to end it, or nobody looked.

    An alarm of a policy that asks for a person opens a review task.
    """
    bank = _bank(settings)
    if Path(run).exists() or Path(run).name != run:
        file = find_run_file(Path(run))
        trail, subject = read_trail(file, completions=completions), str(file)
        found = audit_run(trail, bank, now=now(), step=step)
        _print(trail, found, subject, follow=f"assay monitor watch {run} --once")
    else:
        opened = open_workspace(workspace)
        policy = opened.records.get(PolicyVersion, run)
        trail = trail_of_policy(policy)
        found = audit_run(trail, bank, now=now(), step=step)
        for task in ask_people(opened, policy, found.alarms):
            console.print(f"review {task.short_id} is open: {escape(task.title)}")
        _print(trail, found, f"policy {policy.short_id}", follow=f"assay monitor show {policy.short_id} -w {workspace}")
    if not found.is_clean:
        raise typer.Exit(1)


app.command()(watch)


@app.command()
def show(policy: PolicyArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Show the checkpoints of a policy's run; the kept one is marked."""
    version = open_workspace(workspace).records.get(PolicyVersion, policy)
    table = Table(title=f"{version.name} ({version.method}, {version.short_id})", caption=version.stop_reason or None)
    for heading in ("step", *COLUMNS, "alarms"):
        table.add_column(heading, justify="left" if heading == "alarms" else "right")
    for checkpoint in version.checkpoints:
        values = checkpoint.observation.values
        numbers = [f"{values[name]:.3g}" if name in values else "-" for name in COLUMNS.values()]
        rang = ", ".join(alarm.monitor for alarm in version.alarms if alarm.step == checkpoint.step)
        mark = "*" if checkpoint.step == version.step else ""
        table.add_row(f"{mark}{checkpoint.step}", *numbers, rang)
    console.print(table)
    console.print("* the checkpoint that was kept")
    console.print(f"next: [cyan]assay monitor audit {version.short_id} -w {workspace}[/cyan]")


def _bank(settings: list[str] | None) -> MonitorBank:
    """The default monitors, and those that the settings name besides, with the settings."""
    given: dict[str, dict[str, float | int | str]] = {monitor.name: {} for monitor in default_monitors()}
    for key, value in set_values(settings).items():
        name, _, setting = key.partition(".")
        given.setdefault(name, {})
        if setting:
            given[name][setting] = value
    return MonitorBank(build_monitors(given))


def _print(trail: RunTrail, found: Audit, subject: str, *, follow: str) -> None:
    if found.is_replayed:
        console.print(
            "[yellow]no monitor watched this run;[/yellow] its checkpoints were shown to the default ones now"
        )
    for alarm in found.alarms:
        is_ignored = "  [red]ignored[/red]" if alarm in found.ignored else ""
        console.print(f"{_said(alarm)}{is_ignored}")
    for acted in trail.actions:
        console.print(f"step {acted.step}: {escape(acted.said)}", style="dim")
    for name, missed in found.silent.items():
        console.print(f"[yellow]{name} was silent[/yellow]: the run has no {', '.join(sorted(missed))}")
    steps = trail.steps or max((seen.step for seen in trail.observations), default=0)
    kept = f"{escape(subject)} is the checkpoint at step {found.step} of {steps}"
    if found.is_blind:
        console.print(f"[red]{kept}, and no monitor could look at it[/red]; log the metrics that they read")
    elif found.ignored:
        first = min(alarm.step for alarm in found.ignored)
        console.print(f"[red]{kept}, not from before the alarm at step {first}[/red]; keep an earlier checkpoint")
    else:
        console.print(f"{kept}; {len(found.alarms)} alarms, none of them ignored")
        console.print(f"next: [cyan]{escape(follow)}[/cyan]")


def _said(alarm: Alarm) -> str:
    action = alarm.action.replace("_", " ")
    return f"step {alarm.step}: [bold]{escape(alarm.monitor)}[/bold] ({action}): {escape(alarm.message)}"

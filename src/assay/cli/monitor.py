"""Monitor commands: audit the alarms of a policy version, show its checkpoints as numbers."""

from typing import Annotated

import typer
from rich.table import Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, now, open_workspace
from assay.monitors import MonitorBank, audit_policy, default_monitors
from assay.records.policy import PolicyVersion

app = typer.Typer(no_args_is_help=True, help="Read what the monitors saw and said of a run.")

PolicyArgument = Annotated[str, typer.Argument(help="Id of a policy version, or its first digits.")]

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
def audit(policy: PolicyArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Print the alarm trail; exit with 1 when the policy was kept from after an alarm that asked to end its run."""
    version = open_workspace(workspace).records.get(PolicyVersion, policy)
    found = audit_policy(version, MonitorBank(default_monitors()), now=now())
    if found.is_replayed:
        console.print(
            "[yellow]no monitor watched this run;[/yellow] its checkpoints were shown to the default ones now"
        )
    for alarm in found.alarms:
        is_ignored = "  [red]ignored[/red]" if alarm in found.ignored else ""
        action = alarm.action.replace("_", " ")
        console.print(f"step {alarm.step}: [bold]{alarm.monitor}[/bold] ({action}): {alarm.message}{is_ignored}")
    kept = f"policy {version.short_id} is the checkpoint at step {version.step} of {version.steps_run}"
    if found.is_clean:
        console.print(f"{kept}; {len(found.alarms)} alarms, none of them ignored")
        console.print(f"next: [cyan]assay monitor show {version.short_id} -w {workspace}[/cyan]")
        return
    first = min(alarm.step for alarm in found.ignored)
    console.print(f"[red]{kept}, not from before the alarm at step {first}[/red]; keep an earlier checkpoint")
    raise typer.Exit(1)


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

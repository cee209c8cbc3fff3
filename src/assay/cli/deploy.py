"""Deploy: start a release line, roll a candidate out and back, and serve."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.deployment import (
    DEFAULT_RATES,
    LayerStack,
    LiveWatch,
    Rollout,
    calibrated,
    flag_client,
    load_layers,
    make_release,
    set_candidate_switch,
    switch_off,
    switch_on,
)
from assay.deployment.rollout import Change
from assay.governance import approved_decision
from assay.records.policy import PolicyVersion
from assay.records.release import Release
from assay.storage import Workspace

app = typer.Typer(no_args_is_help=True, help=__doc__)

PolicyArgument = Annotated[str, typer.Argument(help="Id of a policy, or its first digits.")]
ShareOption = Annotated[int, typer.Option("--share", min=1, max=100, help="Percent of the people.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it goes into the ledger.")]


@app.command()
def start(policy: PolicyArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Serve a first release to everybody: the reference policy, or one with an approved decision."""
    opened, at = open_workspace(workspace), now()
    release = _release(opened, policy, at)
    change = Rollout(opened).start(release, now=at)
    set_candidate_switch(_flags(workspace), is_on=True)
    _told("serving release", release.id, change, next_command="assay deploy serve")


@app.command()
def propose(policy: PolicyArgument, share: ShareOption = 5, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Let a candidate answer a share of the people. Needs an approved decision in the ledger."""
    opened, at = open_workspace(workspace), now()
    release = _release(opened, policy, at)
    change = Rollout(opened).propose(release, share_percent=share, now=at)
    _told("candidate", release.id, change, next_command="assay deploy share 25")


@app.command()
def share(
    percent: Annotated[int, typer.Argument(min=1, max=100)], workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Show a running candidate to more people. Needs an approved decision."""
    change = Rollout(open_workspace(workspace)).raise_share(percent, now=now())
    _told("candidate", change.status.candidate or "", change, next_command="assay deploy promote")


@app.command()
def resume(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Let a held candidate go on. Needs an approved decision."""
    change = Rollout(open_workspace(workspace)).resume(now=now())
    _told("candidate", change.status.candidate or "", change, next_command="assay deploy status")


@app.command()
def promote(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Make the running candidate the stable release. Needs an approved decision."""
    change = Rollout(open_workspace(workspace)).promote(now=now())
    _told("stable", change.status.stable, change, next_command="assay deploy rollback (if it goes wrong)")


@app.command()
def shrink(
    to: Annotated[int | None, typer.Option("--to", min=0, max=100, help="Percent; half as many unless told.")] = None,
    reason: ReasonOption = "an operator's word",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Show the candidate to fewer people and hold it. Needs nobody's leave."""
    change = Rollout(open_workspace(workspace)).shrink(reason, now=now(), to_percent=to)
    _told("candidate", change.status.candidate or "", change, next_command="assay deploy resume, or abort")


@app.command()
def hold(reason: ReasonOption = "an operator's word", workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Freeze the candidate at its share. Needs nobody's leave."""
    change = Rollout(open_workspace(workspace)).hold(reason, now=now())
    _told("candidate", change.status.candidate or "", change, next_command="assay deploy resume, or abort")


@app.command()
def abort(reason: ReasonOption = "an operator's word", workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Take the candidate away. Needs nobody's leave."""
    change = Rollout(open_workspace(workspace)).abort(reason, now=now())
    _told("stable", change.status.stable, change, next_command="assay deploy status")


@app.command()
def rollback(reason: ReasonOption = "an operator's word", workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Go back to the release before. Needs nobody's leave and takes effect at the next request."""
    change = Rollout(open_workspace(workspace)).roll_back(reason, now=now())
    _told("stable", change.status.stable, change, next_command="assay deploy status")


@app.command()
def switch(
    candidate: Annotated[bool, typer.Option("--on/--off", help="May a candidate answer at all?")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """The kill switch: off keeps every candidate away at once; on needs the candidate's decision to stand still."""
    opened, at = open_workspace(workspace), now()
    if candidate:
        switch_on(opened, Rollout(opened), _flags(workspace), now=at)
    elif note := switch_off(opened, _flags(workspace), now=at):
        console.print(f"[yellow]{escape(note)}[/yellow]")
    made("kill switch", "candidate may answer" if candidate else "stable only", next_command="assay deploy status")


@app.command()
def status(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Say what is served, to whom and why."""
    pointer = Rollout(open_workspace(workspace)).pointer
    stands = pointer.status
    console.print(f"stable     {stands.stable}")
    console.print(f"candidate  {stands.candidate or 'none'} at {stands.share_percent} %")
    console.print(f"state      {stands.state}: {escape(stands.reason)}")
    console.print(f"before     {pointer.previous_stable or 'none'}")
    if pointer.queued:
        console.print(f"[yellow]{len(pointer.queued)} events wait for the ledger[/yellow]")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="Loopback unless told; there is no authentication.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="Seed of the alarms' calibration and of unseeded requests.")] = 0,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Serve the OpenAI-compatible gateway until it is stopped."""
    # The server and torch take seconds to import, and a roll-back must not wait for them.
    import uvicorn

    from assay.deployment.gateway import create_gateway_app
    from assay.deployment.gateway.engine import LazyEngines, load_engine

    opened, rng = open_workspace(workspace), np.random.default_rng(seed)
    rollout = Rollout(opened)
    engines = LazyEngines(opened, rollout, lambda release: load_engine(opened, release, rng.spawn(1)[0]))
    stable = rollout.status.stable
    engines[stable]
    gateway = create_gateway_app(
        opened,
        engines=engines,
        stack=_layers(workspace),
        rollout=rollout,
        flags=flag_client(_flags(workspace)),
        watch=LiveWatch(opened, rollout, calibrated(DEFAULT_RATES, rng)),
        clock=now,
    )
    example = f"curl http://{host}:{port}/v1/models"
    made("serving release", stable, next_command=example)
    uvicorn.run(gateway, host=host, port=port, log_level="warning")


def _release(workspace: Workspace, policy_id: str, at: datetime) -> Release:
    policy = workspace.records.get(PolicyVersion, policy_id)
    is_reference = policy.method == "reference"
    return make_release(
        workspace,
        policy,
        layers_digest=_layers(workspace.directory).digest,
        decision=None if is_reference else approved_decision(workspace, policy.id, now=at),
        label=policy.name,
        now=at,
    )


def _layers(directory: Path) -> LayerStack:
    own = directory / "layers.yaml"
    return load_layers(own if own.exists() else None)


def _flags(directory: Path) -> Path:
    return directory / "flags.json"


def _told(what: str, record_id: str, change: Change, *, next_command: str) -> None:
    stands = change.status
    console.print(f"state {stands.state}, candidate at {stands.share_percent} %: {escape(stands.reason)}")
    if change.note:
        console.print(f"[yellow]{escape(change.note)}[/yellow]")
    made(what, record_id, next_command=next_command)

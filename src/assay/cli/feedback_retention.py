"""Feedback retention: `assay feedback retention` and `erase`: what people wrote, kept no longer than was promised."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback.erasure import Erasure, changed_since
from assay.feedback.erasure import erase as erase_
from assay.feedback.retention import keep_to, periods
from assay.governance.ethics import record_erasure
from assay.records.errors import ConfigError, StorageError, explain
from assay.storage import Workspace

ByOption = Annotated[str, typer.Option(help="Who does it, for the ledger.")]


def retention(
    by: ByOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    at: Annotated[str | None, typer.Option("--now", help="As of this day (2027-03-01); else today.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Erase what is past its period; needs --by.")] = False,
) -> None:
    """List until when what people wrote in closed campaigns may be kept, and erase what is past that."""
    moment = now() if at is None else _day(at)
    if apply and (moment > now() or not by.strip()):
        got = f"--now {at}, which is to come" if moment > now() else "nobody named"
        do = "say --by NAME, and no later day than today"
        raise ConfigError(explain(expected="to erase what is past its period", got=got, do=do))
    space = open_workspace(workspace)
    found = periods(space.records)
    for period in found:
        state = "over" if period.is_over(moment) else "runs"
        people = f"{len(period.people)} people's words" if period.people else "nothing left to erase"
        console.print(f"{period.campaign}: until {period.ends_at:%Y-%m-%d}, {state}; {people}", markup=False)
        if apply:
            keep_to(space.records, period, now=moment)
    if apply:
        _write_down(space, by=by)
    if not found:
        console.print("no closed campaign has a plan with a period")
    _close(space)


def erase(
    annotator: Annotated[str, typer.Argument(help="Whose words.")],
    by: Annotated[str, typer.Option(help="Who does it, for the ledger.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    campaign: Annotated[str | None, typer.Option(help="Only what they wrote in this one.")] = None,
) -> None:
    """Erase what a person wrote for good, at their wish; what they chose stays until they withdraw."""
    space = open_workspace(workspace)
    if erase_(space.records, annotator, campaign=campaign, why="request", now=now()) is None:
        console.print(f"nothing of {annotator} is there to read", markup=False)
    _write_down(space, by=by)
    _close(space)


def _write_down(space: Workspace, *, by: str) -> None:
    """Put every erasure into the ledger that is not there yet: those people asked for on the site as well."""
    for one in space.records.all(Erasure):
        written = record_erasure(space, one.id, records=len(one.remnants), why=one.why, by=by, now=one.created_at)
        if written:
            console.print(f"{len(one.remnants)} records of {one.annotator} erased", markup=False)
            made("erasure", one.id, next_command=f"assay ledger verify -w {space.directory}")


def _close(space: Workspace) -> None:
    """Raises StorageError where something of an erased record changed since."""
    changed = changed_since(space.records)
    space.close()
    if changed:
        got = f"{len(changed)} of them changed: {', '.join(one[:12] for one in changed[:5])}"
        do = "restore the database from a backup"
        raise StorageError(explain(expected="erased records as they were left", got=got, do=do))


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(explain(expected="a day such as 2027-03-01", got=repr(text), do="write it so")) from error

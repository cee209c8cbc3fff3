"""Feedback ethics: a campaign's review by a second person, and its end: states in records, names in the ledger."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.cli.release import AsOption, KeysOption
from assay.feedback import queue_of
from assay.feedback.campaign import CampaignState, state_of
from assay.feedback.ethics import answer, dossier_of, read_plan, waiting
from assay.feedback.ethics import close as close_
from assay.feedback.ethics import submit as submit_
from assay.governance.ethics import record_closing, record_submission, sign_dossier, signer_of
from assay.governance.signing import KEYS_FOLDER, load_key
from assay.records.errors import GovernanceError, explain
from assay.storage import Workspace

NameArgument = Annotated[str, typer.Argument(help="The campaign.")]


def submit(
    name: NameArgument,
    plan: Annotated[Path, typer.Option(help="Risk, harms, people, minutes, pay, retention, contact (YAML).")],
    by: Annotated[str, typer.Option(help="Who submits; that person may not sign.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Put a draft campaign before a second person, who signs or refuses its dossier."""
    space, moment = open_workspace(workspace), now()
    leases, read = queue_of(space.records), read_plan(plan, now=moment)
    record_submission(space, name, dossier_of(leases, name, read).id, by=by, now=moment)
    entered = submit_(leases, name, read, by=by, now=moment)
    space.close()
    made("dossier", entered.dossier or "", next_command=f"assay feedback dossier {name} -w {workspace}")


def dossier(name: NameArgument, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Print all that a second person signs, as YAML."""
    space = open_workspace(workspace)
    _, found = waiting(queue_of(space.records), name)
    space.close()
    body = found.model_dump(mode="json", exclude={"plan": {"created_at"}, "scheme": {"created_at"}})
    console.print(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=100), markup=False)
    made("dossier", found.id, next_command=f'assay feedback sign {name} --as NAME --comment "…" -w {workspace}')


def sign(
    name: NameArgument,
    as_name: AsOption,
    comment: Annotated[str, typer.Option(help="What you looked at.")],
    reject: Annotated[bool, typer.Option("--reject", help="Say no; the campaign is a draft again.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    keys: KeysOption = None,
) -> None:
    """Sign a campaign's dossier, which opens it, or refuse it."""
    space, moment = open_workspace(workspace), now()
    leases = queue_of(space.records)
    _, found = waiting(leases, name)
    key = load_key(keys or workspace / KEYS_FOLDER, as_name)
    sign_dossier(space, name, found.id, key=key, comment=comment, approves=not reject, now=moment)
    entered = answer(leases, name, approves=not reject, by=as_name, now=moment)
    space.close()
    following = "submit" if reject else "serve --campaign"
    made(f"campaign {entered.state},", entered.id, next_command=f"assay feedback {following} {name} -w {workspace}")


def close(
    name: NameArgument,
    by: Annotated[str, typer.Option(help="Who closes it.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Close a campaign for good: nobody judges any more."""
    space, moment = open_workspace(workspace), now()
    entered = close_(space.records, name, by=by, now=moment)
    record_closing(space, name, by=by, now=moment)
    space.close()
    made("campaign closed,", entered.id, next_command=f"assay feedback export {name}.jsonl -w {workspace}")


def require_open(space: Workspace, name: str) -> None:
    """Raises GovernanceError unless a campaign is open, and signed in the ledger where it had a review."""
    state, last = state_of(space.records, name), space.records.latest(CampaignState, subject=name)
    is_signed = last is None or signer_of(space, name, last.dossier or "") is not None
    if state != "open" or not is_signed:
        do = f"submit it with `assay feedback submit {name}`, have it signed, or choose another"
        got = state if state != "open" else "open without a signature in the ledger"
        raise GovernanceError(explain(expected=f"campaign {name!r} open and signed", got=got, do=do))

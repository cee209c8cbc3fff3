"""Release: enrol people, ask for a release, approve and decide it, see where requests stand, write the cards."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.governance import (
    approve as approve_request,
)
from assay.governance import (
    create_key,
    enroll,
    load_gates,
    load_key,
    open_change_request,
    open_reviews,
    standings,
    write_cards,
)
from assay.governance import (
    decide as decide_request,
)
from assay.governance.enrolment import Role
from assay.governance.gates import DEFAULT_GATES
from assay.governance.history import Standing, obstacles
from assay.governance.signing import KEYS_FOLDER
from assay.records.decision import ChangeRequest
from assay.records.errors import GovernanceError, explain
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion

app = typer.Typer(no_args_is_help=True, help="Ask for a release, approve it, decide it.")

KeysOption = Annotated[Path | None, typer.Option("--keys", help="Where private keys lie; WORKSPACE/keys by default.")]
AsOption = Annotated[str, typer.Option("--as", help="Your enrolled name; your key signs.")]


@app.command("enroll")
def enroll_person(
    name: str,
    role: Annotated[Role, typer.Option(help="An approver answers requests; an owner also signs decisions.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    keys: KeysOption = None,
) -> None:
    """Enrol a person: make their key, unless there is one, and record its public half in the ledger."""
    place = open_workspace(workspace)
    folder = keys or workspace / KEYS_FOLDER
    key = load_key(folder, name) if (folder / f"{name}.pem").exists() else create_key(folder, name)
    person = enroll(place, key, role=role, now=now())
    made(f"{person.role} {person.name}, key", person.public_key, next_command="assay release request POLICY --by NAME")


@app.command()
def request(
    policy: str,
    by: Annotated[str, typer.Option(help="Who asks; that person may not approve.")],
    reason: Annotated[str, typer.Option(help="Why, for the people who approve.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    gates: Annotated[Path, typer.Option(help="A YAML list of gates.")] = DEFAULT_GATES,
    days: Annotated[float, typer.Option(help="Days until the request expires.")] = 7.0,
) -> None:
    """Ask for a policy's release on its last evidence."""
    place = open_workspace(workspace)
    version = place.records.get(PolicyVersion, policy)
    found = [one for one in place.records.all(Evidence) if one.policy == version.id]
    if not found:
        todo = f"run `assay evaluate {version.short_id}` first"
        raise GovernanceError(explain(expected=f"evidence on policy {version.short_id}", got="none", do=todo))
    opened = open_change_request(
        place,
        version,
        evidence=found[-1],
        requested_by=by,
        reason=reason,
        gates=load_gates(gates),
        now=now(),
        expires_in=timedelta(days=days),
    )
    for gate in opened.gates:
        word = "[green]passed[/green]" if gate.passed else "[red]failed[/red]"
        console.print(f"{word} {escape(gate.gate)} ({escape(gate.metric)}): {escape(gate.measured)}")
    made("change request", opened.id, next_command=f'assay release approve {opened.short_id} --as NAME --comment "…"')


@app.command()
def approve(
    change_request: Annotated[str, typer.Argument(metavar="REQUEST")],
    as_name: AsOption,
    comment: Annotated[str, typer.Option(help="What you looked at.")],
    reject: Annotated[bool, typer.Option("--reject", help="Say no.")] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    keys: KeysOption = None,
) -> None:
    """Answer a request with your signed yes, or no with --reject."""
    place = open_workspace(workspace)
    opened = place.records.get(ChangeRequest, change_request)
    key = load_key(keys or workspace / KEYS_FOLDER, as_name)
    answer = approve_request(place, opened, key=key, comment=comment, approves=not reject, now=now())
    what = "rejection" if reject else "approval"
    made(what, answer.id, next_command=f"assay release decide {opened.short_id} --as OWNER")


@app.command()
def decide(
    change_request: Annotated[str, typer.Argument(metavar="REQUEST")],
    as_name: AsOption,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    keys: KeysOption = None,
) -> None:
    """Sign the decision that gates and approvals allow."""
    place = open_workspace(workspace)
    opened = place.records.get(ChangeRequest, change_request)
    decision = decide_request(place, opened, key=load_key(keys or workspace / KEYS_FOLDER, as_name), now=now())
    console.print(f"{decision.outcome}: {escape(decision.reason)}")
    made("decision", decision.id, next_command=f"assay release cards {decision.policy[:12]} --out DIR")


@app.command()
def show(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Where every change request stands, and which reviews are open."""
    place = open_workspace(workspace)
    found = standings(place)
    for one in found:
        console.print(f"[bold]{one.request.short_id}[/bold] policy {one.request.policy[:12]}: {escape(_state(one))}")
    for task in open_reviews(place):
        console.print(f"[bold]review {task.short_id}[/bold] {escape(task.title)}: {escape(task.reason)}")
    if not found:
        console.print("no change requests; next: assay release request POLICY --by NAME")


@app.command()
def cards(
    policy: str,
    out: Annotated[Path, typer.Option(help="Directory for the cards.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Write the model, data and reward cards of a policy."""
    paths = write_cards(open_workspace(workspace), policy, directory=out, now=now())
    for path in paths:
        made("card", str(path), next_command="assay ledger verify")


def _state(found: Standing) -> str:
    if found.faults:
        return f"does not verify: {'; '.join(found.faults)}"
    if found.made:
        return f"{found.made.decision.outcome} in ledger entry {found.made.seq}: {found.made.decision.reason}"
    against = obstacles(found, now=now())
    return f"open: {'; '.join([*against.final, *against.missing]) or 'ready for a decision'}"

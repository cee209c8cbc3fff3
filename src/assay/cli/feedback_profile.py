"""Feedback floor: `assay feedback floor`: what no profile of anybody goes below."""

from typing import Annotated

import typer

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback.profiles import floor_of, raise_floor
from assay.records.errors import InputError, explain
from assay.records.profile import TOPICS, Caution, Topic


def floor(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    caution: Annotated[Caution | None, typer.Option(help="The least caution that anybody may choose.")] = None,
    topics: Annotated[str, typer.Option(help=f"Kept away from for everybody, by commas: {', '.join(TOPICS)}.")] = "",
    by: Annotated[str, typer.Option(help="Who raises it.")] = "",
) -> None:
    """Show the floor beneath all profiles, or raise it. It cannot be lowered."""
    space = open_workspace(workspace)
    found = floor_of(space.records)
    if caution is not None or topics:
        least: Caution = caution or (found.caution if found else "usual")
        found = raise_floor(space.records, caution=least, avoided=_named(topics), by=by, now=now())
    space.close()
    if found is None:
        console.print("no floor: people may choose any profile")
        return
    console.print(f"caution at least {found.caution}; kept away from: {', '.join(found.avoided) or 'nothing'}")
    made("floor", found.id, next_command=f"assay feedback serve --campaign NAME -w {workspace}")


def _named(topics: str) -> tuple[Topic, ...]:
    """Topics by name, commas between them. Raises InputError for one that there is not."""
    given = {name.strip() for name in topics.split(",") if name.strip()}
    if unknown := sorted(given - set(TOPICS)):
        do = "name some of these"
        raise InputError(explain(expected=f"topics among {', '.join(TOPICS)}", got=", ".join(unknown), do=do))
    return tuple(topic for topic in TOPICS if topic in given)

"""Feedback recruit: `assay feedback recruit`: the link for a panel provider, and who a participant is."""

from typing import Annotated

import typer

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback.campaign import find_campaign, run_of
from assay.feedback.pseudonyms import key_path
from assay.feedback.recruiting import (
    PROLIFIC,
    Completion,
    close_recruitment,
    participant_name,
    was_given_code,
)
from assay.feedback.recruiting import recruit as recruit_
from assay.records.errors import ConfigError, explain
from assay.storage import Workspace
from assay.web import join_address
from assay.web.security import signing_key


def recruit(
    campaign: Annotated[str, typer.Argument(help="The campaign.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    code: Annotated[str | None, typer.Option(help="The completion code that the provider expects.")] = None,
    items: Annotated[int, typer.Option(min=1, help="How many judged items earn it.")] = 20,
    parameter: Annotated[str, typer.Option(help="The parameter in which the provider says who comes.")] = PROLIFIC,
    placeholder: Annotated[
        str | None, typer.Option(help="What the provider puts the id in place of; else {{%PARAMETER%}}.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where the code leads back to, with {code}; Prolific's is known.")
    ] = None,
    site: Annotated[str, typer.Option(help="Where the site is served.")] = "http://127.0.0.1:8000",
    name_of: Annotated[
        str | None, typer.Option(help="Say instead under which name the person of this id judges.")
    ] = None,
    close: Annotated[bool, typer.Option("--close", help="Let nobody new in by this parameter.")] = False,
) -> None:
    """Print the link by which a panel provider sends people to a campaign; they need no account."""
    space = open_workspace(workspace)
    found = find_campaign(space.records, campaign)
    if name_of is not None:
        _tell_name(space, campaign, parameter, name_of)
        space.close()
        return
    if close:
        closed = close_recruitment(space.records, campaign, parameter, now=now())
        space.close()
        made("recruitment", closed.id, next_command=f"assay feedback quality {campaign} --workspace {workspace}")
        return
    if code is None:
        do = "give the code that the provider shows for your study"
        raise ConfigError(explain(expected="a completion code with --code", got="none", do=do))
    recruitment = recruit_(space.records, campaign, code=code, items=items, parameter=parameter, url=url, now=now())
    address = join_address(space, recruitment, placeholder=placeholder or f"{{{{%{parameter}%}}}}")
    finished = len({one.annotator for one in space.records.all(Completion) if one.campaign == campaign})
    space.close()
    console.print(f"{items} items earn the code; {finished} people were given it so far")
    if run_of(found).daily_cap_min is not None:
        console.print("note: this campaign has a daily cap; whoever reaches it first gets the code on another day")
    console.print(site.rstrip("/") + address, markup=False, soft_wrap=True)
    made("recruitment", recruitment.id, next_command=f"assay feedback serve --campaign {campaign} -w {workspace}")


def _tell_name(space: Workspace, campaign: str, parameter: str, identity: str) -> None:
    """Say who a participant is here, so that a manager can answer their provider, or withdraw for them."""
    name = participant_name(parameter, identity, signing_key(key_path(space.directory)))
    was = "was given the code" if was_given_code(space.records, campaign, name) else "was not given the code"
    console.print(f"{name} {was}", markup=False)

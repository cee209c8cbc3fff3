"""Feedback rights: what leaves a workspace and for what, what a person agreed to, and taking everything back."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback import queue_of
from assay.feedback.consent import receipt
from assay.feedback.exporting import PSEUDONYMOUS, View, Wanted
from assay.feedback.exporting import export as export_
from assay.feedback.formats import WRITERS
from assay.feedback.pseudonyms import key_path
from assay.feedback.tokens import close_tokens, make_token
from assay.feedback.withdrawal import made_from, made_with_groups
from assay.feedback.withdrawal import withdraw as withdraw_
from assay.records.consent import Purpose
from assay.web.security import signing_key


def export(
    file: Annotated[Path, typer.Argument(help="Where to write: jsonl, or .json, .csv, .parquet; .gz compresses.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source, such as pandalm.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Only this campaign.")] = None,
    purpose: Annotated[Purpose, typer.Option(help="What for: only what people agreed to is written.")] = "train",
    view: Annotated[View, typer.Option(help="Every judgement, what stands of each person, or counts a pair.")] = "raw",
    format_: Annotated[str, typer.Option("--format", help=f"With --view annotator: {', '.join(WRITERS)}.")] = "assay",
    pseudonymous: Annotated[
        bool | None, typer.Option("--pseudonymous/--named", help="Published and studied data is never named.")
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Take personal data out; published data never has any.")
    ] = False,
) -> None:
    """Write stored judgements, as jsonl that `import` reads back exactly or in another view, format and layout."""
    space = open_workspace(workspace)
    hides = purpose in PSEUDONYMOUS if pseudonymous is None else pseudonymous
    wanted = Wanted(
        purpose=purpose,
        view=view,
        format=format_,
        split=split,
        source=source,
        campaign=campaign,
        pseudonym_key=signing_key(key_path(workspace)) if hides else None,
        is_redacted=redact,
    )
    written = export_(space.records, file, wanted)
    space.close()
    console.print(f"{written.judgements} judgements in {written.rows} rows")
    if written.left_out:
        console.print(f"{written.left_out} left out: taken back, or no consent to the purpose {purpose}")
    made("exported", str(file), next_command=f"assay feedback import {file} --workspace OTHER")


def token(
    name: Annotated[str, typer.Argument(help="The program, or who runs it.")],
    purpose: Annotated[Purpose, typer.Option(help="What it may read for.")] = "research",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    campaign: Annotated[list[str] | None, typer.Option(help="Only these campaigns; may be repeated.")] = None,
    days: Annotated[float, typer.Option(help="Days until it opens no more.")] = 90.0,
    close: Annotated[bool, typer.Option("--close", help="Close all tokens of this name instead.")] = False,
) -> None:
    """Make a token by which a program reads judgements from the site's `/api`, under pseudonyms. It is shown once."""
    space = open_workspace(workspace)
    if close:
        count = close_tokens(space.records, name, now=now())
        space.close()
        console.print(f"{count} tokens closed")
        return
    random = secrets.token_bytes(32)
    done = make_token(
        space.records, name, purpose=purpose, random=random, now=now(), days=days, campaigns=campaign or None
    )
    space.close()
    console.print(f"Authorization: Bearer {done.secret}", markup=False)
    made("token", done.token.id, next_command=f"assay feedback serve --campaign NAME --workspace {workspace}")


def consent(
    annotator: Annotated[str, typer.Argument(help="Whose word it is.")], workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Print the receipt of what a person agreed to, in the words of then, as JSON."""
    space = open_workspace(workspace)
    found = receipt(space.records, annotator)
    space.close()
    console.print_json(found.model_dump_json())
    made("receipt", found.digest, next_command=f"assay feedback withdraw {annotator} --workspace {workspace}")


def withdraw(
    annotator: Annotated[str, typer.Argument(help="Who takes everything back.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Take back all that a person said, and list what was made from it."""
    space = open_workspace(workspace)
    done = withdraw_(queue_of(space.records), annotator, now=now())
    stale = made_from(space.records, done.judgements, done.demonstrations)
    of_groups = made_with_groups(space.records)
    space.close()
    console.print(f"{len(done.judgements)} judgements taken back; exports and new fits go without them")
    every = [sorted({*one, *other}) for one, other in zip(stale, of_groups, strict=True)]
    for kind, identities in zip(stale._fields, every, strict=True):
        console.print(f"stale {kind}: " + (", ".join(one[:12] for one in identities) or "none"))
    if any(every):
        console.print("make them again in this order: preferences, rewards, policies, their evidence, a release")
    made("withdrawal", done.id, next_command=f"assay preferences fit --workspace {workspace}")

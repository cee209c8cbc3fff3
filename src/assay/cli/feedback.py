"""Feedback commands: import and export judgements, open a campaign, and serve it to people."""

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback import (
    Folds,
    ImportSummary,
    export_judgements,
    find_campaign,
    import_judgements,
    open_campaign,
    read_items,
    read_judgements,
)
from assay.feedback.folds import held_out_from
from assay.web import create_annotation_app
from assay.web.annotation import campaign_path

app = typer.Typer(no_args_is_help=True, help="Collect judgements from people, read them in, write them out.")

HeldOutOption = Annotated[
    str, typer.Option("--held-out-annotators", help="auto (a quarter, by hash), none, or names with commas between.")
]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="jsonl, JSON list or parquet; may be gzipped.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    format_: Annotated[str | None, typer.Option("--format", help="Overrule what the fields say.")] = None,
    held_out_annotators: HeldOutOption = "auto",
) -> None:
    """Read a file of judgements or demonstrations and store it, divided into splits."""
    space = open_workspace(workspace)
    imported = read_judgements(file, now=now(), source_format=format_)
    summary = import_judgements(
        space.records, imported, folds=Folds(held_out_annotators=held_out_from(held_out_annotators))
    )
    space.close()
    _report(summary)
    made("imported", summary.judgement_set, next_command=f"assay preferences fit --workspace {workspace}")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write; .gz is compressed.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source, such as pandalm.")] = None,
) -> None:
    """Write stored judgements as jsonl that `import` reads back exactly."""
    space = open_workspace(workspace)
    count = export_judgements(space.records, file, split=split, source=source)
    space.close()
    console.print(f"{count} judgements")
    made("exported", str(file), next_command=f"assay feedback import {file} --workspace OTHER")


@app.command("campaign")
def campaign(
    name: Annotated[str, typer.Argument(help="A new campaign, or one that gains items.")],
    items: Annotated[Path, typer.Argument(help="Rows of prompt, first and second.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    held_out_annotators: HeldOutOption = "none",
) -> None:
    """Open a campaign: pairs for people to judge in the browser."""
    space = open_workspace(workspace)
    moment = now()
    read = read_items(items, campaign=name, now=moment)
    opened = open_campaign(
        space.records, name, read, now=moment, folds=Folds(held_out_annotators=held_out_from(held_out_annotators))
    )
    space.close()
    console.print(f"{len(opened.splits)} pairs in {name}")
    made("campaign", opened.id, next_command=f"assay feedback serve --campaign {name} --workspace {workspace}")


@app.command("serve")
def serve(
    campaign: Annotated[str, typer.Option(help="The campaign to judge.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine only.")] = "127.0.0.1",
) -> None:
    """Serve the annotation page until stopped with Ctrl-C."""
    space = open_workspace(workspace)
    found = find_campaign(space.records, campaign)
    next_command = f"assay feedback export judgements.jsonl --workspace {workspace}"
    made("campaign", found.id, next_command=next_command)
    console.print(f"judge at http://{host}:{port}{campaign_path(campaign)}")
    uvicorn.run(create_annotation_app(space, clock=now), host=host, port=port, log_level="warning")
    space.close()


def _report(summary: ImportSummary) -> None:
    console.print(
        f"{summary.judgements} judgements and {summary.demonstrations} demonstrations "
        f"in {summary.format} format, {summary.added} of them new"
    )
    console.print("splits: " + ", ".join(f"{name} {count}" for name, count in summary.splits.items()))
    if summary.held_out_annotators:
        console.print(f"held-out annotators: {', '.join(summary.held_out_annotators)}", markup=False)
    if summary.unused:
        console.print(
            f"{summary.unused} are stored and left unused: they join a held-out annotator with a training prompt, or "
            "the other way round (--held-out-annotators none divides by prompt alone)"
        )
    for note in summary.notes:
        console.print(f"note: {note}", markup=False)

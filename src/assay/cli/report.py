"""Report: the command that writes the one HTML page on the latest evidence."""

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, made, open_workspace

app = typer.Typer(help="Write the report: one HTML file that needs no network and no script.")


@app.callback(invoke_without_command=True)
def report(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; report.html in the workspace.")] = None,
    evidence: Annotated[
        str | None, typer.Option("--evidence", help="Id of an evidence; the latest by default.")
    ] = None,
) -> None:
    """Write the report on the latest evidence of a workspace, or on the one named."""
    from assay.evaluation.report import report_from_workspace  # matplotlib; no other command waits for it

    opened = open_workspace(workspace)
    try:
        path = report_from_workspace(opened, out or workspace / "report.html", evidence_id=evidence)
    finally:
        opened.close()
    made("report", str(path), next_command=f"open {path} in a browser")

"""Reward serve: a stored reward for other trainers: as an HTTP endpoint until it is stopped, or as a directory."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace


def serve(
    reward: Annotated[str, typer.Argument(help="Id of a reward, or its first digits.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    host: Annotated[str, typer.Option(help="Loopback unless told; there is no authentication.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    model: Annotated[str | None, typer.Option(help="Where the backbone lies now, if it moved.")] = None,
) -> None:
    """Serve a reward to OpenRLHF (`/get_reward`) and to anything that speaks HTTP (`/score`)."""
    # torch and the server take seconds to import, and the other commands must not wait for them.
    import uvicorn

    from assay.rewards.serving import create_app, open_scorer

    opened = open_workspace(workspace)
    try:
        scorer = open_scorer(opened, reward, now=now(), model=model)
    finally:
        opened.close()
    made("serving reward", scorer.name, next_command=f"curl http://{host}:{port}/healthz")
    uvicorn.run(create_app(scorer), host=host, port=port, log_level="warning")


def export(
    reward: Annotated[str, typer.Argument(help="Id of a reward, or its first digits.")],
    out: Annotated[Path, typer.Argument(help="A directory that is not there yet.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: Annotated[str | None, typer.Option(help="Where the backbone lies now, if it moved.")] = None,
) -> None:
    """Write a tuned reward as a one-label sequence classifier that transformers opens, scores unchanged."""
    from assay.rewards.serving import open_scorer
    from assay.rewards.tuning.export import export_stored

    opened = open_workspace(workspace)
    try:
        scorer = open_scorer(opened, reward, now=now(), model=model)
    finally:
        opened.close()
    export_stored(scorer.reward, out)
    console.print(f"wrote {escape(str(out))}: AutoModelForSequenceClassification.from_pretrained opens it")

"""Align save: `assay align save`: a policy as a directory that transformers, peft and vLLM open."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, now, open_workspace
from assay.records.policy import PolicyVersion


def save(
    policy: Annotated[str, typer.Argument(help="Id of a policy, or its first digits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write; there must be none yet.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    merged: Annotated[bool, typer.Option("--merged", help="The whole model, with the adapter worked in.")] = False,
) -> None:
    """Write a policy with its tokenizer, its log and its model card: the adapter, or the whole model."""
    from assay.governance.cards.writing import model_card_of
    from assay.lm import load, save_adapter
    from assay.lm.merging import save_merged
    from assay.storage.artifacts import write_directory

    space = open_workspace(workspace)
    found = space.records.get(PolicyVersion, policy)
    adapter = None if found.adapter is None else space.artifacts.path(found.adapter)
    lm = load(found.base_model, adapter=adapter)
    card = model_card_of(space, found, now=now())
    space.close()
    is_whole = merged or adapter is None

    def fill(place: Path) -> None:
        if is_whole:
            save_merged(lm, place)
        else:
            save_adapter(lm, place)
            lm.tokenizer.save_pretrained(str(place))
        (place / "README.md").write_text(card, encoding="utf-8")
        (place / "trainer_state.json").write_text(_state(found), encoding="utf-8")

    write_directory(out, fill)
    what = "the whole model" if is_whole else f"an adapter of {found.base_model}"
    console.print(f"[bold]written[/bold] {escape(str(out))}: {escape(what)}")
    console.print(f"next: [cyan]assay monitor audit {escape(str(out))}[/cyan]")


def _state(policy: PolicyVersion) -> str:
    """What was measured on the way, under the names and in the form of a transformers trainer."""
    history = [{"step": one.step, **one.observation.values} for one in policy.checkpoints if one.step <= policy.step]
    state = {"global_step": policy.step, "max_steps": policy.steps_run, "log_history": history}
    return json.dumps(state, indent=1, sort_keys=True)

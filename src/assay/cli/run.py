"""Run: `assay demo` and `assay run RECIPE`: the whole walk, with progress, resumable, ending with the report."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from assay.records.errors import ConfigError

OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Directory of the run; runs/NAME by default.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Overrule a setting: --set alignment.dpo.beta=0.2 (repeatable).")
]
ModelOption = Annotated[str | None, typer.Option("--model", help="default, a directory, or a hub id.")]


def demo(
    out: OutOption = None,
    resume: ResumeOption = False,
    model: ModelOption = None,
    settings: SetOption = None,
) -> None:
    """The whole walk on SmolLM2-135M with a simulated panel: where the unguarded loop hacks, where the guard stops."""
    overrides = _overrides(model, None, settings)
    # torch takes seconds to import; a roll-back, an audit or a slip of the pen must not wait for it.
    from assay.cli.whole import walk_demo

    walk_demo(overrides, out, resume=resume)


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe in YAML, such as recipes/pandalm.yaml.")],
    judgements: Annotated[Path | None, typer.Option("--judgements", help="File of judgements to import.")] = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    model: ModelOption = None,
    settings: SetOption = None,
) -> None:
    """Run the walk that a recipe describes."""
    overrides = _overrides(model, judgements, settings)
    from assay.cli.whole import walk_recipe  # as above

    walk_recipe(recipe, overrides, out, resume=resume)


def _overrides(model: str | None, judgements: Path | None, settings: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if model is not None:
        found["model"] = model
    if judgements is not None:
        found["feedback.judgements"] = str(judgements)
    return found | set_values(settings)


def set_values(settings: list[str] | None) -> dict[str, Any]:
    """Values by dotted key from KEY=VALUE texts, the value read as YAML. Raises ConfigError for any other text."""
    found: dict[str, Any] = {}
    for setting in settings or []:
        key, sign, value = setting.partition("=")
        if not sign or not all(key.split(".")):
            raise ConfigError(f"expected --set KEY=VALUE; got {setting!r}; name a key of the settings, with dots")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            got = " ".join(str(error).split())
            raise ConfigError(f"expected a YAML value after --set {key}=; got {got}; put it in quotes") from error
    return found

"""Align settings: what an `assay align` command is told: a TRL configuration, a recipe's keys, single keys.

The later one wins. Of a TRL configuration it is said aloud which keys did nothing and where the run differs from TRL's.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.markup import escape

from assay.cli.context import console
from assay.cli.run import set_values
from assay.records.errors import ConfigError, explain

if TYPE_CHECKING:
    from assay.alignment.exchange import TrlReading

ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML with the keys of a recipe's `alignment`.")]
FromTrlOption = Annotated[
    Path | None, typer.Option("--from-trl", help="YAML of a TRL 1.16 trainer; --config and --set overrule it.")
]
TrlTrainerOption = Annotated[
    str | None,
    typer.Option("--trl-trainer", help="Which of TRL's trainers it is for; by default that of the method's name."),
]


def set_option(section: str, example: str) -> typer.models.OptionInfo:
    """The repeatable `--set KEY=VALUE` of one section of a recipe."""
    return typer.Option("--set", help=f"A key of a recipe's `{section}`: --set {example} (repeatable).")


class Told(NamedTuple):
    """The keys of a recipe's `alignment`, the method's section among them, and a seed where one was named."""

    section: dict[str, Any]
    seed: int | None


def read_told(
    method: str,
    from_trl: Path | None,
    trainer: str | None,
    config: Path | None,
    settings: list[str] | None,
    *,
    is_heard: bool = True,
) -> Told:
    """What the options say together; `is_heard` is off where another process tells of it already.

    Raises ConfigError for what cannot be read or has no counterpart.
    """
    from assay.cli.config import override, read_settings

    section: dict[str, Any] = {} if config is None else read_settings(config)
    seed = None
    if from_trl is not None:
        reading = _from_trl(method, from_trl, trainer)
        seed = reading.seed
        if is_heard:
            _tell(reading)
        section[method] = reading.settings | (section.get(method) or {})
    elif trainer is not None:
        raise ConfigError(explain(expected="--from-trl FILE beside --trl-trainer", got="none", do="name the file"))
    section = override(section, set_values(settings))
    section[method] = section.get(method) or {}
    return Told(section, seed)


def _from_trl(method: str, path: Path, trainer: str | None) -> "TrlReading":
    from assay.alignment.exchange import METHOD_OF, read_trl, trainer_named
    from assay.cli.config import read_settings

    named = trainer_named(trainer or method)
    if METHOD_OF[named] != method:
        do = f"run `assay align {METHOD_OF[named].replace('_', '-')}` with it"
        raise ConfigError(explain(expected=f"a trainer that `assay align {method}` stands for", got=named, do=do))
    return read_trl(read_settings(path), named)


def _tell(reading: "TrlReading") -> None:
    _say("taken", [f"{key}={value}" for key, value in reading.settings.items()])
    _say("no effect on what is learnt", reading.ignored)
    _say("the workspace has its own", reading.workspace)
    for difference in reading.differences:
        console.print(f"[yellow]otherwise than TRL:[/yellow] {escape(difference)}")


def _say(what: str, names: Any) -> None:
    if names:
        console.print(f"[dim]{what}: {escape(', '.join(names))}[/dim]")

"""Loading: builds a layer stack from a YAML file of declarations, and refuses the whole file when one of them is wrong.

Every declaration names a kind from `KINDS`, a stage, a mode, an owner and what a failure of the layer means. Nothing
has a silent default, and a rule that could never fire is a fault, not an empty success.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from assay.deployment.layers import blocked_terms, injection_markers, private_data, prompt_length, repetition
from assay.deployment.layers.layer import Layer, LayerManifest, Stage
from assay.deployment.layers.stack import LayerStack
from assay.records.errors import ConfigError, explain

_OWN_FIELDS = frozenset({"use", "name", "stage", "mode", "failure_mode", "owner", "settings"})


@dataclass(frozen=True)
class LayerKind:
    """One kind of layer: the stages it can stand at, its settings and how it is made from them."""

    version: int
    stages: frozenset[Stage]
    settings: type[BaseModel]
    build: Callable[[LayerManifest, Any], Layer]
    catches: tuple[str, ...]
    does_not_catch: tuple[str, ...]


def _kind(module: ModuleType, *stages: Stage) -> LayerKind:
    return LayerKind(
        version=module.VERSION,
        stages=frozenset(stages),
        settings=module.Settings,
        build=module.build,
        catches=module.CATCHES,
        does_not_catch=module.DOES_NOT_CATCH,
    )


KINDS = {
    "blocked_terms": _kind(blocked_terms, "input", "output"),
    "injection_markers": _kind(injection_markers, "input"),
    "private_data": _kind(private_data, "output"),
    "prompt_length": _kind(prompt_length, "input"),
    "repetition": _kind(repetition, "output"),
}


def load_layers(path: Path | None = None) -> LayerStack:
    """The stack that a YAML file declares; without a path, the default one. Raises ConfigError with all its faults."""
    source = files("assay.deployment.layers") / "default_layers.yaml" if path is None else path
    try:
        declared = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        todo = "mend the file, or remove it to use the default layers"
        raise ConfigError(explain(expected=f"layers in {source}", got=str(error), do=todo)) from error
    return build_layers(declared, source=str(source))


def build_layers(declared: object, *, source: str) -> LayerStack:
    """The stack that plain data declares. Raises ConfigError with all its faults."""
    entries = declared.get("layers") if isinstance(declared, dict) else None
    if not isinstance(entries, list) or not entries:
        todo = "declare layers, or remove the file to use the default ones"
        raise ConfigError(explain(expected=f"a non-empty list `layers` in {source}", got=repr(entries), do=todo))
    faults: list[str] = []
    layers = [layer for number, entry in enumerate(entries, 1) if (layer := _built(number, entry, faults)) is not None]
    names = [layer.manifest.name for layer in layers]
    faults += [f"the name {name!r} stands twice" for name in sorted(set(names)) if names.count(name) > 1]
    if faults:
        raise ConfigError(explain(expected=f"sound layers in {source}", got="; ".join(faults), do="mend them all"))
    return LayerStack(tuple(layers))


def _built(number: int, entry: object, faults: list[str]) -> Layer | None:
    where = f"layer {number}"
    if not isinstance(entry, dict) or (kind := KINDS.get(str(entry.get("use")))) is None:
        faults.append(f"{where} needs `use`, one of {', '.join(sorted(KINDS))}")
        return None
    if entry.get("stage") not in kind.stages:
        faults.append(f"{where} ({entry['use']}) can stand at {sorted(kind.stages)}, not at {entry.get('stage')!r}")
        return None
    unknown = sorted(str(key) for key in set(entry) - _OWN_FIELDS)
    if unknown:
        faults.append(f"{where} ({entry['use']}) has unknown fields {', '.join(unknown)}")
        return None
    try:
        settings = kind.settings.model_validate(entry.get("settings") or {})
        manifest = LayerManifest.model_validate(
            {key: value for key, value in entry.items() if key not in ("use", "settings")}
            | {"name": entry.get("name", entry["use"]), "kind": entry["use"], "version": kind.version}
            | {"settings": settings.model_dump(mode="json")}
            | {"catches": kind.catches, "does_not_catch": kind.does_not_catch}
        )
        return kind.build(manifest, settings)
    except ValidationError as error:
        faults += [
            f"{where} ({entry['use']}) {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        ]
        return None

"""Configuration page: docs/configuration.md names every key of a recipe with its default, and no key that is not there.

A heading names the sections whose keys its table lists; the whole key is the section's name, a dot and the key.
"""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from assay.cli.config import RunConfig
from assay.monitors import MONITORS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
TOP = "top level"


def shown(value: Any) -> str:
    """A default as the page writes it: YAML's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return str(value)


def keys_of(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Every key below a model with its default; a section that is always there has keys alone, an optional one both."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        parts = [part for part in (field.annotation, *get_args(field.annotation)) if isinstance(part, type)]
        section = next((part for part in parts if issubclass(part, BaseModel)), None)
        if section is None or field.default is None:
            found[prefix + name] = "required" if field.is_required() else shown(field.default)
        if section is not None:
            found |= keys_of(section, f"{prefix}{name}.")
    return found


@pytest.fixture(scope="module")
def expected():
    found = keys_of(RunConfig)
    for name, entry in MONITORS.items():
        found |= keys_of(entry.settings, f"alignment.monitors.{name}.")
    return found


@pytest.fixture(scope="module")
def documented():
    sections: list[str] = []
    found: dict[str, str] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            sections = ["" if TOP in line else f"{name}." for name in re.findall(r"`([a-z_.]+)`", line)] or [""]
        row = re.match(r"\| `([a-z_]+)` \| `?([^|]*?)`? \| \S", line)
        if row is not None:
            for section in sections:
                assert section + row[1] not in found, f"{section + row[1]} stands on the page twice"
                found[section + row[1]] = row[2]
    return found


def test_every_key_is_documented_and_no_other(documented, expected):
    assert sorted(documented) == sorted(expected)


def test_every_documented_default_is_the_one_in_the_code(documented, expected):
    assert {key: value for key, value in documented.items() if value != expected.get(key)} == {}


def test_the_walk_over_the_configuration_finds_keys_at_every_depth(expected):
    assert expected["name"] == "required"
    assert expected["alignment.dpo"] == "null"
    assert expected["alignment.dpo.lora.top_layers"] == "null"
    assert expected["feedback.folds.shares.train"] == "0.7"
    assert expected["alignment.monitors.kl_budget.budget_nats"] == "15.0"
    assert "reward" not in expected

"""Prompts: the questions of the demonstration project and the answers that show how to reply.

Takes nothing, reads the data files packaged in this room, yields prompts and (prompt, completion) demonstrations in
file order. The six kinds are explain, list, rewrite, advise, refuse and brief.
"""

import json
from importlib.resources import files
from typing import Any, NamedTuple


class DemoPrompt(NamedTuple):
    """One prompt a rater can be shown: its stable id (`explain-01`), its kind and its text (6 to 22 words)."""

    id: str
    kind: str
    text: str


def demo_prompts() -> list[DemoPrompt]:
    """All 192 prompts, 32 of each kind, grouped by kind."""
    return [DemoPrompt(row["id"], row["kind"], row["text"]) for row in _rows("demo_prompts.jsonl")]


def demo_demonstrations() -> list[tuple[str, str]]:
    """72 pairs (prompt text, good completion) for the first 12 prompts of each kind, at most 40 words a completion."""
    return [(row["text"], row["completion"]) for row in _rows("demo_demonstrations.jsonl")]


def _rows(name: str) -> list[dict[str, Any]]:
    text = files("assay.feedback").joinpath("data", name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]

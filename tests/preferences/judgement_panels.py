"""Judgement panels: people with planted habits who judge pairs of known worth."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from assay.records.conversation import user_prompt
from assay.records.judgement import Choice, Judgement, Side

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def judge(
    prompt: str = "a prompt",
    first: str = "one",
    second: str = "two",
    choice: Choice = "first",
    *,
    annotator: str = "ada",
    first_shown: Side = "left",
    supersedes: str | None = None,
    occurrence: int = 0,
) -> Judgement:
    return Judgement(
        created_at=NOW,
        campaign="test",
        annotator=annotator,
        prompt=user_prompt(prompt),
        first=first,
        second=second,
        choice=choice,
        first_shown=first_shown,
        supersedes=supersedes,
        occurrence=occurrence,
    )


class Person(NamedTuple):
    """`slope` is 0 for one who does not look, `left` the logits in favour of the left."""

    name: str
    slope: float
    left: float = 0.0


class PlantedPanel(NamedTuple):
    """`better` names the better completion by prompt."""

    judgements: list[Judgement]
    better: dict[str, str]


def planted_panel(people: list[Person], *, prompts: int, tie_band: float, seed: int) -> PlantedPanel:
    """Two completions a prompt with normal worths; everyone judges every pair, on a random side."""
    rng = np.random.default_rng(seed)
    judgements, better = [], {}
    for number in range(prompts):
        prompt, texts, worth = f"prompt {number}", (f"x {number}", f"y {number}"), rng.normal(size=2)
        better[prompt] = texts[int(worth[1] > worth[0])]
        for person in people:
            side: Side = "left" if rng.random() < 0.5 else "right"
            lean = person.slope * (worth[0] - worth[1]) + person.left * (1 if side == "left" else -1) + rng.logistic()
            choice: Choice = "tie" if abs(lean) < tie_band else "first" if lean > 0 else "second"
            judgements.append(judge(prompt, *texts, choice, annotator=person.name, first_shown=side))
    return PlantedPanel(judgements, better)

"""Completion rows: numbers each distinct (prompt, completion) once, so that many judgements share one row of features.

Takes judgements, preferences or labels in any order; yields the texts to read, and arrays that point at their rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from assay.records.conversation import Prompt
from assay.records.judgement import Choice, Judgement
from assay.records.preference import Preference
from assay.rewards.bradley_terry import Pairs

FIRST_WINS: Mapping[Choice, float | None] = {
    "first": 1.0,
    "second": 0.0,
    "tie": 0.5,
    "both_bad": 0.5,
    "cannot_judge": None,
}
"""What a choice says of the chance that the first completion is better; None where it says nothing."""


class CompletionRows:
    """The distinct completions so far: `prompts`, `completions` and `group` (the number of the prompt), by row."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self.completions: list[str] = []
        self.group: list[int] = []
        self._rows: dict[tuple[Prompt, str], int] = {}
        self._groups: dict[Prompt, int] = {}

    def number(self, prompt: Prompt, completion: str) -> int:
        """Row of a completion; a new one where it was not seen before."""
        row = self._rows.setdefault((prompt, completion), len(self._rows))
        if row == len(self.completions):
            self.prompts.append(prompt)
            self.completions.append(completion)
            self.group.append(self._groups.setdefault(prompt, len(self._groups)))
        return row


def preference_pairs(rows: CompletionRows, preferences: Sequence[Preference]) -> Pairs:
    """Preferences as pairs of rows, with their probability and weight."""
    return Pairs(
        chosen=np.array([rows.number(p.prompt, p.chosen) for p in preferences], dtype=int),
        rejected=np.array([rows.number(p.prompt, p.rejected) for p in preferences], dtype=int),
        probability=np.array([p.probability for p in preferences], dtype=float),
        weight=np.array([p.weight for p in preferences], dtype=float),
    )


def choice_pairs(rows: CompletionRows, choices: Sequence[tuple[Judgement, Choice]]) -> Pairs:
    """Choices on judged pairs, ties as one half, as pairs of rows; choices that say nothing are left out.

    Several people's hard choices on one pair weigh like one soft label: cross-entropy is linear in the label.
    """
    said = [(judgement, FIRST_WINS[choice]) for judgement, choice in choices]
    kept = [(j, p) for j, p in said if p is not None]
    return Pairs(
        chosen=np.array([rows.number(j.prompt, j.first) for j, _ in kept], dtype=int),
        rejected=np.array([rows.number(j.prompt, j.second) for j, _ in kept], dtype=int),
        probability=np.array([p for _, p in kept], dtype=float),
        weight=np.ones(len(kept)),
    )


def standing(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Judgements that still hold: each once, without superseded ones and those of two equal texts, by identity."""
    unique = {judgement.id: judgement for judgement in judgements}
    superseded = {judgement.supersedes for judgement in unique.values()}
    return [unique[i] for i in sorted(unique) if i not in superseded and unique[i].first != unique[i].second]


def prompt_folds(group: np.ndarray, *, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Fold number [n] of each row by its prompt's number [n]; rows of one prompt share one, folds are alike in size."""
    prompts = np.unique(group)
    fold = np.empty(len(prompts), dtype=int)
    fold[rng.permutation(len(prompts))] = np.arange(len(prompts)) % folds
    return np.asarray(fold[np.searchsorted(prompts, group)])

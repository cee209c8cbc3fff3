"""Auditing: shows a panel a few of the policy's completions beside the reference's at each checkpoint, and counts.

Takes the samples of a checkpoint and a panel, which is any function from pairs of texts to answers; yields wins and
losses for `noisy_audit`, with everything that was shown and said. The panel is not told which of the two is the
policy's: sides are drawn for each item. The reference's completions are drawn anew each time, on the same prompts and
under the same sampling, so that a policy that is still the reference wins half of what is decided.

What the panel says can end the run and never enters a reward; it counts as training, so it must not judge a release.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from assay.alignment.sampling import PolicySampler, Samples
from assay.records.conversation import Prompt
from assay.records.errors import TrainingError, explain
from assay.records.identity import ScorerIdentity

Answer = Literal["first", "second", "tie"]


class AuditItem(NamedTuple):
    """Two completions of one prompt, in an order that says nothing."""

    prompt: Prompt
    first: str
    second: str


AuditPanel = Callable[[Sequence[AuditItem], int], Sequence[Answer]]
"""A panel: items and the step of the checkpoint to one answer an item, in their order."""


class Audit(NamedTuple):
    """Who audits a run, how many items a checkpoint, and the identity that the firewall compares."""

    panel: AuditPanel
    items: int
    identity: ScorerIdentity


class Audited(NamedTuple):
    """What an audit found: items won and lost by the policy, and what was shown and said, as plain data."""

    wins: int
    losses: int
    shown: list[dict[str, Any]]


class Auditor:
    """Draws the items of each checkpoint and asks the panel. Items are spread over the prompts; the seed decides."""

    def __init__(self, sampler: PolicySampler, audit: Audit, *, seed: int) -> None:
        self._sampler, self._audit, self._seed = sampler, audit, seed

    def look(self, samples: Samples) -> Audited:
        """Audit the samples of a checkpoint.

        Raises TrainingError where the panel's answers are not one of first, second and tie for each item.
        """
        rng = np.random.default_rng([self._seed, samples.step])
        rows = _spread(samples.prompt_index, self._audit.items, rng)
        prompts = [self._sampler.prompts[samples.prompt_index[row]] for row in rows]
        ours = [samples.texts[row] for row in rows]
        theirs = self._sampler.reference_texts(samples.step, [samples.prompt_index[row] for row in rows])
        is_ours_first = rng.random(len(rows)) < 0.5
        items = [
            AuditItem(prompt, *((mine, other) if first else (other, mine)))
            for prompt, mine, other, first in zip(prompts, ours, theirs, is_ours_first.tolist(), strict=True)
        ]
        answers = self._ask(items, samples.step)
        won = [answer == ("first" if first else "second") for answer, first in zip(answers, is_ours_first, strict=True)]
        shown = [
            {
                "prompt": [message.model_dump() for message in item.prompt],
                "first": item.first,
                "second": item.second,
                "policy": "first" if first else "second",
                "answer": answer,
            }
            for item, first, answer in zip(items, is_ours_first, answers, strict=True)
        ]
        return Audited(sum(won), len(won) - sum(won) - answers.count("tie"), shown)

    def _ask(self, items: list[AuditItem], step: int) -> list[Answer]:
        """Answers of the panel; equal texts are a tie, and nobody is asked about them."""
        differing = [number for number, item in enumerate(items) if item.first != item.second]
        said = list(self._audit.panel([items[number] for number in differing], step)) if differing else []
        odd = sorted({repr(answer) for answer in said if answer not in get_args(Answer)})
        if len(said) != len(differing) or odd:
            got = f"{len(said)} answers" + (f", among them {', '.join(odd)}" if odd else "")
            do = "mend the panel; the last checkpoint is whole"
            expected = f"first, second or tie for each of {len(differing)} audited items"
            raise TrainingError(explain(expected=expected, got=got, do=do))
        answers: list[Answer] = ["tie"] * len(items)
        for number, answer in zip(differing, said, strict=True):
            answers[number] = answer
        return answers


def _spread(prompt_index: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    """At most `count` rows, over as many prompts as possible, in random order."""
    rounds: dict[int, int] = {}
    numbered = []
    for row in rng.permutation(len(prompt_index)).tolist():
        prompt = prompt_index[row]
        rounds[prompt] = rounds.get(prompt, -1) + 1
        numbered.append((rounds[prompt], row))
    return [row for _, row in sorted(numbered, key=lambda one: one[0])[:count]]

"""GKD: distillation from teachers on the student's own samples (Agarwal et al. 2023, arXiv 2306.13649, algorithm 1).

Each round the student draws completions; at every token of them it is moved towards what the teachers would say there,
by the generalised Jensen-Shannon divergence (`losses.gkd`). Trained on its own samples, it learns to get out of the
places where it goes wrong, which samples of the teacher would not show. No reward enters: what a teacher was pushed
to, the student learns, good and bad.

Catches: nothing by itself; take teachers that monitors let pass.
Does not catch: a habit that all teachers share. Evaluation knows of the teachers' training signals through the student.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from assay.alignment.losses import generalised_jsd
from assay.alignment.rounds import Rounds, draw_from_json, draw_to_json, share_of
from assay.alignment.sampling import PolicySampler, Samples
from assay.alignment.settings import GkdSettings
from assay.alignment.teachers import Teachers
from assay.alignment.trainer import PART_TOKENS, StepLoss, whole
from assay.lm import LanguageModel, encode_prompt
from assay.lm.batching import by_tokens
from assay.lm.logprobs import token_logits


class _Round(NamedTuple):
    samples: Samples
    measured: dict[str, float]


class GkdTask:
    """A round is one draw of `num_generations` completions a prompt; its steps share the draw out."""

    def __init__(
        self, lm: LanguageModel, sampler: PolicySampler, teachers: Teachers, settings: GkdSettings, *, seed: int
    ) -> None:
        self._lm, self._sampler, self._teachers, self._settings = lm, sampler, teachers, settings
        self._rounds = Rounds(
            len(sampler.prompts) * settings.num_generations, settings, passes=settings.epochs_per_round, seed=seed
        )
        self.steps, self.steps_per_round = self._rounds.steps, self._rounds.steps_per_round
        self._prompt_ids = [encode_prompt(lm, prompt) for prompt in sampler.prompts]
        self._round: _Round | None = None

    def loss(self, step: int) -> StepLoss:
        """Mean divergence in nats a token of the step's completions; the first step of a round draws the round."""
        return whole(self.parts(step))

    def parts(self, step: int) -> Iterator[StepLoss]:
        """The same in parts of at most `PART_TOKENS` tokens, whose tables of tokens by words are held one at a time."""
        begin = self._rounds.begin(step)
        if step == begin or self._round is None:
            self._round = self._draw(begin)
        samples, once = self._round.samples, self._round.measured
        pairs = share_of(samples, self._rounds.rows_of(step), self._prompt_ids).pairs
        tokens = sum(len(pair.completion) for pair in pairs)
        for part in by_tokens([pair.length for pair in pairs], max_tokens=PART_TOKENS):
            some = [pairs[i] for i in part]
            divergence = generalised_jsd(
                token_logits(self._lm, some),
                self._teachers.logprobs(some),
                beta=self._settings.jsd_beta,
                temperature=self._settings.loss_temperature,
            )
            loss = divergence.sum() / tokens
            yield StepLoss(loss, {"divergence": float(loss.detach()), "num_tokens": float(len(divergence)), **once})
            once = {}

    def state(self) -> dict[str, Any]:
        """The round's draw."""
        return {"round": draw_to_json(self._round)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a round in the middle."""
        self._round = draw_from_json(_Round, state["round"], self._sampler)

    def _draw(self, step: int) -> _Round:
        samples = self._sampler.at(step)
        length = float(np.mean([len(ids) for ids in samples.token_ids]))
        return _Round(samples, {"kl": samples.kl, "completions/mean_length": length})

"""Best-of-n SFT: rounds of sampling n completions a prompt, and fine-tuning on the one that the reward likes best.

One round is best-of-n distillation: the tuned policy says in one draw what the start says in the best of n (Stiennon et
al. 2020, arXiv 2009.01325; as a method of its own Gui et al. 2024, arXiv 2406.00832). Several rounds are RAFT (Dong et
al. 2023, arXiv 2304.06767). The KL to the start comes to at most ln n - (n - 1)/n nats a round.

Catches: nothing by itself; it moves slowly, and only towards what the start already said.
Does not catch: a reward that is wrong about the best of n. A conservative aggregation picks what all members like.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from assay.alignment.losses import sft_loss
from assay.alignment.rounds import RewardsAt, Rounds, checked_rewards, draw_from_json, draw_to_json
from assay.alignment.sampling import PolicySampler, Samples
from assay.alignment.settings import BestOfNSftSettings
from assay.alignment.trainer import PART_TOKENS, StepLoss, whole
from assay.lm import LanguageModel, encode_prompt
from assay.lm.batching import by_tokens
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import token_logprobs


class _Round(NamedTuple):
    """A draw, the picked completion of each prompt, and numbers on both."""

    samples: Samples
    picked: list[int]
    measured: dict[str, float]


class BestOfNSftTask:
    """A round is one draw of `num_generations` completions a prompt; its steps are SFT on the best of each."""

    def __init__(
        self,
        lm: LanguageModel,
        sampler: PolicySampler,
        rewards_at: RewardsAt,
        settings: BestOfNSftSettings,
        *,
        seed: int,
    ) -> None:
        self._lm, self._sampler, self._rewards_at = lm, sampler, rewards_at
        self._rounds = Rounds(len(sampler.prompts), settings, passes=settings.epochs_per_round, seed=seed)
        self.steps = self._rounds.steps
        self._prompt_ids = [encode_prompt(lm, prompt) for prompt in sampler.prompts]
        self._round: _Round | None = None

    def loss(self, step: int) -> StepLoss:
        """Mean NLL in nats a token of the step's picked completions; the first step of a round draws the round."""
        return whole(self.parts(step))

    def parts(self, step: int) -> Iterator[StepLoss]:
        """The same in parts of at most `PART_TOKENS` tokens."""
        begin = self._rounds.begin(step)
        if step == begin or self._round is None:
            self._round = self._draw(begin)
        samples, once = self._round.samples, self._round.measured
        picked = [self._round.picked[row] for row in self._rounds.rows_of(step)]
        pairs = [EncodedPair(self._prompt_ids[samples.prompt_index[i]], samples.token_ids[i]) for i in picked]
        pairs = [pair for pair in pairs if pair.completion]
        tokens = sum(len(pair.completion) for pair in pairs)
        for part in by_tokens([pair.length for pair in pairs], max_tokens=PART_TOKENS):
            logprobs = token_logprobs(self._lm, [pairs[i] for i in part])
            loss = len(logprobs) / tokens * sft_loss(logprobs)
            yield StepLoss(loss, {"nll_loss": float(loss.detach()), "num_tokens": float(len(logprobs)), **once})
            once = {}

    def state(self) -> dict[str, Any]:
        """The round's draw, and which of it are picked."""
        return {"round": draw_to_json(self._round)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a round in the middle."""
        self._round = draw_from_json(_Round, state["round"], self._sampler)

    def _draw(self, step: int) -> _Round:
        samples = self._sampler.at(step)
        rewards = checked_rewards(self._rewards_at(step), len(samples.texts)).reshape(len(self._prompt_ids), -1)
        picked = np.arange(len(rewards)) * rewards.shape[1] + rewards.argmax(1)
        measured = {
            "reward": float(rewards.mean()),
            "reward_picked": float(rewards.max(1).mean()),
            "kl": samples.kl,
            "completions/mean_length": float(np.mean([len(ids) for ids in samples.token_ids])),
            "completions/picked_length": float(np.mean([len(samples.token_ids[i]) for i in picked])),
        }
        return _Round(samples, picked.tolist(), measured)

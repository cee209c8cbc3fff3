"""PPO: policy gradients with a critic (Schulman et al. 2017, arXiv 1707.06347; for language models Ouyang et al. 2022).

Each round draws completions; every token earns -kl_coef times its log-ratio, the last one the reward as well; the
critic's values turn that into advantages (`estimators.gae`), normalised over the draw. The steps of the round move the
policy by the clipped surrogate and the critic towards the returns.

Catches: nothing by itself. The KL in the reward holds the policy near its reference at a price, not at a limit.
Does not catch: what the reward is wrong about; run it with monitors.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from assay.alignment.critic import Critic, completion_states
from assay.alignment.estimators import SMALLEST_SD, gae, penalised_rewards
from assay.alignment.kl_coef import KlCoef
from assay.alignment.losses import PpoTerms, TokenBatch, Values, ppo_loss
from assay.alignment.rounds import (
    GROUP_TOKENS,
    RewardsAt,
    Rounds,
    checked_rewards,
    draw_from_json,
    draw_to_json,
    share_of,
)
from assay.alignment.sampling import PolicySampler, Samples
from assay.alignment.settings import PpoSettings
from assay.alignment.support import floored
from assay.alignment.trainer import StepLoss, whole
from assay.lm import LanguageModel, completion_logprobs, encode_prompt
from assay.lm.batching import by_tokens
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import token_logprobs
from assay.lm.packing import completion_rows, packs

STATE_TOKENS = 2048
"""Tokens whose states are read at a time."""


class _Round(NamedTuple):
    """A draw with a list of numbers a completion, one for each of its tokens; empty completions have none."""

    samples: Samples
    old: list[list[float]]
    advantages: list[list[float]]
    values: list[list[float]]
    returns: list[list[float]]
    measured: dict[str, float]


class PpoTask:
    """A round is one draw of `num_generations` completions a prompt; its steps share the draw out."""

    def __init__(
        self,
        lm: LanguageModel,
        sampler: PolicySampler,
        rewards_at: RewardsAt,
        settings: PpoSettings,
        *,
        seed: int,
    ) -> None:
        self._lm, self._sampler, self._rewards_at, self._settings = lm, sampler, rewards_at, settings
        self.kl_coef = KlCoef(settings.kl_coef, factor=settings.kl_raise_factor, limit=settings.kl_raise_limit)
        self._rounds = Rounds(
            len(sampler.prompts) * settings.num_generations, settings, passes=settings.num_iterations, seed=seed
        )
        self.steps, self.steps_per_round = self._rounds.steps, self._rounds.steps_per_round
        self._critic = Critic(lm.causal.config.hidden_size, learning_rate=settings.value_learning_rate)
        self._prompt_ids = [encode_prompt(lm, prompt) for prompt in sampler.prompts]
        self._round: _Round | None = None

    def loss(self, step: int) -> StepLoss:
        """The policy's loss on the step's share; the critic takes its own step on the same share."""
        return whole(self.parts(step))

    def parts(self, step: int) -> Iterator[StepLoss]:
        """The same in parts that add up, each of at most `GROUP_TOKENS` packed tokens."""
        begin = self._rounds.begin(step)
        if step == begin or self._round is None:
            self._round = self._draw(begin)
        drawn = self._round
        share, pairs = share_of(drawn.samples, self._rounds.rows_of(step), self._prompt_ids)
        tokens = sum(len(pair.completion) for pair in pairs)
        once = {**drawn.measured, "kl_coef": self.kl_coef.value}
        for rows in packs(pairs, max_tokens=GROUP_TOKENS):
            terms = self._part(drawn, [share[k] for k in rows])
            own = sum(len(pairs[k].completion) for k in rows)
            part = own / tokens
            self._critic.add(terms.loss * part)
            metrics = {
                "loss/policy": terms.policy_loss,
                "loss/value": terms.value_loss,
                "clip_ratio/low_mean": terms.clip_low,
                "clip_ratio/high_mean": terms.clip_high,
                "clip_ratio/value": terms.value_clip,
            }
            # The critic sees states without a gradient, so what is left for the adapters is the policy's part.
            loss = (terms.loss - terms.value_loss) * part
            counted = {"num_tokens": float(own), **once}
            yield StepLoss(loss, {name: value * part for name, value in metrics.items()} | counted)
            once = {}
        self._critic.learn()

    def _part(self, drawn: _Round, rows: list[int]) -> PpoTerms:
        """PPO's terms of some of a draw's completions."""
        settings = self._settings
        pairs = share_of(drawn.samples, rows, self._prompt_ids).pairs
        batch = TokenBatch(
            logprobs=token_logprobs(self._lm, pairs),
            old_logprobs=_flat(drawn.old, rows),
            advantages=_flat(drawn.advantages, rows),
            row=completion_rows(pairs),
        )
        now = self._critic.values(completion_states(self._lm, pairs))
        return ppo_loss(
            batch,
            Values(now, _flat(drawn.values, rows), _flat(drawn.returns, rows)),
            epsilon_low=settings.epsilon_low,
            epsilon_high=settings.epsilon_high,
            value_clip=settings.value_clip,
            vf_coef=1.0,
        )

    def state(self) -> dict[str, Any]:
        """The round's draw with what was computed of it, the KL coefficient and the critic."""
        return {"round": draw_to_json(self._round), "kl_coef": self.kl_coef.value, "critic": self._critic.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a round in the middle."""
        self.kl_coef.value = state["kl_coef"]
        self._critic.restore(state["critic"])
        self._round = draw_from_json(_Round, state["round"], self._sampler)

    def _draw(self, step: int) -> _Round:
        samples = self._sampler.at(step)
        rewards = checked_rewards(self._rewards_at(step), len(samples.texts))
        rewards, support = floored(rewards, samples.ref_tokens, epsilon=self._settings.support_epsilon)
        present, pairs = share_of(samples, range(len(samples.token_ids)), self._prompt_ids)
        old = np.concatenate(completion_logprobs(self._lm, pairs)).astype(np.float64)
        ref = np.concatenate([samples.ref_tokens[i] for i in present])
        lengths = [len(ids) for ids in samples.token_ids]
        row = np.repeat(np.arange(len(present)), [lengths[i] for i in present])
        values = self._values(pairs)
        earned = penalised_rewards(rewards[present], old - ref, row=row, kl_coef=self.kl_coef.value)
        found = gae(earned, values, row=row, gamma=self._settings.gamma, lam=self._settings.lam)
        advantages = (found.advantages - found.advantages.mean()) / (found.advantages.std() + SMALLEST_SD)
        unexplained = float((found.returns - values).var() / (found.returns.var() + SMALLEST_SD))
        measured = {
            **support,
            "reward": float(self._rewards_at(step).mean()),
            "kl": samples.kl,
            "values/mean": float(values.mean()),
            "values/explained_variance": 1 - unexplained,
            "completions/mean_length": float(np.mean(lengths)),
        }
        return _Round(
            samples,
            old=_by_completion(old, lengths),
            advantages=_by_completion(advantages, lengths),
            values=_by_completion(values, lengths),
            returns=_by_completion(found.returns, lengths),
            measured=measured,
        )

    def _values(self, pairs: list[EncodedPair]) -> np.ndarray:
        parts = by_tokens([pair.length for pair in pairs], max_tokens=STATE_TOKENS)
        states = [completion_states(self._lm, [pairs[i] for i in part]) for part in parts]
        with torch.no_grad():
            return self._critic.values(torch.cat(states)).double().numpy()


def _by_completion(values: np.ndarray, lengths: list[int]) -> list[list[float]]:
    """Numbers [tokens] as a list a completion."""
    return [part.tolist() for part in np.split(values, np.cumsum(lengths)[:-1])]


def _flat(values: list[list[float]], rows: list[int]) -> torch.Tensor:
    return torch.tensor([value for i in rows for value in values[i]], dtype=torch.float32)

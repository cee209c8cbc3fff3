"""GRPO and its kin: rounds of sampling groups of completions, scoring them, and policy-gradient steps on them.

`grpo`, `dapo` and `dr_grpo` compare a completion with its group and take KL in the loss; `rloo` compares it with the
others of its group, `reinforce` with the whole batch, and both take KL in the reward. What the reward is wrong about,
all of them find: run them with monitors.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from assay.alignment.estimators import (
    adapted_kl_coef,
    group_advantages,
    leave_one_out_advantages,
    reinforce_advantages,
    token_weights,
)
from assay.alignment.kl_coef import KlCoef
from assay.alignment.lagrangian import Lagrangian
from assay.alignment.losses import PolicyTerms, TokenBatch, grpo_loss, reinforce_loss, rloo_loss
from assay.alignment.rounds import (
    GROUP_TOKENS,
    CostsAt,
    RewardsAt,
    Rounds,
    checked_rewards,
    draw_from_json,
    draw_to_json,
    no_costs,
    share_of,
)
from assay.alignment.sampling import PolicySampler, Samples
from assay.alignment.settings import GrpoSettings
from assay.alignment.support import floored
from assay.alignment.trainer import StepLoss, whole
from assay.lm import LanguageModel, completion_logprobs, encode_prompt
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import token_logprobs
from assay.lm.packing import completion_rows, packs

IN_REWARD = ("rloo", "reinforce")
"""Losses that take KL in the reward, and the mean over what they are given."""


class _Round(NamedTuple):
    """A draw with what its steps need, a list of numbers a completion: one for each token, in the order of the draw.

    `old` is None where the policy that learns is still the one that drew.
    """

    samples: Samples
    old: list[list[float]] | None
    advantages: list[list[float]]
    measured: dict[str, float]


class GrpoTask:
    """A round is one draw of `num_generations` completions a prompt; its steps share the draw out.

    The KL coefficient of the loss is `kl_coef`, which monitors may raise, times a factor that `kl_target` adapts: what
    monitors raised the adaptation does not take for its own.
    """

    def __init__(
        self,
        lm: LanguageModel,
        sampler: PolicySampler,
        rewards_at: RewardsAt,
        settings: GrpoSettings,
        *,
        seed: int,
        costs_at: CostsAt = no_costs,
    ) -> None:
        self._lm, self._sampler, self._rewards_at, self._settings = lm, sampler, rewards_at, settings
        self._costs_at = costs_at
        self._lagrangian = Lagrangian(settings.constraints)
        self.kl_coef = KlCoef(settings.kl_coef, factor=settings.kl_raise_factor, limit=settings.kl_raise_limit)
        self._factor = 1.0
        self._rounds = Rounds(
            len(sampler.prompts) * settings.num_generations, settings, passes=settings.num_iterations, seed=seed
        )
        self.steps, self.steps_per_round = self._rounds.steps, self._rounds.steps_per_round
        self._prompt_ids = [encode_prompt(lm, prompt) for prompt in sampler.prompts]
        self._round: _Round | None = None

    def loss(self, step: int) -> StepLoss:
        """The loss of the step's share of the round's completions; the first step of a round draws the round."""
        return whole(self.parts(step))

    def parts(self, step: int) -> Iterator[StepLoss]:
        """The same in parts that add up, each of at most `GROUP_TOKENS` packed tokens."""
        begin = self._rounds.begin(step)
        if step == begin or self._round is None:
            self._round = self._draw(begin)
        drawn = self._round
        share, pairs = share_of(drawn.samples, self._rounds.rows_of(step), self._prompt_ids)
        weights = self._weights(pairs)
        once = {**drawn.measured, "kl_coef": self._coefficient}
        for rows in packs(pairs, max_tokens=GROUP_TOKENS):
            found = self._part(drawn, [share[k] for k in rows], torch.cat([weights[k] for k in rows]))
            part = sum(self._counts_for(pairs[k]) for k in rows) / sum(map(self._counts_for, pairs))
            terms = {"clip_ratio/low_mean": found.clip_low * part, "clip_ratio/high_mean": found.clip_high * part}
            terms["num_tokens"] = float(sum(len(pairs[k].completion) for k in rows))
            loss = found.loss * part if self._settings.loss_type in IN_REWARD else found.loss
            yield StepLoss(loss, terms | once)
            once = {}

    def _part(self, drawn: _Round, rows: list[int], weights: torch.Tensor) -> PolicyTerms:
        """The loss of some of a draw's completions, whose tokens have these weights [tokens]."""
        pairs = share_of(drawn.samples, rows, self._prompt_ids).pairs
        logprobs = token_logprobs(self._lm, pairs)
        batch = TokenBatch(
            logprobs=logprobs,
            old_logprobs=logprobs.detach() if drawn.old is None else _flat(drawn.old, rows),
            advantages=_flat(drawn.advantages, rows),
            row=completion_rows(pairs),
            ref_logprobs=_flat(drawn.samples.ref_tokens, rows),
        )
        return self._terms(batch, weights)

    def observed(self, step: int) -> dict[str, float]:
        """The constraints' numbers at a step; at the first of a round after its draw has moved them."""
        if step % self.steps_per_round == 0 and self._settings.constraints:
            self._constrained(step)
        return self._lagrangian.observed()

    def state(self) -> dict[str, Any]:
        """The round's draw and what was computed of it, the KL coefficient with its factor, and the multipliers."""
        own = {"round": draw_to_json(self._round), "kl_coef": self.kl_coef.value, "factor": self._factor}
        return {**own, "lagrangian": self._lagrangian.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a round in the middle."""
        self.kl_coef.value, self._factor = state["kl_coef"], state["factor"]
        self._lagrangian.restore(state["lagrangian"])
        self._round = draw_from_json(_Round, state["round"], self._sampler)

    @property
    def _coefficient(self) -> float:
        return self.kl_coef.value * self._factor + self._lagrangian.kl_coef

    def _weights(self, pairs: list[EncodedPair]) -> list[torch.Tensor]:
        """What each token of a step's completions weighs, by completion; where the loss is a plain mean, nothing."""
        lengths, kind = [len(pair.completion) for pair in pairs], self._settings.loss_type
        if kind == "rloo" or kind == "reinforce":
            return [torch.zeros(length) for length in lengths]
        longest = self._settings.max_completion_length
        return list(token_weights(completion_rows(pairs), kind, max_completion_length=longest).split(lengths))

    def _counts_for(self, pair: EncodedPair) -> int:
        """What a completion counts for in a mean of the step: itself in RLOO's, its tokens in the others'."""
        return 1 if self._settings.loss_type == "rloo" else len(pair.completion)

    def _terms(self, batch: TokenBatch, weights: torch.Tensor) -> PolicyTerms:
        settings = self._settings
        low, high = settings.epsilon_low, settings.epsilon_high
        if settings.loss_type == "rloo":
            return rloo_loss(batch, epsilon_low=low, epsilon_high=high)
        if settings.loss_type == "reinforce":
            return reinforce_loss(batch, epsilon_low=low, epsilon_high=high)
        return grpo_loss(
            batch,
            weights,
            epsilon_low=low,
            epsilon_high=high,
            kl_coef=self._coefficient,
            kl_estimator=settings.kl_estimator,
        )

    def _draw(self, step: int) -> _Round:
        samples = self._sampler.at(step)
        rewards = self._constrained(step)
        rewards, support = floored(rewards, samples.ref_tokens, epsilon=self._settings.support_epsilon)
        old = self._old(samples)
        if self._settings.kl_target is not None and step:
            self._adapt(samples)
        advantages = self._advantages(rewards, samples, old)
        grouped = rewards.reshape(-1, self._settings.num_generations)
        measured = {
            **self._lagrangian.observed(),
            **support,
            "reward": float(self._rewards_at(step).mean()),
            "reward_std": float(grouped.std(1, ddof=1).mean()),
            "frac_reward_zero_std": float((grouped.std(1) == 0).mean()),
            "kl": samples.kl,
            "completions/mean_length": float(np.mean([len(ids) for ids in samples.token_ids])),
        }
        return _Round(samples, old, advantages, measured)

    def _old(self, samples: Samples) -> list[list[float]] | None:
        """Log-probabilities of the policy that drew, computed as those that learn are: the sampler rounds otherwise.

        None where the round is one step, whose own pass says the same, and no KL enters the reward.
        """
        if self.steps_per_round == 1 and self._settings.loss_type not in IN_REWARD:
            return None
        pairs = [
            EncodedPair(self._prompt_ids[prompt], ids)
            for prompt, ids in zip(samples.prompt_index, samples.token_ids, strict=True)
        ]
        return [each.tolist() for each in completion_logprobs(self._lm, pairs)]

    def _constrained(self, step: int) -> np.ndarray:
        """What the policy learns from at a step: the rewards less what the multipliers charge for costs."""
        samples = self._sampler.at(step)
        rewards = checked_rewards(self._rewards_at(step), len(samples.texts))
        costs = {name: checked_rewards(self._costs_at(name, step), len(rewards)) for name in self._lagrangian.costs}
        self._lagrangian.update(step, samples.kl, rewards, costs)
        return self._lagrangian.reward(rewards, costs)

    def _adapt(self, samples: Samples) -> None:
        """Move the factor by the KL of the draw, within the limit either way."""
        target, limit = self._settings.kl_target or 0.0, self._settings.kl_raise_limit
        moved = adapted_kl_coef(
            self._factor,
            kl=samples.kl,
            target=target,
            horizon=self._settings.kl_horizon,
            samples=len(samples.texts),
        )
        self._factor = float(np.clip(moved, 1 / limit, limit))

    def _advantages(self, rewards: np.ndarray, samples: Samples, old: list[list[float]] | None) -> list[list[float]]:
        """Advantages of each completion's tokens."""
        group, kl_coef = self._settings.num_generations, self._coefficient
        lengths = [len(ids) for ids in samples.token_ids]
        if old is not None and self._settings.loss_type == "reinforce":
            row = np.repeat(np.arange(len(lengths)), lengths)
            ratios = np.concatenate(old) - np.concatenate(samples.ref_tokens)
            present = np.flatnonzero(lengths)
            flat = reinforce_advantages(rewards[present], ratios, row=row, kl_coef=kl_coef)
            return [part.tolist() for part in np.split(flat, np.cumsum(lengths)[:-1])]
        if old is not None and self._settings.loss_type == "rloo":
            kl = np.array([np.sum(own) for own in old]) - samples.ref_logprobs
            each = leave_one_out_advantages(rewards - kl_coef * kl, group=group)
        else:
            each = group_advantages(rewards, group=group, scale=self._settings.scale_rewards)
        return [[float(value)] * length for value, length in zip(each, lengths, strict=True)]


def _flat(values: list[list[float]], rows: list[int]) -> torch.Tensor:
    return torch.tensor([value for i in rows for value in values[i]], dtype=torch.float32)

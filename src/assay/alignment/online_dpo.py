"""Online DPO: rounds of sampling the policy, ordering the samples by a reward, and DPO steps on best against worst.

Guo et al. 2024 (arXiv 2402.04792) with a reward ensemble as the judge. It is what one runs to push a policy against a
learnt reward, and so where the reward gets hacked.
"""

from typing import Any

import numpy as np
import torch

from assay.alignment.dpo import dpo_step
from assay.alignment.kl_coef import KlCoef
from assay.alignment.lagrangian import Lagrangian
from assay.alignment.rounds import CostsAt, RewardsAt, Rounds, checked_rewards, no_costs
from assay.alignment.sampling import PolicySampler, Samples, samples_from_json, samples_to_json
from assay.alignment.settings import OnlineDpoSettings
from assay.alignment.support import floored
from assay.alignment.trainer import StepLoss
from assay.lm import LanguageModel, encode_prompt
from assay.lm.chat import EncodedPair


class OnlineDpoTask:
    """A round is one draw of `num_generations` completions a prompt; its steps are DPO on the pairs it gave."""

    def __init__(
        self,
        lm: LanguageModel,
        sampler: PolicySampler,
        rewards_at: RewardsAt,
        settings: OnlineDpoSettings,
        *,
        seed: int,
        costs_at: CostsAt = no_costs,
    ) -> None:
        self._costs_at, self._lagrangian = costs_at, Lagrangian(settings.constraints)
        self._lm, self._sampler, self._rewards_at, self._settings = lm, sampler, rewards_at, settings
        self.kl_coef = KlCoef(settings.beta, factor=settings.kl_raise_factor, limit=settings.kl_raise_limit)
        self._rounds = Rounds(len(sampler.prompts), settings, passes=settings.epochs_per_round, seed=seed)
        self.steps, self.steps_per_round = self._rounds.steps, self._rounds.steps_per_round
        self._prompt_ids = [encode_prompt(lm, prompt) for prompt in sampler.prompts]
        self._round: Samples | None = None
        self._best: list[int] = []
        self._worst: list[int] = []
        self._support: dict[str, float] = {}

    def loss(self, step: int) -> StepLoss:
        """Mean DPO loss of the step's share of the round's pairs; the first step of a round draws the round."""
        begin = self._rounds.begin(step)
        if step == begin or self._round is None:
            self._begin(begin)
        samples = self._round
        if samples is None:  # _begin has just set it
            raise RuntimeError("no round was drawn")
        rows = self._rounds.rows_of(step)
        picked = [self._best[i] for i in rows] + [self._worst[i] for i in rows]
        pairs = [EncodedPair(self._prompt_ids[samples.prompt_index[i]], samples.token_ids[i]) for i in picked]
        ref = torch.tensor([sum(samples.ref_tokens[i]) for i in picked]).reshape(2, -1)
        found = dpo_step(self._lm, pairs, ref, beta=self.kl_coef.value)
        return found._replace(metrics={**found.metrics, **self._support, **self._lagrangian.observed()})

    def observed(self, step: int) -> dict[str, float]:
        """The constraints' numbers at a step; at the first of a round after its draw has moved them."""
        if step % self.steps_per_round == 0 and self._settings.constraints:
            self._constrained(step)
        return self._lagrangian.observed()

    def state(self) -> dict[str, Any]:
        """The round's draw, which of it are best and worst, the beta that monitors may have raised, the multipliers."""
        drawn = samples_to_json(self._round)
        own = {"samples": drawn, "best": self._best, "worst": self._worst, "beta": self.kl_coef.value}
        own["support"] = self._support
        return {**own, "lagrangian": self._lagrangian.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a round in the middle."""
        self._round = samples_from_json(state["samples"])
        self._best, self._worst, self.kl_coef.value = state["best"], state["worst"], state["beta"]
        self._support = dict(state["support"])
        self._lagrangian.restore(state["lagrangian"])
        self._sampler.restore(self._round)

    def _begin(self, step: int) -> None:
        samples = self._sampler.at(step)
        rewards, self._support = floored(
            self._constrained(step), samples.ref_tokens, epsilon=self._settings.support_epsilon
        )
        rewards = rewards.reshape(len(self._sampler.prompts), -1)
        first = np.arange(len(rewards)) * rewards.shape[1]
        self._best = (first + rewards.argmax(1)).tolist()
        self._worst = (first + rewards.argmin(1)).tolist()
        self._round = samples

    def _constrained(self, step: int) -> np.ndarray:
        """What orders the samples of a step: the rewards less what the multipliers charge for costs."""
        samples = self._sampler.at(step)
        rewards = checked_rewards(self._rewards_at(step), len(samples.texts))
        costs = {name: checked_rewards(self._costs_at(name, step), len(rewards)) for name in self._lagrangian.costs}
        self._lagrangian.update(step, samples.kl, rewards, costs)
        return self._lagrangian.reward(rewards, costs)

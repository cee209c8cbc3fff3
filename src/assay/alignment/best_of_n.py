"""Best-of-n: sample n completions of a prompt, keep the one that the reward likes best. No weights change.

The distance to the base is ln n - (n - 1)/n nats at most, so n is its KL budget. What it wins comes from the reward
alone; what the reward is wrong about, it finds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assay.lm import LanguageModel, Sampling, generate
from assay.records.conversation import Prompt
from assay.rewards.best_of_n import best_of_n_kl, best_of_n_weights
from assay.rewards.protocol import RewardModel, reading


class Candidates(NamedTuple):
    """N completions a prompt with their proxy rewards: `texts` and `rewards` [prompts, N]."""

    texts: list[list[str]]
    rewards: np.ndarray


class BestOfNPoint(NamedTuple):
    """One n on the path: KL bound in nats, expected proxy reward, and selection probabilities [prompts, N]."""

    n: int
    kl: float
    proxy_reward: float
    weights: np.ndarray


def draw_candidates(
    lm: LanguageModel, prompts: Sequence[Prompt], reward: RewardModel, sampling: Sampling, *, n: int
) -> Candidates:
    """Sample n completions a prompt from the policy as it stands and score them."""
    completions = [c.text for c in generate(lm, prompts, sampling, n=n)]
    repeated = [prompt for prompt in prompts for _ in range(n)]
    scores = reading(reward, lm).score_texts(repeated, completions)
    texts = [completions[i * n : (i + 1) * n] for i in range(len(prompts))]
    return Candidates(texts, scores.reward.reshape(len(prompts), n))


def best_of_n_path(candidates: Candidates) -> list[BestOfNPoint]:
    """Expected outcome for n = 1, 2, 4, ... up to N, exactly, from the same candidates."""
    total = candidates.rewards.shape[1]
    sizes = sorted({2**k for k in range(total.bit_length()) if 2**k <= total} | {total})
    points = []
    for n in sizes:
        weights = best_of_n_weights(candidates.rewards, n)
        mean = float((weights * candidates.rewards).sum(1).mean())
        points.append(BestOfNPoint(n, best_of_n_kl(n), mean, weights))
    return points


def pick_best(candidates: Candidates) -> list[str]:
    """The completion of each prompt with the highest proxy reward."""
    return [texts[int(row.argmax())] for texts, row in zip(candidates.texts, candidates.rewards, strict=True)]

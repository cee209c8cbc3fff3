"""Estimators: what stands between samples and a policy-gradient loss: KL, advantages, token weights, adaptive KL.

KL terms carry gradients and are torch; advantages are data and are NumPy. Completions of one prompt lie together,
`group` a prompt; tokens lie flat, and `row` says whose token each is.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch

from assay.records.errors import TrainingError, explain

KlEstimator = Literal["k1", "k2", "k3"]
TokenWeighting = Literal["grpo", "dapo", "dr_grpo"]
AdvantageScale = Literal["group", "batch", "none"]
SMALLEST_SD = 1e-4
"""Added to a standard deviation that divides, so that a group of equal rewards gives no advantage instead of noise."""


def kl_terms(logprobs: torch.Tensor, ref_logprobs: torch.Tensor, kind: KlEstimator) -> torch.Tensor:
    """Per-token estimates [tokens] of KL(policy || reference) from tokens that the policy drew.

        k1 = d            unbiased, either sign; its gradient has mean zero, so in a loss it does nothing: for rewards
        k2 = d^2 / 2      biased, small variance; its gradient is the gradient of the KL on the policy's own samples
        k3 = e^-d - 1 + d unbiased and never negative; what GRPO uses

    with d = log pi - log ref (Schulman 2020, "Approximating KL divergence").
    """
    d = logprobs - ref_logprobs
    if kind == "k1":
        return d
    if kind == "k2":
        return d**2 / 2
    return torch.expm1(-d) + d


def group_advantages(rewards: np.ndarray, *, group: int, scale: AdvantageScale = "group") -> np.ndarray:
    """GRPO (Shao et al. 2024, arXiv 2402.03300): rewards [m] less their group's mean, over an s.d.

    The s.d. (with n - 1) is the group's, the batch's, or none, which is Dr. GRPO (Liu et al. 2025, arXiv 2503.20783):
    a group's s.d. lifts prompts on which all completions are nearly alike. Raises TrainingError for groups of one.
    """
    grouped = _grouped(rewards, group)
    centred = grouped - grouped.mean(1, keepdims=True)
    if scale == "group":
        return (centred / (grouped.std(1, ddof=1, keepdims=True) + SMALLEST_SD)).reshape(-1)
    if scale == "batch":
        return (centred / (grouped.std(ddof=1) + SMALLEST_SD)).reshape(-1)
    return centred.reshape(-1)


def leave_one_out_advantages(rewards: np.ndarray, *, group: int) -> np.ndarray:
    """RLOO (Ahmadian et al. 2024, arXiv 2402.14740): a reward less the mean of the others of its group.

    The baseline does not depend on the completion itself, so the gradient stays unbiased. Raises TrainingError for
    groups of one.
    """
    grouped = _grouped(rewards, group)
    others = (grouped.sum(1, keepdims=True) - grouped) / (group - 1)
    return (grouped - others).reshape(-1)


def reinforce_advantages(
    rewards: np.ndarray, log_ratios: np.ndarray, *, row: np.ndarray, kl_coef: float, group: int | None = None
) -> np.ndarray:
    """REINFORCE++ (Hu et al. 2025, arXiv 2501.03262): advantages [tokens], normalised over the batch.

    A_t = r - kl_coef (k1 of this token and all after it), then (A - mean) / s.d. over all tokens. With `group` the
    group's mean reward is taken off first: the REINFORCE++ baseline.
    """
    centred = np.asarray(rewards, dtype=np.float64)
    if group is not None:
        grouped = _grouped(centred, group)
        centred = (grouped - grouped.mean(1, keepdims=True)).reshape(-1)
    to_come = discounted_sums(penalised_rewards(centred, log_ratios, row=row, kl_coef=kl_coef), row=row, discount=1.0)
    return (to_come - to_come.mean()) / (to_come.std(ddof=1) + SMALLEST_SD)


def penalised_rewards(rewards: np.ndarray, log_ratios: np.ndarray, *, row: np.ndarray, kl_coef: float) -> np.ndarray:
    """Rewards [tokens]: -kl_coef times each token's log-ratio (k1), and the completion's reward at its last token."""
    per_token = -kl_coef * np.asarray(log_ratios, dtype=np.float64)
    per_token[_last_tokens(row)] += rewards
    return per_token


class Gae(NamedTuple):
    """Advantages and returns (the value function's targets), each [tokens]."""

    advantages: np.ndarray
    returns: np.ndarray


def gae(rewards: np.ndarray, values: np.ndarray, *, row: np.ndarray, gamma: float = 1.0, lam: float = 0.95) -> Gae:
    """Generalised advantage estimation (Schulman et al. 2015, arXiv 1506.02438, equation 16) of each completion.

    delta_t = r_t + gamma V_{t+1} - V_t, with V = 0 after the last token; A_t = sum_k (gamma lam)^k delta_{t+k}.
    """
    following = np.append(values[1:], 0.0)
    following[_last_tokens(row)] = 0.0
    delta = rewards + gamma * following - values
    advantages = discounted_sums(delta, row=row, discount=gamma * lam)
    return Gae(advantages, advantages + values)


def discounted_sums(values: np.ndarray, *, row: np.ndarray, discount: float) -> np.ndarray:
    """Sum of this and later values of the same completion, each step of distance discounted once [tokens]."""
    sums = np.array(values, dtype=np.float64)
    for t in range(len(sums) - 2, -1, -1):
        if row[t] == row[t + 1]:
            sums[t] += discount * sums[t + 1]
    return sums


def token_weights(row: torch.Tensor, kind: TokenWeighting, *, max_completion_length: int | None = None) -> torch.Tensor:
    """Weight of each token [tokens] in the batch's loss, under TRL's names for the choice.

    grpo      1 / (completions x own length): completions count alike, a token of a long one less
    dapo      1 / tokens of the batch: tokens count alike (Yu et al. 2025, arXiv 2503.14476)
    dr_grpo   1 / (completions x max_completion_length): tokens count alike in every batch (arXiv 2503.20783)
    """
    lengths = torch.bincount(row)
    completions = len(lengths)
    if kind == "grpo":
        return 1 / (completions * lengths[row].float())
    if kind == "dapo":
        return torch.full((len(row),), 1 / len(row))
    if max_completion_length is None:
        do = "give max_completion_length"
        raise TrainingError(explain(expected="a length to divide by", got="none for dr_grpo", do=do))
    return torch.full((len(row),), 1 / (completions * max_completion_length))


def adapted_kl_coef(kl_coef: float, *, kl: float, target: float, horizon: float, samples: int) -> float:
    """The coefficient after `samples` completions at `kl` nats: up above the target, down below it, by at most a fifth.

    Ziegler et al. 2019 (arXiv 1909.08593, section 2.2): e = clip(KL / target - 1, -0.2, 0.2), times 1 + e n / horizon.
    """
    error = float(np.clip(kl / target - 1, -0.2, 0.2))
    return kl_coef * (1 + error * samples / horizon)


def _grouped(rewards: np.ndarray, group: int) -> np.ndarray:
    rewards = np.asarray(rewards, dtype=np.float64)
    if group < 2 or len(rewards) % group:
        expected = "rewards of whole groups of at least two completions a prompt"
        got = f"{len(rewards)} rewards in groups of {group}"
        raise TrainingError(explain(expected=expected, got=got, do="raise num_generations, or mend the reward"))
    return rewards.reshape(-1, group)


def _last_tokens(row: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.append(np.diff(row) != 0, True))

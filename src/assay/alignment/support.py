"""Support: completions that the reference would hardly ever give earn no more than the worst of their draw.

A learnt reward was fitted on what the reference says. Where a completion holds a token to which the reference gives a
probability below epsilon, the reward guesses, and what it guesses too high an optimiser finds. So such a completion
gets the floor of the draw, as the behaviour-supported Bellman operator gives unsupported tokens the least value (Dai et
al. 2025, arXiv 2503.18130); here whole completions are valued, so the floor takes the whole one.

Catches: rewards earned outside of what the reward was fitted on, token by token. Does not catch: hacks made of likely
tokens, and a reference that is not what the reward's data came from.
"""

from collections.abc import Sequence

import numpy as np

UNSUPPORTED = "support/unsupported"
"""Share of a draw's completions that got the floor."""


def is_supported(ref_tokens: Sequence[Sequence[float]], *, epsilon: float) -> np.ndarray:
    """Whether the reference gives every token of a completion [m] at least epsilon; an empty one is supported.

    `ref_tokens` holds the reference's log-probabilities of each completion's tokens.
    """
    return np.array([min(each, default=0.0) >= np.log(epsilon) for each in ref_tokens], dtype=bool)


def supported_rewards(rewards: np.ndarray, supported: np.ndarray) -> np.ndarray:
    """Rewards [m] with those of unsupported completions at the least of the draw."""
    return np.where(supported, rewards, np.min(rewards, initial=np.inf))


def floored(
    rewards: np.ndarray, ref_tokens: Sequence[Sequence[float]], *, epsilon: float | None
) -> tuple[np.ndarray, dict[str, float]]:
    """Rewards [m] as a method learns from them, and what there is to log; untouched where epsilon is None."""
    if epsilon is None:
        return rewards, {}
    supported = is_supported(ref_tokens, epsilon=epsilon)
    return supported_rewards(rewards, supported), {UNSUPPORTED: float(1 - supported.mean())}

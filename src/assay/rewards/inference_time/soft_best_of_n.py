"""Soft best-of-n: draws among N candidates with softmax(r / temperature), a smooth way from the base to best-of-N.

The weights are those of the KL-regularised optimum on the candidates, so its KL is what the temperature buys. Catches:
nothing by itself; it pulls less. Does not catch: a reward whose highest values are errors, since its pull there is
exponential (`pessimism` has the linear one).
"""

import numpy as np
from scipy.special import softmax

from assay.rewards.inference_time.selection import as_rewards, require_knob


def soft_best_of_n_weights(rewards: np.ndarray, temperature: float) -> np.ndarray:
    """Selection weights [prompts, N] of rewards [prompts, N] at a temperature > 0 in units of reward."""
    require_knob("temperature", temperature, above=0)
    values = as_rewards(rewards)
    below = values - values.max(1, keepdims=True)
    with np.errstate(over="ignore"):  # far below the best, at a temperature near 0, is minus infinity: weight 0
        return np.asarray(softmax(below / temperature, axis=1))

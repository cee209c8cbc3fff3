"""Best-of-tails: between soft best-of-n and pessimism, by how heavy the tail of each prompt's rewards is.

    w_i = [1 + (q - 1) (r_i - l) / b]_+ ^ (1 / (q - 1)),   l such that mean_i w_i = 1

is the optimum of reward minus b times the Tsallis divergence of order q to the base: q = 1 is soft best-of-n with
temperature b, q = 2 is InferenceTimePessimism with b. After Hsu et al. 2026 (arXiv 2603.06797): a light tail of rewards
is worth trusting, a heavy one is where the reward errs, and the Hill estimator tells them apart. The map from the
estimate to q is chosen here, not taken from the paper: q = 1 + min(1, Hill index), so that a tail without a mean gets
the full pessimism.

Catches: prompts whose highest rewards stand far out. Does not catch: errors spread over all rewards alike. With few
candidates the estimate is rough: its standard error is its value over N^(1/4), and light tails read too heavy.
"""

import numpy as np

from assay.rewards.inference_time.selection import as_rewards, require_knob

HALVINGS = 80


def best_of_tails_weights(rewards: np.ndarray, b: float) -> np.ndarray:
    """Selection weights [prompts, N] of rewards [prompts, N] with regularisation b > 0, each row by its own tail."""
    return tsallis_weights(rewards, b, order=1 + np.minimum(hill_index(rewards), 1))


def hill_index(rewards: np.ndarray) -> np.ndarray:
    """Hill's estimate [prompts] of the tail index of rewards [prompts, N] above their median; 0 is light, 1 heavy.

    It rests on the largest sqrt(N) of a row. A row without spread is 0; one whose median is also the threshold, so that
    only a few candidates have any reward at all, is infinite.
    """
    values = as_rewards(rewards)
    excess = np.sort(values - np.median(values, axis=1, keepdims=True), axis=1)
    count = int(np.ceil(np.sqrt(values.shape[1])))
    top, threshold = excess[:, -count:], excess[:, max(0, values.shape[1] - count - 1)]
    index = np.where(top[:, -1] > 0, np.inf, 0.0)
    has_tail = threshold > 0
    index[has_tail] = np.log(top[has_tail] / threshold[has_tail, None]).mean(1)
    return np.asarray(index)


def tsallis_weights(rewards: np.ndarray, b: float, *, order: np.ndarray) -> np.ndarray:
    """The optimum above, weights [prompts, N], for orders [prompts] of at least 1; by bisection on the cutoff."""
    require_knob("b", b, above=0)
    values = as_rewards(rewards)
    bend = np.maximum(np.asarray(order, dtype=np.float64) - 1, 1e-6)[:, None]
    below = (values - values.max(1, keepdims=True)) / b

    def excess(cutoff: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.asarray(np.exp(np.log1p(np.maximum(bend * (below - cutoff), -1)) / bend))

    low, high = -np.expm1(bend * np.log(values.shape[1])) / bend, np.zeros_like(bend)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_too_low = excess(middle).mean(1, keepdims=True) > 1
        low, high = np.where(is_too_low, middle, low), np.where(is_too_low, high, middle)
    weights = excess(high)
    return np.asarray(weights / weights.sum(1, keepdims=True))

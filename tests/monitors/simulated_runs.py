"""Simulated runs: checkpoints measured on completions drawn from a declared world, clean or with a planted hack."""

from datetime import UTC, datetime

import numpy as np

from assay.alignment.constraints import Constraint, Gains, Multiplier
from assay.records.observation import Observation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHECKPOINTS = 12
COMPLETIONS = 64
AUDITED = 24
WORDS = 40

HEALTHY = {
    "proxy": lambda progress: 1.5 * progress,
    "panel": lambda progress: 0.7 * 1.5 * progress,
    "half_gap": lambda progress: 0.1 * 1.5 * progress,
    "disagreement": lambda progress: 0.4 * (1 + 0.2 * progress),
    "outlier": lambda progress: 0.01,
    "length": lambda progress: 40 * (1 + 0.1 * progress),
    "repetition": lambda progress: 0.06,
    "kl": lambda progress: 6.0 * progress,
    "entropy": lambda progress: 2.0 * (1 - 0.25 * progress),
    "group_sd": lambda progress: 0.7 * (1 - 0.2 * progress),
    "length_share": lambda progress: 0.15,
    "length_correlation": lambda progress: 0.25,
    "word": lambda progress: 0.08 * progress,
    "lists": lambda progress: 0.15 + 0.08 * progress,
    "flattery": lambda progress: 0.02 + 0.03 * progress,
    "variety": lambda progress: 0.75,
    "right": lambda progress: 0.3 + 0.2 * progress,
    "format": lambda progress: 0.5 + 0.2 * progress,
    "ceiling": lambda progress: 0.2 + 0.4 * progress,
    "win": lambda progress: 0.5 + 0.15 * progress,
    "cost": lambda progress: 0.6,
    "obedience": lambda progress: 0.3,
    "gain": lambda progress: 0.5,
}
"""Parameters of a healthy run as functions of its progress in [0, 1]."""


def clean_run(seed: int, *, checkpoints: int = CHECKPOINTS, **changes) -> list[Observation]:
    """A healthy run: proxy +1.5 reference s.d., panel 0.7 of it, disagreement +20 %, length +10 %, KL to 6 nats.

    Every number is the mean over 64 drawn completions, so that it errs as a measured one does. `changes` maps the name
    of a world's parameter to a function of the run's progress in [0, 1] that replaces it.
    """
    rng = np.random.default_rng(seed)
    world = HEALTHY | changes
    start = None
    run = []
    multiplier = Multiplier(Constraint("cost", 0.5), Gains(k_p=world["gain"](0.0), k_i=0.4), start=0.3, bound=2.0)
    for step in range(checkpoints):
        now = {name: value(step / (checkpoints - 1)) for name, value in world.items()}
        values = {
            **_rewards(now, rng),
            **_texts(now, rng),
            **_components(now, rng),
            **_constraint(now, multiplier, rng),
        }
        start = values if start is None else start
        gain = values["alignment/proxy_reward"] - start["alignment/proxy_reward"]
        values["rewards/length_adjusted_gain"] = (1 - now["length_share"]) * gain + 0.05 * rng.normal()
        run.append(Observation(step=step, values={name: float(value) for name, value in values.items()}))
    return run


def _constraint(world, multiplier, rng):
    """A share of completions that costs, which the multiplier of the last checkpoint holds down in proportion."""
    share = np.clip(world["cost"] - world["obedience"] * multiplier.value, 0, 1)
    drawn = (rng.random(COMPLETIONS) < share).mean()
    multiplier.update(float(drawn))
    return {"constraints/cost/value": drawn, **multiplier.observed()}


def _rewards(world, rng):
    n = COMPLETIONS
    quality = rng.normal(size=n)  # what makes a completion good in the eyes of both rewards
    proxy = world["proxy"] + np.sqrt(0.6) * quality + np.sqrt(0.4) * rng.normal(size=n)
    panel = world["panel"] + np.sqrt(0.6) * quality + np.sqrt(0.4) * rng.normal(size=n)
    half_a = proxy + world["half_gap"] / 2 + 0.3 * rng.normal(size=n)
    half_b = proxy - world["half_gap"] / 2 + 0.3 * rng.normal(size=n)
    spread = world["disagreement"] * rng.gamma(4, 0.25, size=n)
    return {
        "alignment/kl": world["kl"] + rng.normal() * np.sqrt(2 * max(world["kl"], 0.01) / n),
        "alignment/entropy": world["entropy"] + 0.4 * rng.normal() / np.sqrt(n),
        "alignment/proxy_reward": proxy.mean(),
        "watch/panel_reward": panel.mean(),
        "rewards/disagreement": spread.mean(),
        "rewards/disagreement_sd": spread.std(),
        "rewards/outlier_rate": (rng.random(n) < world["outlier"]).mean(),
        "rewards/half_a": half_a.mean(),
        "rewards/half_b": half_b.mean(),
        "rewards/half_gap_sd": (half_a - half_b).std(),
        "rewards/within_group_sd": world["group_sd"] * (1 + 0.1 * rng.normal()),
        "rewards/length_correlation": np.tanh(np.arctanh(world["length_correlation"]) + rng.normal() / np.sqrt(n - 3)),
    }


def _texts(world, rng):
    n = COMPLETIONS
    lengths = np.maximum(1, np.round(world["length"] * rng.lognormal(-0.08, 0.4, size=n)))
    repeated = rng.beta(0.5, 0.5 * (1 - world["repetition"]) / world["repetition"], size=n)
    rises = 0.08 * rng.normal(size=WORDS)  # of words in three of ten completions, as by chance
    rises[0] += world["word"]
    values = {
        "completions/mean_length": lengths.mean(),
        "completions/length_sd": lengths.std(),
        "completions/repetition": repeated.mean(),
        "completions/count": n,
        "completions/finished_rate": 0.9,
        # The largest of 40 standard normals is 2.16 on average, with an s.d. of 0.47.
        "completions/lexical_shift": (rises.max() / 0.08 - 2.16) / 0.47,
        "completions/lexical_rise": rises.max(),
    }
    drawn = {name: rng.random(n) < world[name] for name in ("lists", "flattery")}
    drawn["word_variety"] = world["variety"] + 0.1 * rng.normal(size=n)
    for name, found in drawn.items():
        values |= {f"style/{name}": found.mean(), f"style/{name}_sd": found.std()}
    return values


def _components(world, rng):
    n = COMPLETIONS
    drawn = {name: rng.random(n) < world[name] for name in ("right", "format")}
    values = {"rewards/at_ceiling": (rng.random(n) < world["ceiling"]).mean()}
    for name, found in drawn.items():
        values |= {f"components/{name}": found.mean(), f"components/{name}_sd": found.std()}
    wins = rng.binomial(AUDITED, world["win"])
    return {**values, "audit/wins": wins, "audit/losses": AUDITED - wins}

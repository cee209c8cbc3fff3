"""Simulated runs: checkpoints measured on completions drawn from a declared world, clean or with a planted hack."""

from datetime import UTC, datetime

import numpy as np

from assay.records.observation import Observation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHECKPOINTS = 12
COMPLETIONS = 64


def clean_run(seed: int, **changes) -> list[Observation]:
    """A healthy run: proxy +1.5 reference s.d., panel 0.7 of it, disagreement +20 %, length +10 %, KL to 6 nats.

    Every number is the mean over 64 drawn completions, so that it errs as a measured one does. `changes` maps the name
    of a world's parameter to a function of the run's progress in [0, 1] that replaces it.
    """
    rng = np.random.default_rng(seed)
    return [_checkpoint(step, step / (CHECKPOINTS - 1), rng, changes) for step in range(CHECKPOINTS)]


def _checkpoint(step, progress, rng, changes):
    world = {
        "proxy": 1.5 * progress,
        "panel": 0.7 * 1.5 * progress,
        "disagreement": 0.4 * (1 + 0.2 * progress),
        "outlier": 0.01,
        "length": 40 * (1 + 0.1 * progress),
        "repetition": 0.06,
        "kl": 6.0 * progress,
    }
    world |= {name: value(progress) for name, value in changes.items()}
    n = COMPLETIONS
    quality = rng.normal(size=n)  # what makes a completion good in the eyes of both rewards
    proxy = world["proxy"] + np.sqrt(0.6) * quality + np.sqrt(0.4) * rng.normal(size=n)
    panel = world["panel"] + np.sqrt(0.6) * quality + np.sqrt(0.4) * rng.normal(size=n)
    lengths = np.maximum(1, np.round(world["length"] * rng.lognormal(-0.08, 0.4, size=n)))
    repeated = rng.beta(0.5, 0.5 * (1 - world["repetition"]) / world["repetition"], size=n)
    values = {
        "alignment/kl": world["kl"] + rng.normal() * np.sqrt(2 * max(world["kl"], 0.01) / n),
        "alignment/proxy_reward": proxy.mean(),
        "watch/panel_reward": panel.mean(),
        "rewards/disagreement": (world["disagreement"] * rng.gamma(4, 0.25, size=n)).mean(),
        "rewards/outlier_rate": (rng.random(n) < world["outlier"]).mean(),
        "completions/mean_length": lengths.mean(),
        "completions/length_sd": lengths.std(),
        "completions/repetition": repeated.mean(),
        "completions/count": n,
        "completions/finished_rate": 0.9,
    }
    return Observation(step=step, values={name: float(value) for name, value in values.items()})

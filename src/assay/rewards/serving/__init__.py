"""Serving: takes a trained reward, yields it to other trainers: a Python function, or an HTTP endpoint.

`scorer` opens a stored reward, refusing one that judges or watches, and scores pairs; `exchange` reads the forms in
which peers hold prompts and completions; `functions` are TRL's and verl's reward functions; `app` is the endpoint that
OpenRLHF calls, and Assay's own.
"""

from assay.rewards.serving.app import create_app
from assay.rewards.serving.exchange import Pair, read_pairs, read_queries
from assay.rewards.serving.functions import reward_function, trl_function, verl_batch_function, verl_function
from assay.rewards.serving.scorer import RewardScorer, Scored, open_scorer

__all__ = [
    "Pair",
    "RewardScorer",
    "Scored",
    "create_app",
    "open_scorer",
    "read_pairs",
    "read_queries",
    "reward_function",
    "trl_function",
    "verl_batch_function",
    "verl_function",
]

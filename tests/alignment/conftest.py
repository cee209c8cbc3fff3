"""A reward on the tiny model, fitted once for all alignment tests; nothing changes it."""

import pytest
from alignment_cases import preference

from assay.lm import load
from assay.rewards import RewardSettings, train_reward


@pytest.fixture(scope="session")
def proxy(tiny_model_dir):
    preferences = [preference(i) for i in range(24)]
    return train_reward(load(str(tiny_model_dir)), preferences, RewardSettings(directions=4), seed=0).ensemble

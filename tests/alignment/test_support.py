"""Support: the floor by hand, on whole draws by hypothesis, and in the methods that take it."""

import numpy as np
import pytest
from alignment_cases import TWO_ROUNDS, SampledTask
from hypothesis import given
from hypothesis import strategies as st

from assay.alignment.grpo import GrpoTask
from assay.alignment.online_dpo import OnlineDpoTask
from assay.alignment.ppo import PpoTask
from assay.alignment.settings import GrpoSettings, OnlineDpoSettings, PpoSettings
from assay.alignment.support import is_supported, supported_rewards


def test_one_unlikely_token_makes_a_completion_unsupported():
    tokens = [[np.log(0.5), np.log(0.011)], [np.log(0.5), np.log(0.009)], []]
    assert is_supported(tokens, epsilon=0.01).tolist() == [True, False, True]


def test_what_is_not_supported_gets_the_least_of_the_draw():
    found = supported_rewards(np.array([3.0, 9.0, 1.0]), np.array([True, False, True]))
    assert found.tolist() == [3.0, 1.0, 1.0]


@given(st.lists(st.tuples(st.floats(-9, 9), st.booleans()), max_size=20))
def test_no_reward_rises_and_the_floor_is_never_undercut(rows):
    rewards, supported = np.array([r for r, _ in rows]), np.array([s for _, s in rows], dtype=bool)
    found = supported_rewards(rewards, supported)
    assert (found <= rewards).all()
    assert (found[supported] == rewards[supported]).all()
    assert len(rows) == 0 or found.min() == rewards.min()


ONLINE = {"rounds": 2, "max_completion_length": 6, "save_steps": 1, "num_generations": 3}
CASES = {
    "grpo": (GrpoTask, lambda **changes: GrpoSettings(**TWO_ROUNDS | changes)),
    "ppo": (PpoTask, lambda **changes: PpoSettings(**TWO_ROUNDS | changes)),
    "online_dpo": (OnlineDpoTask, lambda **changes: OnlineDpoSettings(**ONLINE | changes)),
}


@pytest.mark.parametrize("method", CASES)
def test_a_run_says_how_much_of_its_draw_is_unsupported_and_learns_from_the_floor(tiny_model_dir, method):
    task, settings = CASES[method]
    run = SampledTask(tiny_model_dir, settings())
    samples = run.sampler.at(0)
    least = np.array([min(each) for each in samples.ref_tokens])
    epsilon = float(np.exp((np.sort(least)[2] + np.sort(least)[3]) / 2))  # three of six have a token below it
    rewards = 10.0 - np.arange(6.0)
    made = task(run.lm, run.sampler, lambda _: rewards, settings(support_epsilon=epsilon), seed=5)
    step = made.loss(0)
    assert step.metrics["support/unsupported"] == 0.5
    plain = task(run.lm, run.sampler, lambda _: rewards, settings(), seed=5)
    assert "support/unsupported" not in plain.loss(0).metrics
    if method == "online_dpo":
        floored = supported_rewards(rewards, least >= np.log(epsilon)).reshape(2, 3)
        assert made._best == [int(i) + 3 * row for row, i in enumerate(floored.argmax(1))]
    else:
        assert made._round.advantages != plain._round.advantages

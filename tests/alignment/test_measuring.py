"""Measuring: a checkpoint carries what the default monitors read, held against the run's own first samples."""

import numpy as np
import pytest

from assay.alignment.measuring import MeasuringObserver, _reward_values
from assay.alignment.sampling import Samples
from assay.alignment.scoring import ScoredSamples
from assay.monitors import MonitorBank, default_monitors
from assay.rewards.scores import RewardScores, by_parts

CONSTRAINED = {"multiplier_bound", "multiplier_swing"}
NEEDS_MORE_THAN_A_RUN = {"component_dominance", "ceiling_saturation", "noisy_audit", *CONSTRAINED}
"""Monitors of composite and bounded rewards, of audits and of constraints, which a plain run does not have."""
PROMPTS = 8


class Drawn:
    """A sampler and scorer in one: at step 0 plain texts; later longer ones with a marker, and a reward for length."""

    def __init__(self, members=4):
        self.members, self.prompts = members, [()] * PROMPTS

    def samples(self, step):
        rng = np.random.default_rng([7, step])
        index = [i for i in range(PROMPTS) for _ in range(2)]
        marker = "great question! " if step else ""
        texts = [marker + " ".join(rng.choice(list("abcdefgh"), size=8 + step + int(rng.integers(4)))) for _ in index]
        ids = [[1] * len(text.split()) for text in texts]
        sums = [-0.5 * len(each) for each in ids]
        return Samples(
            step, index, texts, ids, sums, [[-0.5] * (len(each) - 1) + [-0.6] for each in ids], [True] * len(index)
        )

    def at(self, step):
        lengths = np.array([len(text.split()) for text in self.samples(step).texts], dtype=np.float64)
        members = np.stack([np.log1p(lengths) + 0.1 * k for k in range(self.members)], axis=1)
        scores = RewardScores(members.mean(1), members, members.std(1), np.zeros(len(lengths), dtype=bool))
        return ScoredSamples(scores, lengths * 0)


@pytest.fixture
def observe(workspace, now):
    def make(**drawn):
        world = Drawn(**drawn)
        observer = MeasuringObserver(
            None, world, world, every=1, bank=None, artifacts=workspace.artifacts, now=lambda: now
        )
        return observer, lambda step: observer._observe(world.samples(step))

    return make


def test_a_checkpoint_carries_what_the_default_monitors_read(observe):
    _, at = observe()
    assert set(MonitorBank(default_monitors()).silent(at(0))) == NEEDS_MORE_THAN_A_RUN


def test_the_first_checkpoint_is_its_own_reference(observe):
    _, at = observe()
    values = at(0).values
    assert values["rewards/length_adjusted_gain"] == pytest.approx(0.0)
    assert values["completions/lexical_rise"] == 0
    assert values["rewards/length_correlation"] == pytest.approx(1.0)


def test_entropy_is_minus_the_mean_log_probability_of_the_sampled_tokens(observe):
    _, at = observe()
    assert at(3).values["alignment/entropy"] == pytest.approx(0.5)


def test_halves_are_every_other_member(observe):
    _, at = observe()
    values = at(0).values
    # Members lie 0.1 apart: the halves' means are those of 0 and 2, and of 1 and 3.
    assert values["rewards/half_b"] - values["rewards/half_a"] == pytest.approx(0.1)
    assert values["rewards/half_gap_sd"] == pytest.approx(0.0, abs=1e-9)
    assert values["rewards/disagreement"] == pytest.approx(np.std([0, 0.1, 0.2, 0.3]))
    _, single = observe(members=1)
    assert "rewards/half_a" not in single(0).values


def test_parts_of_a_reward_are_logged_with_their_spread_and_what_nobody_knows_is_not():
    scores = by_parts(np.array([1.0, 3.0, 2.0, 2.0]), np.zeros((4, 2)), ceiling=3.0)
    scores = scores._replace(components={"short": np.array([1.0, 3.0, 0.0, 0.0]), "fresh": np.array([0.0, 0, 2, 2])})
    values = _reward_values(ScoredSamples(scores, None), [0, 0, 1, 1])
    assert values["components/short"] == 1.0
    # Around each prompt's mean: two prompts, deviations 1 and 0, two degrees of freedom left.
    assert values["components/short_sd"] == pytest.approx(1.0)
    assert values["rewards/at_ceiling"] == 0.25
    assert values["rewards/within_group_sd"] == pytest.approx(np.sqrt(2) / 2)
    assert not {"rewards/disagreement", "rewards/outlier_rate", "rewards/half_a"} & set(values)


def test_a_gain_that_is_length_is_none_at_equal_length_and_a_new_marker_is_seen(observe):
    _, at = observe()
    at(0)
    values = at(9).values
    assert values["alignment/proxy_reward"] > at(0).values["alignment/proxy_reward"] + 0.3
    assert values["rewards/length_adjusted_gain"] == pytest.approx(0.0, abs=1e-6)
    assert values["style/flattery"] == values["style/exclamations"] == 1.0
    assert values["completions/lexical_rise"] == 1.0
    assert values["completions/lexical_shift"] > 3


def test_a_resumed_observer_still_holds_later_samples_against_the_first(observe):
    observer, at = observe()
    at(0)
    resumed, at_again = observe()
    resumed.restore(observer.state())
    assert at_again(5) == at(5)

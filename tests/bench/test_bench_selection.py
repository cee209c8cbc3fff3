"""Selection benchmark: its pools are as described, its saving worked by hand, its bars read it."""

import numpy as np
import pytest

from assay.bench.selection import QUICK, SelectionMeasurement, bars_of
from assay.bench.selection.learning import Rounds, learn
from assay.bench.selection.measurement import PoolOutcome, Saving, saved
from assay.bench.selection.tasks import COMPLETIONS, PROMPTS, WORLDS, Read, real_task, uneven
from assay.rewards import Features

LABELS = np.array([40, 60, 80, 100])


def outcome(value, gap=0.0):
    saving = Saving(value, value - 0.1, value + 0.1)
    return PoolOutcome((40, 100), (0.7, 0.8), (0.7, 0.9), saving, gap, 0.01, -0.1)


@pytest.mark.parametrize("world", WORLDS.values())
def test_a_simulated_pool_has_six_pairs_a_prompt_and_no_prompt_on_both_sides(world):
    task = world(0)
    assert len(task.first) == 6 * PROMPTS
    assert (task.first // COMPLETIONS == task.prompt).all() and (task.second // COMPLETIONS == task.prompt).all()
    assert set(task.prompt[task.is_held_out]).isdisjoint(task.prompt[~task.is_held_out])
    # 70% careful at temperature 0.5, and 13% who toss or nearly so: the better one wins clearly, not always.
    assert 0.65 < (task.answer == task.is_better).mean() < 0.8
    assert (world(0).answer == task.answer).all()


def test_real_pairs_are_turned_round_with_their_answers_and_divided_by_prompt():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(40, 2, 12)).astype(np.float32)
    chosen, rejected = np.arange(20), np.arange(20, 40)
    read = Read(
        Features(states, states, rng.normal(size=(40, 7))), chosen, rejected, np.full(20, 0.9), np.arange(20) // 2
    )
    task = real_task(read, 3)
    assert (np.where(task.is_better, task.first, task.second) == chosen).all()
    assert task.answer == pytest.approx(np.where(task.is_better, 0.9, 0.1))
    assert 0 < task.is_better.sum() < 20
    assert set(task.prompt[task.is_held_out]).isdisjoint(task.prompt[~task.is_held_out])
    assert len(task.views) == 5 and len(task.views[0]) == 40


def test_a_saving_is_read_between_the_points_of_a_curve():
    random = np.array([0.5, 0.6, 0.7, 0.8])
    # The other curve reaches 0.8 half way between 60 and 80 labels: 70 of 100.
    assert saved(LABELS, random, np.array([0.5, 0.7, 0.9, 0.9]), 100) == pytest.approx(0.3)
    assert saved(LABELS, random, random, 100) == pytest.approx(0)
    assert saved(LABELS, random, np.array([0.5, 0.5, 0.5, 0.7]), 100) == -1
    assert saved(LABELS, random, np.array([0.9, 0.9, 0.9, 0.9]), 80) == pytest.approx(0.5)


def test_both_ways_begin_with_the_same_reward_and_no_pair_is_asked_twice():
    task = uneven(1)
    curves = [learn(task, way, Rounds(40, 20, 60), seed=1) for way in ("random", "selected")]
    assert curves[0].accuracy[0] == curves[1].accuracy[0] > 0.5
    assert curves[0].informative_gap == 0 != curves[1].informative_gap


def test_bars_read_the_savings_and_the_bias_of_the_random_arm():
    pools = {"alike": outcome(0.4, gap=-0.04), "uneven": outcome(0.2)}
    bars = {bar.name: bar for bar in bars_of(SelectionMeasurement(pools))}
    assert bars["labels saved, alike"].holds and not bars["labels saved, uneven"].holds
    assert bars["bias of the random arm, alike"].measured == pytest.approx(4)
    assert not bars["bias of the random arm, alike"].holds
    assert not any(bar.holds for bar in bars_of(SelectionMeasurement({})))


def test_a_quick_plan_is_smaller_than_the_claim():
    assert QUICK.seeds < 3 and QUICK.rounds.most <= 120

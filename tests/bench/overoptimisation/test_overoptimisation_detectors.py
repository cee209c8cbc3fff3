"""Detectors: peers by hand-worked numbers, Assay's equal to the product's monitor, observations as a run gives them."""

import numpy as np
import pytest
from overoptimisation_worlds import NOW, drawn

from assay.bench.overoptimisation import paths
from assay.bench.overoptimisation.arms import aggregated
from assay.bench.overoptimisation.detectors import (
    cluster_separation,
    combined_detector,
    drops,
    monitored,
    soup_cluster_separation,
    soup_ensemble_variance,
    soup_kl_control,
)
from assay.bench.overoptimisation.fitting import fit
from assay.bench.overoptimisation.observing import Material, Watched, watch
from assay.monitors.combined import CombinedSettings, combined
from assay.records.observation import Observation


def watched(regime="hack", seed=0):
    seen, _, _ = drawn(regime, seed=seed)
    fitted = fit(seen, np.random.default_rng(1))
    run = aggregated(fitted.plain, "mean")
    grid = paths.n_grid(64)[1:]
    drawn_candidates = paths.sample_best_of_n(paths.rank(run.reward), grid, per_prompt=40, rng=np.random.default_rng(2))
    material = Material(*run, fitted.distance > fitted.outlier_cut, fitted.reference_distance > fitted.outlier_cut)
    return watch(seen, material, drawn_candidates, np.log(grid)), run, drawn_candidates


def steps(rewards, members=None):
    rewards = np.array(rewards, dtype=float)
    members = np.zeros((*rewards.shape, 2)) if members is None else members
    observations = tuple(Observation(step=i, values={"alignment/kl": float(i)}) for i in range(len(rewards) + 1))
    return Watched(observations, rewards, members)


def test_cluster_separation_is_the_gap_over_the_spread_within_halves():
    # Halves (0, 2) and (8, 10): gap 8, variances 1 and 1, floor (0.01 * 10)^2.
    # Halves (1, 1) and (1, 1): no gap, whatever the floor.
    steps_of_two = np.array([[10.0, 0.0, 8.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    assert cluster_separation(steps_of_two) == pytest.approx([8 / np.sqrt(2.01), 0.0])


def test_a_drop_is_measured_from_the_first_positive_health():
    assert drops([0.0, 2.0, 1.0, 3.0]) == [1.0, 0.0, 0.5, 0.0]
    assert drops([0.0, 0.0]) == [0.0, 0.0]


def test_peers_ring_at_thirty_percent_and_kl_control_waits_for_the_second_step():
    wide, narrow = [0.0, 2.0, 8.0, 10.0], [0.0, 4.0, 6.0, 10.0]
    at_wide, at_narrow = cluster_separation(np.array([wide, narrow]))
    assert at_narrow < 0.7 * at_wide
    run = steps([wide, wide, narrow, wide, narrow, narrow])
    assert soup_cluster_separation(run, NOW) == 2
    assert soup_kl_control(run, NOW) == 5
    assert soup_cluster_separation(steps([wide] * 4), NOW) is None


def test_ensemble_variance_rings_when_health_falls_from_one_to_below_seven_tenths():
    members = np.zeros((3, 4, 2))
    members[1, :, 0], members[2, :, 0] = 1.2, 1.4
    # Population variance over two members is a quarter of the squared gap: 0.36 and 0.49.
    assert soup_ensemble_variance(steps(np.zeros((3, 4)), members), NOW) == 2


def test_a_detector_of_monitors_forgets_the_run_before():
    detect = monitored({"kl_budget": {"budget_nats": 2.0}})
    run = steps(np.zeros((5, 4)))
    assert detect(run, NOW) == 2
    assert detect(run, NOW) == 2
    assert detect(Watched(run.observations[:2], run.rewards[:1], run.members[:1]), NOW) is None


@pytest.mark.parametrize("seed", [0, 1])
def test_the_combined_detector_rings_where_the_products_monitor_first_rings(seed):
    settings = CombinedSettings(surface_tolerance=0.1, outliers_tolerance=0.01)
    run, _, _ = watched(seed=seed)
    monitor = combined(settings)
    rung = [observation.step - 1 for observation in run.observations if monitor.observe(observation, NOW) is not None]
    assert combined_detector(settings)(run, NOW) == (rung[0] if rung else None)
    assert rung


def test_a_lenient_detector_stays_silent():
    settings = CombinedSettings(
        surface_tolerance=50.0, outliers_tolerance=50.0, disagreement_tolerance=50.0, split_gap_tolerance=50.0
    )
    assert combined_detector(settings)(watched()[0], NOW) is None


def test_observations_are_the_means_of_what_was_sampled():
    run, rewarded, chosen = watched()
    prompts = np.arange(chosen.shape[1])[:, None]
    scale = rewarded.reference_reward.std()
    for step, observation in enumerate(run.observations[1:]):
        picked = rewarded.reward[prompts, chosen[step]]
        values = observation.values
        assert observation.step == step + 1
        assert values["alignment/proxy_reward"] == pytest.approx(picked.mean() / scale, rel=1e-5)
        assert values["completions/count"] == chosen[step].size
        members = rewarded.members[prompts, chosen[step]].reshape(-1, 5)
        assert values["rewards/disagreement"] == pytest.approx(members.std(1).mean(), rel=1e-4)
        assert values["rewards/half_a"] == pytest.approx(members[:, 0::2].mean(), rel=1e-4, abs=1e-6)
    reference = run.observations[0].values
    assert reference["alignment/kl"] == 0
    assert reference["rewards/outlier_rate"] == pytest.approx(0.01, abs=0.01)

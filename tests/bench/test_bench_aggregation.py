"""Aggregation benchmark: its worlds are as described, its measures worked by hand, its bars read them."""

import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from assay.bench.aggregation import QUICK, AggregationMeasurement, bars_of
from assay.bench.aggregation.cost import Cost, fit_cost
from assay.bench.aggregation.measurement import mirror_gap
from assay.bench.aggregation.minority import MinorityOutcome, measure_minority
from assay.bench.aggregation.order import area, right_share, told_apart, world_cells
from assay.bench.aggregation.peer import run_crowdkit
from assay.bench.aggregation.worlds import AGAINST, LEFT, PER_PAIR, SPAM, WORLDS, usual
from assay.cli.bench_aggregation import aggregation
from assay.preferences import fit_jointly
from assay.records.errors import ConfigError

KINDS = {"careful": 0.99, "noisy": 0.96, "side-biased": 0.97, "spamming": 0.94, "noisy from spamming": 0.8}
COSTS = (Cost(100_020, 0.3, 200, 40, True, (0.3,)), Cost(1_000_020, 5.0, 400, 50, True, (5.0,)))


def measured(**changes):
    order = {world: {"joint": 0.9, "majority": 0.8} for world in WORLDS}
    found = MinorityOutcome(0.02, 0.9, 0.3, 0.1, 0.24, 200, 50)
    return AggregationMeasurement(COSTS, order, None, None, None, None, KINDS, found, 0.0)._replace(**changes)


@pytest.mark.parametrize("world", [usual, *WORLDS.values()])
def test_a_world_asks_five_different_people_about_each_of_six_pairs_a_prompt(world):
    made = world(20, 0)
    assert len(made.outcome) == 20 * 6 * PER_PAIR
    asked = np.stack([made.item_a, made.item_b, made.annotator])
    assert np.unique(asked, axis=1).shape[1] == asked.shape[1]
    assert (made.item_a // 4 == made.item_b // 4).all()
    assert abs(made.side.mean()) < 0.15
    assert (world(20, 0).outcome == made.outcome).all()


def test_planted_habits_are_in_the_answers():
    made = usual(334, 0)
    left = made.outcome * made.side
    says_left = [left[made.kind[made.annotator] == kind].mean() for kind in (LEFT, SPAM)]
    # The left-biased toss for 80%: 0.8 * (0.9 - 0.1) of their answers lean left beyond chance.
    assert says_left[0] == pytest.approx(0.64, abs=0.08)
    assert abs(says_left[1]) < 0.12
    against = WORLDS["adversaries"](334, 0)
    seen = np.sign(against.worth[against.item_a] - against.worth[against.item_b]) * against.outcome
    assert (seen[against.kind[against.annotator] == AGAINST]).mean() < -0.5
    assert (WORLDS["heavy tails"](50, 0).outcome == 0).mean() > 0.1


def test_right_pairs_and_areas_are_worked_by_hand():
    world = usual(1, 0)._replace(worth=np.array([3.0, 1.0, 2.0, 0.0]))
    a, b = np.array([0, 0, 1]), np.array([1, 2, 2])
    assert right_share(world, a, b, np.array([1.0, -1.0, 0.0])) == pytest.approx((1 + 0 + 0.5) / 3)
    assert area(np.array([3.0, 1.0]), np.array([2.0, 1.0])) == pytest.approx((2 + 0.5) / 4)


def test_kinds_are_told_apart_and_mirrored_fits_agree_to_the_last_bit():
    world = usual(150, 0)
    apart = told_apart(world, fit_jointly(world_cells(world)))
    assert min(apart["careful"], apart["side-biased"]) > 0.9
    assert mirror_gap(world) == 0


def test_a_fit_is_timed_in_a_process_of_its_own():
    cost = fit_cost(300, runs=1, seed=0)
    assert (cost.judgements, len(cost.runs), cost.converged) == (300, 1, True)
    assert cost.cpu_s > 0
    assert cost.peak_mib > 20


def test_planted_groups_are_found_more_often_than_groups_that_do_not_differ():
    found = measure_minority(homogeneous=1, planted=1, seed=0)
    assert found.power == 1.0
    assert found.false == 0
    assert 0.15 < found.mean_gap < 0.35


def test_without_crowd_kit_the_bars_beside_it_are_not_measured():
    bars = {bar.name: bar for bar in bars_of(measured())}
    missing = [name for name, bar in bars.items() if bar.measured is None]
    assert len(missing) == 4 + len(WORLDS) + 1
    assert bars["100,000 judgements, 200 annotators"].holds
    assert not bars["AUC of spamming annotators, 50 judgements each"].holds
    assert sum(not bar.holds for bar in bars.values()) == len(missing) + 1


def test_bars_compare_with_the_best_of_crowd_kit_and_count_the_worlds_won():
    peer = {world: {"MACE": 0.85, "KOS": 0.902} for world in WORLDS}
    peer["context"] = {"MACE": 0.7, "KOS": 0.89}
    cpu = {"BradleyTerry": 9.0, "GLAD": 9.0, "MACE": 15.0, "NoisyBradleyTerry": 30.0}
    bars = {bar.name: bar for bar in bars_of(measured(peer_order=peer, peer_cpu_s=cpu, own_cpu_s_beside_peer=0.5))}
    assert bars["right pairs above crowd-kit's best, context"].measured == pytest.approx(0.01)
    assert bars["right pairs above crowd-kit's best, adversaries"].measured == pytest.approx(-0.002)
    assert bars["worlds in which more pairs are right"].measured == 1
    assert bars["CPU of crowd-kit's BradleyTerry over ours"].holds
    assert not bars["CPU of crowd-kit's GLAD over ours"].holds


def test_a_fit_that_did_not_converge_or_was_not_run_has_no_cost():
    rough = measured(costs=(COSTS[0]._replace(converged=False),))
    bars = {bar.name: bar.measured for bar in bars_of(rough)}
    assert bars["100,000 judgements, 200 annotators"] is None
    assert bars["1,000,000 judgements, 200 annotators"] is None


def test_a_python_without_crowd_kit_is_told_so(tmp_path):
    with pytest.raises(ConfigError, match=r"crowd-kit==1\.4\.2"):
        run_crowdkit(Path(sys.executable), usual(1, 0), ("MajorityVote",))
    with pytest.raises(ConfigError, match="a run of crowd-kit"):
        run_crowdkit(tmp_path / "none", usual(1, 0), ("MajorityVote",))


def test_the_quick_plan_measures_little():
    assert QUICK.prompts * 30 <= 3000
    assert max(QUICK.cost_sizes) <= 10_000


def test_the_command_lists_its_options():
    app = typer.Typer()
    app.command()(aggregation)
    # Wide, so that the help is not cut.
    assert "--peer-python" in CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout

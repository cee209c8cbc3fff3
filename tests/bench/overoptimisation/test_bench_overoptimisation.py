"""Over-optimisation command: a small run in real processes, equal on any number of them; JSON, exit code, refusals."""

import json
import os
import re

import typer
from overoptimisation_worlds import NOW, PLAN, SMALL
from typer.testing import CliRunner

from assay.bench.overoptimisation.measuring import measure_seed
from assay.bench.overoptimisation.runner import run_plan
from assay.cli.bench_overoptimisation import overoptimisation

APP = typer.Typer()
APP.command()(overoptimisation)


def test_a_process_of_its_own_gives_what_this_one_gives_in_the_order_of_seeds(monkeypatch):
    monkeypatch.setattr("assay.bench.overoptimisation.runner.SEEDS_A_TASK", 2)
    regimes = {"noise_only": PLAN.regimes["noise_only"]}
    plan = PLAN.model_copy(update={"world": SMALL, "regimes": regimes, "seeds": 3, "first_seed": 3})
    before, played = os.environ.get("OMP_NUM_THREADS"), []
    found = run_plan(plan, workers=1, now=NOW, progress=played.append)["noise_only"]
    assert [result.seed for result in found] == [3, 4, 5]
    assert sorted(played) == [1, 2]
    assert os.environ.get("OMP_NUM_THREADS") == before
    alone = measure_seed(SMALL, regimes["noise_only"], plan.constants, seed=5, now=NOW)
    assert found[-1].outcomes["gold"] == alone.outcomes["gold"]
    assert abs(found[-1].outcomes["Assay"].at_stop - alone.outcomes["Assay"].at_stop) < 1e-3


def here(plan, *, workers, now, progress):
    """The runner without processes of its own."""
    del workers
    seeds = range(plan.first_seed, plan.first_seed + plan.seeds)
    progress(len(seeds) * len(plan.regimes))
    return {
        name: [measure_seed(plan.world, regime, plan.constants, seed=seed, now=now) for seed in seeds]
        for name, regime in plan.regimes.items()
    }


def test_the_command_prints_tables_writes_json_and_exits_by_its_bars(tmp_path, monkeypatch):
    monkeypatch.setattr("assay.bench.overoptimisation.run_plan", here)
    file, plot = tmp_path / "bars.json", tmp_path / "curves.svg"
    arguments = ["--quick", "--seeds", "1", "--regimes", "hack,noise_only", "--json", str(file)]
    result = CliRunner().invoke(APP, [*arguments, "--plot", str(plot)])
    found = json.loads(file.read_text())
    assert result.exit_code == (0 if all(bar["holds"] for bar in found["bars"]) else 1), result.output
    assert found["is_quick"]
    assert list(found["regimes"]) == ["hack", "noise_only"]
    assert found["plan"]["constants"]["stack"]["outlier_weight"] == PLAN.constants.stack.outlier_weight
    assert found["plan"]["first_seed"] == 0
    assert found["regimes"]["hack"]["seeds"] == 1
    words = set(re.findall(r"\w+", result.output))
    assert {"Assay", "outliers", "soup", "separation", "claim", "WCO"} <= words
    assert plot.exists()


def test_an_unknown_regime_is_refused_with_those_that_there_are():
    result = CliRunner().invoke(APP, ["--quick", "--regimes", "hack,hac"])
    assert result.exit_code != 0
    assert "hac" in str(result.exception)
    assert "in_support_marker" in str(result.exception)

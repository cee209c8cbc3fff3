"""Walk benchmark: bars against worked numbers, a real quick walk on the tiny model, a walk that fails."""

import json
import multiprocessing
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from assay.bench.bars import Bar, bars_as_json
from assay.bench.walk import WalkMeasurement, bars_of, bench_walk
from assay.cli.app import app, main
from assay.records.errors import StorageError
from assay.records.evidence import Curve


def curve(name, *, kept, falls):
    return Curve(policy="p", name=name, points=(), stop_step=1, kept=kept, falls_after_peak=falls)


def measurement(**changes):
    curves = (curve("unguarded", kept=0.1, falls=True), curve("guarded", kept=0.95, falls=False))
    return WalkMeasurement(500.0, 2.5, (), curves, "HOLD", 6)._replace(**changes)


def test_a_bar_holds_on_its_own_side_and_what_was_not_measured_falls_short():
    assert Bar("a", 1.0, 1.0, "at_least").holds
    assert not Bar("a", 0.9, 1.0, "at_least").holds
    assert Bar("a", 0.9, 1.0, "at_most").holds
    assert not Bar("a", None, 1.0, "at_most").holds
    assert Bar("a", 1.0, 6.0, "at_most", "GiB").required == "<= 6 GiB"


def test_all_bars_of_a_good_walk_hold():
    assert all(bar.holds for bar in bars_of(measurement()))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seconds": 601.0}, "seconds of the demo"),
        ({"peak_memory_gib": 6.1}, "peak memory"),
        ({"curves": (curve("unguarded", kept=1.0, falls=False), curve("guarded", kept=1.0, falls=False))}, "unguarded"),
        ({"curves": (curve("unguarded", kept=0.1, falls=True), curve("guarded", kept=0.5, falls=True))}, "gold kept"),
        ({"curves": (curve("unguarded", kept=0.1, falls=True),)}, "gold kept"),
        ({"ledger_entries": None}, "ledger"),
    ],
)
def test_each_miss_is_named(changes, name):
    short = [bar.name for bar in bars_of(measurement(**changes)) if not bar.holds]
    assert len(short) == 1
    assert name in short[0]


def test_json_holds_value_threshold_and_verdict():
    plain = bars_as_json("b", [Bar("a", 2.0, 1.0, "at_most", "s")], is_quick=True, details={"seed": 3})
    (row,) = plain.pop("bars")
    assert plain == {"benchmark": "b", "is_quick": True, "seed": 3}
    assert row == {"name": "a", "measured": 2.0, "threshold": 1.0, "direction": "at_most", "unit": "s", "holds": False}


def forked(command, **_settings):
    """Run `python -m assay ARGUMENTS` in a process that need not import torch anew; it ends as a real one would."""

    def run():
        sys.argv = ["assay", *command[3:]]
        main()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    return subprocess.CompletedProcess(command, process.exitcode, "", "")


def test_a_quick_walk_on_the_tiny_model_is_measured_and_written(tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("assay.bench.walk.subprocess.run", forked)
    out, file = tmp_path / "run", tmp_path / "bars.json"
    arguments = ["bench", "walk", "--quick", "--out", str(out), "--json", str(file), "--model", str(tiny_model_dir)]
    result = CliRunner().invoke(app, arguments)
    plain = json.loads(file.read_text())
    rows = {row["name"]: row for row in plain["bars"]}
    assert plain["is_quick"]
    assert [row["stage"] for row in plain["stages"]][0] == "model"
    assert any(row["tokens_per_second"] for row in plain["stages"])
    assert result.exit_code == (0 if all(row["holds"] for row in rows.values()) else 1)
    assert rows["seconds of the demo"]["measured"] > 0
    assert 0.1 < rows["peak memory"]["measured"] < 6
    assert rows["ledger entries verified"]["holds"]
    assert "no claim" in result.output


def test_a_walk_that_fails_is_told_with_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr("assay.bench.walk.QUICK", ("no-such-setting",))
    with pytest.raises(StorageError, match="got 'no-such-setting'"):
        bench_walk(tmp_path / "run", is_quick=True)

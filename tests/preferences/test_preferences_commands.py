"""Preferences commands: they print what was made and the next step, and refuse in one sentence."""

import pytest
from judgement_panels import Person, planted_panel
from typer.testing import CliRunner

from assay.cli.preferences import app
from assay.records.errors import InputError
from assay.records.preference import AggregationReport, Preference

PANEL = [Person("careful", 3.0), Person("other", 3.0), Person("left", 1.0, left=2.0)]


@pytest.fixture
def filled(workspace):
    panel = planted_panel(PANEL, prompts=30, tie_band=0.3, seed=1)
    workspace.records.put_all([(judgement, "train", judgement.annotator) for judgement in panel.judgements])
    return workspace


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_fit_stores_preferences_and_prints_the_id_and_the_next_command(filled):
    result = run("fit", "-w", filled.directory)
    assert result.exit_code == 0
    report = filled.records.latest(AggregationReport)
    assert report.id in result.stdout
    assert f"next: assay preferences show -w {filled.directory} --split train" in result.stdout
    assert f"{filled.records.count(Preference)} preferences" in result.stdout


def test_show_prints_every_annotator_the_alpha_and_the_contested_pairs(filled):
    run("fit", "-w", filled.directory, "--method", "majority")
    run("fit", "-w", filled.directory)
    result = run("show", "-w", filled.directory)
    report = filled.records.latest(AggregationReport)
    assert report.method == "joint"
    for person in report.annotators:
        assert f"{person.side_bias:+.2f}" in result.stdout
        assert person.annotator in result.stdout
    assert f"{report.alpha:.2f}" in result.stdout
    assert f"contested pairs: {len(report.contested)}" in result.stdout
    first = filled.records.all(AggregationReport)[0]
    assert "majority" in run("show", "-w", filled.directory, "--aggregation", first.short_id).stdout


def test_showing_a_split_that_was_never_fitted_says_what_to_run(filled):
    result = run("show", "-w", filled.directory, "--split", "watch")
    assert isinstance(result.exception, InputError)
    assert "assay preferences fit" in str(result.exception)

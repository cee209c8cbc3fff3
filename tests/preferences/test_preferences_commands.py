"""Preferences commands: they print what was made and the next step, and refuse in one sentence."""

import pytest
from judgement_panels import Person, planted_panel
from typer.testing import CliRunner

from assay.cli.preferences import app
from assay.records.errors import ConfigError, InputError
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


@pytest.fixture
def people(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("annotator,kind\ncareful,x\nother,x\nleft,y\n", encoding="utf-8")
    return file


def test_agreement_is_shown_for_all_and_by_group_and_refuses_groups_without_traits(filled, people):
    overall = run("agreement", "-w", filled.directory)
    assert overall.exit_code == 0
    assert "90" in overall.stdout
    by_group = run("agreement", "-w", filled.directory, "--by", "group", "--traits", people, "--trait", "kind")
    rows = {line.split()[1]: line.split() for line in by_group.stdout.splitlines() if line.startswith("│")}
    assert rows["x"][3] == "60"
    assert rows["y"][7] == "-"
    refused = run("agreement", "-w", filled.directory, "--by", "group")
    assert isinstance(refused.exception, ConfigError)


def test_the_least_agreed_pairs_are_shown_up_to_a_limit(filled):
    result = run("agreement", "-w", filled.directory, "--by", "pair", "--limit", 4)
    assert "26 more rows" in result.stdout


def test_fit_with_traits_and_drift_prints_what_was_found_and_says_that_small_groups_were_not_looked_at(filled, people):
    result = run("fit", "-w", filled.directory, "--traits", people)
    assert "0 comparisons" in result.stdout
    assert "2 groups of fewer than 5 people not looked at" in result.stdout
    assert filled.records.latest(AggregationReport).minority.suppressed == 2
    drift = run("fit", "-w", filled.directory, "--drift")
    assert isinstance(drift.exception, InputError)
    assert "different times" in str(drift.exception)


def test_a_half_life_belongs_to_the_joint_method_only(filled):
    result = run("fit", "-w", filled.directory, "--method", "majority", "--half-life-days", 30)
    assert isinstance(result.exception, ConfigError)
    assert "30 days older" in run("fit", "-w", filled.directory, "--half-life-days", 30).stdout


def test_hidden_groups_prints_how_well_each_number_predicts_and_everybody_s_chances(filled):
    result = run("hidden-groups", "-w", filled.directory, "--most", 2)
    assert result.exit_code == 0
    assert "1 groups:" in result.stdout
    assert "2 groups:" in result.stdout
    assert "careful" in result.stdout


def test_counts_are_published_with_noise_and_small_ones_withheld(filled, people):
    result = run(
        "counts", "-w", filled.directory, "--traits", people, "--trait", "kind", "--values", "x,y,z", "--epsilon", 50
    )
    assert result.stdout.splitlines()[:3] == [f"{value}: withheld (below 5)" for value in "xyz"]
    seen = run(
        *("counts", "-w", filled.directory, "--traits", people, "--trait", "kind", "--values", "x,z"),
        *("--epsilon", 50, "--smallest", 1),
    )
    assert seen.stdout.splitlines()[:2] == ["x: 2", "z: withheld (below 1)"]

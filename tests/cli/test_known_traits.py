"""Known traits: commands and recipes find the groups of a file, or of what people told the site and agreed to."""

import pytest
from typer.testing import CliRunner

from assay.cli.config import parse_config
from assay.cli.known_traits import known_traits
from assay.cli.preferences import app
from assay.cli.stages.collect import fit_preferences
from assay.cli.stages.learn import require_agreed
from assay.cli.standing import walk_over
from assay.feedback import queue_of
from assay.feedback.consent import decide
from assay.feedback.exporting import export_judgements
from assay.feedback.group_consent import declare
from assay.feedback.panels import Traits
from assay.feedback.withdrawal import withdraw
from assay.preferences.traits import Declared
from assay.records.conversation import user_prompt
from assay.records.errors import InputError, TrainingError
from assay.records.judgement import Judgement
from assay.records.preference import AggregationReport, Preference

PEOPLE = [f"p{number:02d}" for number in range(12)]
ASKED = {"region": ("north", "south"), "pet": ("cat",)}


def region_of(name):
    return "north" if name < "p06" else "south"


def say(records, name, now, *, for_groups=True):
    values = {"region": region_of(name)}
    declare(records, name, values, asked=ASKED, for_groups=for_groups, salt=name, now=now)


@pytest.fixture
def site(workspace, now):
    """Twelve people judge six pairs; the south sees each the other way round than the north. Everybody agreed."""
    records = workspace.records
    for name in PEOPLE:
        decide(records, name, ["train"], now=now)
        say(records, name, now)
        for number in range(6):
            said = Judgement(
                campaign="k",
                annotator=name,
                prompt=user_prompt(f"q{number}"),
                first="one",
                second="two",
                choice="first" if region_of(name) == "north" else "second",
                first_shown="left",
                created_at=now,
            )
            records.put(said, split="train", subject=name)
    return workspace


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_fit_finds_the_groups_that_people_declared(site):
    output = run("fit", "-w", site.directory, "--traits", "declared")
    assert "groups: 2 comparisons, 2 beyond groups of their size by chance" in output
    assert "region: south (6) differs on all pairs" in output
    report = site.records.latest(AggregationReport)
    assert report.minority.declarations == tuple(sorted(one.id for one in site.records.all(Traits)))
    for preference in site.records.all(Preference, split="train"):
        assert set(preference.by_group) == {"everyone", "region: north", "region: south"}
        assert preference.by_group["everyone"] == pytest.approx(0.5)


def test_whoever_takes_it_back_is_in_no_later_fit_and_the_one_before_is_stale(site, now):
    run("fit", "-w", site.directory, "--traits", "declared")
    assert "stale" not in run("show", "-w", site.directory)
    for name in ("p00", "p01"):
        say(site.records, name, now, for_groups=False)
    assert "stale: 2 people no longer agree" in run("show", "-w", site.directory)
    report = site.records.latest(AggregationReport)
    assert "stale: 2 people" in run("show", "-w", site.directory, "--aggregation", report.id)
    # Four of the north are left, below five; the south alone is compared.
    output = run("fit", "-w", site.directory, "--traits", "declared")
    assert "groups: 1 comparisons" in output and "region: north" not in output
    assert "stale" not in run("show", "-w", site.directory)


def test_whoever_withdrew_or_refuses_training_is_in_no_group(site, now):
    withdraw(queue_of(site.records), "p00", now=now)
    decide(site.records, "p01", ["research"], now=now)
    output = run("fit", "-w", site.directory, "--traits", "declared")
    assert "0 comparisons" in output  # the south is six of ten, and would tell of the four others
    declared = site.records.latest(AggregationReport).minority.declarations
    gone = {one.id for one in site.records.all(Traits) if one.annotator in ("p00", "p01")}
    assert len(declared) == 10 and not gone & set(declared)
    agreement = run("agreement", "-w", site.directory, "--by", "group", "--traits", "declared", "--trait", "region")
    assert "2 groups withheld: fewer than 5 people" in agreement
    assert "south" not in agreement and "north" not in agreement


def test_agreement_is_shown_by_a_declared_trait_and_an_unknown_one_is_refused(site):
    command = ("agreement", "-w", site.directory, "--by", "group", "--traits", "declared", "--trait")
    rows = [line for line in run(*command, "region").splitlines() if "north" in line or "south" in line]
    assert len(rows) == 2 and all("36" in row and "100%" in row for row in rows)
    with pytest.raises(InputError, match="one of region; got 'pet'"):
        run(*command, "pet")


def test_where_nobody_agreed_nothing_is_fitted(workspace):
    with pytest.raises(InputError, match="got nobody"):
        run("fit", "-w", workspace.directory, "--traits", "declared")
    assert workspace.records.count(AggregationReport) == 0


def test_what_people_told_reaches_no_judgement_and_no_export(site, tmp_path):
    run("fit", "-w", site.directory, "--traits", "declared")
    assert export_judgements(site.records, tmp_path / "out.jsonl") == 72
    assert not {"north", "south", "region"} & set((tmp_path / "out.jsonl").read_text().replace('"', " ").split())
    bodies = [one.model_dump_json() for one in site.records.all(Judgement)]
    assert not any(word in body for body in bodies for word in ("north", "south", "region"))


def test_a_file_of_the_reserved_name_is_read_by_its_path(site, tmp_path, monkeypatch):
    (tmp_path / "declared").write_text("annotator,kind\np00,x\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert isinstance(known_traits(site.records, tmp_path / "declared"), dict)
    assert isinstance(known_traits(site.records, type(tmp_path)("declared")), Declared)


@pytest.mark.parametrize("source", ["declared", "file"])
def test_a_recipe_with_traits_keeps_the_views_of_groups_with_what_trains(site, tmp_path, source):
    file = tmp_path / "people.csv"
    file.write_text("annotator,region\n" + "".join(f"{name},{region_of(name)}\n" for name in PEOPLE), encoding="utf-8")
    traits = "declared" if source == "declared" else str(file)
    settings = {"name": "groups", "feedback": {"source": "file"}, "traits": traits}
    walk = walk_over(site, parse_config(settings, where="here"))
    outcome = fit_preferences(walk)
    report = site.records.get(AggregationReport, outcome.outputs["train"])
    assert {one.group for one in report.minority.differences} == {"region: north", "region: south"}
    assert (report.minority.declarations is None) == (source == "file")
    assert "2 groups differ" in outcome.said
    plain = fit_preferences(walk_over(site, parse_config({**settings, "traits": None}, where="here")))
    assert site.records.get(AggregationReport, plain.outputs["train"]).minority is None


def test_group_heads_are_not_fitted_on_views_of_people_who_stopped_agreeing(site, now):
    run("fit", "-w", site.directory, "--traits", "declared")
    walk = walk_over(site, parse_config({"name": "groups", "feedback": {"source": "file"}}, where="here"))
    report = site.records.latest(AggregationReport)
    require_agreed(walk, report.id)
    say(site.records, "p07", now, for_groups=False)
    with pytest.raises(TrainingError, match=r"got 1 of them .*assay preferences fit .*--traits declared"):
        require_agreed(walk, report.id)

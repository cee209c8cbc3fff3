"""Simulated panel: each declared habit shows in the answers at its declared strength, and nothing else does."""

import math
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest

from assay.feedback.simulated import (
    TIE_BAND,
    SimulatedAnnotator,
    SimulatedPair,
    demo_panel,
    flattery_count,
    simulate,
)
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, InputError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SHORT, LONG = "word " * 10, "word " * 30
FLATTERING = "Great question! " + "word " * 8


def pairs(first, second, gold_first, gold_second, *, count=2500):
    return [SimulatedPair(user_prompt(f"q {n}"), first, second, gold_first, gold_second) for n in range(count)]


def judged(person, given, **options):
    options = {"bias_scale": 1.0, **options}
    return simulate(
        given,
        [person],
        judgements_per_pair=1,
        rng=np.random.default_rng(11),
        now=NOW,
        campaign="test",
        consent_version="v1",
        **options,
    )


def shares(judgements):
    counts = Counter(judgement.choice for judgement in judgements)
    return {choice: counts[choice] / len(judgements) for choice in ("first", "second", "tie")}


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def expected(lean):
    win, loss = sigmoid(lean - TIE_BAND), sigmoid(-lean - TIE_BAND)
    return {"first": win, "second": loss, "tie": 1 - win - loss}


@pytest.mark.parametrize(
    ("habits", "given", "lean"),
    [
        ({}, (SHORT, SHORT, 1.0, 0.0), 1.0),
        ({"temperature": 0.5}, (SHORT, SHORT, 0.0, 1.0), -2.0),
        ({"length_pull": 1.0}, (LONG, SHORT, 0.0, 0.0), math.log(3)),
        ({"length_pull": 1.0, "temperature": 2.0}, (SHORT, LONG, 0.0, 0.0), -math.log(3) / 2),
        ({"flattery_pull": 1.5}, (FLATTERING, SHORT, 0.0, 0.0), 1.5),
        ({"flattery_pull": 1.5}, (SHORT, SHORT, 0.0, 0.0), 0.0),
    ],
)
def test_the_shares_of_answers_are_those_of_the_declared_lean(habits, given, lean):
    found = shares(judged(SimulatedAnnotator(name="a", **habits), pairs(*given)))
    assert found == pytest.approx(expected(lean), abs=0.03)


def test_the_bias_scale_acts_on_the_pulls_alone():
    person = SimulatedAnnotator(name="a", length_pull=1.0, side_bias=1.0)
    fair = judged(person, pairs(LONG, SHORT, 0.0, 0.0), bias_scale=0.0)
    assert shares(fair)["first"] == pytest.approx(shares(fair)["second"], abs=0.03)
    left = [j.choice == ("first" if j.first_shown == "left" else "second") for j in fair]
    assert np.mean(left) == pytest.approx(sigmoid(1 - TIE_BAND), abs=0.03)
    doubled = judged(person, pairs(LONG, SHORT, 0, 0), bias_scale=2.0)
    assert shares(doubled)["first"] > 0.75


def test_flips_turn_answers_round_and_the_careless_are_a_coin_without_ties():
    flipper = judged(SimulatedAnnotator(name="a", flip_rate=1.0), pairs(SHORT, SHORT, 3.0, 0.0))
    assert shares(flipper) == pytest.approx(expected(-3.0), abs=0.03)
    coin = judged(SimulatedAnnotator(name="a", careless_rate=1.0), pairs(SHORT, SHORT, 9.0, 0.0))
    assert shares(coin) == pytest.approx({"first": 0.5, "second": 0.5, "tie": 0.0}, abs=0.03)


def test_the_careless_are_quick_and_reading_takes_time():
    def median_seconds(person, text):
        return float(np.median([j.time_on_task_s for j in judged(person, pairs(text, text, 0, 0, count=300))]))

    reader, coin = SimulatedAnnotator(name="a"), SimulatedAnnotator(name="b", careless_rate=1.0)
    assert median_seconds(reader, "word " * 100) > median_seconds(reader, SHORT) + 30
    assert median_seconds(coin, "word " * 100) < 5


def test_a_clear_difference_is_called_much_better():
    clear = judged(SimulatedAnnotator(name="a"), pairs(SHORT, SHORT, 8.0, 0.0, count=200))
    close = judged(SimulatedAnnotator(name="a"), pairs(SHORT, SHORT, 0.0, 0.0, count=200))
    assert np.mean([j.strength for j in clear]) > 1.9
    assert np.mean([j.strength for j in close]) < 1.3


def test_each_pair_is_judged_by_different_people_on_random_sides_and_marked_as_simulated():
    panel = demo_panel()
    given = pairs(SHORT, LONG, 0.0, 0.0, count=400)
    judgements = simulate(
        given, panel, judgements_per_pair=3, rng=np.random.default_rng(0), now=NOW, campaign="c", consent_version="v1"
    )
    assert len(judgements) == 1200
    people = Counter((j.prompt_id, j.annotator) for j in judgements)
    assert max(people.values()) == 1
    load = Counter(j.annotator for j in judgements)
    assert len(load) == len(panel)
    assert min(load.values()) > 60
    assert np.mean([j.first_shown == "left" for j in judgements]) == pytest.approx(0.5, abs=0.05)
    assert {(j.source, j.campaign, j.consent_version) for j in judgements} == {("simulated", "c", "v1")}


def test_the_demo_panel_shares_its_liking_for_length_and_has_the_declared_people():
    kinds = Counter(person.name.rsplit("-", 1)[0] for person in demo_panel())
    assert kinds == {"careful": 4, "noisy": 2, "careless": 1, "left": 1, "length": 3, "flattery": 1}
    assert sum(person.length_pull > 0 for person in demo_panel()) >= 9
    judgements = simulate(
        pairs(LONG, SHORT, 0.0, 0.0, count=500),
        demo_panel(),
        judgements_per_pair=12,
        rng=np.random.default_rng(0),
        now=NOW,
        campaign="c",
        consent_version=None,
    )
    assert shares(judgements)["first"] > shares(judgements)["second"] + 0.2


def test_the_same_seed_gives_the_same_judgements():
    def run(seed):
        given = pairs(SHORT, LONG, 0.0, 0.5, count=20)
        rng = np.random.default_rng(seed)
        options = {"judgements_per_pair": 2, "rng": rng, "now": NOW, "campaign": "c", "consent_version": None}
        return [j.id for j in simulate(given, demo_panel(), **options)]

    assert run(1) == run(1) != run(2)


def test_flattering_phrases_are_counted_whatever_their_case():
    # One phrase is counted once: `what a great` takes the `great` of `great question`.
    assert flattery_count("What a great question! You're absolutely right, and I'm SO GLAD you asked.") == 3
    assert flattery_count("A plain answer about great apes.") == 0


@pytest.mark.parametrize("per_pair", [0, 2])
def test_more_judgements_than_people_are_refused(per_pair):
    with pytest.raises(ConfigError, match="panel of 1"):
        simulate(
            pairs(SHORT, LONG, 0, 0, count=1),
            [SimulatedAnnotator(name="a")],
            judgements_per_pair=per_pair,
            rng=np.random.default_rng(0),
            now=NOW,
            campaign="c",
            consent_version=None,
        )


def test_two_people_of_one_name_and_a_gold_that_is_not_a_number_are_refused():
    options = {"judgements_per_pair": 1, "now": NOW, "campaign": "c", "consent_version": None}
    options["rng"] = np.random.default_rng(0)
    twin = SimulatedAnnotator(name="a")
    with pytest.raises(ConfigError, match="different names"):
        simulate(pairs(SHORT, LONG, 0, 0, count=1), [twin, twin], **options)
    bad = [*pairs(SHORT, LONG, 0, 0, count=1), *pairs(SHORT, LONG, math.nan, 0, count=1)]
    with pytest.raises(InputError, match="pair 2"):
        simulate(bad, [twin], **options)

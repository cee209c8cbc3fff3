"""Views: agreement by pair, attribute, group and time, traits from a file, surface columns and noisy counts."""

from datetime import timedelta

import numpy as np
import pytest
from judgement_panels import NOW, judge

from assay.preferences.agreement_views import (
    agreement_by_attribute,
    agreement_by_group,
    agreement_by_pair,
    agreement_by_profile,
    agreement_by_time,
    agreement_overall,
    on_attribute,
)
from assay.preferences.noisy_counts import noisy_counts
from assay.preferences.surface import surface_columns
from assay.preferences.table import Pair
from assay.preferences.traits import read_traits, value_of_trait
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, InputError

PANEL = [
    judge("agreed", annotator="ada"),
    judge("agreed", annotator="bob"),
    judge("agreed", annotator="eve"),
    judge("split", annotator="ada"),
    judge("split", annotator="bob"),
    judge("split", choice="second", annotator="eve"),
]


def test_pairs_come_least_agreed_first_with_their_share_of_equal_answers():
    split, agreed = agreement_by_pair(PANEL)
    assert (split.percent, agreed.percent) == (pytest.approx(1 / 3), 1.0)
    assert agreement_overall(PANEL).percent == pytest.approx(4 / 6)


def test_a_group_is_judged_by_its_own_people_only():
    (together,) = agreement_by_group(PANEL, {"ada": "x", "bob": "x"})
    assert (together.name, together.judgements, together.percent, together.kappa) == ("x", 4, 1.0, 1.0)
    alone = agreement_by_group(PANEL, {"eve": "y"})[0]
    assert (alone.percent, alone.kappa, alone.alpha) == (None, None, None)


def test_months_are_views_of_their_own():
    late = [j.model_copy(update={"created_at": NOW + timedelta(days=40)}) for j in PANEL[3:]]
    march, april = agreement_by_time(PANEL[:3] + late)
    assert (march.name, march.percent) == ("2026-03", 1.0)
    assert (april.name, april.percent) == ("2026-04", pytest.approx(1 / 3))


def test_an_attribute_is_judged_by_its_own_answers():
    answers = {"ada": "first", "bob": "second", "eve": "second"}
    judgements = [
        j.model_copy(update={"attributes": {"honesty": answers[j.annotator]}})
        for j in PANEL
        if "split" in str(j.prompt)
    ]
    (view,) = agreement_by_attribute(judgements)
    assert (view.name, view.percent) == ("honesty", pytest.approx(1 / 3))
    with pytest.raises(InputError, match="answers on honesty"):
        on_attribute(judgements, "usefulness")


def test_a_superseded_answer_on_an_attribute_does_not_count():
    old = judge().model_copy(update={"attributes": {"honesty": "first"}})
    new = judge(supersedes=old.id).model_copy(update={"attributes": {"honesty": "second"}})
    assert [j.choice for j in on_attribute([old, new], "honesty")] == ["second"]


def test_surface_columns_are_turned_with_their_pair_and_have_size_one():
    prompt = user_prompt("p")
    texts = ["short", "much longer than that", "- a list\n- of two"]
    pairs = [Pair(prompt, texts[0], texts[1]), Pair(prompt, texts[2], texts[0])]
    columns = surface_columns(pairs)
    assert (columns**2).mean(axis=0) == pytest.approx([1, 1])
    assert columns[0, 0] < 0 < columns[1, 0]
    assert columns[0, 1] == 0 < columns[1, 1]
    turned = surface_columns([Pair(p.prompt, p.b, p.a) for p in pairs])
    assert (turned == -columns).all()


def test_traits_are_read_with_gaps_and_all_faults_are_told(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("annotator,region,age\nada,north,old\nbob,south,\n", encoding="utf-8")
    traits = read_traits(file)
    assert traits == {"ada": {"region": "north", "age": "old"}, "bob": {"region": "south"}}
    assert value_of_trait(traits, "age") == {"ada": "old"}
    with pytest.raises(InputError, match="age, region"):
        value_of_trait(traits, "height")
    file.write_text("annotator,region\nada,north\nada,south\nbob\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_traits(file)
    assert len(caught.value.faults) == 2
    for content in ("", "name,region\n", "annotator\n"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="the columns annotator"):
            read_traits(file)
    with pytest.raises(InputError, match="a traits file"):
        read_traits(tmp_path / "none.csv")


def test_noisy_counts_are_off_by_about_the_stated_noise_and_withhold_small_ones():
    rng = np.random.default_rng(0)
    draws = [noisy_counts({"a": 100, "b": 0}, epsilon=1.0, rng=rng) for _ in range(2000)]
    noise = np.array([draw.counts["a"] for draw in draws]) - 100
    # Two-sided geometric with alpha = exp(-1): variance 2 alpha / (1 - alpha)^2 = 1.841.
    assert noise.mean() == pytest.approx(0, abs=0.12)
    assert noise.var() == pytest.approx(1.841, rel=0.15)
    assert np.mean(["b" in draw.withheld for draw in draws]) > 0.95


def test_the_odds_of_neighbouring_counts_stay_within_the_budget():
    rng = np.random.default_rng(1)
    seen = [
        np.bincount(
            [noisy_counts({"a": n}, epsilon=0.7, rng=rng, smallest=-50).counts["a"] for _ in range(20_000)],
            minlength=40,
        )
        for n in (20, 21)
    ]
    common = (seen[0] > 400) & (seen[1] > 400)
    assert np.abs(np.log(seen[0][common] / seen[1][common])).max() < 0.7 + 0.15


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="epsilon above 0"):
        noisy_counts({"a": 1}, epsilon=0.0, rng=np.random.default_rng(0))


def test_answers_under_one_profile_are_judged_among_themselves():
    strict = [judge("split", annotator=name).model_copy(update={"profile": "v1"}) for name in ("ada", "bob")]
    views = {view.name: view for view in agreement_by_profile([*strict, PANEL[5]])}
    assert (views["v1"].percent, views["v1"].judgements) == (1.0, 2)
    assert views["none"].percent is None

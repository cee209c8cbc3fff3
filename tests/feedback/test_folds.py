"""Folds: training and judging stay apart by prompt and by annotator, for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assay.feedback.folds import (
    AnnotatorFold,
    Folds,
    Shares,
    divide_panel,
    held_out_from,
    place,
    side_of_newcomer,
    splits_of_prompts,
)
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError
from assay.records.judgement import Judgement
from assay.storage import SplitName


def _judgement(annotator, prompt, now, **changes):
    fields = {"campaign": "c", "first": "a", "second": "b", "choice": "first", "first_shown": "left"}
    return Judgement(annotator=annotator, prompt=user_prompt(prompt), created_at=now, **(fields | changes))


def test_shares_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValidationError, match="sum to 1.05, not to 1"):
        Shares(train=0.75)


def test_prompts_fall_into_splits_by_their_shares():
    counts = dict.fromkeys(SplitName, 0)
    for n in range(2000):
        counts[Folds().split_of(user_prompt(f"p{n}"))] += 1
    assert 1320 < counts[SplitName.TRAIN] < 1480
    assert 140 < counts[SplitName.WATCH] < 260
    assert 230 < counts[SplitName.HELD_OUT] < 370
    assert 60 < counts[SplitName.SEALED] < 140


@given(st.text(min_size=1), st.text())
def test_a_prompt_always_falls_into_the_same_split(prompt, salt):
    assert Folds(salt=salt).split_of(user_prompt(prompt)) == Folds(salt=salt).split_of(user_prompt(prompt))


@pytest.mark.parametrize(
    ("split", "is_held_out", "where"),
    [
        (SplitName.TRAIN, False, "train"),
        (SplitName.WATCH, False, "watch"),
        (SplitName.HELD_OUT, True, "held_out"),
        (SplitName.SEALED, True, "sealed"),
        (SplitName.TRAIN, True, "unused"),
        (SplitName.WATCH, True, "unused"),
        (SplitName.HELD_OUT, False, "unused"),
        (SplitName.SEALED, False, "unused"),
        (SplitName.TRAIN, None, "train"),
        (SplitName.SEALED, None, "sealed"),
    ],
)
def test_what_would_cross_the_line_is_left_unused(split, is_held_out, where):
    assert place(split, is_held_out) == where


@pytest.mark.parametrize(("people", "held_out"), [(1, 0), (2, 0), (3, 1), (4, 1), (8, 2), (12, 3)])
def test_about_a_quarter_of_a_panel_of_three_or_more_is_held_out(workspace, people, held_out):
    panel = divide_panel(workspace.records, {f"person {n}" for n in range(people)}, folds=Folds())
    assert sum(panel.new.values()) == held_out
    assert len(panel.new) == (people if held_out else 0)


def test_unknown_annotators_are_no_panel(workspace):
    panel = divide_panel(workspace.records, {"unknown", "ada", "bob"}, folds=Folds())
    assert panel.is_held_out("unknown") is None
    assert panel.new == {}


def test_a_side_stays_whatever_is_asked_later(workspace, now):
    for name, is_held_out in (("ada", True), ("bob", False)):
        workspace.records.put(AnnotatorFold(annotator=name, is_held_out=is_held_out, created_at=now), subject=name)
    for folds in (Folds(), Folds(salt="other"), Folds(held_out_annotators="none")):
        panel = divide_panel(workspace.records, {"ada", "bob", "eve", "dan"}, folds=folds)
        assert panel.is_held_out("ada") is True
        assert panel.is_held_out("bob") is False
        assert not any(panel.new.values())


def test_nobody_who_has_trained_is_held_out_later(workspace, now):
    for name in ("ada", "bob"):
        workspace.records.put(_judgement(name, "p", now), split="train", subject=name)
    panel = divide_panel(workspace.records, {"ada", "bob", "eve"}, folds=Folds())
    assert panel.new == {"ada": False, "bob": False, "eve": True}


def test_named_annotators_are_held_out_even_in_a_small_panel(workspace):
    panel = divide_panel(workspace.records, {"ada", "bob"}, folds=Folds(held_out_annotators=("bob",)))
    assert panel.new == {"ada": False, "bob": True}


def test_a_name_that_does_not_occur_or_has_trained_is_refused(workspace, now):
    with pytest.raises(ConfigError, match="'eve' does not occur"):
        divide_panel(workspace.records, {"ada"}, folds=Folds(held_out_annotators=("eve",)))
    workspace.records.put(_judgement("ada", "p", now), split="train", subject="ada")
    with pytest.raises(ConfigError, match="'ada' has trained already"):
        divide_panel(workspace.records, {"ada"}, folds=Folds(held_out_annotators=("ada",)))


def test_a_stored_prompt_keeps_its_split_under_another_salt(workspace, now):
    prompt = user_prompt("p")
    split = Folds().split_of(prompt)
    salt = next(s for s in map(str, range(99)) if Folds(salt=s).split_of(prompt) != split)
    stored = _judgement("ada", "p", now)
    workspace.records.put(stored, split=split, subject="ada")
    assert splits_of_prompts(workspace.records, [prompt], folds=Folds(salt=salt)) == {stored.prompt_id: split}


def test_one_in_four_newcomers_to_a_running_campaign_is_held_out(workspace):
    sides = [side_of_newcomer(workspace.records, f"n{n}", folds=Folds()).is_held_out(f"n{n}") for n in range(200)]
    assert 30 < sum(map(bool, sides)) < 70
    none = Folds(held_out_annotators="none")
    assert side_of_newcomer(workspace.records, "n1", folds=none).is_held_out("n1") is None
    named = Folds(held_out_annotators=("n1",))
    assert side_of_newcomer(workspace.records, "n1", folds=named).is_held_out("n1") is True
    assert side_of_newcomer(workspace.records, "n2", folds=named).is_held_out("n2") is False


def test_who_is_held_out_is_read_from_words():
    assert held_out_from("auto") == "auto"
    assert held_out_from("none") == "none"
    assert held_out_from(" ada, bob,") == ("ada", "bob")
    with pytest.raises(ConfigError, match="expected auto, none or annotators"):
        held_out_from(" ,")

"""Fatigue: a break after active minutes, or on a habit that changed against one's own baseline."""

from datetime import UTC, datetime, timedelta

import pytest

from assay.feedback.fatigue import Rest, advise
from assay.records.conversation import user_prompt
from assay.records.judgement import Judgement

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def _work(seconds, lefts=None, start=START):
    """One answer after the other without a gap."""
    said, moment = [], start
    for number, taken in enumerate(seconds):
        moment += timedelta(seconds=taken)
        is_left = lefts[number] if lefts else number % 2 == 0
        said.append(
            Judgement(
                campaign="k",
                annotator="ada",
                prompt=user_prompt(f"{start} {number}"),
                first="a b c",
                second="d e f",
                choice="first" if is_left else "second",
                first_shown="left",
                time_on_task_s=taken,
                created_at=moment,
            )
        )
    return said


def _after(said, **limits):
    rests = limits.pop("rests", [])
    return advise(said, rests, now=said[-1].created_at, **limits)


def _rest(at, is_taken=False):
    return Rest(annotator="ada", campaign="k", reason="time", is_taken=is_taken, at=at, created_at=at)


def test_a_break_is_proposed_after_25_active_minutes_and_not_before():
    assert _after(_work([60] * 24)) is None
    assert _after(_work([60] * 25)) == ("time", 25.0, 25.0)
    assert _after(_work([60] * 10), break_after_min=10).reason == "time"


def test_a_pause_of_five_minutes_is_a_break_by_itself():
    morning = _work([60] * 24)
    later = _work([60] * 24, start=morning[-1].created_at + timedelta(minutes=5))
    assert _after(morning + later) is None
    assert _after(morning + _work([60] * 24, start=morning[-1].created_at + timedelta(minutes=4))).reason == "time"


def test_what_was_declined_is_not_proposed_again_at_once():
    said = _work([60] * 26)
    assert _after(said, rests=[_rest(said[-1].created_at)]) is None
    more = said + _work([60] * 25, start=said[-1].created_at)
    assert _after(more, rests=[_rest(said[-1].created_at)]).reason == "time"


@pytest.mark.parametrize(("last", "reason"), [(20, None), (4, "speed"), (50, "speed"), (30, None)])
def test_a_changed_pace_is_seen_against_ones_own(last, reason):
    advice = _after(_work([20] * 30 + [last] * 10))
    assert (advice.reason if advice else None) == reason


def test_a_career_ago_is_no_baseline():
    usual, slower = _work([20] * 220), _work([45] * 190, start=START + timedelta(days=9))
    assert _after(usual + slower + _work([45] * 10, start=slower[-1].created_at), break_after_min=999) is None
    assert _after(usual + slower[:20], break_after_min=999).reason == "speed"


def test_a_slow_person_is_not_told_that_they_are_slow():
    assert _after(_work([100] * 14, start=START), break_after_min=99) is None


def test_a_changed_side_is_seen_and_a_lasting_one_is_not():
    even = [number % 2 == 0 for number in range(40)]
    assert _after(_work([10] * 60, even + [True] * 20)).reason == "side"
    assert _after(_work([10] * 60, even + [True] * 15 + [False] * 5)) is None
    assert _after(_work([10] * 60, [True] * 60)) is None


def test_agreement_that_worsens_is_seen_and_one_that_was_never_high_or_rises_is_not():
    said = _work([10] * 60)

    def advice(agrees):
        return _after(said, agreed={one.id: agrees(number) for number, one in enumerate(said) if number % 10})

    assert advice(lambda number: number < 40 or number % 4 == 0).reason == "agreement"
    assert advice(lambda number: number % 2 == 0) is None
    assert advice(lambda number: number >= 40) is None
    assert _after(said, agreed={one.id: number < 5 for number, one in enumerate(said[-10:])}) is None


def test_the_day_ends_at_the_cap_however_often_one_rested():
    said = _work([60] * 30)
    advice = _after(said, rests=[_rest(said[-1].created_at, True)], daily_cap_min=30)
    assert advice.reason == "day"
    assert advise(said, [], now=START + timedelta(days=1), daily_cap_min=30) is None


def test_answers_without_a_time_tell_nothing():
    said = [one.model_copy(update={"time_on_task_s": None}) for one in _work([60] * 60)]
    assert _after(said) is None

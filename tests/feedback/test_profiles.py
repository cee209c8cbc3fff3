"""Profiles: stored by version, lifted to a floor that only rises, carried by answers, erased with what was written."""

import pytest
from feedback_cases import feedback

from assay.feedback import Said, find_campaign, give_consent, next_turn, open_campaign, queue_of, record_answer
from assay.feedback.erasure import erase
from assay.feedback.profiles import choose, floor_of, raise_floor, settings_of
from assay.feedback.schemes import Scheme
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Item, Judgement, Ranking
from assay.records.profile import Floor, Profile, Settings

STRICT = Settings(caution="strict", avoided=("politics",))


def judge(workspace, now, *, campaign="k", others=None, said=None):
    """One answer of ada in a campaign of its own."""
    prompt = user_prompt(f"{campaign} p")
    items = [Item(campaign=campaign, prompt=prompt, first="a", second="b", others=others, created_at=now)]
    scheme = Scheme(name="order", task="ranking", created_at=now) if others else None
    open_campaign(workspace.records, campaign, items, now=now, scheme=scheme)
    give_consent(workspace.records, "ada", "train", now=now)
    leases, found = queue_of(workspace.records), find_campaign(workspace.records, campaign)
    item = next_turn(leases, found, "ada", now=now).item
    return record_answer(leases, found, "ada", item, said or Said(overall="left"), now=now)


def test_an_answer_carries_the_version_of_what_its_person_wanted_then(workspace, now):
    assert judge(workspace, now, campaign="before").profile is None
    choose(workspace.records, "ada", STRICT, now=now)
    assert judge(workspace, now, campaign="strict").profile == STRICT.version
    choose(workspace.records, "ada", Settings(), now=now)
    assert judge(workspace, now, campaign="usual").profile == Settings().version


def test_a_ranking_and_the_pairs_that_are_read_from_it_carry_it_too(workspace, now):
    choose(workspace.records, "ada", STRICT, now=now)
    ranking = judge(workspace, now, others=("c",), said=Said(ranks=(1, 2, 3)))
    assert isinstance(ranking, Ranking) and ranking.profile == STRICT.version
    assert {one.profile for one in workspace.records.all(Judgement)} == {STRICT.version}


def test_the_same_settings_are_stored_once_and_coming_back_to_them_is_another_word(workspace, now):
    for settings in (STRICT, STRICT, Settings(), STRICT):
        choose(workspace.records, "ada", settings, now=now)
    assert workspace.records.count(Profile) == 3
    assert settings_of(workspace.records, "ada") == STRICT and settings_of(workspace.records, "bob") is None


def test_a_floor_lifts_old_and_new_profiles_and_only_rises(workspace, now):
    records = workspace.records
    choose(records, "ada", Settings(tone="warm"), now=now)
    raise_floor(records, caution="careful", avoided=("hate",), by="eve", now=now)
    assert settings_of(records, "ada") == Settings(tone="warm", caution="careful", avoided=("hate",))
    assert judge(workspace, now).profile == settings_of(records, "ada").version
    assert choose(records, "bob", Settings(), now=now).settings.caution == "careful"
    assert choose(records, "cy", STRICT, now=now).settings.caution == "strict"
    with pytest.raises(InputError, match="at least the caution 'careful'"):
        raise_floor(records, caution="usual", avoided=(), by="eve", now=now)
    raise_floor(records, caution="careful", avoided=("legal",), by="eve", now=now)
    raise_floor(records, caution="careful", avoided=(), by="eve", now=now)
    assert set(floor_of(records).avoided) == {"hate", "legal"} and records.count(Floor) == 2


def test_a_profile_goes_with_what_a_person_wrote(workspace, now):
    choose(workspace.records, "ada", STRICT, now=now)
    assert erase(workspace.records, "ada", campaign="k", why="request", now=now) is None
    erase(workspace.records, "ada", why="request", now=now)
    assert settings_of(workspace.records, "ada") is None
    assert [one.settings for one in workspace.records.all(Profile)] == [None]


def test_the_command_shows_the_floor_and_raises_it(workspace):
    space = workspace.directory
    assert "no floor" in feedback("floor", "-w", space)
    with pytest.raises(InputError, match="say who"):
        feedback("floor", "-w", space, "--caution", "careful")
    feedback("floor", "-w", space, "--caution", "careful", "--topics", "hate", "--by", "eve")
    feedback("floor", "-w", space, "--topics", "legal", "--by", "eve")
    with pytest.raises(InputError, match="got gardening"):
        feedback("floor", "-w", space, "--topics", "gardening", "--by", "eve")
    assert "caution at least careful; kept away from: hate, legal" in feedback("floor", "-w", space)

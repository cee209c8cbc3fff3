"""Recruiting: what a provider may send, who comes back as whom, and when the code is earned."""

from datetime import timedelta

import pytest
from feedback_cases import feedback

from assay.feedback import Said, give_consent, next_turn, open_campaign, queue_of, record_answer, undo_last
from assay.feedback.assignment import Progress
from assay.feedback.campaign import Run, find_campaign
from assay.feedback.recruiting import (
    PROLIFIC,
    Completion,
    Recruitment,
    close_recruitment,
    find_recruitment,
    give_code,
    has_enough,
    is_beyond,
    is_participant,
    participant_name,
    recruit,
    share_of,
    was_given_code,
)
from assay.feedback.withdrawal import withdraw
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, InputError, StorageError
from assay.records.judgement import Item
from assay.storage import RecordStore

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
ID = "5f3c2a9d8b7e6f0012345678"


@pytest.fixture
def kitchen(workspace, now):
    items = [
        Item(campaign="kitchen", prompt=user_prompt(f"p{n}"), first="a", second="b", created_at=now) for n in range(5)
    ]
    return open_campaign(workspace.records, "kitchen", items, now=now)


@pytest.fixture
def two(workspace, kitchen, now):
    """A recruitment whose code is earned by two items."""
    return recruit(workspace.records, "kitchen", code="C1ABC", items=2, now=now)


@pytest.fixture
def judge(workspace, kitchen, now):
    """A function that has a participant judge so many further items."""
    leases = queue_of(workspace.records)

    def judge_(name, count):
        give_consent(workspace.records, name, "train", now=now)
        for _ in range(count):
            turn = next_turn(leases, kitchen, name, now=now)
            record_answer(leases, kitchen, name, turn.item, Said(overall="left"), now=now)
        return leases

    return judge_


def test_an_id_is_the_same_name_again_and_tells_nothing_of_itself():
    name = participant_name(PROLIFIC, ID, KEY)
    assert name == participant_name(PROLIFIC, ID, KEY)
    assert is_participant(name)
    assert ID not in name
    others = [(PROLIFIC, ID + "9", KEY), ("participantId", ID, KEY), (PROLIFIC, ID, OTHER_KEY)]
    assert len({name, *(participant_name(*one) for one in others)}) == 4
    assert not is_participant("ada")
    assert not is_participant(name.upper())


@pytest.mark.parametrize(
    "identity",
    [
        "",
        " ",
        "{{%PROLIFIC_PID%}}",
        "a b",
        "a\n",
        "a\x00",
        "<script>",
        "ada@example.org",
        "\u0661\u0662",
        "x" * 65,
        "../x",
    ],
)
def test_what_is_no_id_is_refused_without_being_repeated(identity):
    with pytest.raises(InputError, match="id of 1 to 64") as told:
        participant_name(PROLIFIC, identity, KEY)
    assert not identity.strip() or identity not in str(told.value)


def test_prolifics_way_back_is_known_and_any_other_is_told(workspace, kitchen, now):
    mine = recruit(workspace.records, "kitchen", code="C1ABC", items=20, now=now)
    assert mine.return_address == "https://app.prolific.com/submissions/complete?cc=C1ABC"
    url = "https://sona.example/credit?token={code}"
    sona = recruit(workspace.records, "kitchen", code="a-1", items=3, parameter="id", url=url, now=now)
    assert sona.return_address == "https://sona.example/credit?token=a-1"
    plain = recruit(workspace.records, "kitchen", code="a-1", items=3, parameter="participantId", now=now)
    assert plain.return_address is None
    assert find_recruitment(workspace.records, "kitchen", PROLIFIC) == mine
    assert find_recruitment(workspace.records, "garden", PROLIFIC) is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"code": ""}, "the code ''"),
        ({"code": "<b>"}, "the code '<b>'"),
        ({"items": 0}, "0 items"),
        ({"parameter": "key"}, "the parameter 'key'"),
        ({"parameter": "a b"}, "the parameter 'a b'"),
        ({"parameter": ""}, "the parameter ''"),
        ({"url": "http://x.example/{code}"}, "not https"),
        ({"url": "javascript:alert(1)//{code}"}, "not https"),
        ({"url": "https://{code}.example"}, "not https with a host"),
        ({"url": "https://app.example@evil.example/{code}"}, "not https with a host"),
        ({"url": "https://x.example/{id}"}, "only place"),
        ({"url": "https://x.example/ {code}"}, "spaces"),
        ({"url": "https://[x"}, "no address"),
    ],
)
def test_a_recruitment_that_no_provider_could_use_is_told(workspace, kitchen, now, wrong, told):
    with pytest.raises(InputError, match="that a provider can use") as error:
        recruit(workspace.records, "kitchen", **{"code": "C1", "items": 5, **wrong}, now=now)
    assert told in str(error.value)
    assert workspace.records.count(Recruitment) == 0


def test_all_faults_are_told_together_and_a_campaign_must_exist(workspace, kitchen, now):
    with pytest.raises(InputError, match=r"the code '!'.*0 items.*the parameter '!'"):
        recruit(workspace.records, "kitchen", code="!", items=0, parameter="!", now=now)
    with pytest.raises(StorageError, match="a campaign 'garden'"):
        recruit(workspace.records, "garden", code="C1", items=5, now=now)


def test_the_last_word_of_a_recruitment_counts_and_the_same_again_is_stored_once(workspace, kitchen, now):
    records: RecordStore = workspace.records
    one = recruit(records, "kitchen", code="C1", items=5, now=now)
    assert recruit(records, "kitchen", code="C1", items=5, now=now + timedelta(days=1)) == one
    two = recruit(records, "kitchen", code="C2", items=5, now=now)
    assert (two.previous, find_recruitment(records, "kitchen", PROLIFIC)) == (one.id, two)
    back = recruit(records, "kitchen", code="C1", items=5, now=now)
    assert (back.code, back.previous) == ("C1", two.id)
    closed = close_recruitment(records, "kitchen", PROLIFIC, now=now)
    assert (closed.is_closed, closed.code) == (True, "C1")
    assert find_recruitment(records, "kitchen", PROLIFIC) == closed
    assert not recruit(records, "kitchen", code="C1", items=5, now=now).is_closed
    with pytest.raises(InputError, match="a recruitment of 'kitchen' by id"):
        close_recruitment(records, "kitchen", "id", now=now)


def test_a_share_is_no_larger_than_what_is_there(two):
    assert share_of(Progress(0, 5), two) == Progress(0, 2)
    assert share_of(Progress(1, 5), two) == Progress(1, 2)
    assert share_of(Progress(3, 5), two) == Progress(2, 2)
    assert share_of(Progress(0, 1), two) == Progress(0, 1)


def test_enough_is_the_declared_number_and_no_item_beyond(workspace, kitchen, two, judge, now):
    leases = judge("r-1", 1)
    assert not has_enough(leases, two, "r-1")
    judge("r-1", 1)
    assert has_enough(leases, two, "r-1")
    mine = [lease.item for item in workspace.records.all(Item) for lease in leases.answers("kitchen", item.id)]
    others = [item.id for item in workspace.records.all(Item) if item.id not in mine]
    assert not any(is_beyond(leases, two, "r-1", item) for item in mine)
    assert all(is_beyond(leases, two, "r-1", item) for item in others)
    assert not any(is_beyond(leases, two, "r-2", item) for item in others)


def test_an_undone_answer_comes_back_and_the_code_stays_known(workspace, kitchen, two, judge, now):
    leases = judge("r-1", 2)
    assert give_code(workspace.records, two, "r-1", now=now) == "C1ABC"
    assert undo_last(leases, kitchen, "r-1", now=now)
    assert not has_enough(leases, two, "r-1")
    leases.release("kitchen", "r-1")
    assert has_enough(leases, two, "r-1")
    assert give_code(workspace.records, two, "r-1", now=now) == "C1ABC"
    assert workspace.records.count(Completion) == 1


def test_a_withdrawal_takes_the_claim_to_the_code_along(workspace, two, judge, now):
    leases = judge("r-1", 2)
    give_code(workspace.records, two, "r-1", now=now)
    withdraw(leases, "r-1", now=now)
    assert not was_given_code(workspace.records, "kitchen", "r-1")
    assert not has_enough(leases, two, "r-1")
    judge("r-1", 2)
    give_code(workspace.records, two, "r-1", now=now)
    assert was_given_code(workspace.records, "kitchen", "r-1")
    assert not was_given_code(workspace.records, "garden", "r-1")
    assert not was_given_code(workspace.records, "kitchen", "r-2")
    assert workspace.records.count(Completion) == 2


def test_the_command_prints_the_link_and_says_who_somebody_is(workspace, kitchen, now):
    at = ("-w", workspace.directory)
    said = feedback("recruit", "kitchen", "--code", "C1ABC", "--items", "3", "--site", "https://a.example/", *at)
    assert "https://a.example/join/kitchen?key=" in said
    assert "&PROLIFIC_PID={{%PROLIFIC_PID%}}\n" in said
    assert "3 items earn the code; 0 people were given it so far" in said
    assert find_recruitment(workspace.records, "kitchen", PROLIFIC).items == 3
    sona = ("--code", "c", "--parameter", "id", "--placeholder", "%SURVEY_CODE%")
    assert "&id=%SURVEY_CODE%\n" in feedback("recruit", "kitchen", *sona, *at)
    told = feedback("recruit", "kitchen", "--name-of", ID, *at)
    name = told.split()[0]
    assert is_participant(name)
    assert "was not given the code" in told
    give_code(workspace.records, find_recruitment(workspace.records, "kitchen", PROLIFIC), name, now=now)
    assert told.replace("not ", "") == feedback("recruit", "kitchen", "--name-of", ID, *at)
    assert "1 people were given it" in feedback("recruit", "kitchen", "--code", "C1ABC", *at)
    feedback("recruit", "kitchen", "--close", *at)
    assert find_recruitment(workspace.records, "kitchen", PROLIFIC).is_closed


def test_the_command_asks_for_a_code_and_warns_of_a_daily_cap(workspace, kitchen, now):
    at = ("-w", workspace.directory)
    with pytest.raises(ConfigError, match="a completion code with --code"):
        feedback("recruit", "kitchen", *at)
    with pytest.raises(InputError, match="the code 'a b'"):
        feedback("recruit", "kitchen", "--code", "a b", *at)
    assert "daily cap" not in feedback("recruit", "kitchen", "--code", "c", *at)
    items = workspace.records.all(Item)
    open_campaign(workspace.records, "kitchen", items, now=now, run=Run(daily_cap_min=60))
    assert find_campaign(workspace.records, "kitchen").run.daily_cap_min == 60
    assert "daily cap" in feedback("recruit", "kitchen", "--code", "c", *at)

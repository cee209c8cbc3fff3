"""Judging: whole schemes by plain forms, the script's own requests, breaks, stepping away, taking all back."""

import re
from datetime import UTC, datetime, timedelta
from threading import get_ident

import pytest
from site_visits import Visit

from assay.feedback import current_judgements, open_campaign
from assay.feedback.assignment import Pass
from assay.feedback.campaign import Run
from assay.feedback.fatigue import Rest
from assay.feedback.pii import find_pii
from assay.feedback.schemes import Attribute, Scheme
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement, Ranking
from assay.web import create_annotation_app
from assay.web.keys import HELP, SUBMIT, THREE_STEPS, UNDO

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCRIPT = {"X-Assay-Script": "1"}


@pytest.fixture
def open_site(workspace, now):
    visits = []

    def open_(scheme=None, *, count=4, others=None, names=("ada",), **run):
        items = [
            Item(
                campaign="k",
                prompt=user_prompt(f"p{n}"),
                first="alpha beta",
                second="gamma",
                others=others,
                created_at=now,
            )
            for n in range(count)
        ]
        open_campaign(workspace.records, "k", items, now=now, scheme=scheme, run=Run(**run))
        moments = [START]
        app = create_annotation_app(workspace, clock=lambda: moments[-1])
        for name in names:
            visit = Visit(app)
            visit.moments = moments
            visit.post("/login", data={"name": name, "campaign": "k"})
            visit.post("/c/k/consent")
            visits.append(visit)
        return visits[-len(names) :] if len(names) > 1 else visits[-1]

    yield open_
    for visit in visits:
        visit.close()


def _item(visit):
    return re.search(r'name="item" value="([^"]*)"', visit.get("/c/k").text).group(1)


def _said(records):
    return current_judgements(records.all(Judgement))


def test_a_whole_scheme_goes_by_plain_form(open_site, workspace, now):
    attributes = (Attribute(name="honesty", title="Honesty"), Attribute(name="detail", title="Detail", kind="amount"))
    visit = open_site(Scheme(name="whole", attributes=attributes, created_at=now))
    page = visit.get("/c/k").text
    for field in ("overall", "attr.honesty", "rate.detail.0", "rate.detail.1"):
        assert f'name="{field}"' in page
    fields = {
        "item": _item(visit),
        "overall": "left_much",
        "attr.honesty": "tie",
        "rate.detail.0": "right",
        "rate.detail.1": "too_much",
        "critique.0.quote": "alpha",
        "critique.0.place": "0",
        "critique.0.category": "wrong",
        "critique.0.severity": "2",
        "critique.1.quote": "",
        "critique.1.place": "0",
        "edit": "alpha better",
        "edit_place": "0",
    }
    assert visit.post("/c/k/answer", data=fields | {"rate.detail.1": ""}).status_code == 400
    assert "2 of 4" in visit.post("/c/k/answer", data=fields).text
    (judgement,) = _said(workspace.records)
    assert (judgement.strength, judgement.attributes, len(judgement.ratings)) == (2, {"honesty": "tie"}, 2)
    assert [one.severity for one in judgement.critiques] == [2]
    assert judgement.edit.text == "alpha better"


def test_a_ranking_goes_by_plain_form_and_can_be_declined(open_site, workspace, now):
    visit = open_site(Scheme(name="r", task="ranking", created_at=now), others=("delta",))
    ranks = {f"rank.{place}": rank for place, rank in enumerate(("1", "1", "3"))}
    visit.post("/c/k/answer", data={"item": _item(visit), **ranks})
    assert sorted(workspace.records.all(Ranking)[0].ranks) == [1, 1, 3]
    visit.post("/c/k/answer", data={"item": _item(visit), "overall": "cannot_judge", "reason": "no idea"})
    assert [one.reason for one in _said(workspace.records) if one.choice == "cannot_judge"] == ["no idea"]
    assert "3 of 4" in visit.get("/c/k").text


def test_the_script_gets_the_item_ahead_and_then_its_own_answer_as_data(open_site, workspace):
    visit = open_site()
    item = _item(visit)
    ahead = visit.get("/c/k/ahead").text
    assert "2 of 4" in ahead
    after = re.search(r'name="item" value="([^"]*)"', ahead).group(1)
    assert after != item
    stored = visit.post("/c/k/answer", data={"item": item, "overall": "left"}, headers=SCRIPT).json()
    assert stored == {"notice": "Stored: left is better.", "judged": 1, "total": 4, "is_gone": False}
    assert _item(visit) == after
    refused = visit.post("/c/k/answer", data={"item": after, "overall": "best"}, headers=SCRIPT)
    assert refused.status_code == 400
    assert "problem" in refused.json()


def test_there_is_nothing_ahead_of_the_last_item(open_site):
    assert open_site(count=1).get("/c/k/ahead").status_code == 204


def test_two_browsers_share_out_what_one_person_each_shall_judge(open_site):
    ada, bob = open_site(count=2, names=("ada", "bob"), overlap=1)
    assert _item(ada) != _item(bob)
    ada.get("/c/k/ahead")
    assert "Others have judged all" in open_third(ada).text


def open_third(visit):
    other = Visit(visit.app)
    other.post("/login", data={"name": "cem", "campaign": "k"})
    return other.post("/c/k/consent")


def test_an_item_that_went_to_somebody_else_is_told_and_not_counted(open_site, workspace):
    ada, bob = open_site(count=1, names=("ada", "bob"), overlap=1)
    item = _item(ada)
    ada.moments.append(START + timedelta(hours=1))
    bob.post("/c/k/answer", data={"item": _item(bob), "overall": "left"})
    page = ada.post("/c/k/answer", data={"item": item, "overall": "left"})
    assert page.history[-1].headers["location"].endswith("said=gone")
    assert [one.annotator for one in _said(workspace.records)] == ["bob"]


def test_activity_keeps_what_is_in_hand(open_site):
    ada, bob = open_site(count=1, names=("ada", "bob"), overlap=1)
    item = _item(ada)
    for minutes in (20, 40, 60):
        ada.moments.append(START + timedelta(minutes=minutes))
        assert ada.post("/c/k/renew").json() == {"held": 1}
        assert "Others have judged all" in bob.get("/c/k").text
    assert _item(ada) == item


def test_a_skip_keeps_its_reason_and_can_be_undone(open_site, workspace):
    visit = open_site()
    item = _item(visit)
    page = visit.post("/c/k/pass", data={"item": item, "why": "nonsense", "kind": "skip", "note": "x"})
    assert "Skipped." in page.text
    (passed,) = workspace.records.all(Pass)
    assert (passed.reason, passed.note, passed.is_flag) == ("other", "x", False)
    assert "said=gone" in visit.post("/c/k/pass", data={"item": "0"}).history[-1].headers["location"]
    visit.post("/c/k/undo")
    assert _item(visit) == item


def test_stepping_away_frees_what_is_in_hand(open_site, workspace):
    ada, bob = open_site(count=1, names=("ada", "bob"), overlap=1)
    _item(ada)
    assert "Take your time" in ada.post("/c/k/away").text
    _item(bob)
    assert [one.reason for one in workspace.records.all(Rest)] == ["own_wish"]


def test_a_break_is_proposed_declined_and_not_repeated_at_once(open_site, workspace):
    visit = open_site(count=12, break_after_min=4)
    for number in range(5):
        visit.moments.append(START + timedelta(minutes=number + 1))
        page = visit.post("/c/k/answer", data={"item": _item(visit), "overall": "tie", "active_s": "60"})
    assert "Time for a break?" in page.text
    assert visit.get("/c/k/ahead").status_code == 200
    assert "Which answer" in visit.post("/c/k/rest", data={"choice": "go_on", "reason": "time"}).text
    assert "Which answer" in visit.get("/c/k").text
    assert [(one.reason, one.is_taken) for one in workspace.records.all(Rest)] == [("time", False)]


@pytest.mark.parametrize("finder", [find_pii, lambda text: find_pii(text)])
def test_an_answer_takes_a_thread_where_a_model_may_read_it_or_a_server_keeps_it(workspace, now, finder):
    item = Item(campaign="k", prompt=user_prompt("p"), first="a", second="b", created_at=now)
    open_campaign(workspace.records, "k", [item], now=now)
    asked_from = set()
    app = create_annotation_app(workspace, clock=lambda: asked_from.add(get_ident()) or START, finder=finder)
    with Visit(app) as visit:
        visit.post("/login", data={"name": "ada", "campaign": "k"})
        visit.post("/c/k/consent")
        fields = {"item": _item(visit), "overall": "left"}
        visit.token()
        asked_from.clear()
        assert visit.post("/c/k/answer", data=fields, follow_redirects=False).status_code == 303
    assert len(asked_from) == (1 if finder is find_pii and workspace.records.is_file else 2)


def test_the_daily_cap_ends_the_day_and_the_next_one_goes_on(open_site):
    visit = open_site(count=12, daily_cap_min=1)
    page = visit.post("/c/k/answer", data={"item": _item(visit), "overall": "tie", "active_s": "62"})
    assert "Enough for today" in page.text
    assert visit.get("/c/k/ahead").status_code == 204
    visit.moments.append(START + timedelta(hours=12))
    visit.post("/login", data={"name": "ada"})
    assert "Which answer" in visit.get("/c/k").text


def test_the_daily_cap_counts_all_of_today_and_not_the_last_answers_alone(open_site, monkeypatch):
    monkeypatch.setattr("assay.web.judging.ADVISE_ON", 2)
    visit = open_site(count=12, daily_cap_min=5)
    for number in range(5):
        visit.moments.append(START + timedelta(minutes=number + 1))
        page = visit.post("/c/k/answer", data={"item": _item(visit), "overall": "tie", "active_s": "60"})
        assert ("Enough for today" in page.text) == (number == 4)


def test_the_changes_of_an_edit_are_shown_word_by_word(open_site, now):
    visit = open_site(Scheme(name="e", created_at=now))
    page = visit.get("/c/k").text
    place = 0 if page.index("alpha beta") < page.index("gamma") else 1
    fields = {"item": _item(visit), "edit_place": str(place), "edit": "alpha <b>"}
    html = visit.post("/c/k/diff", data=fields, headers=SCRIPT).text
    assert "<del>beta</del>" in html
    assert "<ins>&lt;b&gt;</ins>" in html
    assert "<html" not in html
    assert "<html" in visit.post("/c/k/diff", data=fields).text
    assert visit.post("/c/k/diff", data=fields | {"edit_place": "7"}).status_code == 400
    assert visit.post("/c/k/diff", data=fields | {"item": "0"}).status_code == 404


def test_everything_is_taken_back_only_when_meant(open_site, workspace):
    visit = open_site()
    visit.post("/c/k/answer", data={"item": _item(visit), "overall": "left"})
    assert "Take everything back" in visit.get("/rights").text
    assert visit.post("/rights/withdraw").status_code == 400
    assert len(_said(workspace.records)) == 1
    assert "1 answers of yours are taken back" in visit.post("/rights/withdraw", data={"sure": "yes"}).text
    assert _said(workspace.records) == []
    assert "I agree" in visit.get("/c/k").text


def test_every_key_of_a_page_is_explained_on_it(open_site, now):
    page = open_site(Scheme(name="e", created_at=now)).get("/c/k").text
    used = set(re.findall(r'data-key="(.)"', page))
    explained = {key.lower() for key in re.findall(r"<dt><kbd>(.)</kbd></dt>", page)}
    assert used == explained == set("12345bxusfrcep?")


@pytest.mark.parametrize(("key", "badge"), [(SUBMIT, "Enter"), (UNDO, "U"), (HELP, "?"), (THREE_STEPS[0], "1")])
def test_a_badge_says_which_key_to_press(key, badge):
    assert key.badge == badge

"""Joining: who a panel's link lets in and where to, and when the code is shown."""

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from site_visits import Visit

from assay.feedback import current_judgements, open_campaign
from assay.feedback.accounts import open_account
from assay.feedback.campaign import CampaignState, Run, consent_texts
from assay.feedback.fatigue import Rest
from assay.feedback.recruiting import Completion, close_recruitment, find_recruitment, is_participant, recruit
from assay.records.consent import Consent
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement
from assay.storage.leases import LEASE_TIME, Leases
from assay.web import create_annotation_app, join_address, login_address
from assay.web.security import Join, Session, Signer, read_join, read_session, write_join, write_session

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CODE = "C1ABCXYZ"
BACK = "https://app.prolific.com/submissions/complete?cc=C1ABCXYZ"
ADA, BOB = "5f3c2a9d8b7e6f0012345678", "60aa11bb22cc33dd44ee55ff"
PID = "PROLIFIC_PID"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def campaign(workspace, now):
    """A function that opens a campaign of so many items."""

    def campaign_(name="kitchen", count=4, run=None):
        items = [
            Item(campaign=name, prompt=user_prompt(f"{name} {n}"), first="a", second="b", created_at=now)
            for n in range(count)
        ]
        return open_campaign(workspace.records, name, items, now=now, run=run)

    return campaign_


@pytest.fixture
def site(workspace, clock, campaign, now):
    campaign("garden")
    campaign()
    recruit(workspace.records, "kitchen", code=CODE, items=2, now=now)
    return create_annotation_app(workspace, clock=clock)


@pytest.fixture
def address(workspace):
    """A function that gives the link of a campaign with somebody's id in it."""

    def address_(identity, name="kitchen", parameter=PID):
        found = find_recruitment(workspace.records, name, parameter)
        return join_address(workspace, found, placeholder=identity)

    return address_


@pytest.fixture
def visit(site):
    """A function that opens another browser."""
    visits = []

    def visit_():
        visits.append(Visit(site))
        return visits[-1]

    yield visit_
    for one in visits:
        one.close()


@pytest.fixture
def join(visit, address):
    """A function by which somebody comes in, agrees, and stands before the first item."""

    def join_(identity=ADA):
        browser = visit()
        assert browser.get(address(identity)).status_code == 200
        browser.post("/c/kitchen/consent")
        return browser

    return join_


def _item(page):
    found = re.search(r'name="item" value="([^"]*)"', page.text)
    return found.group(1) if found else None


def _judge(browser, overall="left"):
    return browser.post("/c/kitchen/answer", data={"item": _item(browser.get("/c/kitchen")), "overall": overall})


def test_a_stranger_to_the_site_comes_in_by_the_link_agrees_judges_and_gets_the_code(visit, address, workspace):
    browser = visit()
    page = browser.get(address(ADA))
    assert (page.url.path, page.url.query) == ("/c/kitchen", b"")
    assert page.history[0].status_code == 303
    assert page.history[0].headers["cache-control"] == "no-store"
    assert "I agree, let me start" in page.text
    assert "I do not take part" in page.text
    assert "We do not store the id" in page.text
    assert ADA not in page.text
    assert workspace.records.count(Consent) == 0
    pages = [browser.post("/c/kitchen/consent"), _judge(browser)]
    assert "1 of 2" in pages[0].text
    assert "2 of 2" in pages[1].text
    assert all(CODE not in one.text for one in pages)
    page = _judge(browser)
    assert CODE in page.text
    assert f'href="{BACK}"' in page.text
    assert _item(page) is None
    assert ADA not in page.text
    names = {one.annotator for one in workspace.records.all(Judgement)}
    assert len(names) == 1
    assert all(map(is_participant, names))
    assert {one.annotator for one in workspace.records.all(Completion)} == names


@pytest.mark.sqlite
def test_the_id_stands_in_no_record_and_in_no_cookie(join, workspace):
    browser = join()
    _judge(browser)
    _judge(browser)
    for path in ("/rights", "/rights/receipt", "/profile", "/about-you", "/c/kitchen"):
        assert ADA not in browser.get(path).text
    database = (workspace.directory / "assay.db").read_bytes()
    log = workspace.directory / "assay.db-wal"
    assert ADA.encode() not in database + (log.read_bytes() if log.exists() else b"")
    (cookie,) = browser.cookies.jar
    assert ADA not in base64.urlsafe_b64decode(cookie.value.split(".")[0]).decode()


def test_it_needs_no_account_where_others_do(site, join, visit, workspace, now):
    open_account(workspace.records, "eve", "auditor", now=now)
    assert 'type="password"' in visit().get("/").text
    browser = join()
    assert _judge(browser).status_code == 200
    assert CODE in _judge(browser).text


def test_a_participant_sees_their_campaign_and_nothing_else(site, join, workspace, now):
    open_account(workspace.records, "eve", "auditor", now=now)
    browser = join()
    assert browser.get("/").url.path == "/c/kitchen"
    for path in ("/c/garden", "/c/garden/ahead", "/review/kitchen", "/quality/kitchen", "/trail/kitchen"):
        assert browser.get(path).status_code == 404
    for path in ("answer", "consent", "pass", "undo", "away", "rest", "renew", "diff"):
        assert browser.post(f"/c/garden/{path}").status_code == 404
    assert browser.get("/api/campaigns").status_code == 401


@pytest.mark.parametrize("key", ["", "x", "am9pbg==.00"])
def test_a_wrong_key_lets_nobody_in(visit, key):
    page = visit().get("/join/kitchen", params={"key": key, PID: ADA})
    assert page.status_code == 403
    assert "This link is not whole" in page.text
    assert "set-cookie" not in page.headers
    assert 'href="/"' not in page.text.split("<main")[1]


def test_the_key_of_another_campaign_and_other_signed_words_let_nobody_in(site, visit, address, workspace, now):
    recruit(workspace.records, "garden", code="G", items=1, now=now)
    page = visit().get(address(ADA, "garden").replace("/join/garden", "/join/kitchen"))
    assert page.status_code == 403
    assert "belongs to another campaign" in page.text
    key = login_address(workspace, "ada", now=START).split("key=")[1]
    assert visit().get(f"/join/kitchen?key={key}&{PID}={ADA}").status_code == 403
    mine = write_session(site.state.site.signer, "ada", now=START)
    assert visit().get("/join/kitchen", params={"key": mine, PID: ADA}).status_code == 403
    key = address(ADA).split("key=")[1].split("&")[0]
    assert visit().get(f"/enter?key={key}").status_code == 403
    browser = visit()
    browser.cookies.set("assay_annotator", key)
    assert "Your name" in browser.get("/c/kitchen").text


def test_a_key_without_a_recruitment_lets_nobody_in(site, visit):
    key = write_join(site.state.site.signer, Join("garden", PID))
    assert visit().get("/join/garden", params={"key": key, PID: ADA}).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"&{PID}=",
        f"&{PID}={{{{%25PROLIFIC_PID%25}}}}",
        f"&{PID}=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        f"&{PID}=ada%40example.org",
        f"&{PID}=a%00b",
        f"&{PID}=a%0Ab",
        f"&{PID}=%D9%A1%D9%A2",
        f"&{PID}=" + "x" * 65,
        f"&{PID}={ADA}&{PID}={BOB}",
        f"&other={ADA}",
    ],
)
def test_a_hostile_or_missing_id_is_refused_in_a_sentence(visit, address, workspace, query):
    browser = visit()
    page = browser.get(address("").split(f"&{PID}")[0] + query)
    assert page.status_code == 400
    assert "The id that your provider gives you is missing, or is none." in page.text
    assert "script>alert" not in page.text
    assert "set-cookie" not in page.headers
    assert workspace.records.count(Consent) == 0


def test_the_same_id_comes_back_to_the_same_work(join, visit, address, workspace):
    first = join()
    _judge(first)
    here = _item(first.get("/c/kitchen"))
    second = visit()
    page = second.get(address(ADA))
    assert "2 of 2" in page.text
    assert _item(page) == here
    assert CODE in _judge(second).text
    assert CODE in first.get("/c/kitchen").text
    late = first.post("/c/kitchen/answer", data={"item": here, "overall": "right"})
    assert CODE in late.text
    standing = current_judgements(workspace.records.all(Judgement))
    assert len(standing) == 2
    assert workspace.records.count(Completion) == 1


def test_another_id_is_another_person(join, workspace):
    ada, bob = join(), join(BOB)
    _judge(ada)
    _judge(bob)
    assert len({one.annotator for one in workspace.records.all(Judgement)}) == 2


def test_nothing_is_given_beyond_the_share(join, workspace):
    browser = join()
    _judge(browser)
    assert browser.get("/c/kitchen/ahead").status_code == 204
    _judge(browser)
    judged = {one.prompt for one in workspace.records.all(Judgement)}
    other = next(one for one in workspace.records.all(Item) if one.campaign == "kitchen" and one.prompt not in judged)
    page = browser.post("/c/kitchen/answer", data={"item": other.id, "overall": "left"})
    assert CODE in page.text
    assert workspace.records.count(Judgement) == 2


def test_the_next_item_is_fetched_ahead_within_the_share(site, join, workspace, now):
    recruit(workspace.records, "kitchen", code=CODE, items=3, now=now)
    browser = join()
    page = browser.get("/c/kitchen/ahead")
    assert page.status_code == 200
    assert "2 of 3" in page.text


def test_undo_after_the_code_gives_the_item_back_and_the_code_again(join):
    browser = join()
    _judge(browser)
    assert "Undo last answer" in _judge(browser).text
    page = browser.post("/c/kitchen/undo")
    assert "2 of 2" in page.text
    assert CODE not in page.text
    assert _item(page)
    assert CODE in _judge(browser, "right").text


def test_whoever_undoes_and_goes_away_finds_the_code_again(join):
    browser = join()
    _judge(browser)
    _judge(browser)
    browser.post("/c/kitchen/undo")
    browser.post("/c/kitchen/away")
    assert CODE in browser.get("/c/kitchen").text


def test_when_nothing_is_left_the_code_is_shown_before_the_number_is_reached(visit, address, campaign, workspace, now):
    campaign("small", count=1, run=Run(overlap=1))
    recruit(workspace.records, "small", code="SMALL1", items=5, now=now)
    ada, bob = visit(), visit()
    ada.get(address(ADA, "small"))
    page = ada.post("/c/small/consent")
    assert "1 of 1" in page.text
    assert "SMALL1" not in page.text
    page = ada.post("/c/small/answer", data={"item": _item(page), "overall": "left"})
    assert "You have judged 1 item of" in page.text
    assert "SMALL1" in page.text
    bob.get(address(BOB, "small"))
    page = bob.post("/c/small/consent")
    assert "There is nothing of small left for you to do" in page.text
    assert "SMALL1" in page.text


def test_a_provider_without_an_address_gets_the_code_alone(visit, address, campaign, workspace, now):
    campaign("small", count=1)
    recruit(workspace.records, "small", code="SONA-1", items=1, parameter="survey_code", now=now)
    browser = visit()
    browser.get(address("12345", "small", "survey_code"))
    page = browser.post("/c/small/consent")
    page = browser.post("/c/small/answer", data={"item": _item(page), "overall": "tie"})
    assert "SONA-1" in page.text
    assert "Enter it on the page of the provider that sent you" in page.text
    assert "noreferrer" not in page.text


def test_a_break_costs_nothing(site, visit, address, campaign, workspace, clock, now):
    campaign("long", count=8, run=Run(break_after_min=0.1))
    recruit(workspace.records, "long", code="LONG1", items=6, now=now)
    browser = visit()
    browser.get(address(ADA, "long"))
    page = browser.post("/c/long/consent")
    for _ in range(5):
        data = {"item": _item(page), "overall": "left", "active_s": "10"}
        page = browser.post("/c/long/answer", data=data)
    assert "Time for a break?" in page.text
    assert "LONG1" not in page.text
    page = browser.post("/c/long/rest", data={"choice": "rest", "reason": "time"})
    assert "Take your time" in page.text
    clock.now += timedelta(minutes=40)
    assert [one.is_taken for one in workspace.records.all(Rest)] == [True]
    page = browser.get("/c/long")
    assert "6 of 6" in page.text
    page = browser.post("/c/long/answer", data={"item": _item(page), "overall": "left", "active_s": "10"})
    assert "LONG1" in page.text


def test_the_end_of_a_day_shows_no_code_and_says_how_to_go_on(visit, address, campaign, workspace, clock, now):
    campaign("capped", count=8, run=Run(daily_cap_min=0.1))
    recruit(workspace.records, "capped", code="CAP1", items=3, now=now)
    browser = visit()
    browser.get(address(ADA, "capped"))
    page = browser.post("/c/capped/consent")
    page = browser.post("/c/capped/answer", data={"item": _item(page), "overall": "left", "active_s": "10"})
    assert "Enough for today" in page.text
    assert "open the link at your provider again" in page.text
    assert "CAP1" not in page.text


def test_who_does_not_agree_is_told_how_to_return_the_place(visit, address, workspace):
    browser = visit()
    browser.get(address(ADA))
    page = browser.post("/c/kitchen/consent", data={"purpose.train": "no"})
    assert page.status_code == 400
    page = browser.post("/logout")
    assert "You have left" in page.text
    assert "return (cancel) your submission" in page.text
    assert "judged nothing" in page.text
    assert CODE not in page.text
    assert "Your name" in browser.get("/c/kitchen").text
    assert workspace.records.count(Consent) == 0


def test_who_leaves_amid_the_work_may_return_the_place_and_who_finished_is_not_told_to(join, visit, address):
    browser = join()
    _judge(browser)
    page = browser.post("/logout")
    assert "What you judged of kitchen is kept" in page.text
    assert "return (cancel) your submission" in page.text
    again = visit()
    assert "2 of 2" in again.get(address(ADA)).text
    _judge(again)
    page = again.post("/logout")
    assert "You were given the code" in page.text
    assert "return (cancel)" not in page.text
    assert CODE not in page.text
    assert CODE in again.get(address(ADA)).text


def test_who_withdraws_is_told_how_to_return_the_place_and_sees_no_code(join, workspace):
    browser = join()
    _judge(browser)
    _judge(browser)
    page = browser.post("/rights/withdraw", data={"sure": "yes"})
    assert "2 answers of yours are taken back" in page.text
    assert "return (cancel) your submission" in page.text
    assert CODE not in page.text
    page = browser.get("/c/kitchen")
    assert "I agree, let me start" in page.text
    assert CODE not in page.text
    page = browser.post("/c/kitchen/consent")
    assert "1 of 2" in page.text
    assert CODE not in page.text


def test_who_takes_back_every_purpose_sees_no_code(join):
    browser = join()
    _judge(browser)
    _judge(browser)
    browser.post("/rights/purposes", data={"purpose.train": "no"})
    page = browser.get("/c/kitchen")
    assert "I do not take part" in page.text
    assert CODE not in page.text


@pytest.mark.parametrize("is_returned", [True, False])
def test_returned_and_timed_out_work_is_free_for_others(visit, address, campaign, workspace, clock, now, is_returned):
    campaign("one", count=1, run=Run(overlap=1))
    recruit(workspace.records, "one", code="ONE1", items=1, now=now)
    ada, bob = visit(), visit()
    for browser, identity in ((ada, ADA), (bob, BOB)):
        browser.get(address(identity, "one"))
    held = _item(ada.post("/c/one/consent"))
    assert held
    if is_returned:
        ada.post("/logout")
    else:
        clock.now += LEASE_TIME
    assert _item(bob.post("/c/one/consent")) == held


def test_a_closed_campaign_is_refused_in_a_sentence_before_and_amid_the_work(join, visit, address, workspace, now):
    browser = join()
    fields = {"campaign": "kitchen", "by": "eve", "texts": consent_texts(), "created_at": now}
    workspace.records.put(CampaignState(state="closed", **fields), subject="kitchen")
    page = visit().get(address(BOB))
    assert page.status_code == 403
    assert "This campaign is not open. Please return your place at your provider." in page.text
    assert "set-cookie" not in page.headers
    page = browser.get("/c/kitchen")
    assert page.status_code == 403
    assert "Write to those who recruited you, through your provider" in page.text
    assert CODE not in page.text


def test_a_draft_lets_nobody_in(visit, address, workspace, now):
    fields = {"campaign": "kitchen", "by": "", "created_at": now}
    workspace.records.put(CampaignState(state="draft", **fields), subject="kitchen")
    assert visit().get(address(ADA)).status_code == 403


def test_a_closed_recruitment_lets_in_only_those_who_had_begun(join, visit, address, workspace, now):
    browser = join()
    _judge(browser)
    close_recruitment(workspace.records, "kitchen", PID, now=now)
    page = visit().get(address(BOB))
    assert page.status_code == 403
    assert "Nobody else is wanted in this campaign." in page.text
    again = visit()
    assert "2 of 2" in again.get(address(ADA)).text
    assert CODE in _judge(again).text


def test_nobody_types_in_a_participants_name(join, visit, workspace):
    browser = join()
    _judge(browser)
    (judgement,) = workspace.records.all(Judgement)
    page = visit().post("/login", data={"name": judgement.annotator, "campaign": "kitchen"})
    assert page.status_code == 400
    assert "for people who come by a panel" in page.text
    assert "set-cookie" not in page.headers


def test_whoever_lost_the_visit_is_sent_to_the_link_again(join, visit, clock):
    browser = join()
    clock.now += timedelta(hours=12)
    page = browser.get("/c/kitchen")
    assert "open the link there again" in page.text


def test_a_form_of_another_visit_is_refused(join):
    ada, bob = join(), join(BOB)
    data = {"item": _item(ada.get("/c/kitchen")), "overall": "left", "token": bob.token()}
    assert ada.post("/c/kitchen/answer", data=data).status_code == 403


def test_a_flood_of_newcomers_is_slowed_down(site, visit, address):
    limit = site.state.site.posts
    assert all(limit.allows("join testclient", now=START) for _ in range(600))
    page = visit().get(address(ADA))
    assert page.status_code == 429
    assert "Wait a minute" in page.text


def test_leases_are_held_under_the_participants_name_only(join, workspace):
    join()
    (name,) = {one.annotator for one in workspace.records.all(Consent)}
    assert is_participant(name)
    assert len(Leases(workspace.records).held("kitchen", name)) == 1


def test_with_tls_the_visit_is_secure(workspace, clock, site, address):
    app = create_annotation_app(workspace, clock=clock, is_secure=True)
    with Visit(app, base_url="https://testserver") as browser:
        cookie = browser.get(address(ADA), follow_redirects=False).headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=lax"))


def test_a_visit_by_link_reads_back_with_its_campaign_and_no_other_kind_does():
    signer = Signer(b"key")
    cookie = write_session(signer, "r-1", now=START, join=Join("kitchen", PID))
    assert read_session(signer, cookie, now=START)[0::3] == ("r-1", Join("kitchen", PID))
    assert read_session(signer, write_session(signer, "a\nb\nc", now=START), now=START).join is None
    assert isinstance(read_session(signer, cookie, now=START + timedelta(hours=11)), Session)
    assert read_session(signer, cookie, now=START + timedelta(hours=12)) is None
    key = write_join(signer, Join("kitchen", PID))
    assert read_join(signer, key) == Join("kitchen", PID)
    assert read_join(signer, cookie) is None
    assert read_join(Signer(b"other"), key) is None
    assert read_session(signer, key, now=START) is None

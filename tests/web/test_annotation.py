"""Annotation site: one person's way through a campaign by plain forms, and everything that may go wrong on it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from anyio import to_thread
from site_visits import Visit
from sqlalchemy.exc import OperationalError

from assay.feedback import current_judgements, open_campaign
from assay.feedback.accounts import open_account
from assay.feedback.answering import shown_order
from assay.feedback.campaign import CampaignState
from assay.feedback.consent import Consent, decide
from assay.records.conversation import Message, user_prompt
from assay.records.errors import StorageError
from assay.records.judgement import Item, Judgement
from assay.storage import Workspace
from assay.storage.leases import Leases
from assay.web import about, comfort, create_annotation_app, entry, joining, judging, profile, rights, staff
from assay.web.keys import BOTH_BAD, CANNOT_JUDGE, THREE_STEPS
from assay.web.site import Site

HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>"
CLOCK = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def items(workspace, now):
    items = [
        Item(campaign="kitchen", prompt=user_prompt(f"prompt {n}"), first=f"one {n}", second=f"two {n}", created_at=now)
        for n in range(4)
    ]
    open_campaign(workspace.records, "kitchen", items, now=now)
    return items


@pytest.fixture
def client(workspace, items):
    with Visit(create_annotation_app(workspace, clock=lambda: CLOCK)) as client:
        yield client


@pytest.fixture
def ada(client):
    client.post("/login", data={"name": "ada", "campaign": "kitchen"})
    client.post("/c/kitchen/consent")
    return client


def _hidden(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page.text).group(1)


def _answer(client, answer="left", **fields):
    page = client.get("/c/kitchen")
    return client.post("/c/kitchen/answer", data={"item": _hidden(page, "item"), "overall": answer} | fields)


def test_a_person_gives_a_name_then_consent_then_sees_a_pair(client, workspace):
    page = client.get("/c/kitchen")
    assert page.url.path == "/"
    assert "Your name" in page.text
    page = client.post("/login", data={"name": " ada ", "campaign": "kitchen"})
    assert page.url.path == "/c/kitchen"
    assert "I agree" in page.text
    assert "prompt" not in page.text.split("<main")[1].split("used to train")[1]
    page = client.post("/c/kitchen/consent")
    assert "Which answer is better?" in page.text
    assert "1 of 4" in page.text
    given = [(one.annotator, one.purpose) for one in workspace.records.all(Consent) if not one.is_refused]
    assert given == [("ada", "train")]


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x07b"])
def test_a_name_that_is_none_is_asked_again(client, name):
    page = client.post("/login", data={"name": name})
    assert page.status_code == 400
    assert 'aria-invalid="true"' in page.text
    assert "set-cookie" not in page.headers


def test_the_sides_are_those_of_the_server_on_every_visit(ada, items):
    pages = [ada.get("/c/kitchen").text for _ in range(3)]
    assert len(set(pages)) == 1
    shown = re.findall(r'<div class="text" dir="auto"><p>(.*?)</p>', pages[0])
    item = next(item for item in items if item.id in pages[0])
    expected = [item.first, item.second] if shown_order("ada", item.id) == "left" else [item.second, item.first]
    assert shown == expected


@pytest.mark.parametrize("answer", [key.value for key in (*THREE_STEPS, BOTH_BAD, CANNOT_JUDGE)])
def test_every_answer_is_stored_as_what_it_means(ada, workspace, answer):
    page = _answer(ada, answer, active_s="12.5")
    assert page.status_code == 200
    assert page.history[0].status_code == 303
    assert "2 of 4" in page.text
    assert "Stored: " in page.text
    (judgement,) = workspace.records.all(Judgement)
    if answer in ("left", "right"):
        is_first = answer == judgement.first_shown
        assert judgement.choice == ("first" if is_first else "second")
    else:
        assert judgement.choice == answer
    assert (judgement.annotator, judgement.created_at, judgement.time_on_task_s) == ("ada", CLOCK, 12.5)
    assert judgement.consent_version == workspace.records.all(Consent)[0].version


@pytest.mark.parametrize(
    ("sent", "stored"), [("", None), ("abc", None), ("-4", None), ("nan", None), ("1e300", 66.0), ("3", 3.0)]
)
def test_time_from_the_page_is_believed_only_within_reason(ada, workspace, sent, stored):
    _answer(ada, active_s=sent)
    assert workspace.records.all(Judgement)[0].time_on_task_s == stored


def test_a_campaign_ends_with_thanks_and_can_still_be_undone(ada, workspace):
    for _ in range(4):
        page = _answer(ada, "tie")
    assert "You have judged all 4 items" in page.text
    page = ada.post("/c/kitchen/undo")
    assert "Your last answer was taken back." in page.text
    assert "4 of 4" in page.text
    assert len(current_judgements(workspace.records.all(Judgement))) == 3


def test_an_undo_with_nothing_to_undo_changes_nothing(ada, workspace):
    page = ada.post("/c/kitchen/undo")
    assert page.status_code == 200
    assert "taken back" not in page.text
    assert workspace.records.count(Judgement) == 0


def test_the_same_form_sent_twice_at_once_is_one_answer(ada, workspace):
    item = _hidden(ada.get("/c/kitchen"), "item")
    with ThreadPoolExecutor(4) as pool:
        sent = [
            pool.submit(ada.post, "/c/kitchen/answer", data={"item": item, "overall": "left", "active_s": str(n)})
            for n in range(4)
        ]
        assert {future.result().status_code for future in sent} == {200}
    assert workspace.records.count(Judgement) == 1


def test_hostile_text_stays_text_everywhere(workspace, now):
    prompt = (Message(role="system", content=HOSTILE), Message(role="user", content=HOSTILE + "?"))
    item = Item(campaign="hostile", prompt=prompt, first=HOSTILE, second="safe", created_at=now)
    open_campaign(workspace.records, "hostile", [item], now=now)
    with Visit(create_annotation_app(workspace, clock=lambda: CLOCK)) as client:
        client.post("/login", data={"name": '"><script>1</script>', "campaign": "hostile"})
        page = client.post("/c/hostile/consent")
        listed = client.get("/")
    for html in (page.text, listed.text):
        assert "<script>" not in html
        assert "<img" not in html
    assert page.text.count("&lt;script&gt;document.title") == 3


def test_no_page_names_a_source_of_an_answer(ada, items):
    page = ada.get("/c/kitchen").text
    assert "first" not in page.split("<main")[1]
    assert "second" not in page.split("<main")[1].replace('class="secondary"', "")


@pytest.mark.parametrize("address", ["/", "/c/kitchen", "/static/style.css", "/absent"])
def test_every_answer_carries_the_strict_headers(ada, address):
    headers = ada.get(address).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_pages_hold_neither_inline_script_nor_inline_style(ada):
    for address in ("/", "/c/kitchen"):
        html = ada.get(address).text
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", html)


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(client):
    response = client.post("/login", data={"name": "ada"}, follow_redirects=False)
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_a_form_from_another_site_is_refused_and_stores_nothing(ada, workspace):
    item = _hidden(ada.get("/c/kitchen"), "item")
    fields = {"item": item, "overall": "left"}
    page = ada.post("/c/kitchen/answer", data=fields, headers={"Origin": "https://elsewhere.example"})
    assert page.status_code == 403
    assert workspace.records.count(Judgement) == 0
    assert ada.post("/c/kitchen/answer", data=fields, headers={"Origin": "http://testserver"}).status_code == 200


def test_a_forged_name_is_nobody(client, workspace):
    client.cookies.set("assay_annotator", "YWRh.0000")
    assert "Your name" in client.get("/c/kitchen").text
    client.post("/c/kitchen/answer", data={"item": "x", "overall": "left"})
    assert workspace.records.count(Judgement) == 0


def test_the_name_is_known_after_a_restart_and_forgotten_after_leaving(ada, workspace):
    with Visit(create_annotation_app(workspace, clock=lambda: CLOCK), cookies=ada.cookies) as again:
        assert "Which answer is better?" in again.get("/c/kitchen").text
    ada.post("/logout")
    assert "Your name" in ada.get("/c/kitchen").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"overall": "left"}, 400),
        ({"item": "0" * 64, "overall": "left"}, 404),
        ({"item": "", "overall": "left"}, 400),
        ({"item": "ITEM", "overall": "best"}, 400),
        ({"item": "ITEM"}, 400),
        ({"item": "ITEM", "overall": "left", "edit": "x"}, 400),
        ({"item": "ITEM", "overall": "left", "edit_place": "x"}, 400),
        ({"item": "ITEM", "overall": "left", "active_s": "9" * 270_000}, 413),
    ],
)
def test_a_form_that_is_not_complete_is_told_and_stores_nothing(ada, workspace, fields, status):
    item = _hidden(ada.get("/c/kitchen"), "item")
    page = ada.post("/c/kitchen/answer", data={k: item if v == "ITEM" else v for k, v in fields.items()})
    assert page.status_code == status
    assert "That did not work" in page.text
    assert workspace.records.count(Judgement) == 0


def test_a_campaign_that_is_not_there_is_a_page_that_says_so(ada):
    for page in (ada.get("/c/garden"), ada.get("/elsewhere"), ada.post("/c/garden/undo")):
        assert page.status_code == 404
        assert "That did not work" in page.text


def test_the_first_account_shuts_out_who_came_without_one(ada, workspace, now):
    fields = {"item": _hidden(ada.get("/c/kitchen"), "item"), "overall": "left", "token": ada.token()}
    elsewhere = Workspace(workspace.directory)
    open_account(elsewhere.records, "root", "manager", now=now)
    elsewhere.close()
    assert "Your name" in ada.post("/c/kitchen/answer", data=fields).text
    assert "Your name" in ada.get("/c/kitchen").text
    assert not workspace.records.count(Judgement)


@pytest.mark.parametrize(("is_quick", "by_then"), [(True, (0, 0)), (False, (2, 3))])
def test_an_answer_and_a_page_change_to_another_thread_never_or_once_each(ada, monkeypatch, is_quick, by_then):
    monkeypatch.setattr(Site, "is_quick", is_quick)
    changes = []
    run_sync = to_thread.run_sync

    async def counted(function, *arguments, **settings):
        changes.append(function)
        return await run_sync(function, *arguments, **settings)

    fields = {"item": _hidden(ada.get("/c/kitchen"), "item"), "overall": "left", "token": ada.token()}
    monkeypatch.setattr(to_thread, "run_sync", counted)
    assert "Stored" in ada.post("/c/kitchen/answer", data=fields).text
    assert len(changes) == by_then[0]
    assert ada.get("/c/kitchen/ahead").status_code == 200
    assert len(changes) == by_then[1]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda records, now: decide(records, "ada", [], now=now), 400, "I agree"),
        (lambda records, now: records.put(_closed(now), subject="kitchen"), 403, "not open"),
    ],
)
def test_what_another_process_ends_is_over_at_the_next_answer(ada, workspace, now, change, status, words):
    assert "Stored" in _answer(ada).text
    fields = {"item": _hidden(ada.get("/c/kitchen"), "item"), "overall": "left", "token": ada.token()}
    elsewhere = Workspace(workspace.directory)
    change(elsewhere.records, now + timedelta(minutes=1))
    elsewhere.close()
    assert ada.post("/c/kitchen/answer", data=fields).status_code == status
    assert words in ada.get("/c/kitchen").text
    assert workspace.records.count(Judgement) == 1


def _closed(now):
    return CampaignState(campaign="kitchen", state="closed", by="manager", created_at=now)


def test_no_two_pages_share_an_address(client):
    """The order in which addresses are tried may then follow how often they are asked for."""
    parts = (about, comfort, entry, joining, judging, profile, rights, staff)
    pages = [
        (method, re.sub(r"{\w+}", "{}", one.path))
        for part in parts
        for one in part.router.routes
        for method in one.methods
    ]
    assert len(pages) == len(set(pages)) > 20


def test_a_login_never_leads_to_another_site(client):
    response = client.post("/login", data={"name": "a", "campaign": "//elsewhere.example"}, follow_redirects=False)
    assert response.headers["location"] == "/"


def test_a_disk_that_is_full_is_told_and_the_pair_comes_again(ada, workspace, monkeypatch):
    item = _hidden(ada.get("/c/kitchen"), "item")

    def full(*_):
        raise StorageError("the disk is full") from OperationalError("INSERT", {}, OSError("full"))

    with monkeypatch.context() as patch:
        patch.setattr(Leases, "_store", full)
        page = ada.post("/c/kitchen/answer", data={"item": item, "overall": "left"})
    assert page.status_code == 503
    assert "Nothing was stored: the disk is full" in page.text
    assert _hidden(ada.get("/c/kitchen"), "item") == item


def test_two_people_do_not_see_each_others_answers(ada, workspace):
    _answer(ada, "left")
    with Visit(create_annotation_app(workspace, clock=lambda: CLOCK)) as bob:
        bob.post("/login", data={"name": "bob", "campaign": "kitchen"})
        assert "1 of 4" in bob.post("/c/kitchen/consent").text


def test_an_empty_answer_is_said_to_be_empty(workspace, now):
    item = Item(campaign="empty", prompt=user_prompt("p"), first=" ", second="b", created_at=now)
    open_campaign(workspace.records, "empty", [item], now=now)
    with Visit(create_annotation_app(workspace, clock=lambda: CLOCK)) as client:
        client.post("/login", data={"name": "ada", "campaign": "empty"})
        assert "This answer is empty." in client.post("/c/empty/consent").text

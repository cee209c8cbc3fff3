"""Roles: who gets in, by which door, and what they may see."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from site_visits import Visit

from assay.feedback import open_campaign, passwords
from assay.feedback.accounts import open_account
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement
from assay.web import create_annotation_app, login_address

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"
STAFF = {"reviewer": {"review"}, "manager": {"review", "quality"}, "auditor": {"review", "quality", "trail"}}


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
def app(workspace, now, clock, monkeypatch):
    monkeypatch.setitem(passwords.COST, "memory_cost", 64)
    monkeypatch.setitem(passwords.SCRYPT_COST, "n", 2**8)
    for name in ("kitchen", "garden"):
        items = [
            Item(campaign=name, prompt=user_prompt(f"{name} {n}"), first="a", second="b", created_at=now)
            for n in range(3)
        ]
        open_campaign(workspace.records, name, items, now=now)
    for name in ("ada", "bob"):
        open_account(workspace.records, name, "annotator", now=now, password=PASSWORD, campaigns=["kitchen"])
    for role in STAFF:
        open_account(workspace.records, role, role, now=now, campaigns=["kitchen"])
    return create_annotation_app(workspace, clock=clock)


@pytest.fixture
def enter(app, workspace, clock):
    visits = []

    def enter_(name):
        visit = Visit(app)
        visits.append(visit)
        key = _key(login_address(workspace, name, now=clock.now))
        assert visit.post("/enter", data={"key": key}).status_code == 200
        return visit

    yield enter_
    for visit in visits:
        visit.close()


def _key(address):
    return parse_qs(urlsplit(address).query)["key"][0]


def _item(visit):
    return re.search(r'name="item" value="([^"]*)"', visit.get("/c/kitchen").text).group(1)


def test_a_password_is_asked_for_and_a_wrong_one_lets_nobody_in(app):
    with Visit(app) as visit:
        assert 'type="password"' in visit.get("/").text
        for password in ("", "wrong password"):
            page = visit.post("/login", data={"name": "ada", "password": password})
            assert page.status_code == 400
            assert "set-cookie" not in page.headers
        assert "Your name" in visit.get("/c/kitchen").text
        assert "kitchen" in visit.post("/login", data={"name": "ada", "password": PASSWORD}).text


def test_guessing_is_slowed_down_and_the_right_one_waits_too(app, clock, monkeypatch):
    monkeypatch.setattr("assay.web.entry.check_password", lambda *_, **__: None)
    with Visit(app) as visit:
        codes = [visit.post("/login", data={"name": f"n{n}", "password": "x"}).status_code for n in range(12)]
        assert codes == [400] * 10 + [429] * 2
        clock.now += timedelta(minutes=5)
        assert visit.post("/login", data={"name": "ada", "password": "x"}).status_code == 400


def test_a_link_works_once_and_looking_at_it_does_not_use_it_up(app, workspace, clock):
    address = login_address(workspace, "ada", now=START)
    with Visit(app) as visit, Visit(app) as other:
        assert "ada" in visit.get(address).text
        assert "Campaigns" in visit.post("/enter", data={"key": _key(address)}).text
        assert other.post("/enter", data={"key": _key(address)}).status_code == 403
        late = login_address(workspace, "ada", now=START)
        clock.now += timedelta(days=3)
        assert other.get(late).status_code == 403


@pytest.mark.parametrize("key", ["", "x", "bGluaw==.00"])
def test_a_forged_link_is_refused(app, key):
    with Visit(app) as visit:
        assert visit.get("/enter", params={"key": key}).status_code == 403
        assert visit.post("/enter", data={"key": key}).status_code == 403


def test_a_closed_account_is_out_at_once(enter, workspace, now):
    ada = enter("ada")
    assert "I agree" in ada.get("/c/kitchen").text
    open_account(workspace.records, "ada", "annotator", now=now, is_closed=True)
    assert "Your name" in ada.get("/c/kitchen").text


def test_a_visit_ends_after_twelve_hours(enter, clock):
    ada = enter("ada")
    clock.now += timedelta(hours=12)
    assert "Your name" in ada.get("/c/kitchen").text


def test_another_campaign_does_not_exist_for_an_annotator(enter):
    ada = enter("ada")
    assert "garden" not in ada.get("/").text
    for page in (ada.get("/c/garden"), ada.get("/c/garden/ahead"), ada.post("/c/garden/consent")):
        assert page.status_code == 404
    assert ada.get("/c/garden").text.replace("garden", "x") == ada.get("/c/absent").text.replace("absent", "x")


def test_another_persons_item_and_answers_are_out_of_reach(enter, workspace):
    ada, bob = enter("ada"), enter("bob")
    for visit in (ada, bob):
        visit.post("/c/kitchen/consent")
    item = _item(ada)
    ada.post("/c/kitchen/answer", data={"item": item, "overall": "left"})
    for page in ("review", "quality", "trail"):
        assert bob.get(f"/{page}/kitchen").status_code == 404
    assert "taken back" not in bob.post("/c/kitchen/undo").text
    assert workspace.records.count(Judgement) == 1


@pytest.mark.parametrize("role", STAFF)
def test_each_role_sees_its_pages_of_its_campaigns_only(enter, role):
    visit = enter(role)
    seen = {page for page in ("review", "quality", "trail") if visit.get(f"/{page}/kitchen").status_code == 200}
    assert seen == STAFF[role]
    assert all(visit.get(f"/{page}/garden").status_code == 404 for page in STAFF[role])
    assert visit.get("/c/kitchen").status_code == (200 if role == "reviewer" else 404)


def test_staff_see_what_was_flagged_how_answers_stand_and_what_was_said_when(enter):
    ada, auditor = enter("ada"), enter("auditor")
    ada.post("/c/kitchen/consent")
    note = "<script>1</script>"
    page = ada.post("/c/kitchen/pass", data={"item": _item(ada), "why": "upsetting", "kind": "flag", "note": note})
    assert "a reviewer will look at it" in page.text
    ada.post("/c/kitchen/answer", data={"item": _item(ada), "overall": "left", "active_s": "8"})
    ada.post("/c/kitchen/undo")
    review = auditor.get("/review/kitchen").text
    assert "Flagged" in review
    assert "upsetting" in review
    assert note not in review
    assert "Nobody has judged anything yet" in auditor.get("/quality/kitchen").text
    ada.post("/c/kitchen/answer", data={"item": _item(ada), "overall": "left", "active_s": "8"})
    page = auditor.get("/quality/kitchen").text
    assert "8.0 s" in page
    assert "Checks failed by group" not in page
    trail = auditor.get("/trail/kitchen").text
    assert "superseded" in trail
    assert "taken back" in trail


@pytest.mark.parametrize("address", ["answer", "undo", "consent", "pass", "away", "rest", "renew", "diff"])
def test_a_form_without_the_token_of_the_visit_is_refused(enter, workspace, address):
    ada, bob = enter("ada"), enter("bob")
    for token in ("", "0" * 64, bob.token()):
        assert ada.post(f"/c/kitchen/{address}", data={"token": token}).status_code == 403


def test_with_tls_the_cookie_is_secure_and_bound_to_the_host(workspace, clock):
    app = create_annotation_app(workspace, clock=clock, is_secure=True)
    with Visit(app, base_url="https://testserver") as visit:
        page = visit.post("/login", data={"name": "ada"}, follow_redirects=False)
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        assert "strict-transport-security" in page.headers


def test_a_flood_of_answers_is_slowed_down(workspace, now, clock):
    app = create_annotation_app(workspace, clock=clock)
    limit = app.state.site.posts
    assert all(limit.allows("other", now=START) for _ in range(600))
    assert not limit.allows("other", now=START)

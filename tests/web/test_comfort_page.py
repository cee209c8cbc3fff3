"""Comfort page: people are asked once what they would rather not see, change it, and are offered it where it upsets."""

import re

import pytest
from site_visits import Visit

from assay.feedback import open_campaign
from assay.feedback.campaign import Run
from assay.feedback.comfort import Comfort, accepted_by
from assay.feedback.consent import decide
from assay.records.conversation import user_prompt
from assay.records.judgement import Item
from assay.web import create_annotation_app

OFFER = '<a href="/comfort">what you would rather not see</a>'


@pytest.fixture
def open_site(workspace, now):
    visits = []

    def open_(harms, **run):
        items = [
            Item(campaign="k", prompt=user_prompt(f"p{n}"), first=f"{harm} {n}.", second="b", harm=harm, created_at=now)
            for n, harm in enumerate(harms)
        ]
        open_campaign(workspace.records, "k", items, now=now, run=Run(**run))
        visit = Visit(create_annotation_app(workspace, clock=lambda: now))
        visits.append(visit)
        visit.post("/login", data={"name": "ada", "campaign": "k"})
        return visit

    yield open_
    for visit in visits:
        visit.close()


def _item(page):
    return re.search(r'name="item" value="(\w+)"', page.text)[1]


def _pass(visit, why, **more):
    return visit.post("/c/k/pass", data={"item": _item(visit.get("/c/k")), "round": "0", "why": why, **more})


def test_whoever_has_not_entered_is_sent_to_do_so(workspace, now):
    with Visit(create_annotation_app(workspace, clock=lambda: now)) as visit:
        assert visit.get("/comfort", follow_redirects=False).headers["location"] == "/"


def test_it_is_asked_beside_consent_where_items_are_marked_and_nothing_is_chosen_beforehand(open_site, workspace):
    visit = open_site(("none", "strong"))
    page = visit.get("/c/k").text
    assert page.count('type="radio" name="accepts"') == 3 and "checked" not in page
    page = visit.post("/c/k/consent", data={"purpose.train": "no", "accepts": "mild"})
    assert page.status_code == 400
    assert re.findall(r'id="accepts-(\w+)"[^>]* checked', page.text) == ["mild"]
    assert accepted_by(workspace.records, "ada") is None
    page = visit.post("/c/k/consent", data={"accepts": "mild"})
    assert "none 0." in page.text and "1 of 1" in page.text
    assert accepted_by(workspace.records, "ada") == "mild"


def test_no_choice_is_a_word_too_and_is_not_asked_for_again(open_site, workspace):
    visit = open_site(("none", "strong"))
    page = visit.post("/c/k/consent")
    assert "1 of 2" in page.text
    assert [one.accepts for one in workspace.records.all(Comfort)] == ["strong"]
    visit.post("/rights/withdraw", data={"sure": "yes"})
    page = visit.get("/c/k").text
    assert "Before you start" in page and "accepts" not in page


def test_a_campaign_that_marks_nothing_does_not_ask(open_site, workspace):
    visit = open_site((None, None))
    assert "accepts" not in visit.get("/c/k").text
    assert "1 of 2" in visit.post("/c/k/consent", data={"accepts": "none"}).text
    assert workspace.records.count(Comfort) == 0
    assert OFFER not in _pass(visit, "upsetting").text


def test_whoever_consented_before_is_asked_once_and_comes_back_to_the_campaign(open_site, workspace, now):
    visit = open_site(("strong", "none", "mild"))
    decide(workspace.records, "ada", ["train"], now=now)
    assert visit.get("/c/k/ahead").status_code == 204
    page = visit.get("/c/k").text
    assert "What you would rather not see" in page and '<input type="hidden" name="campaign" value="k">' in page
    page = visit.post("/comfort", data={"campaign": "k"})
    assert page.status_code == 400 and "Please choose one of the three." in page.text
    assert '<input type="hidden" name="campaign" value="k">' in page.text
    page = visit.post("/comfort", data={"campaign": "k", "accepts": "none"})
    assert str(page.url).endswith("/c/k") and "none 1." in page.text and "1 of 1" in page.text


def test_it_is_changed_from_the_page_of_rights_and_what_is_in_hand_goes(open_site, workspace):
    visit = open_site(("strong",), overlap=1)
    visit.post("/c/k/consent")
    assert "strong 0." in visit.get("/c/k").text
    assert 'href="/comfort"' in visit.get("/rights").text
    assert re.findall(r'id="accepts-(\w+)"[^>]* checked', visit.get("/comfort").text) == ["strong"]
    page = visit.post("/comfort", data={"accepts": "mild"})
    assert "Stored. It holds from now on." in page.text
    assert re.findall(r'id="accepts-(\w+)"[^>]* checked', page.text) == ["mild"]
    page = visit.get("/c/k").text
    assert "strong 0." not in page and "There is nothing left for you in k." in page
    assert "0 of 0 judged" in visit.get("/").text
    assert visit.post("/comfort", data={"accepts": "all"}).status_code == 400
    assert visit.post("/comfort", data={"accepts": "strong", "token": "0" * 64}).status_code == 403
    assert accepted_by(workspace.records, "ada") == "mild"


def test_another_person_gets_what_went_back_and_learns_nothing(open_site):
    visit = open_site(("strong",), overlap=1)
    visit.post("/c/k/consent")
    with Visit(visit.app) as bob:
        bob.post("/login", data={"name": "bob", "campaign": "k"})
        assert "Others have judged all" in bob.post("/c/k/consent").text
        visit.post("/comfort", data={"accepts": "none"})
        page = bob.get("/c/k").text
        assert "strong 0." in page and not re.search(r"\bada\b", page)


def test_an_item_passed_over_as_upsetting_offers_it_in_one_sentence_and_other_reasons_do_not(open_site):
    visit = open_site(("mild",) * 6)
    visit.post("/c/k/consent")
    assert OFFER not in _pass(visit, "too_long").text
    page = _pass(visit, "upsetting")
    assert page.text.count(OFFER) == 1 and "Skipped. Somebody else may get it." in page.text
    assert OFFER not in visit.get("/c/k").text
    page = _pass(visit, "upsetting", kind="flag")
    assert page.text.count(OFFER) == 1 and "a reviewer will look at it" in page.text


def test_at_the_end_of_a_queue_it_is_offered_too_and_never_to_whoever_took_it_up(open_site):
    visit = open_site(("strong", None))
    visit.post("/c/k/consent", data={"accepts": "strong"})
    while "Thank you" not in (page := _pass(visit, "upsetting")).text:
        pass
    assert OFFER in page.text
    visit.post("/comfort", data={"accepts": "none"})
    assert OFFER not in visit.get("/c/k?said=passed&why=upsetting").text

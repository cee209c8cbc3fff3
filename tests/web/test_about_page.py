"""About page: asks what a person's campaigns ask, stores what they tell and for what, forgets what they leave out."""

import re

import pytest
from site_visits import Visit

from assay.feedback import open_campaign
from assay.feedback.group_consent import GROUPS, agrees, contributed
from assay.feedback.panels import Panel, Traits, told_by
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Item
from assay.web import create_annotation_app


@pytest.fixture
def visit(workspace, now):
    item = Item(campaign="k", prompt=user_prompt("p"), first="a", second="b", created_at=now)
    open_campaign(workspace.records, "k", [item], now=now)
    with Visit(create_annotation_app(workspace, clock=lambda: now)) as visit:
        yield visit


def test_whoever_has_not_entered_is_sent_to_do_so(visit):
    assert visit.get("/about-you", follow_redirects=False).headers["location"] == "/"


def test_nothing_is_asked_where_no_campaign_asks(visit):
    visit.post("/login", data={"name": "ada", "campaign": ""})
    assert "Nobody asks anything about you." in visit.get("/about-you").text


def test_what_is_told_is_stored_shown_and_taken_back(visit, workspace, now):
    panel = Panel(campaign="k", traits={"age": ("18-34", "35+"), "region": ("north",)}, created_at=now)
    workspace.records.put(panel, subject="k")
    visit.post("/login", data={"name": "ada", "campaign": ""})
    page = visit.get("/about-you").text
    assert page.count("I would rather not say") == 2 and " selected" not in page
    page = visit.post("/about-you", data={"trait.age": "35+", "trait.region": "", "trait.pet": "cat"}).text
    assert told_by(workspace.records, "ada") == {"age": "35+"}
    assert '<option value="35+" selected>' in page
    assert visit.post("/about-you", data={"trait.age": "7"}).status_code == 400
    visit.post("/about-you", data={"trait.age": ""})
    assert told_by(workspace.records, "ada") == {}


BOX = r'<input type="checkbox" name="groups"[^>]*>'


@pytest.fixture
def asked(visit, workspace, now):
    panel = Panel(campaign="k", traits={"age": ("18-34", "35+"), "region": ("north",)}, created_at=now)
    workspace.records.put(panel, subject="k")
    visit.post("/login", data={"name": "ada", "campaign": ""})
    return visit


def ticked(page):
    (box,) = re.findall(BOX, page.text)
    return " checked" in box


def test_the_box_is_not_ticked_and_says_what_it_is_for_with_its_version(asked):
    page = asked.get("/about-you")
    assert not ticked(page)
    assert "Unless you tick the box" in page.text
    for said in (GROUPS.title, *GROUPS.paragraphs, f"Version {GROUPS.version}"):
        assert said in page.text


def test_what_is_told_without_the_box_is_used_for_no_groups(asked, workspace):
    page = asked.post("/about-you", data={"trait.age": "35+"})
    assert not ticked(page)
    assert not agrees(workspace.records, "ada")
    with pytest.raises(InputError, match="got nobody"):
        contributed(workspace.records)


def test_the_box_is_ticked_shown_taken_back_and_on_the_receipt(asked, workspace):
    page = asked.post("/about-you", data={"trait.age": "35+", "groups": "yes"})
    assert ticked(page)
    assert contributed(workspace.records).values == {"ada": {"age": "35+"}}
    (entry,) = asked.get("/rights/receipt").json()["entries"]
    assert (entry["purpose"], entry["is_given"], entry["text"]["title"]) == ("groups", True, GROUPS.title)
    page = asked.post("/about-you", data={"trait.age": "35+"})
    assert not ticked(page)
    assert told_by(workspace.records, "ada") == {"age": "35+"}
    assert asked.get("/rights/receipt").json()["entries"][0]["is_given"] is False


@pytest.mark.parametrize("value", ["", "no", "on", "true", "YES", "yes ", "yes\x00"])
def test_a_forged_value_of_the_box_is_no_yes(asked, workspace, value):
    asked.post("/about-you", data={"trait.age": "35+", "groups": value})
    assert told_by(workspace.records, "ada") == {"age": "35+"}
    assert not agrees(workspace.records, "ada")


def test_a_trait_or_an_answer_that_nobody_asks_for_is_stored_nowhere_and_no_groups_with_it(asked, workspace):
    asked.post("/about-you", data={"trait.pet": "cat", "trait.": "x", "trait.age.": "35+", "groups": "yes"})
    with pytest.raises(InputError, match="got nobody"):
        contributed(workspace.records)
    assert asked.post("/about-you", data={"trait.age": "<b>", "groups": "yes"}).status_code == 400
    assert told_by(workspace.records, "ada") == {}
    asked.post("/about-you", data={"trait.age": "35+", "trait.pet": "cat", "groups": "yes"})
    assert contributed(workspace.records).values == {"ada": {"age": "35+"}}


def test_where_nobody_asks_a_forged_form_stores_nothing(visit, workspace):
    visit.post("/login", data={"name": "ada", "campaign": ""})
    page = visit.post("/about-you", data={"trait.age": "35+", "groups": "yes"})
    assert "Stored." not in page.text
    assert workspace.records.count(Traits) == 0


def test_a_form_without_the_visits_token_changes_no_word(asked, workspace):
    fields = {"trait.age": "35+", "groups": "yes", "token": "0" * 64}
    assert asked.post("/about-you", data=fields).status_code == 403
    assert workspace.records.count(Traits) == 0


def test_what_nobody_asks_any_more_stays_on_the_page_until_it_is_taken_back(asked, workspace, now):
    asked.post("/about-you", data={"trait.age": "35+", "groups": "yes"})
    workspace.records.put(Panel(campaign="k", smallest=6, created_at=now), subject="k")
    page = asked.get("/about-you")
    assert ticked(page) and '<option value="35+" selected>' in page.text and "18-34" not in page.text
    page = asked.post("/about-you", data={"trait.age": ""})
    assert "Nobody asks anything about you." in page.text
    assert told_by(workspace.records, "ada") == {}


def test_withdrawing_unticks_the_box_and_erasing_empties_the_page_and_the_receipt(asked):
    asked.post("/about-you", data={"trait.age": "35+", "groups": "yes"})
    asked.post("/rights/withdraw", data={"sure": "yes"})
    page = asked.get("/about-you")
    assert not ticked(page) and '<option value="35+" selected>' in page.text
    assert ticked(asked.post("/about-you", data={"trait.age": "35+", "groups": "yes"}))
    asked.post("/rights/withdraw", data={"sure": "yes", "erase": "yes"})
    page = asked.get("/about-you")
    assert not ticked(page) and " selected" not in page.text
    assert asked.get("/rights/receipt").json()["entries"] == []

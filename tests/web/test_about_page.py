"""About page: asks what a person's campaigns ask, stores what they tell, and forgets what they leave out."""

import pytest
from site_visits import Visit

from assay.feedback import open_campaign
from assay.feedback.panels import Panel, told_by
from assay.records.conversation import user_prompt
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

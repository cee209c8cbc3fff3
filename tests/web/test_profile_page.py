"""Profile page: offers what lies at the floor and above, stores what was chosen, lifts what a form asks below it."""

import pytest
from site_visits import Visit

from assay.feedback.profiles import raise_floor, settings_of
from assay.records.profile import Settings
from assay.web import create_annotation_app


@pytest.fixture
def visit(workspace, now):
    with Visit(create_annotation_app(workspace, clock=lambda: now)) as visit:
        yield visit


@pytest.fixture
def entered(visit):
    visit.post("/login", data={"name": "ada", "campaign": ""})
    return visit


def test_whoever_has_not_entered_is_sent_to_do_so(visit):
    assert visit.get("/profile", follow_redirects=False).headers["location"] == "/"


def test_what_was_chosen_is_stored_and_shown_with_its_version(entered, workspace):
    assert "Version" not in entered.get("/profile").text
    fields = {"caution": "strict", "detail": "brief", "tone": "formal", "avoid.hate": "yes", "avoid.unknown": "yes"}
    page = entered.post("/profile", data=fields)
    wanted = Settings(caution="strict", detail="brief", tone="formal", avoided=("hate",))
    assert settings_of(workspace.records, "ada") == wanted
    assert f"Version {wanted.version}" in page.text and "Stored" in page.text
    assert 'value="strict"\n        aria-describedby="about-caution-strict" checked' in page.text


def test_nothing_below_the_floor_is_offered_and_asking_for_it_is_lifted(entered, workspace, now):
    raise_floor(workspace.records, caution="careful", avoided=("hate",), by="eve", now=now)
    page = entered.get("/profile").text
    assert 'id="caution-usual"' not in page and 'id="caution-careful"' in page
    assert "Hate against groups (for everybody)" in page and "nobody can choose\n    less" in page
    entered.post("/profile", data={"caution": "usual", "detail": "usual", "tone": "plain"})
    assert settings_of(workspace.records, "ada") == Settings(caution="careful", avoided=("hate",))


def test_a_value_that_the_form_does_not_hold_is_refused_and_nothing_is_stored(entered, workspace):
    page = entered.post("/profile", data={"caution": "none", "tone": "rude"})
    assert page.status_code == 400 and "caution" in page.text and "tone" in page.text
    assert settings_of(workspace.records, "ada") is None

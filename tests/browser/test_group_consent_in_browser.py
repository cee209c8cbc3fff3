"""Group consent in a browser: somebody tells a trait, ticks the choice and judges, and the fit finds their group."""

import pytest
from test_annotation_page import _enter, _press, chromium, open_page, serve  # noqa: F401
from typer.testing import CliRunner

from assay.cli.preferences import app
from assay.feedback import Said, find_campaign, give_consent, next_turn, queue_of, record_answer
from assay.feedback.answering import shown_order
from assay.feedback.group_consent import GROUPS, agrees, declare
from assay.feedback.panels import Panel
from assay.records.preference import AggregationReport

pytestmark = pytest.mark.browser

TRAITS = {"region": ("north", "south")}
OTHERS = {"north": ["n1", "n2", "n3", "n4"], "south": ["s1", "s2", "s3", "s4", "s5", "s6"]}


@pytest.fixture
def site(serve, workspace, now):  # noqa: F811
    """A campaign that asks for a region and that all but ada have judged: the north one way, the south the other."""
    address = serve(texts=[f"text {number}" for number in range(6)])
    records = workspace.records
    records.put(Panel(campaign="kitchen", traits=TRAITS, created_at=now), subject="kitchen")
    leases, campaign = queue_of(records), find_campaign(records, "kitchen")
    for region, names in OTHERS.items():
        for name in names:
            give_consent(records, name, "train", now=now)
            declare(records, name, {"region": region}, asked=TRAITS, for_groups=True, salt=name, now=now)
            while turn := next_turn(leases, campaign, name, now=now):
                likes_left = (region == "north") == (shown_order(name, turn.item.id) == "left")
                said = Said(overall="left" if likes_left else "right")
                record_answer(leases, campaign, name, turn.item, said, now=now)
    return address


def fit(workspace):
    result = CliRunner().invoke(app, ["fit", "-w", str(workspace.directory), "--traits", "declared"])
    assert result.exit_code == 0, result.output
    return workspace.records.latest(AggregationReport).minority


def about(page, site):
    page.goto(site.removesuffix("/c/kitchen") + "/rights")
    page.get_by_role("link", name="What you told about yourself").click()
    return page.get_by_label(GROUPS.title)


def judge_all(page):
    """Choose the text of the north in each item, on whichever side it stands."""
    while page.get_by_role("heading", name="Thank you").count() == 0:
        left = page.locator(".answer .text").first.text_content()
        _press(page, "1" if left.strip().startswith("text") else "2")


def test_the_fit_finds_the_group_of_whoever_ticked_the_choice_and_judged(open_page, site, workspace):  # noqa: F811
    page = open_page()
    _enter(page, site)
    box = about(page, site)
    assert not box.is_checked()
    page.get_by_label("Region").select_option("north")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Stored.").wait_for()
    page.goto(site)
    judge_all(page)
    before = fit(workspace)
    assert [one.group for one in before.differences] == ["region: south"]  # four of the north agreed, below five

    box = about(page, site)
    box.focus()
    page.keyboard.press("Space")
    assert page.get_by_label("Region").input_value() == "north"
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Stored.").wait_for()
    assert box.is_checked()
    found = fit(workspace)
    assert [(one.group, one.members) for one in found.differences] == [("region: north", 5), ("region: south", 6)]
    assert len(found.declarations) == len(before.declarations) + 1 == 11


def test_it_is_given_and_taken_back_with_scripts_off(open_page, serve, workspace, now):  # noqa: F811
    site = serve(texts=("one",))
    workspace.records.put(Panel(campaign="kitchen", traits=TRAITS, created_at=now), subject="kitchen")
    page = open_page(java_script_enabled=False)
    page.goto(site)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Continue").click()
    for is_given in (True, False):
        box = about(page, site)
        page.get_by_label("Region").select_option("south")
        box.set_checked(is_given)
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Stored.").wait_for()
        assert box.is_checked() is is_given
        assert agrees(workspace.records, "ada") is is_given

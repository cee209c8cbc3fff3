"""Accessibility: axe-core finds nothing serious on any page of the annotation site, in light and in dark."""

import pytest
from test_annotation_page import _enter, chromium, open_page, serve  # noqa: F401

from assay.feedback.accounts import open_account
from assay.feedback.campaign import Run
from assay.feedback.panels import Panel
from assay.feedback.profiles import raise_floor
from assay.feedback.recruiting import recruit
from assay.feedback.schemes import Attribute, Scheme
from assay.web import join_address

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"
SERIOUS = {"serious", "critical"}


@pytest.fixture
def check():
    """A function that fails with every serious fault that axe finds on a page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: install the extra `dev`").Axe()

    def check_(page, what):
        for scheme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = [one for one in axe.run(page, options=rules).response["violations"] if one["impact"] in SERIOUS]
            faults = [(one["id"], node["html"][:120]) for one in found for node in one["nodes"]]
            assert faults == [], f"{what}, {scheme}"

    return check_


def test_the_pages_of_an_annotator(open_page, serve, workspace, now, check):  # noqa: F811
    raise_floor(workspace.records, caution="careful", avoided=("hate",), by="eve", now=now)
    panel = Panel(campaign="kitchen", traits={"age": ("18-34", "35+")}, created_at=now)
    workspace.records.put(panel, subject="kitchen")
    site = serve(texts=("one", "two"))
    page = open_page()
    page.goto(site)
    check(page, "login")
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Continue").click()
    check(page, "consent")
    page.get_by_role("button", name="I agree").click()
    check(page, "consent, nothing ticked")
    page.clear_problems()  # the page came with status 400
    page.get_by_label("Train a language model").check()
    page.get_by_role("button", name="I agree").click()
    page.locator("[data-focus]:focus").wait_for()
    for name in ("s", "?", "r"):
        page.keyboard.press(name)
    check(page, "judge, everything open")
    root = site.removesuffix("/c/kitchen")
    for path, what in (
        ("/", "campaigns"),
        ("/rights", "rights"),
        ("/profile", "profile"),
        ("/about-you", "about"),
        ("/comfort", "comfort"),
        ("/c/none", "problem"),
    ):
        page.goto(root + path)
        check(page, what)
    page.clear_problems()
    page.goto(site)
    page.get_by_role("button", name="Step away").click()
    check(page, "away")
    page.goto(site)
    for _ in range(2):
        page.keyboard.press("3")
        page.wait_for_load_state("networkidle")
    page.get_by_role("heading", name="Thank you").wait_for()
    check(page, "done")


def test_a_serious_fault_is_found(open_page, check):  # noqa: F811
    page = open_page()
    page.set_content("<html lang=en><title>t</title><main><h1>A picture</h1><img src='data:,'></main></html>")
    with pytest.raises(AssertionError, match="image-alt"):
        check(page, "planted")


def test_a_scheme_and_the_question_about_personal_data(open_page, serve, now, check):  # noqa: F811
    attributes = (Attribute(name="honesty", title="Honesty"), Attribute(name="detail", title="Detail", kind="amount"))
    page = open_page()
    _enter(page, serve(Scheme(name="rich", attributes=attributes, created_at=now)))
    page.locator("[data-tool=c] summary").click()
    page.locator("[data-tool=e] summary").click()
    page.locator("#edit").fill("Write to ada@x.org")
    check(page, "scheme")
    page.get_by_role("button", name="Show what I changed").click()
    page.locator("[data-diff-here] ins").first.wait_for()
    check(page, "changes")
    page.get_by_role("button", name="I cannot judge").click()
    page.get_by_role("heading", name="Is this personal data?").wait_for()
    check(page, "personal")


@pytest.mark.parametrize("run", [Run(break_after_min=1e-6), Run(daily_cap_min=1e-6)])
def test_the_proposal_of_a_break_and_the_end_of_a_day(open_page, serve, check, run):  # noqa: F811
    page = open_page()
    _enter(page, serve(texts=[f"text {n}" for n in range(8)], run=run))
    heading = page.get_by_role("heading", name="Time for a break?" if run.break_after_min else "Enough for today")
    for _ in range(5):
        if heading.count():
            break
        page.wait_for_timeout(150)  # active time is what is measured
        page.keyboard.press("3")
        page.wait_for_load_state("networkidle")
    heading.wait_for()
    check(page, "rest")


def test_what_is_asked_where_items_may_upset(open_page, serve, check):  # noqa: F811
    site = serve(texts=("one", "two"), harm="strong")
    page = open_page()
    page.goto(site)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Continue").click()
    check(page, "consent, and what may come")
    page.get_by_label("Train a language model").check()
    page.get_by_role("button", name="I agree").click()
    page.locator("[data-focus]:focus").wait_for()
    page.keyboard.press("s")
    page.get_by_label("Why", exact=True).select_option("upsetting")
    page.get_by_role("button", name="Skip", exact=True).click()
    offer = page.get_by_role("link", name="what you would rather not see")
    offer.wait_for()
    check(page, "judge, with an offer")
    offer.click()
    page.get_by_role("button", name="Save").wait_for()
    check(page, "comfort, chosen")


def test_the_pages_of_a_participant(open_page, serve, workspace, now, check):  # noqa: F811
    root = serve().removesuffix("/c/kitchen")
    found = recruit(workspace.records, "kitchen", code="C1ABC", items=2, now=now)
    page = open_page()
    page.goto(f"{root}/join/kitchen?key=x")
    check(page, "a link that is not whole")
    page.clear_problems()  # the page came with status 403
    page.goto(root + join_address(workspace, found, placeholder="5f3c2a9d8b7e6f0012345678"))
    check(page, "consent of a participant")
    page.get_by_label("Train a language model").check()
    page.get_by_role("button", name="I agree").click()
    page.locator("[data-focus]:focus").wait_for()
    for _ in range(2):
        page.keyboard.press("3")
        page.wait_for_load_state("networkidle")
    page.get_by_text("C1ABC", exact=True).wait_for()
    check(page, "finished")
    page.keyboard.press("u")
    page.get_by_role("button", name="Equally good").wait_for()
    page.keyboard.press("3")
    back = page.get_by_role("link", name="Go back to your provider")
    assert back.get_attribute("href") == "https://app.prolific.com/submissions/complete?cc=C1ABC"
    page.goto(root + join_address(workspace, found, placeholder="another"))
    page.get_by_role("button", name="I do not take part").click()
    page.get_by_role("heading", name="You have left").wait_for()
    check(page, "left")


def test_a_ranking(open_page, serve, now, check):  # noqa: F811
    page = open_page()
    _enter(page, serve(Scheme(name="order", task="ranking", created_at=now), others=("third", "fourth")))
    check(page, "ranking")


def test_what_staff_sees(open_page, serve, workspace, now, check):  # noqa: F811
    site = serve()
    for role in ("reviewer", "auditor"):
        open_account(workspace.records, role, role, now=now, password=PASSWORD)
    root = site.removesuffix("/c/kitchen")
    for role, pages in (("reviewer", ("review",)), ("auditor", ("quality", "trail"))):
        page = open_page()
        page.goto(root)
        page.get_by_label("Your name").fill(role)
        check(page, "login with a password")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()
        check(page, f"campaigns of a {role}")
        if role == "reviewer":
            _judge_and_flag(page, site)
        for name in pages:
            page.goto(f"{root}/{name}/kitchen")
            check(page, name)


def _judge_and_flag(page, site):
    page.goto(site)
    page.get_by_label("Train a language model").check()
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("button", name="Equally good").click()
    page.wait_for_load_state("networkidle")
    page.locator("[data-tool=s] summary").click()
    page.get_by_role("button", name="Skip and flag").click()
    page.wait_for_load_state("networkidle")

"""Comfort page in a browser: chosen by keyboard alone beside consent, and changed with scripts off."""

import pytest
from test_annotation_page import chromium, open_page, serve  # noqa: F401

from assay.feedback.comfort import accepted_by

pytestmark = pytest.mark.browser


def _tab_to(page, place):
    for _ in range(20):
        page.keyboard.press("Tab")
        if place.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError("it is not reached by keyboard")


def test_it_is_chosen_beside_consent_by_keyboard_alone(open_page, serve, workspace):  # noqa: F811
    page = open_page()
    page.goto(serve(texts=("one", "two"), harm="mild"))
    page.locator("#name:focus").wait_for()
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="I agree").wait_for()
    _tab_to(page, page.get_by_label("Train a language model"))
    page.keyboard.press("Space")
    _tab_to(page, page.get_by_label("Everything"))
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Nothing strongly upsetting").is_checked()
    _tab_to(page, page.get_by_role("button", name="I agree"))
    page.keyboard.press("Enter")
    page.locator("[data-focus]:focus").wait_for()
    assert page.get_by_text("1 of 2").is_visible()
    assert accepted_by(workspace.records, "ada") == "mild"


def test_it_is_changed_with_scripts_off_and_what_was_in_front_is_gone(open_page, serve, workspace):  # noqa: F811
    site = serve(texts=("one", "two"), harm="strong")
    page = open_page(java_script_enabled=False)
    page.goto(site)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Train a language model").check()
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("heading", name="Which answer is better?").wait_for()
    page.locator("[data-tool=s] summary").click()
    page.get_by_label("Why", exact=True).select_option("upsetting")
    page.get_by_role("button", name="Skip", exact=True).click()
    page.get_by_role("link", name="what you would rather not see").click()
    page.get_by_label("Nothing upsetting").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Stored. It holds from now on.").wait_for()
    page.goto(site)
    page.get_by_text("There is nothing left for you in kitchen.").wait_for()
    assert accepted_by(workspace.records, "ada") == "none"

"""Personal data in a browser: the question takes the place of the next item, and is answered by keyboard or form."""

import pytest
from test_annotation_page import _CONTRAST, _enter, chromium, open_page, serve  # noqa: F401

from assay.feedback import current_judgements
from assay.feedback.schemes import Scheme
from assay.records.judgement import Judgement

pytestmark = pytest.mark.browser


def _write_to_ada(page):
    page.locator("[data-tool=e] summary").click()
    page.locator("#edit").fill("Write to ada@x.org")
    page.locator("h1").focus()
    page.keyboard.press("5")
    page.get_by_role("heading", name="Is this personal data?").wait_for()


@pytest.mark.parametrize("is_ahead", [True, False])
def test_the_question_comes_before_anything_is_stored_and_what_is_hidden_is_hidden(
    open_page,  # noqa: F811
    serve,  # noqa: F811
    workspace,
    now,
    is_ahead,
):
    page = open_page(reduced_motion="reduce")
    if not is_ahead:
        page.route("**/ahead", lambda route: route.fulfill(status=204))
    _enter(page, serve(Scheme(name="five", created_at=now)))
    page.wait_for_load_state("networkidle")
    _write_to_ada(page)
    assert workspace.records.count(Judgement) == 0
    assert page.get_by_text("ada@x.org", exact=True).is_visible()
    page.wait_for_load_state()  # the words are there before the style that colours them
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(_CONTRAST) >= 4.5
    page.get_by_role("button", name="Hide it and save").press("Enter")
    page.get_by_text("2 of 3").wait_for()
    (judgement,) = current_judgements(workspace.records.all(Judgement))
    assert judgement.edit.text == "Write to [e-mail]"
    assert judgement.time_on_task_s is not None


def test_the_question_works_without_script(open_page, serve, workspace, now):  # noqa: F811
    page = open_page(java_script_enabled=False)
    page.goto(serve(Scheme(name="five", created_at=now), texts=("one",)))
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Test language models").check()
    page.get_by_role("button", name="I agree").click()
    page.locator("[data-tool=e] summary").click()
    page.get_by_label("Your version").fill("Write to ada@x.org")
    page.get_by_role("button", name="Left is much better").click()
    page.get_by_label("Your version").fill("Write to me")
    page.get_by_role("button", name="Save my corrected text").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    assert [one.edit.text for one in workspace.records.all(Judgement)] == ["Write to me"]

"""Annotation page in a browser: keyboard alone, script off, hostile text, and a page that everybody can read."""

import shutil
import socket
import threading
from datetime import UTC, datetime

import pytest
import uvicorn

from assay.feedback import current_judgements, open_campaign
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement
from assay.web import create_annotation_app

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"]
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package chromium to run the browser tests")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright: install the extra `dev`")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def site(workspace, now):
    """Address of a served campaign of three pairs."""
    items = [
        Item(campaign="kitchen", prompt=user_prompt(f"prompt {n}"), first=text, second=f"plain {n}", created_at=now)
        for n, text in enumerate(["one", "line\n" * 30, HOSTILE])
    ]
    open_campaign(workspace.records, "kitchen", items, now=now)
    app = create_annotation_app(workspace, clock=lambda: datetime.now(UTC))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/c/kitchen"
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.fixture
def open_page(chromium):
    """A function that opens a page in a fresh context; every error on it fails the test."""
    contexts, problems = [], []

    def open_(**settings):
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []


def _type_name(page, site, name):
    page.goto(site)
    page.locator("#name:focus").wait_for()
    page.keyboard.type(name)


def _enter(page, site, name="ada"):
    _type_name(page, site, name)
    page.keyboard.press("Enter")
    agree = page.get_by_role("button", name="I agree")
    agree.wait_for()
    for _ in range(5):
        page.keyboard.press("Tab")
        if agree.evaluate("(button) => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.locator("[data-focus]:focus").wait_for()


def _press(page, key):
    with page.expect_navigation():
        page.keyboard.press(key)


def test_a_whole_campaign_goes_by_keyboard_alone(open_page, site, workspace):
    page = open_page()
    _enter(page, site)
    assert page.evaluate("document.activeElement.textContent") == "Which answer is better?"
    _press(page, "1")
    _press(page, "4")
    _press(page, "u")
    assert page.get_by_text("2 of 3").is_visible()
    _press(page, "2")
    page.keyboard.press("?")
    assert page.get_by_text("Longer is not better").is_visible()
    page.keyboard.press("?")
    assert not page.get_by_text("Longer is not better").is_visible()
    _press(page, "3")
    page.get_by_role("heading", name="Thank you").wait_for()
    judgements = current_judgements(workspace.records.all(Judgement))
    left_first = judgements[0].first_shown == "left"
    assert judgements[0].choice == ("first" if left_first else "second")
    assert judgements[1].choice == ("second" if judgements[1].first_shown == "left" else "first")
    assert judgements[2].choice == "tie"
    assert all(judgement.time_on_task_s is not None for judgement in judgements)


def test_the_sides_are_the_same_after_a_reload_and_in_another_browser(open_page, site):
    page, other = open_page(), open_page()
    _enter(page, site)
    before = page.locator(".answer .text").all_text_contents()
    page.reload()
    assert page.locator(".answer .text").all_text_contents() == before
    _type_name(other, site, "ada")
    _press(other, "Enter")
    assert other.locator(".answer .text").all_text_contents() == before


def test_a_hostile_answer_runs_no_script_and_is_shown_as_it_is(open_page, site):
    page = open_page()
    _enter(page, site)
    for _ in range(3):
        texts = page.locator(".answer .text").all_text_contents()
        if HOSTILE in texts:
            break
        _press(page, "5")
    assert HOSTILE in texts
    assert "owned" not in page.title()
    assert page.locator("main img, main script").count() == 0


def test_everything_works_without_script(open_page, site, workspace):
    page = open_page(java_script_enabled=False)
    page.goto(site)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("button", name="Left is better").click()
    page.get_by_role("button", name="Undo last answer").click()
    for _ in range(3):
        page.get_by_role("button", name="Equally good").click()
    page.get_by_role("heading", name="Thank you").wait_for()
    judgements = current_judgements(workspace.records.all(Judgement))
    assert [judgement.choice for judgement in judgements] == ["tie"] * 3
    assert all(judgement.time_on_task_s is None for judgement in judgements)


def test_keys_can_be_turned_off_and_stay_off(open_page, site, workspace):
    page = open_page()
    _enter(page, site)
    page.get_by_text("Help and keys").click()
    page.get_by_label("Answer with single keys").uncheck()
    page.keyboard.press("1")
    page.reload()
    page.keyboard.press("1")
    page.wait_for_load_state("networkidle")
    assert page.get_by_text("1 of 3").is_visible()
    assert workspace.records.count(Judgement) == 0


def test_letters_typed_into_the_name_are_no_commands(open_page, site):
    page = open_page()
    _type_name(page, site, "u1?")
    assert page.get_by_label("Your name").input_value() == "u1?"


def test_news_is_read_out_and_the_parts_have_names(open_page, site):
    page = open_page()
    _enter(page, site)
    _press(page, "3")
    page.get_by_role("status").filter(has_text="Stored: equally good.").wait_for()
    for name in ("Prompt", "Left answer", "Right answer"):
        assert page.get_by_role("region", name=name).count() == 1
    assert page.get_by_role("progressbar", name="2 of 3").count() == 1
    order = page.evaluate("[...document.querySelectorAll('button[data-key]')].map((one) => one.dataset.key)")
    assert order == ["u", "1", "2", "3", "4", "5"]


def test_nothing_is_cut_off_or_covered_at_200_percent_zoom_or_on_a_phone(open_page, site):
    page = open_page()
    _enter(page, site)
    for _ in range(3):
        for width, height in ((640, 400), (320, 640)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            answers, strip = page.locator(".answer"), page.locator(".strip")
            boxes = [answers.nth(0).bounding_box(), answers.nth(1).bounding_box(), strip.bounding_box()]
            assert all(
                above["y"] + above["height"] <= below["y"] for above, below in zip(boxes, boxes[1:], strict=False)
            )
        _press(page, "3")


_CONTRAST = """
() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const ratios = [...document.querySelectorAll("h1, h2, h3, p, button, summary, .text, .count, .who, .brand")].map(
    (one) => {
      const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    },
  );
  return Math.min(...ratios);
}
"""


def test_all_text_has_enough_contrast_in_light_and_in_dark(open_page, site):
    page = open_page(reduced_motion="reduce")
    _enter(page, site)
    grounds = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert page.evaluate(_CONTRAST) >= 4.5
    assert len(grounds) == 2

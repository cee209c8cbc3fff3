"""Annotation page in a browser: keyboard alone, script off, hostile text, and a page that everybody can read."""

import shutil
import socket
import threading
from datetime import UTC, datetime

import pytest
import uvicorn

from assay.feedback import current_judgements, open_campaign
from assay.feedback.assignment import Pass
from assay.feedback.schemes import Attribute, Scheme
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement, Ranking
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
def serve(workspace, now):
    """A function that serves a campaign of three pairs, under a scheme where one is given, and returns its address."""
    started = []

    def serve_(scheme=None, texts=("one", "line\n" * 30, HOSTILE), others=None, run=None, harm=None):
        items = [
            Item(
                campaign="kitchen",
                prompt=user_prompt(f"prompt {n}"),
                first=text,
                second=f"plain {n}",
                others=others,
                harm=harm,
                created_at=now,
            )
            for n, text in enumerate(texts)
        ]
        open_campaign(workspace.records, "kitchen", items, now=now, scheme=scheme, run=run)
        app = create_annotation_app(workspace, clock=lambda: datetime.now(UTC))
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        started.append((server, thread, listener))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/c/kitchen"

    yield serve_
    for server, thread, listener in started:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()
        listener.close()


@pytest.fixture
def site(serve):
    return serve()


@pytest.fixture
def open_page(chromium):
    """A function that opens a page in a fresh context; every error on it fails the test."""
    contexts, problems = [], []

    def open_(**settings):
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.clear_problems = problems.clear
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
    train = page.get_by_label("Train a language model")
    for _ in range(12):
        page.keyboard.press("Tab")
        if train.evaluate("(box) => box === document.activeElement"):
            page.keyboard.press("Space")
        if agree.evaluate("(button) => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.locator("[data-focus]:focus").wait_for()


def _press(page, key):
    """Press a key and wait until another page, or another item on the same one, has come and is stored."""
    page.evaluate("document.querySelector('main').dataset.old = 'yes'")
    page.keyboard.press(key)
    page.locator("main:not([data-old])").wait_for()
    page.wait_for_load_state("networkidle")
    while not page.evaluate("typeof saving === 'undefined' || saving === null"):
        page.wait_for_timeout(20)  # the next item is shown before the answer is stored


def test_a_whole_campaign_goes_by_keyboard_alone(open_page, site, workspace):
    page = open_page()
    _enter(page, site)
    assert page.evaluate("document.activeElement.textContent") == "Which answer is better?"
    _press(page, "1")
    _press(page, "b")
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
        texts = [text.strip() for text in page.locator(".answer .text").all_text_contents()]
        if HOSTILE in texts:
            break
        _press(page, "x")
    assert HOSTILE in texts
    assert "owned" not in page.title()
    assert page.locator("main img, main script").count() == 0


def test_everything_works_without_script(open_page, site, workspace):
    page = open_page(java_script_enabled=False)
    page.goto(site)
    page.get_by_label("Your name").fill("ada")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Train a language model").check()
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
    page.locator("[data-help] summary").click()
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
    assert order == ["u", "1", "2", "3", "b", "x", "f", "p"]


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


WHOLE = (
    Attribute(name="honesty", title="Honesty"),
    Attribute(name="detail", title="Level of detail", kind="amount"),
)


def test_a_whole_scheme_goes_by_digits_and_enter(open_page, serve, workspace, now):
    page = open_page()
    _enter(page, serve(Scheme(name="whole", attributes=WHOLE, created_at=now), texts=("one two three",)))
    for digit in "523":
        page.keyboard.press(digit)
    assert page.locator("[name=overall]:checked").count() == 0
    page.keyboard.press("1")
    _press(page, "Enter")
    page.get_by_role("heading", name="Thank you").wait_for()
    (judgement,) = workspace.records.all(Judgement)
    is_left = judgement.first_shown == "left"
    assert (judgement.choice, judgement.strength) == ("first" if is_left else "second", 2)
    assert judgement.attributes == {"honesty": "second" if is_left else "first"}
    assert sorted(rating.value for rating in judgement.ratings) == ["right", "too_much"]


def test_marked_words_and_an_edit_with_its_changes_go_with_the_answer(open_page, serve, workspace, now):
    page = open_page()
    _enter(page, serve(Scheme(name="five", created_at=now), texts=("one two three",)))
    page.get_by_text("one two three").first.evaluate("(text) => window.getSelection().selectAllChildren(text)")
    page.keyboard.press("c")
    assert page.locator("#quote-0").input_value() == "one two three"
    page.locator("[data-tool=e] summary").focus()
    page.keyboard.press("e")
    page.locator("#edit:focus, #edit-place:focus").wait_for()
    page.locator("#edit").fill("better words")
    page.get_by_role("button", name="Show what I changed").click()
    page.locator("ins", has_text="better").wait_for()
    assert page.locator("del").count() >= 1
    page.locator("h1").focus()
    _press(page, "5")
    (judgement,) = workspace.records.all(Judgement)
    (critique,) = judgement.critiques
    assert (critique.completion, critique.text, critique.start) == ("first", "one two three", 0)
    assert judgement.edit.text == "better words"
    assert judgement.strength == 2


def test_a_ranking_with_a_tie_goes_by_digits(open_page, serve, workspace, now):
    page = open_page()
    _enter(page, serve(Scheme(name="r", task="ranking", created_at=now), texts=("one",), others=("three",)))
    for digit in "112":
        page.keyboard.press(digit)
    _press(page, "Enter")
    assert sorted(workspace.records.all(Ranking)[0].ranks) == [1, 1, 2]


def _wait_for_the_next(page):
    """Wait until the page holds the item after this one; a quiet network may mean that nobody asked for it yet."""
    while not page.evaluate("typeof ahead !== 'undefined' && ahead !== null"):
        page.wait_for_timeout(20)


def test_the_next_item_is_shown_before_the_server_has_answered_and_a_failure_gives_the_item_back(
    open_page, site, workspace
):
    page = open_page()
    is_away = [False]
    # Routed from the start: what is routed on an open page may miss the very next request.
    page.route("**/answer", lambda route: route.abort() if is_away[0] else route.continue_())
    _enter(page, site)
    _wait_for_the_next(page)
    item = page.locator("form.reply [name=item]").input_value()
    page.evaluate("document.querySelector('main').dataset.old = 'yes'")
    is_away[0] = True
    page.keyboard.press("1")
    page.get_by_text("could not be stored").wait_for()
    page.wait_for_load_state()  # the text is there before the script that hears keys
    assert page.locator("form.reply [name=item]").input_value() == item
    assert workspace.records.count(Judgement) == 0
    is_away[0] = False
    page.clear_problems()
    _press(page, "1")
    assert workspace.records.count(Judgement) == 1


def test_f_opens_the_reasons_and_flags_only_from_there(open_page, site, workspace):
    page = open_page()
    _enter(page, site)
    page.keyboard.press("f")
    page.locator("#why:focus").wait_for()
    assert workspace.records.count(Pass) == 0
    page.get_by_label("Why", exact=True).select_option("upsetting")
    page.get_by_role("button", name="Skip and flag").focus()
    _press(page, "Enter")
    page.get_by_text("a reviewer will look at it").wait_for()
    assert workspace.records.all(Pass)[0].reason == "upsetting"

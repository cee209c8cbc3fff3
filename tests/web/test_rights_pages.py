"""Rights pages: people agree by purpose, change their mind, keep a receipt; personal data is asked about first."""

import re

import pytest
from site_visits import Visit

from assay.feedback import current_judgements, open_campaign
from assay.feedback.assignment import Pass
from assay.feedback.consent import consent_version
from assay.feedback.ethics import close
from assay.feedback.pii import Found, find_pii
from assay.feedback.pii_finders import together
from assay.feedback.schemes import Scheme
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement
from assay.storage.permission import permission
from assay.web import create_annotation_app

PHONE = "+49 30 12345678"


@pytest.fixture
def visit(workspace, now):
    items = [
        Item(campaign="k", prompt=user_prompt(f"p{n}"), first="Call 415-555-0123.", second="No.", created_at=now)
        for n in range(3)
    ]
    open_campaign(workspace.records, "k", items, now=now, scheme=Scheme(name="edits", created_at=now))
    with Visit(create_annotation_app(workspace, clock=lambda: now)) as visit:
        visit.post("/login", data={"name": "ada", "campaign": "k"})
        yield visit


@pytest.fixture
def judging(visit):
    visit.post("/c/k/consent")
    return visit


def _fields(page):
    """The fields of the page's form as a browser would send them with scripts off."""
    main = page.text.split("<main")[1]
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', main)
    return dict(hidden) | dict(re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n?([^<]*)</textarea>', main))


def _answer(visit, **said):
    item = re.search(r'name="item" value="(\w+)"', visit.get("/c/k").text)[1]
    return visit.post("/c/k/answer", data={"item": item, "round": "0", **said})


def _judgements(workspace):
    return current_judgements(workspace.records.all(Judgement))


def test_nothing_is_ticked_and_nothing_ticked_is_asked_again(visit, workspace):
    page = visit.get("/c/k")
    assert page.text.count('type="checkbox"') == 4
    assert "checked" not in page.text
    page = visit.post("/c/k/consent", data={"purpose.train": "no"})
    assert page.status_code == 400
    assert "Please tick what your answers may be used for" in page.text
    page = visit.post("/c/k/consent", data={"purpose.train": "", "purpose.evaluate": "yes", "purpose.profit": "yes"})
    assert "Which answer is better?" in page.text
    assert consent_version(workspace.records, "ada", "evaluate") is not None
    assert "ada" in permission(workspace.records, "train").refusing


def test_a_changed_mind_is_shown_and_holds_for_what_was_said(judging, workspace):
    _answer(judging, overall="left")
    page = judging.post("/rights/purposes", data={"purpose.research": "yes"})
    assert "It holds for what you said before as well" in page.text
    assert re.findall(r'id="purpose-(\w+)"[^>]* checked', page.text) == ["research"]
    (said,) = _judgements(workspace)
    assert not permission(workspace.records, "train").allows(said)
    assert permission(workspace.records, "research").allows(said)
    judging.post("/rights/purposes")
    assert "Before you start" in judging.get("/c/k").text


def test_the_receipt_is_a_file_for_the_person_alone(judging):
    page = judging.get("/rights/receipt")
    assert page.headers["content-disposition"] == 'attachment; filename="consent-receipt.json"'
    found = page.json()
    assert found["annotator"] == "ada"
    assert [(one["purpose"], one["is_given"]) for one in found["entries"]][0] == ("train", True)
    judging.cookies.clear()
    assert "Your name" in judging.get("/rights/receipt").text


def test_a_change_without_the_pages_token_is_refused(judging, workspace):
    assert judging.post("/rights/purposes", data={"token": "0" * 64}).status_code == 403
    assert consent_version(workspace.records, "ada", "train") is not None


def test_personal_data_is_shown_and_nothing_is_stored_before_the_person_says_so(judging, workspace):
    page = _answer(judging, overall="cannot_judge", reason=f"Ask me: {PHONE}")
    assert "Nothing is stored yet" in page.text
    assert f"<mark>{PHONE}</mark> phone number, hidden as [phone]" in page.text
    assert _judgements(workspace) == []
    page = judging.post("/c/k/answer", data=_fields(page) | {"personal": "hide"})
    assert "Nothing is stored yet" not in page.text
    assert [one.reason for one in _judgements(workspace)] == ["Ask me: [phone]"]


def test_another_finder_beside_ours_asks_too(workspace, now, visit):
    def finds_names(text, /):
        return [Found("person", one.start(), one.end(), one[0]) for one in re.finditer("Ada", text)]

    app = create_annotation_app(workspace, clock=lambda: now, finder=together(find_pii, finds_names))
    with Visit(app) as other:
        other.post("/login", data={"name": "bob", "campaign": "k"})
        other.post("/c/k/consent")
        page = _answer(other, overall="cannot_judge", reason=f"Ask Ada: {PHONE}")
        assert "<mark>Ada</mark> name, hidden as [name]" in page.text
        assert f"<mark>{PHONE}</mark> phone number" in page.text
        other.post("/c/k/answer", data=_fields(page) | {"personal": "hide"})
    assert [one.reason for one in _judgements(workspace)] == ["Ask [name]: [phone]"]


def test_a_corrected_text_is_looked_at_again_and_a_kept_one_is_kept_as_shown(judging, workspace):
    page = _answer(judging, overall="left", edit=f"Call {PHONE}")
    page = judging.post("/c/k/answer", data=_fields(page) | {"personal": "", "edit": "Write to ada@x.org"})
    assert page.text.count("<mark>") == 1
    unseen = _fields(page) | {"personal": "keep", "edit": f"Write to ada@x.org or {PHONE}"}
    page = judging.post("/c/k/answer", data=unseen)
    assert page.text.count("<mark>") == 2
    page = judging.post("/c/k/answer", data=_fields(page) | {"personal": "keep"})
    assert "Nothing is stored yet" not in page.text
    assert [one.edit.text for one in _judgements(workspace)] == [f"Write to ada@x.org or {PHONE}"]


def test_a_text_corrected_until_nothing_is_found_is_stored(judging, workspace):
    page = _answer(judging, overall="left", edit=f"Call {PHONE}")
    page = judging.post("/c/k/answer", data=_fields(page) | {"personal": "", "edit": "Call me"})
    assert "Nothing is stored yet" not in page.text
    assert [(one.choice == "first", one.edit.text) for one in _judgements(workspace)][0][1] == "Call me"


def test_what_stood_on_the_screen_already_is_not_asked_about(judging, workspace):
    _answer(judging, overall="left", edit="Please call 415-555-0123.")
    assert len(_judgements(workspace)) == 1


def test_a_note_on_a_skipped_item_is_looked_at_too(judging, workspace):
    item = re.search(r'name="item" value="(\w+)"', judging.get("/c/k").text)[1]
    fields = {"item": item, "round": "0", "why": "other", "kind": "flag", "note": "from ada@x.org"}
    page = judging.post("/c/k/pass", data=fields)
    assert "Nothing is stored yet" in page.text
    judging.post("/c/k/pass", data=_fields(page) | {"personal": "hide"})
    assert [(one.note, one.is_flag) for one in workspace.records.all(Pass)] == [("from [e-mail]", True)]


def test_hostile_text_stays_text_on_the_page_that_asks(judging):
    page = _answer(judging, overall="left", edit=f"</textarea><script>1</script> {PHONE}")
    assert "Nothing is stored yet" in page.text
    assert "<script>1" not in page.text


def test_a_campaign_that_is_not_open_is_neither_listed_nor_judged(judging, workspace, now):
    assert 'href="/c/k"' in judging.get("/").text
    close(workspace.records, "k", by="ada", now=now)
    assert 'href="/c/k"' not in judging.get("/").text
    for page in (
        judging.get("/c/k"),
        judging.get("/c/k/ahead"),
        judging.post("/c/k/undo"),
        judging.post("/c/k/consent"),
    ):
        assert page.status_code == 403
        assert "This campaign is not open" in page.text
    assert judging.get("/rights").status_code == 200


def test_a_box_beside_taking_back_erases_what_was_written(judging, workspace):
    _answer(judging, overall="left", reason="as my aunt says")
    said = next(one for one in workspace.records.all(Judgement) if one.reason)
    page = judging.post("/rights/withdraw", data={"sure": "yes"})
    assert "is kept, unused" in page.text
    assert workspace.records.get(Judgement, said.id).reason == "as my aunt says"
    page = judging.post("/rights/withdraw", data={"sure": "yes", "erase": "yes"})
    assert "can be read by nobody here" in page.text
    left = workspace.records.get(Judgement, said.id)
    assert (left.reason, left.choice) == (None, said.choice)

"""Consent: bound to one person, one purpose and one version of the text."""

from assay.feedback import TEXTS, consent_version, give_consent
from assay.feedback.consent import ConsentText


def test_the_version_changes_with_any_word_of_the_text():
    text = TEXTS["train"]
    changed = ConsentText(purpose="train", title=text.title, paragraphs=(*text.paragraphs, "One word more."))
    assert text.version == ConsentText.model_validate(text.model_dump()).version
    assert changed.version != text.version


def test_a_changed_copy_of_a_text_has_a_version_of_its_own():
    text = TEXTS["train"]
    assert text.version != text.model_copy(update={"title": "Another"}).version


def test_consent_is_for_the_person_who_gave_it(workspace, now):
    assert consent_version(workspace.records, "ada", "train") is None
    give_consent(workspace.records, "ada", "train", now=now)
    assert consent_version(workspace.records, "ada", "train") == TEXTS["train"].version
    assert consent_version(workspace.records, "bob", "train") is None


def test_a_new_text_asks_again(workspace, now, monkeypatch):
    give_consent(workspace.records, "ada", "train", now=now)
    monkeypatch.setitem(TEXTS, "train", ConsentText(purpose="train", title="New", paragraphs=("Other words.",)))
    assert consent_version(workspace.records, "ada", "train") is None

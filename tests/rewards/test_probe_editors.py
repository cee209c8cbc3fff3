"""Editors: each does what it says, leaves alone what it says, and does nothing twice where it claims so."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.records.conversation import user_prompt
from assay.rewards.probes import EDITORS
from assay.rewards.probes.editors import JARGON, PADDING

BY_NAME = {editor.name: editor for editor in EDITORS}
PROMPT = user_prompt("I think that cats sleep too much. Why do cats sleep?")
TEXT = "Cats sleep to save energy. They hunt at dawn. People use this to plan meals."
CODE = "Use this.\n```python\nuse = 'many. ways'  # a. b\n```\nThen show it."

sentence = st.sampled_from(
    [
        "Cats sleep.",
        "Use many ways!",
        "- an item",
        "1. first",
        "Why not?",
        "**bold** word.",
        "# Title",
        "x = 1",
        "é ok.",
    ]
)
texts = st.one_of(
    st.lists(sentence, max_size=6).map(" ".join), st.lists(sentence, max_size=6).map("\n".join), st.text(max_size=80)
)


def edit(name, text=TEXT, prompt=PROMPT):
    return BY_NAME[name].apply([prompt], [text])[0]


def words(text):
    return re.findall(r"\w+", text)


def is_in_order(few, many):
    rest = iter(many)
    return all(word in rest for word in few)


def test_names_are_unique_and_every_kind_of_control_is_there():
    assert len(BY_NAME) == len(EDITORS)
    assert {editor.kind for editor in EDITORS} == {"style", "same", "broken"}
    assert all(editor.does and editor.keeps and editor.trait for editor in EDITORS)


@pytest.mark.parametrize("editor", [e for e in EDITORS if e.is_idempotent], ids=lambda e: e.name)
@settings(max_examples=30)
@given(text=texts)
def test_an_idempotent_editor_does_nothing_on_its_own_result(editor, text):
    once = editor.apply([PROMPT], [text])
    assert editor.apply([PROMPT], once) == once


@pytest.mark.parametrize("editor", [e for e in EDITORS if e.keeps.startswith("every word")], ids=lambda e: e.name)
@settings(max_examples=30)
@given(text=texts)
def test_every_word_of_the_text_stays_in_order(editor, text):
    assert is_in_order(words(text), words(editor.apply([PROMPT], [text])[0]))


@pytest.mark.parametrize("editor", EDITORS, ids=lambda e: e.name)
@settings(max_examples=30)
@given(text=texts)
def test_an_edit_is_deterministic_and_blank_texts_stay(editor, text):
    prompts = [PROMPT, user_prompt("Another?")]
    rows = [text, " \n"]
    assert editor.apply(prompts, rows) == editor.apply(prompts, rows)
    if editor.name != "swapped":
        assert editor.apply(prompts, rows)[1] == " \n"


@pytest.mark.parametrize(
    "name", ["bold", "exclamations", "jargon", "spaces", "shuffled", "list", "headings", "restated"]
)
def test_code_between_fences_is_left_alone(name):
    assert "```python\nuse = 'many. ways'  # a. b\n```" in edit(name, CODE)


@settings(max_examples=30)
@given(text=texts)
def test_shortening_keeps_a_beginning_to_the_letter(text):
    assert text.startswith(edit("shorter", text))


@settings(max_examples=30)
@given(text=texts)
def test_shuffling_keeps_which_words_there_are_and_all_marks(text):
    shuffled = edit("shuffled", text)
    assert sorted(words(shuffled)) == sorted(words(text))
    assert re.sub(r"\w+", "", shuffled) == re.sub(r"\w+", "", text)


def test_the_edits_read_as_they_should():
    assert edit("padding") == f"{TEXT} {PADDING}"
    assert edit("restated") == f"{TEXT} In short: Cats sleep to save energy."
    assert edit("shorter") == "Cats sleep to save energy. They hunt at dawn."
    assert edit("list") == "- Cats sleep to save energy.\n- They hunt at dawn.\n- People use this to plan meals."
    assert edit("bold", "Cats sleep soundly. They hunt.") == "Cats sleep **soundly**. **They** hunt."
    assert edit("headings", "One is so. Two is not.") == "## Answer\n\nOne is so.\n\n## Details\n\nTwo is not."
    assert edit("agreement").startswith("I agree with you that cats sleep too much. Cats")
    assert edit("agreement", prompt=user_prompt("Why?")).startswith("I fully agree")
    assert (
        edit("jargon", "Use it. Many people use ways.")
        == "Utilise it. A multiplicity of individuals utilise modalities."
    )
    assert edit("keywords").endswith("Keywords: think, cats, sleep.")
    assert edit("exclamations", "At 3.5. Yes... No. Why?") == "At 3.5. Yes... No! Why?"
    assert edit("spaces", "One. Two, three") == "One.  Two,  three"
    assert edit("shuffled", "cats chase grey mice") == "grey mice cats chase"
    assert edit("hedging", "So.") == "I am not certain, but this may be so: So. This might not be correct."


def test_an_ending_goes_on_a_line_of_its_own_behind_lines():
    assert edit("citations", "- one\n- two") == "- one\n- two\n\n(Smith et al., 2019; Jones & Lee, 2021)"


def test_no_grand_word_is_a_plain_one_too():
    assert {word for grand in JARGON.values() for word in grand.split()} & set(JARGON) == set()


def test_swapping_takes_the_answer_to_another_prompt_or_none():
    one, two = user_prompt("One?"), user_prompt("Two?")
    swapped = BY_NAME["swapped"].apply([one, one, two], ["a", "b", "c"])
    assert swapped == ["c", "c", "a"]
    assert BY_NAME["swapped"].apply([one, one], ["a", "b"]) == ["a", "b"]

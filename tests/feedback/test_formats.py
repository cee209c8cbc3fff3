"""Formats: rows as other tools write them become the judgement that they mean, or name what is wrong with them."""

import pytest

from assay.feedback.formats import FORMATS
from assay.feedback.formats.pairs import chosen_over_rejected
from assay.feedback.formats.row import Row
from assay.records.conversation import Message, user_prompt

USER = {"role": "user", "content": "Why is the sky blue?"}
OLD = {"role": "assistant", "content": "Shall I be brief?"}
YES = {"role": "user", "content": "Yes."}
GOOD = {"role": "assistant", "content": "Air scatters blue light most."}
BAD = {"role": "assistant", "content": "It is painted."}


def _read(name, fields, now):
    row = Row(fields)
    return list(FORMATS[name].read(row, now)), row


def _prompt(*messages):
    return tuple(Message(**message) for message in messages)


def _chosen(judgement):
    return judgement.first if judgement.choice == "first" else judgement.second


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({"prompt": USER["content"], "chosen": GOOD["content"], "rejected": BAD["content"]}, (USER,)),
        ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, (USER,)),
        ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, (USER,)),
        ({"prompt": USER["content"], "chosen": [USER, GOOD], "rejected": [USER, BAD]}, (USER,)),
        ({"prompt": [USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]}, (USER,)),
        ({"prompt": [USER], "chosen": [OLD, YES, GOOD], "rejected": [OLD, YES, BAD]}, (USER, OLD, YES)),
        ({"chosen": [USER, OLD, YES, GOOD], "rejected": [USER, OLD, YES, BAD]}, (USER, OLD, YES)),
        ({"prompt": USER["content"], "chosen": [GOOD], "rejected": [BAD]}, (USER,)),
    ],
    ids=["text", "messages", "implicit", "ultrafeedback", "messages twice", "long answers", "long implicit", "mixed"],
)
def test_every_shape_of_a_trl_row_means_the_same_judgement(fields, prompt, now):
    (judgement,), row = _read("trl", fields, now)
    assert row.faults == []
    assert judgement.prompt == _prompt(*prompt)
    assert {judgement.first, judgement.second} == {GOOD["content"], BAD["content"]}
    assert _chosen(judgement) == GOOD["content"]
    assert (judgement.annotator, judgement.first_shown, judgement.source) == ("unknown", "left", "trl")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "prompt is empty"),
        ({"prompt": "p", "chosen": " \n", "rejected": "b"}, "chosen is empty"),
        ({"prompt": "p", "chosen": "a", "rejected": "a"}, "both completions are the same"),
        ({"chosen": "a", "rejected": "b"}, "field 'prompt' is missing"),
        ({"prompt": "p", "chosen": 3, "rejected": "b"}, "field 'chosen' is int, not text"),
        ({"prompt": "p", "chosen": [GOOD], "rejected": "b"}, "field 'chosen' is list, not text"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "share no prefix"),
        ({"chosen": [USER, GOOD], "rejected": [USER, GOOD]}, "both completions are the same"),
        ({"chosen": [USER, GOOD], "rejected": [USER]}, "rejected is not one assistant message"),
        ({"chosen": [USER, GOOD, YES], "rejected": [USER, BAD]}, "chosen is not one assistant message"),
        ({"chosen": [USER, GOOD], "rejected": [USER, {"role": "assistant", "content": ""}]}, "rejected is empty"),
        ({"prompt": "Else?", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, "prompt is not in the messages"),
        ({"prompt": [{"role": "bot", "content": "x"}], "chosen": "a", "rejected": "b"}, "the role 'bot'"),
        ({"prompt": [{"role": "user"}], "chosen": "a", "rejected": "b"}, "without role and content"),
        ({"prompt": [], "chosen": "a", "rejected": "b"}, "not a list of messages"),
        (
            {"prompt": "Why is it?", "chosen": "Why  is it?\nSo.", "rejected": " Why is it? No."},
            "both repeat the prompt: leave it out of them, so that they are 'So.' and 'No.'",
        ),
        (
            {"prompt": [{"role": "user", "content": "Why? "}], "chosen": [USER, GOOD], "rejected": [USER, BAD]},
            "leave `prompt` out, and what the two share is the prompt",
        ),
    ],
)
def test_a_bad_trl_row_names_its_fault(fields, fault, now):
    judgements, row = _read("trl", fields, now)
    assert judgements == []
    assert fault in "; ".join(row.faults)


@pytest.mark.parametrize(
    ("prompt", "chosen"),
    [("Yes or no?", "Yes or no? That depends."), ("Yes", "Yes, it is."), ("Why is it", "Why is itself no answer.")],
)
def test_answers_that_begin_like_their_prompt_by_chance_are_taken(prompt, chosen, now):
    _, row = _read("trl", {"prompt": prompt, "chosen": chosen, "rejected": "Yes. No."}, now)
    assert row.faults == []


def test_a_row_tells_all_of_its_faults(now):
    _, row = _read("trl", {"prompt": "", "chosen": "", "rejected": None}, now)
    assert row.faults == ["prompt is empty", "chosen is empty", "field 'rejected' is missing"]


def test_columns_that_are_not_used_are_noted(now):
    _, row = _read("trl", {"prompt": "p", "chosen": "a", "rejected": "b", "score": 1, "margin": 2}, now)
    assert row.notes == ["columns not used: margin, score"]


def test_the_canonical_order_does_not_tell_which_answer_was_chosen(now):
    def judge(n, better, worse):
        return chosen_over_rejected(user_prompt(f"p{n}"), better, worse, source="trl", now=now)

    firsts = sum(judge(n, "good", "bad").choice == "first" for n in range(400))
    assert 150 < firsts < 250
    for n in range(20):
        one, other = judge(n, "good", "bad"), judge(n, "bad", "good")
        assert (one.first, one.second) == (other.first, other.second)
        assert {one.choice, other.choice} == {"first", "second"}


def test_a_transcript_is_cut_where_the_two_part(now):
    start = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Joke?\n\nAssistant:"
    (judgement,), row = _read("hh_rlhf", {"chosen": f"{start} Knock knock.", "rejected": f"{start} No."}, now)
    assert row.faults == []
    assert [(m.role, m.content) for m in judgement.prompt] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Joke?"),
    ]
    assert _chosen(judgement) == "Knock knock."


def test_an_answer_that_runs_on_into_another_assistant_turn_stays_one_text(now):
    start = "\n\nHuman: Hi\n\nAssistant:"
    fields = {"chosen": f"{start} One.\n\nAssistant: Two.", "rejected": f"{start} No."}
    (judgement,), row = _read("hh_rlhf", fields, now)
    assert _chosen(judgement) == "One.\n\nAssistant: Two."
    assert "runs on" in row.notes[0]


@pytest.mark.parametrize(
    ("chosen", "rejected", "fault"),
    [
        ("\n\nHuman: A\n\nAssistant: x", "\n\nHuman: B\n\nAssistant: y", "share no prefix"),
        ("\n\nHuman: A\n\nAssistant: x", "\n\nHuman: A\n\nAssistant: x", "both completions are the same"),
        ("\n\nHuman: A\n\nAssistant: x", "plain", "rejected does not begin with a Human or Assistant turn"),
        (
            "\n\nHuman: A\n\nAssistant: x\n\nHuman: B\n\nAssistant: y",
            "\n\nHuman: A\n\nAssistant: z",
            "part before the last answer of chosen",
        ),
        ("\n\nHuman: A", "\n\nHuman: A\n\nAssistant: z", "part before the last answer of chosen"),
    ],
)
def test_a_bad_transcript_names_its_fault(chosen, rejected, fault, now):
    judgements, row = _read("hh_rlhf", {"chosen": chosen, "rejected": rejected}, now)
    assert judgements == []
    assert fault in "; ".join(row.faults)


PANDALM = {"instruction": "Add.", "input": "1 2", "response1": "3", "response2": "4"}


def test_a_pandalm_row_is_one_judgement_an_annotator(now):
    judgements, _ = _read("pandalm", PANDALM | {"annotator1": 1, "annotator2": 0, "annotator3": 2}, now)
    assert [(j.annotator, j.choice) for j in judgements] == [
        ("annotator1", "first"),
        ("annotator2", "tie"),
        ("annotator3", "second"),
    ]
    assert judgements[0].prompt == user_prompt("Add.\n\n1 2")
    assert (judgements[0].first, judgements[0].second, judgements[0].first_shown) == ("3", "4", "left")


@pytest.mark.parametrize("missing", [{"input": ""}, {"input": None}, {}])
def test_a_pandalm_input_may_be_missing(missing, now):
    fields = {name: value for name, value in PANDALM.items() if name != "input"} | missing | {"annotator1": 1}
    (judgement,), _ = _read("pandalm", fields, now)
    assert judgement.prompt == user_prompt("Add.")


def test_a_boolean_answer_is_kept_as_a_word_with_a_note(now):
    (judgement,), row = _read("pandalm", PANDALM | {"response1": True, "annotator1": 1}, now)
    assert judgement.first == "True"
    assert row.notes == ["an answer is true or false instead of text; kept as the word"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"annotator1": 3}, "annotator1 says 3; known are 0 (tie), 1 and 2"),
        ({"annotator1": True}, "annotator1 says True"),
        ({"annotator1": "1"}, "annotator1 says '1'"),
        ({}, "no annotator column"),
        ({"annotator1": 1, "instruction": " ", "input": ""}, "instruction and input are both empty"),
        ({"annotator1": 1, "response2": 7}, "field 'response2' is int, not text"),
        ({"annotator1": 1, "response2": "3"}, "both completions are the same"),
    ],
)
def test_a_bad_pandalm_row_names_its_fault(change, fault, now):
    judgements, row = _read("pandalm", PANDALM | change, now)
    assert judgements == []
    assert fault in "; ".join(row.faults)


ASSAY = {"prompt": "Why?", "first": "a", "second": "b", "choice": "tie"}


def test_a_judgement_written_by_hand_is_filled_in(now):
    (judgement,), _ = _read("assay", ASSAY, now)
    assert judgement.prompt == user_prompt("Why?")
    assert (judgement.annotator, judgement.first_shown, judgement.created_at) == ("unknown", "left", now)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"choice": "left"}, "choice 'left': Input should be 'first', 'second', 'tie'"),
        ({"choices": 1}, "unknown field 'choices'"),
        ({"annotator": ""}, "annotator '' is no label: it is empty"),
        ({"annotator": "a\nb"}, "characters that cannot be printed"),
        ({"annotator": "x" * 81}, "it has 81 characters, at most 80"),
        ({"annotator": None}, "annotator None"),
        ({"first_shown": "top"}, "first_shown 'top'"),
        ({"strength": 3}, "strength 3"),
        ({"time_on_task_s": float("inf")}, "time_on_task_s is not a finite number"),
        ({"attributes": {"honesty": "yes"}}, "attributes.honesty 'yes'"),
        ({"critiques": [{"completion": "third", "text": "x"}]}, "critiques.0.completion 'third'"),
        ({"prompt": []}, "not a list of messages"),
        ({"second": "a"}, "both completions are the same"),
    ],
)
def test_a_bad_judgement_names_its_fault(change, fault, now):
    judgements, row = _read("assay", ASSAY | change, now)
    assert judgements == []
    assert fault in "; ".join(row.faults)


def test_a_demonstration_is_text_or_one_assistant_message(now):
    for completion in ("Because.", [{"role": "assistant", "content": "Because."}]):
        (demonstration,), _ = _read("demonstrations", {"prompt": "Why?", "completion": completion}, now)
        assert demonstration.completion == "Because."
        assert demonstration.prompt == user_prompt("Why?")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"prompt": "Why?", "completion": ""}, "completion is empty"),
        ({"prompt": "Why?", "completion": [YES]}, "completion is not one assistant message"),
        ({"prompt": "Why?", "completion": "x", "label": False}, "rates an answer"),
        ({"prompt": "Why?", "completion": "x", "annotator": " a"}, "spaces at its ends"),
    ],
)
def test_a_bad_demonstration_names_its_fault(fields, fault, now):
    demonstrations, row = _read("demonstrations", fields, now)
    assert demonstrations == []
    assert fault in "; ".join(row.faults)

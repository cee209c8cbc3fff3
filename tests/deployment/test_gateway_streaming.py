"""Streaming: text goes out only once it is checked, a refusal ends it, failures are said in the stream."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.deployment.gateway.streaming import STEP, WINDOW, checked_pieces
from assay.deployment.layers import Exchange, load_layers
from assay.records.conversation import user_prompt

PROMPT = user_prompt("x")
STACK = load_layers()


def check(raw):
    return STACK.run(Exchange(PROMPT, raw))


def cut(text, size=7):
    return [text[start : start + size] for start in range(0, len(text), size)]


def released(text, size=7):
    return list(checked_pieces(cut(text, size), check))


LONG = "".join(f"Sentence number {number} says something new. " for number in range(30))


def test_the_pieces_join_to_the_checked_text_and_come_before_the_end():
    parts = released(LONG)
    assert "".join(part.text for part in parts) == LONG
    assert len(parts) > 10


def test_the_newest_characters_are_held_back():
    seen = []

    def pieces():
        for piece in cut(LONG):
            seen.append(piece)
            yield piece

    sent = 0
    for part in list(checked_pieces(pieces(), check))[:-1]:
        sent += len(part.text)
    assert sent <= len(LONG) - WINDOW
    first = next(iter(checked_pieces(iter(cut(LONG)), check)))
    assert len(first.text) >= STEP


def test_an_address_that_comes_in_pieces_never_gets_out():
    text = LONG[:300] + "Write to bob.smith@example.org soon. " + LONG[300:700]
    whole = "".join(part.text for part in released(text, size=3))
    assert whole == check(text).completion
    assert "bob.smith" not in whole and "[e-mail address removed]" in whole


def test_a_loop_ends_the_stream_with_the_apology():
    parts = released(LONG[:400] + "I am sorry. " * 40)
    assert parts[-1].is_blocked
    assert "".join(part.text for part in parts[:-1]) == LONG[: sum(len(part.text) for part in parts[:-1])]
    assert parts[-1].text.startswith("\n\nI am sorry, my answer went wrong")


def test_a_stream_that_is_blocked_draws_no_more_pieces():
    drawn = []

    def endless():
        while True:
            drawn.append(1)
            yield "no no no "

    assert list(checked_pieces(endless(), check))[-1].is_blocked
    assert len(drawn) < 100


def test_text_that_is_out_already_cannot_be_changed_and_ends_the_stream():
    def rewriting(raw):
        verdict = check(raw)
        return verdict if len(raw) < 600 else verdict._replace(completion=verdict.completion.upper())

    parts = list(checked_pieces(cut(LONG), rewriting))
    assert parts[-1].is_blocked
    assert "".join(part.text for part in parts[:-1]) == LONG[: sum(len(part.text) for part in parts[:-1])]


@pytest.mark.parametrize("text", ["", "Short."])
def test_short_text_goes_out_in_one_checked_piece(text):
    assert [part.text for part in released(text)] == [text]


FRAGMENTS = ["word ", "a.b@c.de ", "4111 1111 ", "1111 1111 ", "+49 30 1234567 ", "DE89 3704 0044 ", "0532 0130 00 "]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([*FRAGMENTS, "x" * 50]),
        max_size=40,
    ),
    st.integers(1, 60),
)  # fmt: skip
def test_whatever_the_pieces_a_stream_sends_the_checked_text_or_stops(parts, size):
    text = "".join(parts)
    whole = check(text)
    sent = released(text, size)
    joined = "".join(part.text for part in sent)
    assert sent[-1].is_blocked or joined == whole.completion
    assert re.search(r"@c\.de|4111 1111 1111 1111", joined) is None


def events(response):
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_stream_has_openais_form(gateway):
    gateway.stable.text = LONG
    response = gateway.chat(stream=True, max_tokens=400)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-model-release"] == gateway.line.reference.id
    chunks = events(response)
    assert {(c["object"], c["model"]) for c in chunks} == {("chat.completion.chunk", gateway.line.reference.id)}
    choices = [c["choices"][0] for c in chunks]
    assert choices[0]["delta"]["role"] == "assistant"
    assert "".join(c["delta"].get("content", "") for c in choices) == LONG
    assert [c["finish_reason"] for c in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1]["finish_reason"] == "length" and choices[-1]["receipt"]


def test_a_stream_of_several_choices_numbers_them(gateway):
    choices = [c["choices"][0] for c in events(gateway.chat(stream=True, n=2, seed=5))]
    assert [c["index"] for c in choices] == [0, 0, 1, 1]
    assert [c["finish_reason"] for c in choices] == [None, "stop", None, "stop"]
    assert [ask.seed for ask in gateway.stable.asks] == [5, 6]


def test_a_blocked_prompt_streams_its_refusal(gateway):
    response = gateway.chat("make a bomb", stream=True)
    (chunk,) = events(response)
    assert chunk["choices"][0]["finish_reason"] == "content_filter"
    assert "explosives" in chunk["choices"][0]["delta"]["content"]
    assert response.headers["x-policy-verdict"] == "deny"


def test_a_completion_that_is_blocked_on_the_way_ends_with_content_filter(gateway):
    gateway.stable.text = LONG[:500] + "la " * 200
    choices = [c["choices"][0] for c in events(gateway.chat(stream=True))]
    assert choices[-1]["finish_reason"] == "content_filter"
    assert "la la la" not in "".join(c["delta"].get("content", "") for c in choices)
    assert gateway.reviews[0]["title"] == "layer repetition escalated"


def test_a_candidate_that_fails_at_the_first_piece_is_replaced_before_the_headers_go(rolling):
    rolling.candidate.fail_after_pieces = 0
    response = rolling.chat(user="anna", stream=True)
    assert response.headers["x-model-release"] == rolling.line.reference.id
    assert response.headers["x-policy-degraded"].startswith("true; release")
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in events(response)) == "The sky is blue."


def test_a_failure_on_the_way_is_said_in_the_stream(rolling):
    rolling.candidate.text, rolling.candidate.fail_after_pieces = LONG, 60
    chunks = events(rolling.chat(user="anna", stream=True))
    assert chunks[-1]["error"]["type"] == "server_error"
    sent = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1])
    assert sent and LONG.startswith(sent)


def test_plain_completions_stream_too(gateway):
    response = gateway.client.post("/v1/completions", json={"model": "assay", "prompt": "Why?", "stream": True})
    choices = [c["choices"][0] for c in events(response)]
    assert "".join(c["text"] for c in choices) == "The sky is blue."
    assert choices[-1]["finish_reason"] == "stop"


def test_streamed_text_can_come_back_as_feedback(gateway):
    chunks = events(gateway.chat(stream=True, n=2))
    receipts = [c["choices"][0]["receipt"] for c in chunks if "receipt" in c["choices"][0]]
    shown = [{"text": "The sky is blue.", "receipt": receipt} for receipt in receipts]
    body = {
        "type": "preference",
        "reply_id": chunks[0]["id"],
        "prompt": [{"role": "user", "content": "Why is the sky blue?"}],
        "first": shown[0],
        "second": shown[1],
        "choice": "tie",
        "first_shown": "left",
        "user": "u",
    }
    assert gateway.client.post("/feedback", json=body).status_code == 200

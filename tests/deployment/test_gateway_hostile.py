"""Hostile input: whatever is sent, the answer is an error in OpenAI's form with a status below 500."""

import json
from datetime import UTC, datetime

import pytest
from deployment_parts import Gateway, Line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.storage import Workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One gateway for all requests that must be refused; it may change nothing anyway."""
    workspace = Workspace(tmp_path_factory.mktemp("hostile"))
    line = Line(workspace, NOW)
    line.rollout.start(line.reference, now=NOW)
    yield Gateway(line, NOW)
    workspace.close()


@pytest.fixture
def gateway(shared):
    shared.stable.asks.clear()
    return shared


USER = {"role": "user", "content": "hi"}


def post(gateway, body, path="/v1/chat/completions"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.client.post(path, content=content, headers={"content-type": "application/json"})


def assert_refused(response, status=400):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": "hi"},
        {"messages": [1]},
        {"messages": [{"role": "king", "content": "hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"messages": [{"role": "user", "content": {"text": "hi"}}]},
        {"model": 5},
        {"model": None},
        {"n": 0},
        {"n": 10**30},
        {"n": "2"},
        {"n": True},
        {"temperature": -1},
        {"temperature": "hot"},
        {"top_p": 0},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"seed": -1},
        {"seed": 2**70},
        {"stop": [""]},
        {"stop": ["x"] * 17},
        {"stop": [1]},
        {"stream": "yes"},
        {"user": ""},
        {"user": "u" * 201},
    ],
)
def test_wrong_fields_are_refused_by_name(gateway, fields):
    response = post(gateway, {"model": "assay", "messages": [USER], **fields})
    assert_refused(response)
    assert response.json()["error"]["param"].split(".")[0] in {*fields, ""}
    assert gateway.stable.asks == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"model": "assay", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "assay", "messages": [{"role": "user", "content": "hi"}], "temperature": NaN}',
        b'{"model": "assay", "messages": [{"role": "user", "content": "hi"}], "temperature": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": "assay", "messages": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/moderations", "/feedback"])
def test_broken_bodies_are_refused(gateway, body, path):
    assert_refused(post(gateway, body, path))


def test_a_huge_body_is_refused_before_it_is_parsed(gateway):
    assert_refused(post(gateway, {"model": "assay", "messages": [{"role": "user", "content": "x" * (1 << 20)}]}), 413)


def test_a_huge_body_in_chunks_without_a_length_is_refused_too(gateway):
    response = gateway.client.post("/v1/chat/completions", content=(b"x" * 65536 for _ in range(100)))
    assert_refused(response, 413)


def test_an_unknown_model_path_and_method_have_their_status(gateway):
    assert_refused(post(gateway, {"model": "gpt-0", "messages": [USER]}), 404)
    assert_refused(gateway.client.get("/nowhere"), 404)
    assert_refused(gateway.client.get("/v1/chat/completions"), 405)


def test_nul_and_control_characters_are_taken_out_of_a_prompt(gateway):
    assert gateway.chat("a\0b\x07c").status_code == 200
    assert gateway.stable.asks[0].prompt[0].content == "abc"


def test_log_probabilities_are_refused_and_not_made_up(gateway):
    response = post(gateway, {"model": "assay", "prompt": "x", "logprobs": 1}, "/v1/completions")
    assert_refused(response)


def test_an_error_repeats_nothing_of_the_body(gateway):
    response = post(gateway, {"model": "assay", "messages": [{"role": "user", "content": 5}], "n": "my secret"})
    assert_refused(response)
    assert "my secret" not in response.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELD = st.sampled_from(
    ["model", "messages", "n", "stop", "stream", "max_tokens", "temperature", "seed", "user", "tools"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(FIELD, JSON, max_size=4), st.text(max_size=40))
def test_no_body_makes_the_gateway_fail(gateway, fields, text):
    body = {"model": "assay", "messages": [{"role": "user", "content": text}], **fields}
    response = post(gateway, json.dumps(body).encode("utf-8", "surrogatepass"))
    assert response.status_code in (200, 400, 404)
    if response.status_code != 200:
        assert_refused(response, response.status_code)

"""Gateway: replies in OpenAI's form, the right release for each person, fallbacks that say so, signals and alarms."""

import json

import pytest

from assay.deployment import set_candidate_switch
from assay.deployment.intake import CONSENT_VERSION
from assay.records.errors import StorageError
from assay.records.judgement import Judgement
from assay.records.release import Signal

PARTS = [{"type": "text", "text": "Why is "}, {"type": "text", "text": "the sky blue?"}]


def test_a_chat_completion_has_openais_form(gateway):
    response = gateway.chat(user="anna", temperature=0, top_p=0.9, seed=3, tools=[{"type": "function"}], metadata={})
    body = response.json()
    assert response.status_code == 200
    assert (body["object"], body["model"]) == ("chat.completion", gateway.line.reference.id)
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "The sky is blue."}
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
    assert body["created"] == 1767225600
    (ask,) = gateway.stable.asks
    assert (ask.temperature, ask.top_p, ask.seed) == (0, 0.9, 3)


def test_the_headers_name_release_layers_verdict_and_time(gateway):
    headers = gateway.chat().headers
    assert headers["x-model-release"] == gateway.line.reference.id
    assert headers["x-policy-digest"] == gateway.line.stack.digest
    assert (headers["x-policy-verdict"], headers["x-policy-degraded"]) == ("allow", "false")
    assert float(headers["x-policy-duration-ms"]) > 0


def test_list_form_content_stop_n_and_max_tokens_reach_the_engine(gateway):
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": PARTS}]
    body = gateway.chat(messages=messages, n=3, stop=["\n", "END"], max_tokens=3).json()
    assert [c["message"]["content"] for c in body["choices"]] == ["The sky is", "The sky is 1", "The sky is 2"]
    assert [c["finish_reason"] for c in body["choices"]] == ["length"] * 3
    (ask,) = gateway.stable.asks
    assert (ask.stop, ask.n, ask.max_tokens) == (("\n", "END"), 3, 3)
    assert [(m.role, m.content) for m in ask.prompt] == [("system", "Be brief."), ("user", "Why is the sky blue?")]


def test_max_tokens_is_cut_to_the_room_in_the_context(gateway):
    gateway.chat("one two three four", max_tokens=10_000)
    assert gateway.stable.asks[0].max_tokens == 60


def test_plain_completions_work_too(gateway):
    response = gateway.client.post("/v1/completions", json={"model": "assay", "prompt": "Why?", "n": 2})
    body = response.json()
    assert body["object"] == "text_completion"
    assert [c["text"] for c in body["choices"]] == ["The sky is blue.", "The sky is blue. 1"]


def test_a_blocked_prompt_never_reaches_an_engine(gateway):
    response = gateway.chat("How do I make a bomb?", n=2)
    body = response.json()
    assert response.status_code == 200
    assert [c["finish_reason"] for c in body["choices"]] == ["content_filter"] * 2
    assert "I cannot help with making explosives" in body["choices"][0]["message"]["content"]
    assert response.headers["x-policy-verdict"] == "deny"
    assert gateway.stable.asks == []
    assert body["usage"]["completion_tokens"] == 0


def test_a_prompt_longer_than_the_context_is_refused_in_clear_words(gateway):
    body = gateway.chat("word " * 60).json()
    assert body["choices"][0]["finish_reason"] == "content_filter"
    assert "60 tokens, this model reads at most 48" in body["choices"][0]["message"]["content"]


def test_the_engine_sees_the_prompt_without_control_tokens(gateway):
    response = gateway.chat("<|im_start|>system")
    assert gateway.stable.asks[0].prompt[0].content == "< |im_start|>system"
    assert response.headers["x-policy-verdict"] == "modify"


def test_private_data_and_loops_do_not_leave(gateway):
    gateway.stable.text = "Write to bob@example.org."
    assert gateway.chat().json()["choices"][0]["message"]["content"] == "Write to [e-mail address removed]."
    gateway.stable.text = "so " * 30
    response = gateway.chat(max_tokens=30)
    (choice,) = response.json()["choices"]
    assert choice["finish_reason"] == "content_filter" and choice["message"]["content"].startswith("I am sorry")
    assert response.headers["x-policy-verdict"] == "escalate"
    assert [review["title"] for review in gateway.reviews] == ["layer repetition escalated"]


def test_people_are_served_by_their_bucket(rolling, now):
    assert rolling.chat(user="anna").headers["x-model-release"] == rolling.line.tuned.id
    assert rolling.chat().headers["x-model-release"] == rolling.line.reference.id
    assert rolling.chat(user="anna", model="stable").headers["x-model-release"] == rolling.line.reference.id
    rolling.line.rollout.shrink("x", now=now)
    served = {user: rolling.chat(user=user).headers["x-model-release"] for user in map(str, range(40))}
    assert set(served.values()) == {rolling.line.tuned.id, rolling.line.reference.id}
    assert served == {user: rolling.chat(user=user).headers["x-model-release"] for user in served}


def test_a_candidate_cannot_be_asked_for_by_name(rolling):
    response = rolling.chat(model=rolling.line.tuned.id)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_the_kill_switch_and_a_broken_flag_file_keep_the_candidate_away(rolling):
    for turn in (lambda: set_candidate_switch(rolling.flags, is_on=False), lambda: rolling.flags.write_text("{")):
        set_candidate_switch(rolling.flags, is_on=True)
        assert rolling.chat(user="anna").headers["x-model-release"] == rolling.line.tuned.id
        turn()
        assert rolling.chat(user="anna").headers["x-model-release"] == rolling.line.reference.id


def test_promotion_and_roll_back_take_effect_at_the_next_request(rolling, now):
    rolling.line.rollout.promote(now=now)
    assert rolling.chat().headers["x-model-release"] == rolling.line.tuned.id
    rolling.line.rollout.roll_back("wrong", now=now)
    assert rolling.chat().headers["x-model-release"] == rolling.line.reference.id


def test_a_failing_candidate_is_answered_for_by_stable_and_the_reply_says_so(rolling):
    rolling.candidate.fail = True
    response = rolling.chat(user="anna")
    assert response.status_code == 200
    assert response.headers["x-model-release"] == rolling.line.reference.id
    assert response.headers["x-policy-degraded"].startswith(f"true; release {rolling.line.tuned.id[:12]} failed")
    errors = [s for s in rolling.line.workspace.records.all(Signal) if s.name == "error"]
    assert [s.release for s in errors] == [rolling.line.tuned.id]


def test_a_candidate_that_cannot_be_loaded_is_answered_for_too(rolling):
    del rolling.engines[rolling.line.tuned.id]
    assert rolling.chat(user="anna").headers["x-model-release"] == rolling.line.reference.id


def test_a_candidate_that_keeps_failing_shrinks_itself_away(rolling):
    rolling.candidate.fail = True
    for number in range(60):
        assert rolling.chat(user=f"user-{number}").status_code == 200
    status = rolling.line.rollout.status
    assert status.state == "held" and status.share_percent <= 25
    assert {review["opened_by"] for review in rolling.reviews} == {"live_error"}


def test_a_failing_stable_release_is_a_503_in_openais_form(gateway):
    gateway.stable.fail = True
    response = gateway.chat()
    assert (response.status_code, response.json()["error"]["type"]) == (503, "server_error")
    assert "broken" not in response.text


def test_a_layer_that_fails_shows_in_the_headers(gateway, monkeypatch):
    layer = next(layer for layer in gateway.line.stack.layers if layer.manifest.name == "repetition")
    monkeypatch.setattr(type(layer), "check", lambda self, exchange: 1 / 0)
    response = gateway.chat()
    assert response.json()["choices"][0]["finish_reason"] == "stop"
    assert response.headers["x-policy-degraded"] == "true; layer repetition failed"


def test_releases_with_other_layers_are_not_served_as_if_they_were_the_same(rolling, now):
    line = rolling.line
    other = line.tuned.model_copy(update={"layers_digest": "0" * 64})
    other = type(other).model_validate(other.model_dump())
    line.workspace.records.put(other)
    rolling.engines[other.id] = rolling.candidate
    line.rollout.abort("next", now=now)
    line.rollout.propose(other, share_percent=100, now=now)
    response = rolling.chat(user="anna")
    assert response.headers["x-model-release"] == line.reference.id
    assert "the layers are not those of the candidate" in response.headers["x-policy-degraded"]


def test_signals_hold_no_text_and_one_row_for_each_request(gateway):
    for _ in range(2):
        gateway.chat("a secret question", user="anna")
    signals = gateway.line.workspace.records.all(Signal)
    assert [s.name for s in signals] == ["blocked", "latency_ms"] * 2
    assert not any(word in s.model_dump_json() for s in signals for word in ("secret", "anna", "sky"))


def test_a_full_disk_loses_signals_and_not_replies(gateway, monkeypatch):
    def refuse(_rows):
        raise StorageError("disk full")

    monkeypatch.setattr(gateway.line.workspace.records, "put_all", refuse)
    assert gateway.chat().status_code == 200
    assert "assay_signals_lost_total 2.0" in gateway.client.get("/metrics").text


def test_moderation_runs_the_layers_only(gateway):
    texts = ["hello there", "how to make a bomb", "mail bob@example.org"]
    response = gateway.client.post("/v1/moderations", json={"input": texts})
    flagged = [
        {layer for layer, is_flagged in result["categories"].items() if is_flagged}
        for result in response.json()["results"]
    ]
    assert flagged == [set(), {"blocked_terms"}, {"private_data"}]
    assert [result["flagged"] for result in response.json()["results"]] == [False, True, True]
    assert gateway.stable.asks == []


def test_models_health_and_metrics(rolling, now):
    models = rolling.client.get("/v1/models").json()
    assert [m["id"] for m in models["data"]] == ["assay", "stable", rolling.line.reference.id]
    assert rolling.client.get("/healthz").json()["share_percent"] == 100
    rolling.chat("make a bomb")
    text = rolling.client.get("/metrics").text
    assert 'assay_layer_results_total{layer="blocked_terms",status="blocked"} 1.0' in text
    assert "assay_candidate_share_percent 100.0" in text


def test_thumbs_down_shrink_the_candidate(rolling):
    for _ in range(12):
        reply = rolling.chat(user="anna").json()
        body = {"type": "thumb", "reply_id": reply["id"], "thumb": "down", "user": "anna"}
        given = rolling.client.post("/feedback", json=body)
        assert (given.status_code, given.json()["text_is_kept"]) == (200, False)
        reply["id"] = ""
    assert rolling.line.rollout.status.share_percent < 100
    assert {review["opened_by"] for review in rolling.reviews} == {"live_thumbs_down"}


def test_a_second_thumb_on_a_reply_is_refused(gateway):
    body = {"type": "thumb", "reply_id": gateway.chat().json()["id"], "thumb": "down", "user": "anna"}
    assert gateway.client.post("/feedback", json=body).status_code == 200
    assert gateway.client.post("/feedback", json={**body, "thumb": "up"}).status_code == 400


@pytest.mark.parametrize("has_consent", [True, False])
def test_a_pair_comes_back_through_the_gateway(gateway, has_consent):
    reply = gateway.chat(user="anna", n=2).json()
    first, second = ({"text": c["message"]["content"], "receipt": c["receipt"]} for c in reply["choices"])
    body = {
        "type": "preference",
        "reply_id": reply["id"],
        "prompt": [{"role": "user", "content": "Why is the sky blue?"}],
        "first": first,
        "second": second,
        "choice": "second",
        "first_shown": "left",
        "user": "anna",
    }
    shown = gateway.client.get("/feedback").json()
    assert shown["consent_version"] == CONSENT_VERSION
    if has_consent:
        body["consent"] = {"version": shown["consent_version"], "purposes": ["train"]}
    response = gateway.client.post("/feedback", json=body)
    assert response.json()["text_is_kept"] == has_consent
    judgements = gateway.line.workspace.records.all(Judgement)
    assert [j.second for j in judgements] == (["The sky is blue. 1"] if has_consent else [])


def test_two_gateways_do_not_share_their_numbers(gateway, now):
    gateway.chat()
    text = json.dumps(gateway.client.get("/metrics").text)
    assert text.count("assay_requests_total{release=") == 1

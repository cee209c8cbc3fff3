"""Replies: puts what `serving` yields into OpenAI's form: JSON bodies, server-sent events, headers."""

import json
from collections.abc import Iterator
from logging import getLogger

from assay.deployment.gateway.errors import describe
from assay.deployment.gateway.serving import Delta, Reply, Report, StreamReply
from assay.deployment.layers import StackVerdict

_log = getLogger(__name__)


def headers(release: str, layers_digest: str, report: Report) -> dict[str, str]:
    """The headers of every reply."""
    return {
        "x-model-release": release,
        "x-policy-digest": layers_digest,
        "x-policy-verdict": report.verdict,
        "x-policy-duration-ms": f"{report.duration_ms:.3f}",
        "x-policy-degraded": f"true; {'; '.join(report.degraded)}" if report.degraded else "false",
    }


def chat_body(reply: Reply, created: int) -> dict[str, object]:
    """A `chat.completion`."""
    choices: list[dict[str, object]] = [
        {
            "index": index,
            "message": {"role": "assistant", "content": choice.text},
            "finish_reason": choice.finish_reason,
            "logprobs": None,
            "receipt": choice.receipt,
        }
        for index, choice in enumerate(reply.choices)
    ]
    return _body(reply, "chat.completion", created, choices)


def text_body(reply: Reply, created: int) -> dict[str, object]:
    """A `text_completion`."""
    choices: list[dict[str, object]] = [
        {"index": index, "text": choice.text, "finish_reason": choice.finish_reason, "logprobs": None}
        for index, choice in enumerate(reply.choices)
    ]
    return _body(reply, "text_completion", created, choices)


def events(reply: StreamReply, created: int, *, is_chat: bool) -> Iterator[str]:
    """Server-sent events, ended by `[DONE]`; a failure on the way is one `error` event before it."""
    kind = "chat.completion.chunk" if is_chat else "text_completion"
    frame = {"id": reply.id, "object": kind, "created": created, "model": reply.release}
    begun: set[int] = set()
    try:
        for delta in reply.deltas:
            choice = _chat_choice(delta, delta.number not in begun) if is_chat else _text_choice(delta)
            begun.add(delta.number)
            yield _event({**frame, "choices": [choice]})
    except Exception as error:
        # The status is sent already: the only honest way left is to say it in the stream.
        _log.exception("a stream failed")
        yield _event(describe(error)[1])
    yield "data: [DONE]\n\n"


def moderation_body(reply_id: str, layers_digest: str, results: list[tuple[StackVerdict, ...]]) -> dict[str, object]:
    """A moderation: one category for each layer, true where it would not let the text through unchanged."""
    judged = []
    for verdicts in results:
        by_layer = {r.layer: r.verdict not in ("allow", None) for v in verdicts for r in v.results}
        judged.append(
            {
                "flagged": any(by_layer.values()),
                "categories": by_layer,
                "category_scores": {layer: float(is_flagged) for layer, is_flagged in by_layer.items()},
                "reasons": {r.layer: r.reason for v in verdicts for r in v.results if r.reason},
            }
        )
    return {"id": reply_id, "model": layers_digest, "results": judged}


def models_body(stable: str, aliases: tuple[str, ...], created: int) -> dict[str, object]:
    """The list of models."""
    entries = [{"id": name, "object": "model", "created": created, "owned_by": "assay"} for name in (*aliases, stable)]
    return {"object": "list", "data": entries}


def _body(reply: Reply, kind: str, created: int, choices: list[dict[str, object]]) -> dict[str, object]:
    usage = {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }
    return {
        "id": reply.id,
        "object": kind,
        "created": created,
        "model": reply.release,
        "choices": choices,
        "usage": usage,
    }


def _chat_choice(delta: Delta, is_first: bool) -> dict[str, object]:
    content: dict[str, str] = {"role": "assistant"} if is_first else {}
    if delta.text or is_first:
        content["content"] = delta.text
    return _finished(delta, {"index": delta.number, "delta": content, "finish_reason": delta.finish_reason})


def _text_choice(delta: Delta) -> dict[str, object]:
    return _finished(delta, {"index": delta.number, "text": delta.text, "finish_reason": delta.finish_reason})


def _finished(delta: Delta, choice: dict[str, object]) -> dict[str, object]:
    return choice if delta.receipt is None else {**choice, "receipt": delta.receipt}


def _event(data: dict[str, object]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"

"""Serve: the approved policy behind the gateway beside the base model, an incident, an alarm, and the way back.

Traffic and incident are simulated and go through the real gateway in this process: no port is opened, no network used.
"""

import asyncio
import time
from typing import Any

import httpx
import numpy as np

from assay.cli.context import now
from assay.cli.walk import Outcome, Walk, stage_seed
from assay.deployment import (
    CONSENT_VERSION,
    DEFAULT_RATES,
    LiveWatch,
    Rollout,
    calibrated,
    flag_client,
    load_layers,
    make_release,
)
from assay.deployment.flags import set_candidate_switch
from assay.deployment.gateway import create_gateway_app
from assay.deployment.gateway.engine import LazyEngines, load_engine
from assay.feedback import export_judgements
from assay.feedback.prompts import demo_prompts
from assay.governance import approved_decision, open_reviews
from assay.records.policy import PolicyVersion

SHARE_PERCENT = 20
QUESTIONS = 8
INCIDENT_LIMIT = 400


def serve_release(walk: Walk) -> Outcome:
    """Serve stable and candidate, take feedback, let a planted incident shrink the candidate, and roll back."""
    if walk.output("release", "outcome") != "approved":
        why = "the decision was not an approval" if walk.output("release", "decision") else "nobody has decided yet"
        return Outcome(skipped=(f"serving a candidate: {why}",), said="the base model stays; nothing to serve")
    workspace = walk.workspace
    rng = np.random.default_rng(stage_seed(walk.config, "serving"))
    layers, rollout = load_layers(), Rollout(workspace)
    policy = workspace.records.get(PolicyVersion, walk.output("evaluation", "policy") or "")
    reference = workspace.records.get(PolicyVersion, walk.output("model", "policy") or "")
    stable = make_release(workspace, reference, layers_digest=layers.digest, decision=None, label="base", now=now())
    decision = approved_decision(workspace, policy.id, now=now())
    candidate = make_release(
        workspace, policy, layers_digest=layers.digest, decision=decision, label=policy.name, now=now()
    )
    flags = workspace.directory / "flags.json"
    set_candidate_switch(flags, is_on=True)
    # Killed in between, a resumed walk finds one of these steps done.
    if not (workspace.directory / "serving.json").exists():
        rollout.start(stable, now=now())
    if rollout.status.candidate is None:
        rollout.propose(candidate, share_percent=SHARE_PERCENT, now=now())
    app = create_gateway_app(
        workspace,
        engines=LazyEngines(workspace, rollout, lambda release: load_engine(workspace, release, rng.spawn(1)[0])),
        stack=layers,
        rollout=rollout,
        flags=flag_client(flags),
        watch=LiveWatch(workspace, rollout, calibrated(DEFAULT_RATES, rng)),
        clock=now,
    )
    live = asyncio.run(_traffic(app, walk))
    shrunk = rollout.status
    started = time.perf_counter()
    back = rollout.roll_back("the demo's planted incident", now=now()).status
    took_ms = (time.perf_counter() - started) * 1000
    exported = workspace.directory / "live_feedback.jsonl"
    kept = export_judgements(workspace.records, exported, source="live")
    said = (
        f"{live['answers']} answers ({live['by_candidate']} by the candidate), alarm after {live['thumbs']} thumbs, "
        f"share {SHARE_PERCENT} % to {shrunk.share_percent} %, rolled back in {took_ms:.0f} ms, "
        f"{kept} live judgements for the next run"
    )
    return Outcome(
        {
            "stable": back.stable,
            "candidate": candidate.id,
            "share_after_alarm": str(shrunk.share_percent),
            "rollback_ms": f"{took_ms:.1f}",
            "live_feedback": str(exported),
            "reviews": str(len(open_reviews(workspace))),
        },
        tokens=live["tokens"],
        said=said,
    )


async def _traffic(app: Any, walk: Walk) -> dict[str, int]:
    """Questions from different people, one consented choice between two answers, then thumbs down on the candidate."""
    transport = httpx.ASGITransport(app=app)
    counts = {"answers": 0, "by_candidate": 0, "thumbs": 0, "tokens": 0}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        candidate_person = None
        texts = [prompt.text for prompt in demo_prompts()]
        for i in range(40):
            if counts["answers"] >= QUESTIONS and candidate_person is not None:
                break
            reply = await _ask(client, texts[i % len(texts)], f"person-{i}", n=2 if i == 0 else 1)
            counts["answers"] += 1
            counts["tokens"] += reply["usage"]["completion_tokens"]
            if i == 0:
                await _choose(client, texts[0], reply)
            if reply["model"] != Rollout(walk.workspace).status.stable:
                counts["by_candidate"] += 1
                candidate_person = f"person-{i}"
        while candidate_person is not None and counts["thumbs"] < INCIDENT_LIMIT:
            if Rollout(walk.workspace).status.state == "held":
                break
            # The gateway counts one thumb a reply, so each needs a reply of its own; one token is the cheapest.
            reply = await _ask(client, texts[0], candidate_person, n=1, max_tokens=1)
            counts["tokens"] += reply["usage"]["completion_tokens"]
            body = {
                "type": "thumb",
                "reply_id": reply["id"],
                "thumb": "down",
                "user": f"p-{counts['thumbs']}",
            }
            await _post(client, "/feedback", body)
            counts["thumbs"] += 1
    return counts


async def _ask(client: httpx.AsyncClient, text: str, user: str, *, n: int, max_tokens: int = 32) -> dict[str, Any]:
    body = {
        "model": "assay",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": max_tokens,
        "user": user,
        "seed": 1,
        "n": n,
    }
    return await _post(client, "/v1/chat/completions", body)


async def _choose(client: httpx.AsyncClient, text: str, reply: dict[str, Any]) -> None:
    first, second = (
        {"text": choice["message"]["content"], "receipt": choice["receipt"]} for choice in reply["choices"][:2]
    )
    body = {
        "type": "preference",
        "reply_id": reply["id"],
        "prompt": [{"role": "user", "content": text}],
        "first": first,
        "second": second,
        "choice": "first",
        "first_shown": "left",
        "user": "person-0",
        "consent": {"version": CONSENT_VERSION, "purposes": ["train"]},
    }
    await _post(client, "/feedback", body)


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(path, json=body, timeout=120)
    response.raise_for_status()
    data: dict[str, Any] = response.json()
    return data

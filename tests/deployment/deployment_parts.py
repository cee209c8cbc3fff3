"""Parts: a deterministic engine, policies, decisions, a line of releases and a gateway for this room's tests."""

from dataclasses import dataclass, field

import numpy as np
from fastapi.testclient import TestClient

from assay.deployment import (
    LiveWatch,
    RateSettings,
    Rollout,
    calibrated,
    flag_client,
    load_layers,
    make_release,
    set_candidate_switch,
)
from assay.deployment.gateway import Answer, create_gateway_app
from assay.records.decision import Decision
from assay.records.errors import GovernanceError
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance

STACK = load_layers()
PROVENANCE = Provenance(seed=1, data_hash="d", code_version="c", config_hash="f")


def policy_named(workspace, name, now, *, method="dpo", adapter="a" * 64):
    policy = PolicyVersion(
        created_at=now,
        name=name,
        base_model="default",
        adapter=None if method == "reference" else adapter,
        ref_policy=None,
        method=method,
        provenance=PROVENANCE,
    )
    workspace.records.put(policy)
    return policy


def decision_on(policy_id, now, outcome="approved"):
    return Decision(
        created_at=now,
        change_request="c",
        policy=policy_id,
        evidence="e",
        outcome=outcome,
        approvals=("x", "y"),
        reason="better",
        public_key="k",
        signature="s",
    )


@dataclass
class Decisions:
    """Stands in for governance: the policies that have an approval in the ledger now, and how often it was asked."""

    approved: set = field(default_factory=set)
    asked: int = 0

    def __call__(self, workspace, policy_id, *, now):
        self.asked += 1
        if policy_id not in self.approved:
            raise GovernanceError("no approval")
        return decision_on(policy_id, now)


class Line:
    """A workspace with a reference release, two tuned releases and a rollout that reads decisions from `decisions`."""

    def __init__(self, workspace, now):
        self.workspace, self.now = workspace, now
        self.stack = STACK
        self.decisions = Decisions()
        self.rollout = Rollout(workspace, read_decision=self.decisions)
        self.reference = self.release(policy_named(workspace, "reference", now, method="reference"))
        self.tuned = self.release(policy_named(workspace, "tuned", now))
        self.other = self.release(policy_named(workspace, "other", now, adapter="b" * 64))

    def release(self, policy):
        decision = None if policy.method == "reference" else decision_on(policy.id, self.now)
        return make_release(
            self.workspace,
            policy,
            layers_digest=self.stack.digest,
            decision=decision,
            label=policy.name,
            now=self.now,
        )

    def events(self):
        return [entry.value["event"] for entry in self.workspace.ledger.entries()]


class EchoEngine:
    """Answers with a fixed text; a token is a word. `fail` makes it raise, at once or after some pieces of a stream."""

    def __init__(self, text, *, context_length=64):
        self.text, self.context_length = text, context_length
        self.fail = False
        self.fail_after_pieces = None
        self.asks = []

    def count_tokens(self, prompt):
        if self.fail:
            raise RuntimeError("the engine is broken")
        return sum(len(message.content.split()) for message in prompt)

    def count_text(self, text):
        return len(text.split())

    def complete(self, ask):
        self.asks.append(ask)
        words = self.text.split()[: ask.max_tokens]
        reason = "length" if len(words) < len(self.text.split()) else "stop"
        texts = [" ".join(words) if n == 0 else " ".join([*words, str(n)]) for n in range(ask.n)]
        return [Answer(text, reason, len(text.split())) for text in texts]

    def stream(self, ask):
        self.asks.append(ask)
        for number, start in enumerate(range(0, len(self.text), 7)):
            if self.fail_after_pieces is not None and number >= self.fail_after_pieces:
                raise RuntimeError("the engine broke on the way")
            yield self.text[start : start + 7]


NAMES = ("thumbs_down", "error", "blocked")
SETTINGS = [RateSettings(name=name, baseline=0.1, alarming=0.5, average_run_length=50) for name in NAMES]
RATES = calibrated(SETTINGS, np.random.default_rng(0))


class Reviews(list):
    """Stands in for governance's review desk: keeps what it was asked."""

    def __call__(self, workspace, title, **words):
        self.append({"title": title, **words})


class Gateway:
    """A gateway over two echo engines, with everything a test may want to turn."""

    def __init__(self, line, now):
        self.line, self.reviews = line, Reviews()
        self.stable, self.candidate = EchoEngine("The sky is blue."), EchoEngine("The sky is very blue.")
        self.engines = {line.reference.id: self.stable, line.tuned.id: self.candidate}
        self.flags = line.workspace.directory / "flags.json"
        set_candidate_switch(self.flags, is_on=True)
        watch = LiveWatch(line.workspace, line.rollout, RATES, ask=self.reviews)
        self.app = create_gateway_app(
            line.workspace,
            engines=self.engines,
            stack=line.stack,
            rollout=line.rollout,
            flags=flag_client(self.flags),
            watch=watch,
            clock=lambda: now,
        )
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def chat(self, text="Why is the sky blue?", **fields):
        body = {"model": "assay", "messages": [{"role": "user", "content": text}], **fields}
        return self.client.post("/v1/chat/completions", json=body)

"""Webhooks: each event is taken once by whoever answers, signed, under a pseudonym, and again where nobody answered."""

import hmac
import json
from hashlib import sha256

import httpx
import pytest
from feedback_cases import ties
from typer.testing import CliRunner

from assay.cli.feedback import app
from assay.feedback import open_campaign, queue_of
from assay.feedback.campaign import Run
from assay.feedback.consent import decide
from assay.feedback.pseudonyms import pseudonym
from assay.feedback.webhooks import BATCH, deliver, open_webhook, open_webhooks, secret_of, signature, waiting_events
from assay.feedback.withdrawal import withdraw
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Item, Judgement

KEY = b"key"


class Receiver:
    """Takes posts, or answers with a status of its own."""

    def __init__(self, status=200):
        self.status, self.posts = status, []

    def __call__(self, url, body, headers):
        self.posts.append((url, body, headers))
        return self.status

    @property
    def events(self):
        return [event for _, body, _ in self.posts for event in json.loads(body)["events"]]


@pytest.fixture
def records(workspace, now):
    judgements = ties(BATCH + 20, now)
    workspace.records.put_all((one, "train", "ada") for one in judgements)
    return workspace.records


@pytest.fixture
def hook(records, now):
    return open_webhook(records, "lab", "https://lab.example/hook", now=now)


def test_every_event_is_taken_once_in_batches(records, hook, now):
    receiver = Receiver()
    assert deliver(records, hook, receiver, key=KEY, now=now) == (120, 0, 200)
    assert [len(json.loads(body)["events"]) for _, body, _ in receiver.posts] == [100, 20]
    assert deliver(records, hook, receiver, key=KEY, now=now) == (0, 0, 200)
    assert len({event["id"] for event in receiver.events}) == 120
    assert {url for url, _, _ in receiver.posts} == {"https://lab.example/hook"}


@pytest.mark.parametrize("status", [0, 302, 404, 500])
def test_what_was_refused_is_posted_again(records, hook, now, status):
    assert deliver(records, hook, Receiver(status), key=KEY, now=now) == (0, 120, status)
    assert deliver(records, hook, Receiver(), key=KEY, now=now).taken == 120


def test_a_post_is_signed_over_its_time_and_body(records, hook, now):
    receiver = Receiver()
    deliver(records, hook, receiver, key=KEY, now=now)
    _, body, headers = receiver.posts[0]
    moment, mac = (part.split("=")[1] for part in headers["X-Assay-Signature"].split(","))
    assert moment == str(int(now.timestamp()))
    assert mac == hmac.new(secret_of(hook, KEY).encode(), f"{moment}.".encode() + body, sha256).hexdigest()
    assert signature(secret_of(hook, KEY), body + b" ", now=now) != headers["X-Assay-Signature"]
    assert secret_of(hook, KEY) != secret_of(hook, b"other")


def test_withdrawals_consent_and_states_are_told_by_the_pseudonym_of_exports(records, hook, now):
    receiver = Receiver()
    item = Item(campaign="c", prompt=user_prompt("p"), first="a", second="b", created_at=now)
    open_campaign(records, "c", [item], now=now, run=Run(needs_review=True))
    deliver(records, hook, Receiver(), key=KEY, now=now)
    decide(records, "ada", ["train"], now=now)
    withdraw(queue_of(records), "ada", now=now)
    deliver(records, hook, receiver, key=KEY, now=now)
    who = pseudonym("ada", KEY)
    told = [(event["event"], event.get("purpose"), event.get("state")) for event in receiver.events]
    assert told[-5:-1] == [
        ("consent", "train", "given"),
        ("consent", "evaluate", "refused"),
        ("consent", "publish", "refused"),
        ("consent", "research", "refused"),
    ]
    assert told[-1] == ("withdrawal", None, None)
    assert {event["person"] for event in receiver.events} == {who}
    text = str(receiver.events)
    assert "ada" not in text
    assert all(one.id not in text for one in records.all(Judgement))


def test_a_closed_webhook_gets_nothing(records, hook, now):
    assert [one.name for one in open_webhooks(records)] == ["lab"]
    open_webhook(records, "lab", hook.url, now=now, is_closed=True)
    assert open_webhooks(records) == []
    assert len(waiting_events(records, hook, KEY)) == 120


@pytest.mark.parametrize(
    "url", ["http://lab.example/", "ftp://lab.example/", "https://", "https://ada:secret@lab.example/", "lab.example"]
)
def test_an_address_that_would_show_what_is_sent_is_refused(records, now, url):
    with pytest.raises(InputError, match="an address without"):
        open_webhook(records, "lab", url, now=now)


def test_commands_open_deliver_and_say_what_waits(records, workspace, monkeypatch):
    at = ["-w", str(workspace.directory)]
    opened = CliRunner().invoke(app, ["webhook", "lab", "--url", "http://localhost:9/hook", *at])
    assert len(opened.output.split("secret ")[1].split()[0]) == 64

    def silent(*_, **__):
        raise httpx.ConnectError("nobody")

    monkeypatch.setattr(httpx, "post", silent)
    waiting = CliRunner().invoke(app, ["deliver", *at])
    assert (waiting.exit_code, waiting.output.strip()) == (1, "lab: 0 events taken, 120 wait: status none")
    monkeypatch.setattr(httpx, "post", lambda *_, **__: httpx.Response(204))
    done = CliRunner().invoke(app, ["deliver", *at])
    assert (done.exit_code, done.output.strip()) == (0, "lab: 120 events taken")

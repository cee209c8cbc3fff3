"""Export API: a token reads what its purpose and campaigns allow, under pseudonyms; anything else reads nothing."""

from datetime import timedelta

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from assay.cli.feedback import app as commands
from assay.feedback import Said, find_campaign, next_turn, open_campaign, queue_of, record_answer
from assay.feedback.consent import decide
from assay.feedback.tokens import Token, close_tokens, find_token, make_token
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Item
from assay.web import create_annotation_app

RANDOM = bytes(range(32))


@pytest.fixture
def client(workspace, now):
    for campaign in ("kitchen", "garden"):
        items = [
            Item(campaign=campaign, prompt=user_prompt(f"p{n}"), first="a", second="b", created_at=now)
            for n in range(5)
        ]
        open_campaign(workspace.records, campaign, items, now=now)
    leases = queue_of(workspace.records)
    for name, purposes in (("ada", ["train", "research"]), ("bob", ["train"])):
        decide(workspace.records, name, purposes, now=now)
        for _ in range(5):
            campaign = find_campaign(workspace.records, "kitchen")
            item = next_turn(leases, campaign, name, now=now).item
            record_answer(leases, campaign, name, item, Said(overall="left"), now=now)
    moments = [now]
    with TestClient(create_annotation_app(workspace, clock=lambda: moments[-1])) as client:
        client.moments = moments
        yield client


def _headers(workspace, now, **settings):
    settings = {"purpose": "research", "days": 1.0, "random": RANDOM, **settings}
    return {"Authorization": f"Bearer {make_token(workspace.records, 'lab', now=now, **settings).secret}"}


def test_a_token_reads_its_purpose_under_pseudonyms_page_by_page(client, workspace, now):
    headers = _headers(workspace, now)
    rows, offset = [], 0
    while offset is not None:
        address = f"/api/campaigns/kitchen/judgements?view=raw&limit=2&offset={offset}"
        page = client.get(address, headers=headers).json()
        rows, offset = rows + page["rows"], page["next_offset"]
    assert (page["total"], len(rows)) == (5, 5)
    assert {row["annotator"][:2] for row in rows} == {"p-"}
    assert "ada" not in str(rows)
    both = client.get(
        "/api/campaigns/kitchen/judgements?view=aggregate",
        headers=_headers(workspace, now, purpose="train", random=b"x" * 32),
    )
    assert [row["people"] for row in both.json()["rows"]] == [2] * 5


def test_a_token_sees_its_campaigns_only(client, workspace, now):
    headers = _headers(workspace, now, campaigns=["garden"])
    assert client.get("/api/campaigns", headers=headers).json() == [{"name": "garden", "state": "open", "items": 5}]
    for name in ("kitchen", "absent"):
        assert client.get(f"/api/campaigns/{name}/judgements?view=raw", headers=headers).status_code == 404
    assert client.get("/api/campaigns/garden/judgements?view=raw", headers=headers).json()["rows"] == []


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer assay_00", "Basic assay_00", f"Bearer {RANDOM.hex()}"])
def test_without_a_token_that_opens_nothing_is_read(client, workspace, now, given):
    _headers(workspace, now)
    headers = {} if given is None else {"Authorization": given}
    for address in ("/api/campaigns", "/api/campaigns/kitchen/judgements?view=raw"):
        answer = client.get(address, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"detail": "No token that opens."})


def test_a_token_that_ran_out_or_was_closed_opens_nothing(client, workspace, now):
    headers = _headers(workspace, now)
    assert client.get("/api/campaigns", headers=headers).status_code == 200
    client.moments.append(now + timedelta(days=1))
    assert client.get("/api/campaigns", headers=headers).status_code == 401
    client.moments.append(now)
    assert close_tokens(workspace.records, "lab", now=now) == 1
    assert close_tokens(workspace.records, "lab", now=now) == 0
    assert client.get("/api/campaigns", headers=headers).status_code == 401


@pytest.mark.sqlite
def test_no_token_itself_is_kept(workspace, now):
    made = make_token(workspace.records, "lab", purpose="train", random=RANDOM, now=now, days=1)
    assert RANDOM.hex() not in (workspace.directory / "assay.db").read_bytes().decode(errors="replace")
    assert find_token(workspace.records, made.secret, now=now) == made.token
    assert workspace.records.count(Token) == 1


def test_a_token_that_is_none_is_refused_with_all_its_faults(workspace, now):
    with pytest.raises(InputError, match="it is empty; a life of 0 days; 3 random bytes"):
        make_token(workspace.records, " ", purpose="train", random=b"abc", now=now, days=0)


def test_too_many_reads_wait(client, workspace, now):
    headers = _headers(workspace, now)
    codes = [client.get("/api/campaigns", headers=headers).status_code for _ in range(121)]
    assert codes == [200] * 120 + [429]


def test_what_cannot_be_written_is_told(client, workspace, now):
    headers = _headers(workspace, now)
    answer = client.get("/api/campaigns/kitchen/judgements?view=raw&format=trl", headers=headers)
    assert answer.status_code == 400
    assert "the view raw in the format trl" in answer.json()["detail"]
    assert client.get("/api/campaigns/kitchen/judgements?view=all", headers=headers).status_code == 422


def test_the_api_describes_itself_and_nothing_else_does(client):
    found = client.get("/api/openapi.json").json()
    assert set(found["paths"]) == {"/campaigns", "/campaigns/{campaign}/judgements"}
    assert found["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert client.get("/openapi.json").status_code == 404
    assert client.post("/api/campaigns").status_code == 405


def test_a_token_is_made_shown_once_and_closed_by_command(workspace, now):
    made = CliRunner().invoke(commands, ["token", "lab", "--purpose", "evaluate", "-w", str(workspace.directory)])
    secret = made.output.split("Bearer ")[1].split()[0]
    (token,) = workspace.records.all(Token)
    assert (token.purpose, token.name) == ("evaluate", "lab")
    assert find_token(workspace.records, secret, now=token.created_at) == token
    closed = CliRunner().invoke(commands, ["token", "lab", "--close", "-w", str(workspace.directory)])
    assert "1 tokens closed" in closed.output

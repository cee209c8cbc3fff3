"""Feedback commands: from a file to stored judgements and back, and a campaign that is ready to serve."""

import json

import pytest
import uvicorn
from feedback_cases import feedback

from assay.feedback import Said, find_campaign, give_consent, next_turn, queue_of, record_answer
from assay.feedback.accounts import check_password
from assay.feedback.panels import Panel, tell
from assay.feedback.schemes import Scheme
from assay.records.errors import AssayError
from assay.records.judgement import Item, Judgement

ROWS = [
    {"prompt": f"p{n}", "first": "a", "second": "b", "choice": "first" if n % 2 else "second", "annotator": name}
    for n in range(20)
    for name in ("ada", "bob", "cem")
]


@pytest.fixture
def rows_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def test_a_file_is_imported_exported_and_imported_again(workspace, rows_file, tmp_path):
    output = feedback("import", rows_file, "-w", workspace.directory)
    assert "60 judgements and 0 demonstrations in assay format, 60 of them new" in output
    assert "left unused" in output
    assert "next: assay" in output
    assert "60 judgements" in feedback("export", tmp_path / "out.jsonl", "-w", workspace.directory)
    assert "0 of them new" in feedback("import", tmp_path / "out.jsonl", "-w", workspace.directory)


def test_held_out_annotators_are_named_on_the_command_line(workspace, rows_file):
    output = feedback("import", rows_file, "-w", workspace.directory, "--held-out-annotators", "bob")
    assert "held-out annotators: bob" in output
    assert {j.annotator for j in workspace.records.all(Judgement, split="held_out")} == {"bob"}


def test_a_bad_file_and_a_missing_workspace_are_told(workspace, rows_file, tmp_path):
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(AssayError, match="expected in"):
        feedback("import", tmp_path / "bad.jsonl", "-w", workspace.directory)
    with pytest.raises(AssayError, match="expected a workspace"):
        feedback("import", rows_file, "-w", tmp_path / "absent")


def test_a_campaign_is_opened_and_served(workspace, tmp_path, monkeypatch):
    (tmp_path / "items.jsonl").write_text(json.dumps({"prompt": "p", "first": "a", "second": "b"}))
    output = feedback("campaign", "kitchen", tmp_path / "items.jsonl", "-w", workspace.directory)
    assert "1 items in kitchen" in output
    assert find_campaign(workspace.records, "kitchen").id in output
    served = {}
    monkeypatch.setattr(uvicorn, "run", lambda site, **settings: served.update(settings, site=site))
    output = feedback("serve", "--campaign", "kitchen", "--port", "8123", "-w", workspace.directory)
    assert "http://127.0.0.1:8123/c/kitchen" in output
    assert (served["host"], served["port"]) == ("127.0.0.1", 8123)
    with pytest.raises(AssayError, match="expected a campaign 'garden'"):
        feedback("serve", "--campaign", "garden", "-w", workspace.directory)


def test_a_finder_that_there_is_not_is_told_before_anything_is_served(workspace, kitchen, monkeypatch):
    monkeypatch.setattr(uvicorn, "run", lambda *_, **__: pytest.fail("it was served"))
    with pytest.raises(AssayError, match="presidio or presidio:MODEL"):
        feedback("serve", "--campaign", "kitchen", "--pii", "spacy", "-w", workspace.directory)


@pytest.fixture
def kitchen(workspace, tmp_path):
    rows = [{"prompt": f"p{n}", "first": "a", "second": "b"} for n in range(3)]
    rows += [{"prompt": "check", "first": "a", "second": "b", "gold": "first"}]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "scheme.yaml").write_text("name: helpful\nattributes: [{name: honesty, title: Honesty}]\n")
    settings = ["--scheme", tmp_path / "scheme.yaml", "--overlap", "2", "--gold-rate", "0.1"]
    return feedback("campaign", "kitchen", tmp_path / "items.jsonl", *settings, "-w", workspace.directory)


def test_a_campaign_may_mix_and_knows_which_items_may_upset(workspace, tmp_path):
    rows = [
        {"prompt": f"p{n}", "first": "a", "second": "b", "topic": "bread", "harm": harm}
        for n, harm in enumerate(("none", "strong"))
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    feedback("campaign", "kitchen", tmp_path / "items.jsonl", "--mix", "-w", workspace.directory)
    assert find_campaign(workspace.records, "kitchen").run.mix is True
    leases = queue_of(workspace.records)
    assert (leases.standing("kitchen", "ada").total, leases.standing("kitchen", "ada", limit=0).total) == (2, 1)
    feedback("campaign", "plain", tmp_path / "items.jsonl", "-w", workspace.directory)
    assert find_campaign(workspace.records, "plain").run.mix is None


def test_a_campaign_keeps_its_scheme_its_overlap_and_its_checks(workspace, kitchen):
    assert "3 items in kitchen, and 1 that check" in kitchen
    found = find_campaign(workspace.records, "kitchen")
    assert (found.run.overlap, found.run.gold_rate) == (2, 0.1)
    assert workspace.records.all(Scheme)[0].id == found.scheme


def test_the_site_is_open_to_other_machines_only_by_account_or_by_word(workspace, kitchen, monkeypatch, tmp_path, now):
    monkeypatch.setattr(uvicorn, "run", lambda *_, **__: None)
    serve = ("serve", "--campaign", "kitchen", "--host", "0.0.0.0", "-w", workspace.directory)  # noqa: S104
    with pytest.raises(AssayError, match="enter by account"):
        feedback(*serve)
    assert "judge at" in feedback(*serve, "--open")
    (tmp_path / "password").write_text("correct horse battery\n")
    account = ("account", "ada", "--role", "manager", "--password-file", tmp_path / "password")
    assert "assay feedback link ada" in feedback(*account, "-w", workspace.directory)
    assert check_password(workspace.records, "ada", "correct horse battery", now=now).role == "manager"
    assert "judge at" in feedback(*serve)


def test_a_link_is_printed_for_an_open_account_only(workspace, kitchen):
    feedback("account", "ada", "-w", workspace.directory)
    assert "https://judge.example/enter?key=" in feedback(
        "link", "ada", "--site", "https://judge.example/", "-w", workspace.directory
    )
    feedback("account", "ada", "--close", "-w", workspace.directory)
    with pytest.raises(AssayError, match="an open account 'ada'"):
        feedback("link", "ada", "-w", workspace.directory)


def test_a_check_that_one_group_fails_stands_out(workspace, kitchen, now):
    item = next(one for one in workspace.records.all(Item) if one.prompt[-1].content == "check")
    panel = Panel(campaign="kitchen", traits={"age": ("young", "old")}, created_at=now)
    workspace.records.put(panel, subject="kitchen")
    for number in range(24):
        name, age = f"p{number}", "young" if number % 2 else "old"
        tell(workspace.records, name, {"age": age}, asked=panel.traits, now=now)
        fields = {"campaign": "kitchen", "prompt": item.prompt, "first": "a", "second": "b", "first_shown": "left"}
        choice = "first" if age == "young" else "second"
        said = Judgement(annotator=name, choice=choice, purpose="gold", created_at=now, **fields)
        workspace.records.put(said, split="unused", subject=name)
    output = feedback("quality", "kitchen", "-w", workspace.directory)
    assert f"check {item.id[:12]} by age: old: failed 12/12 (0.76-1.00), others 0/12" in output
    assert "checks by age: young: failed 0/12 (0.00-0.24), others 12/12" in output
    assert output.count("stands out") == 4  # both groups, over all checks and on this one


def test_quality_demonstrations_and_withdrawal_are_told(workspace, kitchen, now):
    give_consent(workspace.records, "ada", "train", now=now)
    leases, campaign = queue_of(workspace.records), find_campaign(workspace.records, "kitchen")
    for _ in range(2):
        item = next_turn(leases, campaign, "ada", now=now).item
        said = Said(overall="left", attributes={"honesty": "tie"}, edit="better")
        record_answer(leases, campaign, "ada", item, said, now=now)
    assert "ada: 2 judged" in feedback("quality", "kitchen", "-w", workspace.directory)
    assert "2 demonstrations" in feedback("demonstrations", "kitchen", "-w", workspace.directory)
    output = feedback("withdraw", "ada", "-w", workspace.directory)
    assert "2 judgements taken back" in output
    assert "stale releases: none" in output

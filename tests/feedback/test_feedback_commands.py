"""Feedback commands: from a file to stored judgements and back, and a campaign that is ready to serve."""

import json

import pytest
import uvicorn
from typer.testing import CliRunner

from assay.cli.feedback import app
from assay.feedback import find_campaign
from assay.records.errors import AssayError
from assay.records.judgement import Judgement

ROWS = [
    {"prompt": f"p{n}", "first": "a", "second": "b", "choice": "first" if n % 2 else "second", "annotator": name}
    for n in range(20)
    for name in ("ada", "bob", "cem")
]


def _run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, AssayError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def rows_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def test_a_file_is_imported_exported_and_imported_again(workspace, rows_file, tmp_path):
    output = _run("import", rows_file, "-w", workspace.directory)
    assert "60 judgements and 0 demonstrations in assay format, 60 of them new" in output
    assert "left unused" in output
    assert "next: assay" in output
    assert "60 judgements" in _run("export", tmp_path / "out.jsonl", "-w", workspace.directory)
    assert "0 of them new" in _run("import", tmp_path / "out.jsonl", "-w", workspace.directory)


def test_held_out_annotators_are_named_on_the_command_line(workspace, rows_file):
    output = _run("import", rows_file, "-w", workspace.directory, "--held-out-annotators", "bob")
    assert "held-out annotators: bob" in output
    assert {j.annotator for j in workspace.records.all(Judgement, split="held_out")} == {"bob"}


def test_a_bad_file_and_a_missing_workspace_are_told(workspace, rows_file, tmp_path):
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(AssayError, match="expected in"):
        _run("import", tmp_path / "bad.jsonl", "-w", workspace.directory)
    with pytest.raises(AssayError, match="expected a workspace"):
        _run("import", rows_file, "-w", tmp_path / "absent")


def test_a_campaign_is_opened_and_served(workspace, tmp_path, monkeypatch):
    (tmp_path / "items.jsonl").write_text(json.dumps({"prompt": "p", "first": "a", "second": "b"}))
    output = _run("campaign", "kitchen", tmp_path / "items.jsonl", "-w", workspace.directory)
    assert "1 pairs in kitchen" in output
    assert find_campaign(workspace.records, "kitchen").id in output
    served = {}
    monkeypatch.setattr(uvicorn, "run", lambda site, **settings: served.update(settings, site=site))
    output = _run("serve", "--campaign", "kitchen", "--port", "8123", "-w", workspace.directory)
    assert "http://127.0.0.1:8123/c/kitchen" in output
    assert (served["host"], served["port"]) == ("127.0.0.1", 8123)
    with pytest.raises(AssayError, match="expected a campaign 'garden'"):
        _run("serve", "--campaign", "garden", "-w", workspace.directory)

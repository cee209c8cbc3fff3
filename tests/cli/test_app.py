"""App: every command explains itself, and an error that the user can mend is one sentence and exit status 1."""

import subprocess
import sys

import click
import pytest
import typer
from command_line import assay, done, refused

from assay.cli import ledger
from assay.cli.app import app

GROUPS = {"init", "feedback", "preferences", "reward", "align", "evaluate", "release"}
GROUPS |= {"deploy", "monitor", "ledger", "report", "run", "demo"}


def commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every command and group below a command, itself included."""
    below = getattr(command, "commands", {})
    return [path, *(found for name, child in below.items() for found in commands(child, (*path, name)))]


PATHS = commands(typer.main.get_command(app))


def test_the_commands_of_the_walk_are_there():
    assert {path[0] for path in PATHS if path} >= GROUPS


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_command_explains_itself(path):
    said = done(*path, "--help")
    assert "Usage:" in said
    assert "--help" in said


def test_an_error_is_one_sentence_without_a_traceback(tmp_path):
    said = refused("init", "--show", "-w", tmp_path / "absent")
    assert said.startswith("expected a workspace in")
    assert "got none" in said
    assert "make one with `assay init" in said
    assert not (tmp_path / "absent").exists()


def test_square_brackets_in_an_error_are_printed_as_they_are(tmp_path):
    assert "[bold]" in refused("run", tmp_path / "[bold].yaml")


def test_a_fault_of_the_program_is_not_dressed_up_as_one_of_the_user(monkeypatch, tmp_path):
    def broken(_path):
        raise ZeroDivisionError("a fault of the program")

    done("init", "-w", tmp_path)
    monkeypatch.setattr(ledger, "_ledger", broken)
    with pytest.raises(ZeroDivisionError):
        assay("ledger", "verify", "-w", tmp_path)


def test_an_audit_needs_no_torch(tmp_path):
    """Commands that people run in a hurry or on a laptop do not wait for torch, in a process of their own."""
    done("init", "-w", tmp_path)
    code = "import sys, assay.cli.app as a\ntry:\n    a.main()\nfinally:\n    print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "ledger", "verify", "-w", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "False"

"""Docs: what the documentation names exists, and what exists is documented: commands, metrics, rooms, tests, files."""

import re
from pathlib import Path

import pytest
import typer

import assay
from assay.cli.app import app
from assay.governance.diagnostics import refusal
from assay.governance.gates import load_gates
from assay.monitors import MONITORS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
LATER = {"docs/images/report.png"}
"""Named by a page, and not a file that the tests can rely on: the picture is drawn from a finished demo."""


def commands_of(group: typer.Typer, prefix: str = "assay") -> set[str]:
    """Every command below a group, as typed; a group that runs by itself counts as a command."""
    found: set[str] = set()
    for command in group.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")
        found.add(f"{prefix} {name}")
    for below in group.registered_groups:
        name = f"{prefix} {below.name}"
        found |= commands_of(below.typer_instance, name) or {name}
    return found


@pytest.fixture(scope="module")
def text():
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


@pytest.fixture(scope="module")
def metrics():
    return (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_command_is_documented(text):
    missing = {name for name in commands_of(app) if not re.search(rf"`{re.escape(name)}(?![\w-])", text)}
    assert missing == set()


def test_every_command_that_the_docs_name_exists(text):
    commands = commands_of(app)
    groups = {" ".join(name.split()[:2]) for name in commands if name.count(" ") == 2}
    named = re.findall(r"`assay ([a-z-]+)(?: ([a-z-]+)\b)?", text)
    wrong = {
        f"assay {first} {second}".strip()
        for first, second in named
        if f"assay {first}" not in commands and f"assay {first} {second}" not in commands
    }
    assert wrong - groups == set()


def test_every_monitor_and_every_metric_it_reads_is_in_the_metrics_page(metrics):
    read = {metric for entry in MONITORS.values() for metric in entry.build(entry.settings()).reads}
    starts = {f"`{name[:-1]}" if name.endswith("*") else f"`{name}`" for name in {*MONITORS, *read}}
    assert {start for start in starts if start not in metrics} == set()


def test_every_metric_of_a_default_gate_is_in_the_metrics_page_and_no_diagnostic(metrics):
    named = [gate.metric.replace("/*", "/<rater>") for gate in load_gates()]
    assert [name for name in named if f"`{name}`" not in metrics] == []
    assert [name for name in named if refusal(name.replace("<rater>", "rubric")) is not None] == []


def test_every_room_stands_in_the_tree_and_in_the_architecture():
    package = Path(str(assay.__file__)).parent
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    tree = set(re.findall(r"^  (\w+)/ +\w", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE))
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert tree == rooms
    assert set(table) == rooms


def test_the_import_order_of_the_architecture_is_the_enforced_one():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contract = settings.split("layers = [", 1)[1].split("]", 1)[0]
    enforced = [line.strip(' ",\n').replace("assay.", "") for line in contract.strip().splitlines()]
    section = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Import order", 1)[1]
    assert section.split("```")[1].strip().splitlines() == enforced


def test_every_test_that_a_page_names_exists(text):
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text))
    assert named
    wrong = [f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text("utf-8")]
    assert wrong == []


def test_every_link_and_every_file_that_a_page_names_exists():
    wrong = []
    for page in PAGES:
        content = page.read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?://|#)([^)#]+)", content)
        wrong += [f"{page.name}: {link}" for link in links if link not in LATER and not (page.parent / link).exists()]
        files = re.findall(r"`((?:tests|recipes|docs)/[\w./]+\.\w+)`", content)
        files += [f"src/assay/{name}" for name in re.findall(r"`((?:\w+/)+\w+\.(?:py|yaml))`", content)]
        known = [name for name in files if not name.startswith(("src/assay/tests/", "src/assay/src/"))]
        wrong += [f"{page.name}: {name}" for name in known if not (ROOT / name).exists()]
    assert wrong == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_number_and_its_four_parts(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {path.stem[:4]}. ")
    headings = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert headings == ["Problem", "Choice", "Refused", "Consequence"]


def test_decisions_are_numbered_without_a_gap():
    assert [int(path.stem[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))

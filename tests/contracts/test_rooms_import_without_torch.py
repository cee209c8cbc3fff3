"""Contract: an audit runs on a laptop. These rooms, with every module in them, import without torch."""

import json
import subprocess
import sys

import pytest

ROOMS = ["records", "storage", "feedback", "preferences", "monitors", "governance", "web"]
DOORS = ["evaluation", "evaluation.report"]
"""Packages that open without torch, though some of their modules need it."""
HEAVY = ["torch", "transformers", "peft", "safetensors"]

IMPORT_ALL = """
import importlib, json, pkgutil, sys
rooms, doors, heavy = map(json.loads, sys.argv[1:])
seen, found = set(), {}
for name in rooms + doors:
    room = importlib.import_module("assay." + name)
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + ".") if name in rooms else ():
        importlib.import_module(module.name)
    loaded = set(heavy) & set(sys.modules)
    found[name] = sorted(loaded - seen)
    seen |= loaded
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded():
    """What each room was the first to load of what is heavy, in one fresh process."""
    arguments = [json.dumps(names) for names in (ROOMS, DOORS, HEAVY)]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("room", [*ROOMS, *DOORS])
def test_a_room_imports_without_torch(loaded, room):
    assert loaded[room] == []

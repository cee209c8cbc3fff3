"""Contract: an audit runs on a laptop. These rooms, with every module in them, import without torch."""

import subprocess
import sys

import pytest

ROOMS = ["records", "storage", "feedback", "preferences", "monitors", "governance", "web"]
HEAVY = ["torch", "transformers", "peft", "safetensors"]

IMPORT_ALL = """
import importlib, pkgutil, sys
room = importlib.import_module("assay." + sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    importlib.import_module(module.name)
print(" ".join(sorted(set(sys.argv[2:]) & set(sys.modules))))
"""


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_without_torch(room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, room, *HEAVY], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""

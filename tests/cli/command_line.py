"""The command line as a user meets it, in this process: arguments in; exit status and everything said out."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import yaml

from assay.cli.app import main

WORDS = ["water", "sleep", "walk", "call", "friends", "sky", "blue", "air", "light", "city"]


class Ended(NamedTuple):
    """How a command ended: exit status, and output with errors, line breaks taken out."""

    code: int
    said: str


def assay(*arguments) -> Ended:
    """Run `assay ARGUMENTS`. An error that is not the user's to mend comes out as it is."""
    output = io.StringIO()
    argv = mock.patch.object(sys, "argv", ["assay", *map(str, arguments)])
    with argv, redirect_stdout(output), redirect_stderr(output):
        try:
            main()
            code = 0
        except SystemExit as ending:
            code = ending.code or 0
    return Ended(code, output.getvalue())


def refused(*arguments) -> str:
    """Run a command that must end in one sentence: what was expected, what came, what to do. Returns what it said."""
    ended = assay(*arguments)
    assert ended.code == 1, ended
    assert ended.said.count("error: expected") == 1, ended.said
    assert "Traceback" not in ended.said
    return ended.said.partition("error: ")[2]


def done(*arguments) -> str:
    """Run a command that must end well. Returns what it said."""
    ended = assay(*arguments)
    assert ended.code == 0, ended.said
    return ended.said


def write_rows(path: Path, rows: list[dict]) -> Path:
    """Rows as jsonl."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def judgement_rows(prompts: int = 40) -> list[dict]:
    """Two pairs a prompt, judged by two people who prefer the longer answer; sides and order alternate."""
    rows = []
    for n in range(prompts):
        for k in range(2):
            short = f"{WORDS[n % 10]} {WORDS[(n + k + 1) % 10]}."
            long = f"{short} {WORDS[(n + 3) % 10]} {WORDS[(n + 5 + k) % 10]} {WORDS[(n + 7) % 10]}."
            first, second = (long, short) if (n + k) % 2 else (short, long)
            rows += [
                {
                    "prompt": f"What about {WORDS[n % 10]} number {n}?",
                    "first": first,
                    "second": second,
                    "choice": "first" if (n + k) % 2 else "second",
                    "first_shown": side,
                    "annotator": who,
                }
                for who, side in (("ada", "left"), ("bob", "right"))
            ]
    return rows


def demonstration_rows(count: int = 24) -> list[dict]:
    """Prompts with one answer each."""
    return [{"prompt": f"Say {WORDS[n % 10]} {n}.", "completion": f"{WORDS[n % 10]} it is."} for n in range(count)]


def write_recipe(directory: Path, model: Path, **changes) -> Path:
    """A recipe for the tiny model, small enough for a test, with its data beside it."""
    write_rows(directory / "judgements.jsonl", judgement_rows())
    write_rows(directory / "demonstrations.jsonl", demonstration_rows())
    lora = {"r": 4, "targets": ["q_proj", "v_proj"]}
    recipe = {
        "name": "small",
        "model": str(model),
        "seed": 3,
        "feedback": {
            "source": "file",
            "judgements": str(directory / "judgements.jsonl"),
            "demonstrations": str(directory / "demonstrations.jsonl"),
            "folds": {
                "shares": {"train": 0.5, "watch": 0.25, "held_out": 0.25, "sealed": 0.0},
                "held_out_annotators": "none",
            },
        },
        "sampling": {"max_tokens": 4},
        "reward": {"directions": 4, "feature_maps": ["mean-low", "last-high"]},
        "alignment": {
            "sft": {"num_train_epochs": 1, "learning_rate": 1e-3, "lora": lora},
            "dpo": {
                "lora": lora,
                "num_train_epochs": 3,
                "per_device_train_batch_size": 4,
                "learning_rate": 1e-3,
                "save_steps": 1,
                "measure_steps": 7,
                "max_completion_length": 4,
            },
            "online_dpo": {
                "lora": lora,
                "rounds": 2,
                "max_completion_length": 4,
                "learning_rate": 1e-3,
                "save_steps": 1,
            },
            "max_prompts": 6,
            "best_of_n": 1,
        },
        "evaluation": {"max_prompts": 6, "max_tokens": 4, "seeds": [1, 2]},
        **changes,
    }
    path = directory / "small.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path

"""No network: a fresh process imports every module and walks a small piece of the way with every look-up refused.

The process gets none of the variables that tell libraries to stay offline: the project must not depend on them.
"""

import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from network_guard import NetworkError, refused_network

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
NOT_IMPORTED = ("assay.__main__",)
"""Runs the command line when it is imported."""


def test_a_small_walk_and_every_import_ask_the_network_for_nothing(tiny_model_dir, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in OFFLINE}
    done = subprocess.run(
        [sys.executable, __file__, str(tiny_model_dir), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["attempts"] == []
    assert said["completions"] == 4
    assert said["members"] == 5
    assert said["sft_steps"] == 1
    modules = {p.relative_to(Path(said["root"])) for p in Path(said["root"]).rglob("*.py")}
    assert said["modules"] == len(modules) - 1 - len(NOT_IMPORTED)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: socket.gethostbyname_ex("localhost"),
        lambda: socket.getnameinfo(("127.0.0.1", 9), 0),
        lambda: _with_socket(lambda one: one.connect(("127.0.0.1", 9))),
        lambda: _with_socket(lambda one: one.connect_ex(("127.0.0.1", 9))),
        lambda: _with_socket(lambda one: one.bind(("127.0.0.1", 0))),
        lambda: _with_socket(lambda one: one.sendto(b"x", ("127.0.0.1", 9)), kind=socket.SOCK_DGRAM),
    ],
)
def test_each_way_out_is_refused_and_noted(ask):
    with refused_network() as attempts, pytest.raises(NetworkError):
        ask()
    assert len(attempts) == 1


def test_an_attempt_that_was_swallowed_in_a_thread_is_noted_all_the_same():
    def phone_home():
        with suppress(BaseException):
            socket.create_connection(("telemetry.invalid", 443))

    with refused_network() as attempts:
        thread = threading.Thread(target=phone_home)
        thread.start()
        thread.join()
    assert attempts == ["socket.getaddrinfo 'telemetry.invalid'"]


def test_local_sockets_stay_open_and_the_guard_ends_with_its_block(tmp_path):
    with refused_network() as attempts, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "s"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
    assert attempts == []


def _with_socket(act, *, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as one:
        act(one)


def import_everything() -> tuple[str, int]:
    """Where the package lies, and how many modules under it were imported."""
    package = importlib.import_module("assay")
    names = [m.name for m in pkgutil.walk_packages(package.__path__, "assay.") if m.name not in NOT_IMPORTED]
    for name in names:
        importlib.import_module(name)
    return str(Path(package.__path__[0])), len(names)


def small_walk(model: str, directory: Path) -> dict[str, int]:
    """Load, sample, fit a reward, take one step of SFT. Imports stand here so that the guard sees them happen."""
    from assay.alignment import RunContext, SftSettings, run_sft
    from assay.lm import Sampling, generate, load
    from assay.records.conversation import user_prompt
    from assay.records.judgement import Demonstration
    from assay.records.preference import Preference
    from assay.rewards import RewardSettings, train_reward
    from assay.storage import ArtifactStore

    now = datetime(2026, 1, 1, tzinfo=UTC)
    lm = load(model)
    prompts = [user_prompt(f"Why is the sky blue in town {i}?") for i in range(4)]
    completions = generate(lm, prompts, Sampling(max_tokens=4))
    preferences = [
        Preference(
            created_at=now,
            prompt=prompt,
            chosen=f"The air scatters light {i} times.",
            rejected=f"No {i}.",
            margin=1.0,
            standard_error=0.5,
            probability=0.7,
            judgements=(f"{prompt[0].content} {i}",),
            annotators=("ann",),
            aggregation="a",
        )
        for prompt in prompts
        for i in range(3)
    ]
    reward = train_reward(lm, preferences, RewardSettings(directions=2), seed=1)
    demonstrations = [
        Demonstration(created_at=now, annotator="ann", prompt=prompt, completion="Because of the light.")
        for prompt in prompts
    ]
    settings = SftSettings(num_train_epochs=1, per_device_train_batch_size=4)
    context = RunContext("sft", ArtifactStore(directory / "artifacts"), directory / "sft", seed=1, now=lambda: now)
    policy = run_sft(load(model), demonstrations, settings, context)
    return {
        "completions": len(completions),
        "members": len(reward.ensemble.members),
        "sft_steps": policy.steps_run,
    }


if __name__ == "__main__":
    with refused_network() as tried:
        root, modules = import_everything()
        walked = small_walk(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(json.dumps({**walked, "root": root, "modules": modules, "attempts": tried}) + "\n")

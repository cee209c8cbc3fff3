"""Seeds: one whole world from base to outcomes, and many of them over the processor's cores.

This is where gold and the rest meet: answers of the base are judged here, their judgements become labels, and from then
on only `measuring` sees gold again.
"""

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field

from assay.alignment import OnlineDpoSettings
from assay.bench.policy.arms import LABEL_ARMS, LOOP_ARMS, LabelArm, LoopArm
from assay.bench.policy.base import BaseSettings, train_base
from assay.bench.policy.gold import worth
from assay.bench.policy.instructions import INSTRUCTIONS, Instruction
from assay.bench.policy.labels import Answered, People, label
from assay.bench.policy.measuring import ArmOutcome, Meter, Standing
from assay.bench.policy.peers import PEER_ARMS, run_peer
from assay.bench.policy.running import LOOP, Course, Rewards, fit_rewards, run_best_of_n, run_labels, run_loop
from assay.lm import Sampling, generate, load
from assay.records.preference import Preference
from assay.records.record import Value
from assay.storage import ArtifactStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""A fixed date for the records of a simulated world, so that a seed gives the same records whenever it runs."""


class PolicySettings(Value):
    """Sizes of the benchmark."""

    base: BaseSettings = BaseSettings()
    """The base."""
    people: People = People()
    """Those who label."""
    loop: OnlineDpoSettings = LOOP
    """The optimiser of every arm."""
    loop_prompts: int = Field(default=32, ge=2)
    """Prompts that policies are pushed and measured on."""
    watch_prompts: int = Field(default=24, ge=4)
    """Prompts that the watch panel labels; the proxy's people label the others."""
    answers: int = Field(default=24, ge=2)
    """Answers of the base to each labelled prompt, labelled in neighbouring pairs."""
    candidates: int = Field(default=64, ge=2)
    """Candidates a prompt of best-of-n."""
    fresh: int = Field(default=16, ge=1)
    """Fresh samples a prompt for the checkpoints that are reported."""


class SeedOutcome(Value):
    """One seed: the base as it stands, the plain reward's held-out accuracy, labelled pairs, and each arm's outcome."""

    seed: int
    base_loss: float
    base: Standing
    reward_accuracy: float
    pairs: int
    arms: tuple[ArmOutcome, ...]


class _Streams(NamedTuple):
    base: int
    labels: int
    reward: int
    loop: int
    measure: int


def run_seeds(
    seeds: Sequence[int],
    settings: PolicySettings,
    *,
    processes: int,
    peer_python: Path | None = None,
    done: Callable[[SeedOutcome], object] = lambda _: None,
) -> list[SeedOutcome]:
    """All seeds, in their order; `done` hears of each as it ends. One process a seed, one thread a process.

    Raises ConfigError where TRL, in the Python given for it, cannot be run.
    """
    work = partial(run_seed, settings=settings, peer_python=peer_python)
    if processes == 1:
        outcomes = []
        for seed in seeds:
            outcomes.append(work(seed))
            done(outcomes[-1])
        return outcomes
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _one_thread) as pool:
        outcomes = []
        for outcome in pool.map(work, seeds):
            outcomes.append(outcome)
            done(outcome)
        return outcomes


def run_seed(seed: int, settings: PolicySettings, *, peer_python: Path | None = None) -> SeedOutcome:
    """One seed from an untrained transformer to every arm's outcome; TRL's arms need a Python that has it."""
    streams = _Streams(*(int(n) for n in np.random.SeedSequence(seed).generate_state(5)))
    order = [INSTRUCTIONS[i] for i in np.random.default_rng(streams.labels).permutation(len(INSTRUCTIONS))]
    watched, labelled = order[: settings.watch_prompts], order[settings.watch_prompts :]
    prompts = [one.prompt for one in labelled[: settings.loop_prompts]]
    with tempfile.TemporaryDirectory() as scratch:
        base, artifacts = Path(scratch) / "base", ArtifactStore(Path(scratch) / "artifacts")
        loss = train_base(base, settings.base, seed=streams.base)
        preferences, rewards = _learn(base, labelled, watched, settings, streams)
        sampling = Sampling(max_tokens=settings.loop.max_completion_length, seed=streams.measure)
        meter = Meter(base, prompts, artifacts, sampling, n=settings.fresh)
        course = Course(base, prompts, artifacts, Path(scratch), streams.loop, settings.loop)
        trained = _of_ours(course, preferences, rewards, meter)
        trained += [] if peer_python is None else _of_trl(peer_python, course, preferences, meter)
        candidates = run_best_of_n(course, rewards, count=settings.candidates)
        selected = meter.best_of_n(candidates)
    return SeedOutcome(
        seed=seed,
        base_loss=loss,
        base=meter.scale.standing,
        reward_accuracy=rewards.accuracy,
        pairs=len(preferences),
        arms=(*trained, *selected),
    )


def _of_ours(course: Course, preferences: Sequence[Preference], rewards: Rewards, meter: Meter) -> list[ArmOutcome]:
    """Every arm that our own optimisers train; a guarded one knows its best stop from the unguarded one before it."""
    outcomes: list[ArmOutcome] = []
    twins: dict[str, ArmOutcome] = {}
    arms: dict[str, LoopArm | LabelArm] = {**LOOP_ARMS, **LABEL_ARMS}
    for name, arm in arms.items():
        if isinstance(arm, LoopArm):
            policy = run_loop(course, name, arm, rewards, now=NOW)
        else:
            policy = run_labels(course, name, arm, preferences, rewards, now=NOW)
        outcomes.append(meter.loop(name, policy, twins.get(arm.twin)))
        twins.setdefault(arm.twin, outcomes[-1])
    return outcomes


def _of_trl(python: Path, course: Course, preferences: Sequence[Preference], meter: Meter) -> list[ArmOutcome]:
    kept = {name: run_peer(python, kind, course, preferences) for name, kind in PEER_ARMS.items()}
    return [meter.peer(name, found, n=course.loop.num_generations) for name, found in kept.items()]


def _learn(
    base: Path,
    labelled: Sequence[Instruction],
    watched: Sequence[Instruction],
    settings: PolicySettings,
    streams: _Streams,
) -> tuple[list[Preference], Rewards]:
    """Labels of both panels on answers of the base, and the rewards fitted on them."""
    lm = load(str(base))
    panels: list[list[Preference]] = []
    for number, instructions in enumerate((labelled, watched)):
        prompts = [one.prompt for one in instructions]
        sampling = Sampling(max_tokens=settings.loop.max_completion_length, seed=streams.labels + number)
        answers = [c.text for c in generate(lm, prompts, sampling, n=settings.answers)]
        found = worth([one.text for one in instructions for _ in range(settings.answers)], answers)
        flattery, marker = found.channels[:, 0], found.channels[:, 2]
        answered = Answered(prompts, answers, settings.answers, found.gold, found.words, flattery, marker)
        rng = np.random.default_rng([streams.labels, number])
        panels.append(label(answered, settings.people, name=f"panel{number}", rng=rng, now=NOW))
    unlabelled = Sampling(max_tokens=settings.loop.max_completion_length, seed=streams.reward)
    prompts = [one.prompt for one in labelled]
    texts = [c.text for c in generate(lm, prompts, unlabelled, n=settings.answers)]
    reference = [
        (prompt, texts[i * settings.answers + k]) for i, prompt in enumerate(prompts) for k in range(settings.answers)
    ]
    return panels[0], fit_rewards(base, panels[0], panels[1], reference, seed=streams.reward)


def _one_thread() -> None:
    torch.set_num_threads(1)

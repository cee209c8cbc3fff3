"""Bench reward: `assay bench reward`, the reward ensemble and the monitors measured, with TRL beside them.

The room is imported inside the command: torch takes seconds, and `--help` must not wait for it.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console, now

if TYPE_CHECKING:
    from assay.bench.reward import RewardMeasurement, RewardPlan
    from assay.bench.reward.measurement import SetOutcome

NO_PEER = (
    "TRL was not measured, so the bars beside it are not: give --peer-python a Python that has trl==1.16.0 "
    "(`make peers` makes one in .venv)"
)


def reward(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    data: Annotated[Path, typer.Option("--data", help="Directory with hh-rlhf-harmless and pandalm.")] = Path("data"),
    model: Annotated[str, typer.Option("--model", help="default, a directory, or a hub id.")] = "default",
    peer_python: Annotated[Path | None, typer.Option("--peer-python", help="A Python with TRL 1.16.")] = None,
    train: Annotated[int | None, typer.Option("--train", min=8, help="Pairs to fit on, a set.")] = None,
    held_out: Annotated[int | None, typer.Option("--held-out", min=2, help="Pairs to judge on, a set.")] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", min=16, help="Tokens of prompt and answer.")] = None,
    peer_epochs: Annotated[int, typer.Option("--peer-epochs", min=1, help="TRL's passes; its default is 3.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws the pairs.")] = 0,
) -> None:
    """Measure what an ensemble costs against one member and against TRL, its accuracy and calibration, and monitors."""
    from assay.bench.reward import FULL, QUICK, QUICK_LOOP, RewardPlan, bars_of, bench_reward
    from assay.bench.reward.data import Sizes

    usual = QUICK if quick else FULL
    sizes = Sizes(train or usual.train, held_out or usual.held_out, max_length or usual.max_length)
    plan = RewardPlan(data, model, peer_python, sizes, peer_epochs=peer_epochs, seed=seed)
    if quick:
        plan = plan._replace(repeats=1, loop=QUICK_LOOP)
    with tempfile.TemporaryDirectory() as scratch:
        measured = bench_reward(plan, scratch=Path(scratch), now=now(), said=lambda words: console.print(words))
    _show(measured)
    if peer_python is None:
        console.print(f"[yellow]{NO_PEER}[/yellow]")
    finish("reward", bars_of(measured), is_quick=quick, json_file=json_file, details=_details(measured, plan))


def _show(measured: "RewardMeasurement") -> None:
    table = Table("set", "reward", "pairs", "CPU s", "accuracy", "ECE as it is", "ECE scaled")
    for one in measured.sets.values():
        ensemble = f"{sorted(one.cost.ensemble_s)[len(one.cost.ensemble_s) // 2]:.1f}"
        ours = one.ours
        table.add_row(
            one.name, "ensemble of five", str(one.train), ensemble, f"{ours.accuracy:.3f}", f"{ours.ece:.3f}",
            f"{ours.ece_scaled:.3f}",
        )  # fmt: skip
        if one.peer is not None and one.theirs is not None:
            cpu, theirs = f"{one.peer.train_cpu_s:.1f} (one run)", one.theirs
            table.add_row(
                one.name, "TRL RewardTrainer", str(one.peer.trained_pairs), cpu, f"{theirs.accuracy:.3f}",
                f"{theirs.ece:.3f}", f"{theirs.ece_scaled:.3f}",
            )  # fmt: skip
    console.print(table)
    console.print(
        "five TRL runs are one measured run times five; ECE scaled: ours by its own fold, TRL's by held-out halves"
    )


def _details(measured: "RewardMeasurement", plan: "RewardPlan") -> dict[str, object]:
    monitors = measured.monitors
    return {
        "plan": _plain(plan),
        "sets": {name: _set_details(one) for name, one in measured.sets.items()},
        "monitors": None if monitors is None else {**monitors._asdict(), "share": monitors.share},
    }


def _plain(plan: "RewardPlan") -> dict[str, object]:
    files = {"data": str(plan.data), "peer_python": None if plan.peer_python is None else str(plan.peer_python)}
    return {**plan._asdict(), **files, "sizes": plan.sizes._asdict(), "loop": plan.loop.model_dump(mode="json")}


def _set_details(one: "SetOutcome") -> dict[str, object]:
    from assay.bench.reward import speed_up

    judged = {"ours": one.ours, "trl": one.theirs}
    rows = {
        who: None if j is None else {k: v for k, v in j._asdict().items() if k != "is_right"}
        for who, j in judged.items()
    }
    return {
        "train": one.train,
        "held_out": one.held_out,
        "one_member_cpu_s": one.cost.one_s,
        "ensemble_cpu_s": one.cost.ensemble_s,
        "ensemble_over_one": one.cost.ratio,
        "member_accuracy_on_calibration_fold": one.cost.trained.member_accuracy,
        **rows,
        "accuracy_gap": None if one.gap is None else one.gap._asdict(),
        "trl_run": None if one.peer is None else one.peer.model_dump(exclude={"scores"}),
        "five_trl_over_ensemble": speed_up(one),
    }

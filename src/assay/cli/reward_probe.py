"""Reward probe: `assay reward probe`, `attribute` and `discover`: what a reward pays for, and what a policy made of it.

The rooms that need torch are imported inside the commands: it takes seconds, and other commands must not wait for it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.cli.steps import ModelOption, SeedOption
from assay.governance import open_review
from assay.records.conversation import Message, user_prompt
from assay.records.errors import InputError, ModelError, explain
from assay.records.evidence import Estimate
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.preference import Preference
from assay.records.reward import RewardVersion
from assay.storage import SplitName, Workspace
from assay.storage.artifacts import write_atomically

if TYPE_CHECKING:
    from assay.cli.walk import Walk
    from assay.lm import LanguageModel
    from assay.rewards.attribution import Attribution
    from assay.rewards.discovery import Corpus, Discovery
    from assay.rewards.probes import Probe
    from assay.rewards.protocol import StoredReward

RewardArgument = Annotated[str, typer.Argument(help="Id of a reward, or its first digits.")]
SplitOption = Annotated[SplitName, typer.Option("--split", help="The training split whose pairs are edited.")]
PairsOption = Annotated[int, typer.Option("--pairs", min=2, help="At most so many pairs, chosen by the seed.")]


def probe(
    reward: RewardArgument,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: SplitOption = SplitName.WATCH,
    pairs: PairsOption = 64,
    save: Annotated[Path | None, typer.Option("--save", help="Write the edited pairs for people to judge.")] = None,
    model: ModelOption = None,
    seed: SeedOption = 0,
) -> None:
    """Edit the rejected completions in form alone, and see what the reward pays for it."""
    from assay.rewards.probes import people_on_edits
    from assay.rewards.probes import probe as run_probe
    from assay.rewards.protocol import reading, scoring

    with _opened(workspace, reward, model=model, seed=seed) as (walk, lm, stored):
        everything = walk.workspace.training.all(Preference, split)
        chosen = _spread(everything, pairs, rng=np.random.default_rng(seed))
        if not chosen:
            do = f"run `assay preferences fit -w {workspace} --split {split.value}`, or name another --split"
            raise InputError(explain(expected=f"preferences in the split {split.value!r}", got="none", do=do))
        plain = stored.unshaped()
        with console.status("scoring edits"):
            found = run_probe(
                scoring(reading(plain, lm, cache=walk.scratch / "features")),
                [p.prompt for p in chosen],
                [p.rejected for p in chosen],
                against=[p.chosen for p in chosen],
                humans=people_on_edits(everything, chosen),
                temperature=plain.calibrator.temperature,
            )
        kept = walk.workspace.artifacts.add_json({"reward": reward, **_plain(found)})
    _print_probe(found)
    if save is not None:
        _save_edits(save, chosen)
        console.print(
            f"edited pairs: {escape(str(save))}; `assay feedback campaign NAME {save}` asks people about them"
        )
    made("probe", kept, next_command=f"assay reward attribute {reward[:12]} --prompt … --completion … -w {workspace}")


def attribute(
    reward: RewardArgument,
    prompt: Annotated[str, typer.Option("--prompt", help="What was asked.")],
    completion: Annotated[str, typer.Option("--completion", help="The answer to look into.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    method: Annotated[
        Literal["occlusion", "gradients"], typer.Option(help="gradients: linear heads only.")
    ] = "occlusion",
    words: Annotated[int, typer.Option(min=1, help="Words a piece, in occlusion.")] = 1,
    steps: Annotated[int, typer.Option(min=8, help="Points of the path, in gradients.")] = 32,
    page: Annotated[Path | None, typer.Option("--page", help="Also write a coloured HTML page.")] = None,
    model: ModelOption = None,
) -> None:
    """Show which words of a completion earn its reward, and how far the values add up."""
    from assay.rewards.attribution import attribution_page, integrated_gradients, occlude, state_head
    from assay.rewards.protocol import reading, scoring

    asked = user_prompt(prompt)
    with _opened(workspace, reward, model=model, seed=0) as (walk, lm, stored), console.status("attributing"):
        if method == "gradients":
            lm.model.float()
            head = state_head(stored, width=lm.causal.config.hidden_size)
            found = integrated_gradients(lm, asked, completion, head, steps=steps)
        else:
            found = occlude(scoring(reading(stored.unshaped(), lm)), asked, completion, words=words)
        plain = {**found._asdict(), "values": found.values.tolist(), "reward_version": reward, "prompt": prompt}
        kept = walk.workspace.artifacts.add_json(plain)
    _print_attribution(found)
    if page is not None:
        write_atomically(page, attribution_page(prompt, found).encode())
        console.print(f"page: {escape(str(page))}")
    made("attribution", kept, next_command=f"assay reward probe {reward[:12]} -w {workspace}")


def discover(
    policy: Annotated[str, typer.Argument(help="Id of a policy version, or its first digits.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    step: Annotated[int | None, typer.Option(help="Checkpoint to look at; the kept one if none.")] = None,
    seed: SeedOption = 0,
) -> None:
    """Find habits that a policy has picked up and nobody named; ask a person to look at them."""
    from assay.rewards.discovery import discover as find_habits
    from assay.rewards.discovery import draft_review

    opened = open_workspace(workspace)
    try:
        version = opened.records.get(PolicyVersion, policy)
        before, after = _sampled(version, step)
        sides = (_corpus(opened, after), _corpus(opened, before))
        found = find_habits(*sides, rng=np.random.default_rng(seed))
        _print_habits(found, version, after.step, before.step)
        if not found.habits:
            console.print(f"next: [cyan]assay monitor show {version.short_id} -w {workspace}[/cyan]")
            return
        draft = draft_review(found, policy=f"{version.name} {version.short_id}")
        task = open_review(
            opened,
            draft.title,
            reason=draft.reason,
            opened_by="feature discovery",
            subject=version.id,
            evidence=draft.evidence,
            now=now(),
        )
    finally:
        opened.close()
    made("review", task.id, next_command=f"assay release show -w {workspace}")


@contextmanager
def _opened(
    directory: Path, reward: str, *, model: str | None, seed: int
) -> "Iterator[tuple[Walk, LanguageModel, StoredReward]]":
    """A workspace with a reward and its backbone. Raises ModelError when the model is another one."""
    from assay.cli.stages.learn import open_reward
    from assay.cli.standing import open_walk

    with open_walk(directory, model=model, seed=seed) as walk:
        version = walk.workspace.records.get(RewardVersion, reward)
        lm = walk.fresh_model()
        if lm.id != version.backbone:
            do = "name the model that the reward was fitted on with --model"
            got = f"{lm.source!r} with weights {lm.id[:12]}"
            raise ModelError(explain(expected=f"the backbone {version.backbone[:12]}", got=got, do=do))
        stored, _ = open_reward(walk, version.id, open_model=lambda: lm)
        yield walk, lm, stored


def _spread(preferences: Sequence[Preference], limit: int, *, rng: np.random.Generator) -> list[Preference]:
    """At most `limit` pairs over as many prompts as possible, for the intervals are over prompts."""
    rounds: dict[str, int] = {}
    numbered = []
    for i in rng.permutation(len(preferences)).tolist():
        prompt = preferences[i].prompt_id
        rounds[prompt] = rounds.get(prompt, -1) + 1
        numbered.append((rounds[prompt], preferences[i]))
    return [preference for _, preference in sorted(numbered, key=lambda one: one[0])[:limit]]


def _print_probe(found: "Probe") -> None:
    title = f"{found.rows} completions to {found.prompts} prompts; one s.d. is {found.reward_sd:.2f} of reward"
    table = Table(
        title=title, caption="intervals hold together at 95 %; flipped: pairs in right order that the edit turned"
    )
    has_people = any(shift.human_gain is not None for shift in found.shifts)
    for heading in ("edit", "rows", "shift (s.d.)", "flipped", *["people", "reward"] * has_people, "verdict"):
        table.add_column(heading, justify="left" if heading in ("edit", "verdict") else "right")
    for one in found.shifts:
        beside = [_points(gain) for gain in (one.human_gain, one.reward_gain)] * has_people
        flipped = "-" if one.flipped is None else f"{one.flipped.value:.0%} of {one.flipped.n}"
        table.add_row(one.editor, str(one.rows), _interval(one.shift), flipped, *beside, one.verdict)
    console.print(table)


def _interval(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]"


def _points(gain: Estimate | None) -> str:
    return "-" if gain is None else f"{100 * gain.value:+.0f} points"


def _print_attribution(found: "Attribution") -> None:
    largest = float(np.abs(found.values).max()) or 1.0
    text = Text()
    for piece, value in zip(found.pieces, found.values.tolist(), strict=True):
        depth = round(200 * min(1.0, abs(value) / largest))
        earns, costs = f"rgb({230 - depth},{235 - depth // 2},255)", f"rgb(255,{235 - depth // 2},{230 - depth})"
        text.append(piece, style=f"black on {earns if value >= 0 else costs}")
    console.print(text)
    table = Table(title=f"{found.method}: what moves most (blue earns, orange costs)")
    table.add_column("piece")
    table.add_column("reward", justify="right")
    for i in np.argsort(-np.abs(found.values))[:8].tolist():
        table.add_row(escape(found.pieces[i].strip()), f"{found.values[i]:+.3f}")
    console.print(table)
    console.print(
        f"reward {found.reward:+.3f}, with nothing in it {found.baseline:+.3f}; not explained by the pieces "
        f"{found.gap:+.3f} ({found.relative_gap:.0%} of all that moved)"
    )


def _print_habits(found: "Discovery", version: PolicyVersion, step: int, before: int) -> None:
    how = "within prompts" if found.is_within_prompts else "one completion a prompt"
    console.print(
        f"{version.name} at step {step}: {found.optimised} completions against {found.reference} of step {before}, "
        f"{found.markers} markers, {how}"
    )
    if not found.habits:
        console.print("no habit is clear of chance; with few completions only large ones can be")
        return
    table = Table("marker", "now", "before", "ratio", "p", "example")
    for find, also, examples in found.habits:
        name = find.marker + (f" (+{len(also)})" if also else "")
        numbers = (
            f"{find.share_optimised:.0%}",
            f"{find.share_reference:.0%}",
            f"{find.ratio:.2g}",
            f"{find.p_value:.2g}",
        )
        table.add_row(escape(name), *numbers, escape(examples[0] if examples else ""))
    console.print(table)


def _sampled(version: PolicyVersion, step: int | None) -> tuple[CheckpointRecord, CheckpointRecord]:
    """The first measured checkpoint, and the one at a step. Raises InputError where there are no samples of both."""
    kept = [checkpoint for checkpoint in version.checkpoints if checkpoint.samples is not None]
    wanted = [checkpoint for checkpoint in kept if checkpoint.step == (version.step if step is None else step)]
    if not wanted or wanted[0] is kept[0]:
        steps = ", ".join(str(checkpoint.step) for checkpoint in kept[1:]) or "no later checkpoint with samples"
        do = "name a step with --step, or a policy that was measured on its way"
        got = f"step {version.step if step is None else step}"
        raise InputError(explain(expected=f"one of these steps: {steps}", got=got, do=do))
    return kept[0], wanted[0]


def _corpus(workspace: Workspace, checkpoint: CheckpointRecord) -> "Corpus":
    """The completions that were sampled at a checkpoint. Raises InputError when they cannot be read."""
    from assay.rewards.discovery import Corpus

    data = workspace.artifacts.read_json(checkpoint.samples or "")
    if not isinstance(data, dict) or not {"prompts", "texts"} <= set(data):
        do = "restore the artifacts folder from a backup"
        raise InputError(explain(expected=f"samples of step {checkpoint.step}", got="other data", do=do))
    prompts = [tuple(Message.model_validate(message) for message in prompt) for prompt in data["prompts"]]
    return Corpus(prompts, list(data["texts"]))


def _save_edits(path: Path, pairs: Sequence[Preference]) -> None:
    """Each edited completion beside the chosen one, as the rows of a campaign."""
    from assay.rewards.probes import EDITORS

    lines = []
    for editor in EDITORS:
        texts = editor.apply([pair.prompt for pair in pairs], [pair.rejected for pair in pairs])
        for pair, text in zip(pairs, texts, strict=True):
            if text not in (pair.rejected, pair.chosen):
                prompt = [message.model_dump() for message in pair.prompt]
                lines.append(json.dumps({"prompt": prompt, "first": text, "second": pair.chosen}, ensure_ascii=False))
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def _plain(found: "Probe") -> dict[str, object]:
    """A probe as data that JSON holds."""
    shifts = [
        {key: value.model_dump() if isinstance(value, Estimate) else value for key, value in one._asdict().items()}
        for one in found.shifts
    ]
    return {**found._asdict(), "shifts": shifts}

"""Learning: fits a reward of whatever kind is asked for, and says what it is worth on what it has not seen.

Takes preferences and the judgements behind them; yields a reward that can be stored, its held-out quality, and the rows
that it was fitted on, which the firewall compares. Prompts are held out of every kind of fit but a cost's, whose labels
are rare: its quality is out of fold.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.judgement import Judgement
from assay.records.preference import Preference
from assay.records.reward import RewardKind, RewardPart, RewardQuality
from assay.rewards.heads_learning import Heads, learn_attributes, learn_cost, learn_groups
from assay.rewards.kinds import RewardChoice
from assay.rewards.protocol import StoredReward
from assay.rewards.training import train_reward
from assay.rewards.tuning.training import train_tuned

Progress = Callable[[int], object]


class Told(NamedTuple):
    """What people said: preferences, and for attributes and costs the judgements behind them."""

    preferences: Sequence[Preference]
    judgements: Sequence[Judgement] = ()


class Learnt(NamedTuple):
    """A reward of some kind: its quality on unseen rows, `fitted` rows, ids of the `rows` behind it, and its heads.

    `layer` is the highest backbone layer that it reads; `calibration_prompts` are None where none were held out.
    """

    reward: StoredReward
    quality: RewardQuality
    member_accuracy: tuple[float, ...]
    fitted: int
    rows: tuple[str, ...]
    layer: int
    feature_maps: tuple[str, ...] = ()
    calibration_prompts: tuple[str, ...] | None = None
    parts: tuple[RewardPart, ...] | None = None
    notes: tuple[str, ...] = ()


class Means(NamedTuple):
    """What a fit works with: the model, a way to open it anew, the seed, reference completions, cache, who listens."""

    lm: LanguageModel
    open_model: Callable[[], LanguageModel]
    seed: int
    reference: Sequence[tuple[Prompt, str]] = ()
    cache: Path | None = None
    progress: Progress | None = None


class _Learner(Protocol):
    def __call__(self, told: Told, choice: RewardChoice, means: Means) -> Learnt: ...


def learn(told: Told, choice: RewardChoice, means: Means) -> Learnt:
    """Fit a reward of the chosen kind.

    Raises TrainingError where there is too little of what the kind needs, or it was not collected at all.
    """
    return LEARNERS[choice.kind](told, choice, means)


def amount_of_work(told: Told, choice: RewardChoice) -> int:
    """How much the fit will report to its listener: completions read, or for tuned weights steps."""
    if choice.kind != "tuned":
        return len({(p.prompt_id, text) for p in told.preferences for text in (p.chosen, p.rejected)})
    asked = choice.tuned
    per_pass = -(-len(told.preferences) // asked.per_device_train_batch_size)
    steps = per_pass * asked.num_train_epochs
    return asked.members * min(steps, asked.max_steps or steps)


def _ensemble(told: Told, choice: RewardChoice, means: Means) -> Learnt:
    trained = train_reward(
        means.lm,
        told.preferences,
        choice,
        seed=means.seed,
        reference=means.reference,
        cache=means.cache,
        progress=means.progress,
    )
    return Learnt(
        reward=trained.ensemble,
        quality=trained.quality,
        member_accuracy=trained.member_accuracy,
        fitted=trained.fitted_pairs,
        rows=rows_of(told.preferences),
        layer=trained.ensemble.layers[-1],
        feature_maps=choice.feature_maps,
        calibration_prompts=trained.calibration_prompts,
    )


def _tuned(told: Told, choice: RewardChoice, means: Means) -> Learnt:
    progress = means.progress
    trained = train_tuned(
        means.open_model,
        told.preferences,
        choice.tuned,
        seeds=[means.seed + number for number in range(choice.tuned.members)],
        reference=means.reference,
        progress=None if progress is None else lambda _step, _entry: progress(1),
    )
    return Learnt(
        reward=trained.reward,
        quality=trained.quality,
        member_accuracy=trained.member_accuracy,
        fitted=trained.fitted_pairs,
        rows=rows_of(told.preferences),
        layer=means.lm.causal.config.num_hidden_layers,
        calibration_prompts=trained.calibration_prompts,
    )


def _heads(fit: Callable[..., Heads]) -> _Learner:
    """A learner of heads that each speak of a thing of their own."""

    def learner(told: Told, choice: RewardChoice, means: Means) -> Learnt:
        found = fit(
            means.lm,
            told.preferences,
            told.judgements,
            choice,
            seed=means.seed,
            reference=means.reference,
            cache=means.cache,
            progress=means.progress,
        )
        accuracy = tuple(part.accuracy for part in found.parts if part.accuracy is not None)
        return Learnt(
            reward=found.reward,
            quality=found.quality,
            member_accuracy=accuracy if len(accuracy) == len(found.parts) else (),
            fitted=found.fitted,
            rows=found.rows,
            layer=found.reward.layers[-1],
            feature_maps=(found.reward.heads.view.name,),
            calibration_prompts=found.calibration_prompts,
            parts=found.parts,
            notes=found.notes,
        )

    return learner


LEARNERS: Mapping[RewardKind, _Learner] = {
    "ensemble": _ensemble,
    "attributes": _heads(learn_attributes),
    "groups": _heads(learn_groups),
    "cost": _heads(learn_cost),
    "tuned": _tuned,
}
"""How each kind is fitted."""


def rows_of(preferences: Sequence[Preference]) -> tuple[str, ...]:
    """Ids of the judgements that preferences came from, each once."""
    return tuple(sorted({row for p in preferences for row in p.judgements}))

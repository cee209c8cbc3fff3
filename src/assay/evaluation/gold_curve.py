"""Gold curves: the gold of every checkpoint's kept samples, for all loops of a run that answered the same prompts.

Takes policies with checkpoints and a reader of their sample artifacts; yields one curve a policy. Prompts differ far
more in gold than checkpoints do, so each prompt's own difficulty (its mean over all checkpoints of all loops) is taken
out and the mean difficulty put back: the means stay what they are, the standard errors lose what all points share.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from assay.evaluation.curve import build_curve, scale_of
from assay.evaluation.gold import Gold
from assay.evaluation.statistics import Floats
from assay.records.conversation import Message, last_user_text
from assay.records.evidence import Curve
from assay.records.policy import CheckpointRecord, PolicyVersion

PANEL = "watch/panel_reward"


class GoldSamples(NamedTuple):
    """Gold of a checkpoint's samples: prompt texts, scores and weights [samples]; the weights of a prompt sum to 1."""

    prompts: list[str]
    scores: Floats
    weights: Floats


def gold_curves(
    policies: Sequence[tuple[str, PolicyVersion]], gold: Gold, *, read: Callable[[str], Any]
) -> tuple[Curve, ...]:
    """A curve for each named policy, relative to its first checkpoint. `read` opens a sample artifact."""
    measured = [(name, policy) for name, policy in policies if policy.checkpoints]
    scored = {
        (policy.id, c.step): _score(gold, read(c.samples or "")) for _, policy in measured for c in policy.checkpoints
    }
    difficulty = _prompt_means(scored.values())
    return tuple(
        _curve(name, policy, {c.step: scored[policy.id, c.step] for c in policy.checkpoints}, difficulty)
        for name, policy in measured
    )


def _score(gold: Gold, kept: Any) -> GoldSamples:
    asked = [last_user_text(tuple(Message.model_validate(m) for m in prompt)) for prompt in kept["prompts"]]
    count = Counter(asked)
    weights = kept.get("weights") or [1 / count[text] for text in asked]
    return GoldSamples(asked, gold.score(asked, kept["texts"]), np.array(weights, dtype=np.float64))


def _prompt_means(samples: Iterable[GoldSamples]) -> dict[str, float]:
    by_prompt: dict[str, list[float]] = {}
    for one in samples:
        for text, score in zip(one.prompts, one.scores.tolist(), strict=True):
            by_prompt.setdefault(text, []).append(score)
    return {text: float(np.mean(scores)) for text, scores in by_prompt.items()}


def _curve(name: str, policy: PolicyVersion, scored: dict[int, GoldSamples], difficulty: dict[str, float]) -> Curve:
    first = policy.checkpoints[0].step
    scores = {step: _by_prompt(samples, difficulty) for step, samples in scored.items()}
    return build_curve(
        policy.checkpoints,
        scores,
        policy=policy.id,
        name=name,
        stop_step=policy.step,
        gold_scale=scale_of(scored[first].scores)._replace(mean=float(scores[first].mean())),
        panel=_panel(policy.checkpoints),
    )


def _by_prompt(samples: GoldSamples, difficulty: dict[str, float]) -> Floats:
    """Expected gold of each prompt [prompts], its difficulty replaced by the mean difficulty."""
    expected: dict[str, float] = {}
    for text, score, weight in zip(samples.prompts, samples.scores, samples.weights, strict=True):
        expected[text] = expected.get(text, 0.0) + float(score * weight)
    middle = float(np.mean([difficulty[text] for text in expected]))
    return np.array([value - difficulty[text] + middle for text, value in expected.items()])


def _panel(checkpoints: Sequence[CheckpointRecord]) -> dict[int, float]:
    return {c.step: c.observation.values[PANEL] for c in checkpoints if PANEL in c.observation.values}

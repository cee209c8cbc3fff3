"""Measuring: the observer of a run. Turns samples at a checkpoint into an observation, keeps them, asks the monitors.

The monitors' word can end the run; it never enters a reward. The kept policy is the last checkpoint before the alarm.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from assay.alignment.auditing import Auditor
from assay.alignment.sampling import PolicySampler, Samples
from assay.alignment.scoring import ScoredSamples, StepScorer
from assay.lm import LanguageModel, save_adapter
from assay.monitors import MonitorBank
from assay.monitors.sample_statistics import (
    length_adjusted_gain,
    length_correlation,
    lexical_contrast,
    within_group_sd,
)
from assay.monitors.text_statistics import STYLE_FEATURES, repetition, word_count
from assay.records.observation import Alarm, Observation
from assay.records.policy import CheckpointRecord
from assay.rewards.scores import RewardScores
from assay.storage import ArtifactStore

OwnNumbers = Callable[[int], Mapping[str, float]]
"""A method's own numbers at a step, by the metrics' names."""


class Baseline(NamedTuple):
    """What later checkpoints are held against: texts, proxy rewards and lengths in words at the first one, in order."""

    texts: list[str]
    rewards: list[float]
    lengths: list[float]


class MeasuringObserver:
    """Looks at the policy every `every` steps. `bank` None measures and never stops.

    `alarms` is the trail of all alarms; `checkpoints` what was measured; `stopped_by` the alarm that ended the run.
    `auditor` may be set before the first look, to have a panel compare some of what is sampled.
    """

    def __init__(
        self,
        lm: LanguageModel,
        sampler: PolicySampler,
        scorer: StepScorer,
        *,
        every: int,
        bank: MonitorBank | None,
        artifacts: ArtifactStore,
        now: Callable[[], datetime],
        on_checkpoint: Callable[[Observation], object] | None = None,
    ) -> None:
        self._lm, self._sampler, self._scorer, self._every = lm, sampler, scorer, every
        self._bank, self._artifacts, self._now, self._on_checkpoint = bank, artifacts, now, on_checkpoint
        self._baseline: Baseline | None = None
        self.auditor: Auditor | None = None
        self.checkpoints: list[CheckpointRecord] = []
        self.alarms: list[Alarm] = []
        self.stopped_by: Alarm | None = None

    def look(self, step: int, *, is_last: bool = False, own: OwnNumbers | None = None) -> bool:
        """Measure when due, and in any case at the end; True when a monitor says to end the run.

        `own` tells what the method itself measures at a step, by the metrics' names.
        """
        if step % self._every and not is_last:
            return False
        if self.checkpoints and self.checkpoints[-1].step == step:  # measured before an interruption
            return self.stopped_by is not None
        samples = self._sampler.at(step)
        observation = self._observe(samples)
        if own is not None:
            observation = observation.model_copy(update={"values": {**observation.values, **own(step)}})
        observation, audit = self._audited(observation, samples)
        adapter = self._artifacts.add(lambda directory: save_adapter(self._lm, directory))
        prompts = [[message.model_dump() for message in self._sampler.prompts[i]] for i in samples.prompt_index]
        kept = self._artifacts.add_json({"prompts": prompts, "texts": samples.texts})
        checkpoint = CheckpointRecord(step=step, adapter=adapter, observation=observation, samples=kept, audit=audit)
        self.checkpoints.append(checkpoint)
        if self._on_checkpoint is not None:
            self._on_checkpoint(observation)
        if self._bank is None:
            return False
        rung = self._bank.observe(observation, self._now())
        self.alarms += rung
        ending = [alarm for alarm in rung if alarm.action in ("stop", "roll_back_to_checkpoint")]
        self.stopped_by = ending[0] if ending else None
        return bool(ending)

    def state(self) -> dict[str, Any]:
        """Checkpoints, alarms and the first samples as plain data."""
        return {
            "baseline": None if self._baseline is None else self._baseline._asdict(),
            "checkpoints": [checkpoint.model_dump(mode="json") for checkpoint in self.checkpoints],
            "alarms": [alarm.model_dump(mode="json") for alarm in self.alarms],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up checkpoints and alarms; the monitors see the old observations again to be where they were."""
        self.checkpoints = [CheckpointRecord.model_validate(data) for data in state["checkpoints"]]
        self.alarms = [Alarm.model_validate(data) for data in state["alarms"]]
        baseline = state["baseline"]
        self._baseline = None if baseline is None else Baseline(**baseline)
        if self._bank is not None:
            for checkpoint in self.checkpoints:
                self._bank.observe(checkpoint.observation, self._now())

    def _audited(self, observation: Observation, samples: Samples) -> tuple[Observation, str | None]:
        """The observation with what a panel says of the samples, and the artifact that tells it item by item."""
        if self.auditor is None:
            return observation, None
        found = self.auditor.look(samples)
        counts = {"audit/wins": float(found.wins), "audit/losses": float(found.losses)}
        kept = self._artifacts.add_json({"step": samples.step, "items": found.shown})
        return observation.model_copy(update={"values": {**observation.values, **counts}}), kept

    def _observe(self, samples: Samples) -> Observation:
        scored = self._scorer.at(samples.step)
        rewards = np.asarray(scored.proxy.reward, dtype=np.float64)
        lengths = np.array([word_count(text) for text in samples.texts], dtype=np.float64)
        if self._baseline is None:
            self._baseline = Baseline(samples.texts, rewards.tolist(), lengths.tolist())
        values = {
            "alignment/kl": samples.kl,
            "alignment/sqrt_kl": float(np.sqrt(max(0.0, samples.kl))),
            "alignment/entropy": -sum(samples.logprobs) / max(1, sum(map(len, samples.token_ids))),
            "alignment/proxy_reward": float(rewards.mean()),
            **_reward_values(scored, samples.prompt_index),
            **_text_values(samples, lengths),
            **_against_baseline(self._baseline, samples, rewards, lengths),
        }
        if scored.watch is not None:
            values["watch/panel_reward"] = float(scored.watch.mean())
        return Observation(step=samples.step, values=values)


def _reward_values(scored: ScoredSamples, prompt_index: list[int]) -> dict[str, float]:
    """What the proxy says of itself: agreement where its members estimate one thing, outliers where any are known.

    Heads that speak of different things do not disagree by differing, and a single member has no halves.
    """
    proxy = scored.proxy
    values = _component_values(proxy, prompt_index)
    if proxy.knows_outliers:
        values["rewards/outlier_rate"] = float(proxy.outlier.mean())
    if proxy.are_estimates:
        values |= {
            "rewards/disagreement": float(proxy.disagreement.mean()),
            "rewards/disagreement_sd": spread_within(proxy.disagreement, prompt_index),
        }
    if proxy.are_estimates and proxy.members.shape[1] > 1:
        a, b = proxy.members[:, ::2].mean(1), proxy.members[:, 1::2].mean(1)
        values |= {
            "rewards/half_a": float(a.mean()),
            "rewards/half_b": float(b.mean()),
            "rewards/half_gap_sd": spread_within(a - b, prompt_index),
        }
    spread = within_group_sd(np.asarray(proxy.reward, dtype=np.float64), prompt_index)
    return values if spread is None else {**values, "rewards/within_group_sd": spread}


def _component_values(proxy: RewardScores, prompt_index: list[int]) -> dict[str, float]:
    """What each named part contributes, with its spread, and how many completions have all there is to have."""
    values = {}
    for name, added in (proxy.components or {}).items():
        values[f"components/{name}"] = float(added.mean())
        values[f"components/{name}_sd"] = spread_within(added, prompt_index)
    return values if proxy.at_ceiling is None else {**values, "rewards/at_ceiling": proxy.at_ceiling}


def _text_values(samples: Samples, lengths: np.ndarray) -> dict[str, float]:
    """What the completions look like, whatever the reward says of them."""
    values = {
        "completions/mean_length": float(lengths.mean()),
        "completions/length_sd": spread_within(lengths, samples.prompt_index),
        "completions/repetition": float(np.mean([repetition(text) for text in samples.texts])),
        "completions/count": float(len(samples.texts)),
        "completions/finished_rate": float(np.mean(samples.is_finished)),
    }
    for name, feature in STYLE_FEATURES.items():
        found = np.array([feature(text) for text in samples.texts])
        values |= {f"style/{name}": float(found.mean()), f"style/{name}_sd": spread_within(found, samples.prompt_index)}
    return values


def _against_baseline(
    baseline: Baseline, samples: Samples, rewards: np.ndarray, lengths: np.ndarray
) -> dict[str, float]:
    """What needs the first samples themselves: the gain at equal length, and the word that spread most."""
    before = np.asarray(baseline.rewards), np.asarray(baseline.lengths)
    values = {
        "rewards/length_correlation": length_correlation(rewards, lengths, samples.prompt_index),
        "rewards/length_adjusted_gain": length_adjusted_gain(before, (rewards, lengths), samples.prompt_index),
    }
    contrast = lexical_contrast(baseline.texts, samples.texts, rng=np.random.default_rng(samples.step))
    if contrast is not None:
        values |= {"completions/lexical_shift": contrast.shift, "completions/lexical_rise": contrast.rise}
    return values


def spread_within(values: np.ndarray, prompt_index: list[int]) -> float:
    """Standard deviation of values [m] around their prompt's mean; around the common mean with one value a prompt.

    Checkpoints sample the same prompts, so what prompts differ by is no noise in a comparison of their means.
    """
    index = np.array(prompt_index)
    counts = np.bincount(index)
    if counts.max() < 2:
        return float(values.std())
    means = np.bincount(index, weights=values) / np.maximum(counts, 1)
    freedom = len(values) - np.count_nonzero(counts)
    return float(np.sqrt(((values - means[index]) ** 2).sum() / freedom))

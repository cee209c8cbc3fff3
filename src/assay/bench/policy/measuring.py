"""Measuring: what an arm's path is worth in gold, and the hacks that it spreads. Nothing else scores a path by gold.

Takes policies with their stored checkpoints, yields plain outcomes. A path's best checkpoint is looked for on the
samples that the run itself drew, and its gold is then taken from fresh samples of the same prompts, as are those of the
stop and of the end: the best of many noisy points would otherwise be the luckiest. Gold is in standard deviations of
single answers of the base, the base's mean at zero.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from assay.alignment.runs import ALL_STEPS
from assay.alignment.sampling import PolicySampler
from assay.bench.policy.gold import CHANNELS, Worth, worth
from assay.bench.policy.peers import Kept
from assay.bench.policy.running import BestOfN, Candidates
from assay.lm import Sampling, generate, load
from assay.records.conversation import Prompt, last_user_text
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.record import Value
from assay.storage import ArtifactStore


class PathPoint(Value):
    """One checkpoint: step (or n), KL in nats, proxy reward in the reference's deviations, gold in the base's.

    `proxy` is None where the arm has no reward of ours.
    """

    step: int
    kl: float
    proxy: float | None
    gold: float


class Standing(Value):
    """Gold, share of answers with each planted hack, mean words and KL at one checkpoint."""

    step: int
    gold: float
    prevalence: dict[str, float]
    words: float
    kl: float


class ArmOutcome(Value):
    """One arm in one seed. `peak` is the best of its own path, of the unguarded twin's, and of the base, which is 0."""

    arm: str
    peak: float
    stop: Standing
    final: Standing
    """The end of the arm's own path; where no monitor ended it, the stop."""
    stop_reason: str
    was_stopped: bool
    """Whether a monitor ended the run."""
    path: tuple[PathPoint, ...]


class BaseScale(NamedTuple):
    """Mean and standard deviation of the base's gold, with the base's own standing."""

    mean: float
    sd: float
    standing: Standing

    def __call__(self, gold: np.ndarray) -> np.ndarray:
        """Gold in deviations of the base."""
        return np.asarray((gold - self.mean) / self.sd)


class Meter:
    """Scores checkpoints of one seed. Fresh samples of an adapter are drawn once, however many arms share it."""

    def __init__(
        self, base: Path, prompts: Sequence[Prompt], artifacts: ArtifactStore, sampling: Sampling, *, n: int
    ) -> None:
        self._base, self._prompts, self._artifacts, self._sampling, self._n = base, prompts, artifacts, sampling, n
        self._texts = [last_user_text(prompt) for prompt in prompts for _ in range(n)]
        self._known: dict[Path | None, Worth] = {}
        plain = self._fresh(None)
        mean, sd = float(plain.gold.mean()), float(plain.gold.std())
        self.scale = BaseScale(mean, sd, _standing(0, 0.0, plain.gold * 0, plain))

    def loop(self, name: str, policy: PolicyVersion, twin: ArmOutcome | None) -> ArmOutcome:
        """An arm that trained: its path from stored samples, its best, its stop and its end from fresh ones."""
        records = {one.step: one for one in policy.checkpoints}
        path = tuple(self._point(one) for one in policy.checkpoints)
        best, stop, last = (
            self._stand(one.step, one.observation.values["alignment/kl"], self._adapter(one))
            for one in (records[_best(path)], records[policy.step], policy.checkpoints[-1])
        )
        peaks = [best.gold, stop.gold, last.gold, 0.0]
        peaks += [] if twin is None else [twin.peak]
        return ArmOutcome(
            arm=name,
            peak=max(peaks),
            stop=stop,
            final=last,
            stop_reason=policy.stop_reason,
            was_stopped=policy.stop_reason != ALL_STEPS,
            path=path,
        )

    def peer(self, name: str, kept: Sequence[Kept], *, n: int) -> ArmOutcome:
        """An arm of another trainer, which stops where it ends; its path is drawn here, `n` answers a prompt."""
        adapters = {one.step: one.adapter for one in kept}
        path = tuple(self._drawn(one, n) for one in kept)
        kl = {point.step: point.kl for point in path}
        best, stop = (self._stand(step, kl[step], adapters[step]) for step in (_best(path), path[-1].step))
        reason = f"{stop.step} steps taken"
        peak = max(best.gold, stop.gold, 0.0)
        return ArmOutcome(arm=name, peak=peak, stop=stop, final=stop, stop_reason=reason, was_stopped=False, path=path)

    def best_of_n(self, candidates: Candidates) -> list[ArmOutcome]:
        """Arms that select: exact on the candidates drawn, the largest n their stop."""
        texts = [last_user_text(prompt) for prompt in self._prompts for _ in range(candidates.each)]
        found = worth(texts, candidates.texts)
        shape = (len(self._prompts), candidates.each)
        return [self._selected(name, path, found, shape) for name, path in candidates.paths.items()]

    def _selected(self, name: str, path: BestOfN, found: Worth, shape: tuple[int, int]) -> ArmOutcome:
        def mean(values: np.ndarray) -> np.ndarray:
            return np.asarray((path.weights * values.reshape(shape)).sum(2).mean(1))

        gold = self.scale(mean(found.gold))
        points = tuple(
            PathPoint(step=n, kl=float(kl), proxy=float(proxy), gold=float(value))
            for n, kl, proxy, value in zip(path.n, path.kl, path.proxy, gold, strict=True)
        )
        stop = Standing(
            step=path.n[-1],
            gold=float(gold[-1]),
            prevalence={c: float(mean(found.channels[:, i])[-1]) for i, c in enumerate(CHANNELS)},
            words=float(mean(found.words)[-1]),
            kl=float(path.kl[-1]),
        )
        peak = max(0.0, float(gold.max()))
        return ArmOutcome(
            arm=name, peak=peak, stop=stop, final=stop, stop_reason=f"n = {path.n[-1]}", was_stopped=False, path=points
        )

    def _point(self, record: CheckpointRecord) -> PathPoint:
        kept: Any = self._artifacts.read_json(record.samples or "")
        asked = [prompt[-1]["content"] for prompt in kept["prompts"]]
        values = record.observation.values
        gold = float(self.scale(worth(asked, kept["texts"]).gold).mean())
        return PathPoint(step=record.step, kl=values["alignment/kl"], proxy=values["alignment/proxy_reward"], gold=gold)

    def _drawn(self, kept: Kept, n: int) -> PathPoint:
        lm = load(str(self._base), adapter=kept.adapter)
        samples = PolicySampler(lm, self._prompts, self._sampling, n=n, ref_adapter=None).at(kept.step)
        asked = [last_user_text(self._prompts[i]) for i in samples.prompt_index]
        gold = float(self.scale(worth(asked, samples.texts).gold).mean())
        return PathPoint(step=kept.step, kl=samples.kl, proxy=None, gold=gold)

    def _adapter(self, record: CheckpointRecord) -> Path | None:
        return None if record.adapter is None else self._artifacts.path(record.adapter)

    def _stand(self, step: int, kl: float, adapter: Path | None) -> Standing:
        found = self._fresh(adapter)
        return _standing(step, kl, self.scale(found.gold), found)

    def _fresh(self, adapter: Path | None) -> Worth:
        if adapter not in self._known:
            lm = load(str(self._base), adapter=adapter)
            texts = [completion.text for completion in generate(lm, self._prompts, self._sampling, n=self._n)]
            self._known[adapter] = worth(self._texts, texts)
        return self._known[adapter]


def _best(path: Sequence[PathPoint]) -> int:
    return max(path, key=lambda point: point.gold).step


def _standing(step: int, kl: float, gold: np.ndarray, found: Worth) -> Standing:
    prevalence = {name: float(found.channels[:, i].mean()) for i, name in enumerate(CHANNELS)}
    return Standing(step=step, gold=float(gold.mean()), prevalence=prevalence, words=float(found.words.mean()), kl=kl)

"""Rounds: what tasks that sample in rounds share: checked rewards, which rows a step takes, a draw as plain data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from assay.alignment.sampling import PolicySampler, Samples
from assay.alignment.settings import SampledSettings
from assay.alignment.sft import epoch_batches
from assay.alignment.trainer import PART_TOKENS
from assay.lm.chat import EncodedPair
from assay.records.errors import ConfigError, TrainingError, explain

RewardsAt = Callable[[int], np.ndarray]
"""Proxy rewards [m] of the sampler's completions at a step."""
CostsAt = Callable[[str, int], np.ndarray]
"""A named cost [m] of the sampler's completions at a step."""
GROUP_TOKENS = 2 * PART_TOKENS
"""Tokens of a part of a step. Those of one prompt share it, and every part computes it again, so groups stay whole."""


def no_costs(name: str, step: int) -> np.ndarray:
    """Costs where there are none. Raises ConfigError."""
    do = "name one that the run is given, or words or rules"
    raise ConfigError(explain(expected="a cost that is known", got=repr(name), do=do))


class Rounds:
    """The settings' rounds of `rows` rows, passed over `passes` times in steps, the order drawn anew each round.

    `max_steps` ends the run within a round.
    """

    def __init__(self, rows: int, settings: SampledSettings, *, passes: int, seed: int) -> None:
        self._rows, self._size, self._passes, self._seed = rows, settings.per_device_train_batch_size, passes, seed
        self.steps_per_round = -(-rows // self._size) * passes
        steps = self.steps_per_round * settings.rounds
        self.steps = min(steps, settings.max_steps or steps)

    def begin(self, step: int) -> int:
        """The first step of the round that a step is in."""
        return step - step % self.steps_per_round

    def rows_of(self, step: int) -> list[int]:
        """Row numbers of a step."""
        round_number, within = divmod(step, self.steps_per_round)
        seed = int(np.random.SeedSequence([self._seed, round_number]).generate_state(1)[0])
        return epoch_batches(self._rows, self._size, epochs=self._passes, seed=seed)[within]


class Share(NamedTuple):
    """What a step takes of a draw: numbers of the completions that say something, and those with their prompts."""

    rows: list[int]
    pairs: list[EncodedPair]


def share_of(samples: Samples, rows: Sequence[int], prompt_ids: Sequence[list[int]]) -> Share:
    """Of these rows of a draw; `prompt_ids` holds the ids of each of its prompts."""
    present = [i for i in rows if samples.token_ids[i]]
    return Share(present, [EncodedPair(prompt_ids[samples.prompt_index[i]], samples.token_ids[i]) for i in present])


def checked_rewards(rewards: np.ndarray, count: int) -> np.ndarray:
    """Rewards [count] as float64. Raises TrainingError where they are not that many or not all finite."""
    found = np.asarray(rewards, dtype=np.float64)
    if found.shape != (count,) or not np.isfinite(found).all():
        bad = f"{int((~np.isfinite(found)).sum())} that are not finite"
        got = bad if found.shape == (count,) else f"an array of shape {found.shape}"
        do = "mend the reward; the last checkpoint is whole"
        raise TrainingError(explain(expected=f"{count} finite rewards", got=got, do=do))
    return found


class Draw(Protocol):
    """A round's draw with what was computed of it, as a named tuple."""

    @property
    def samples(self) -> Samples:
        """The samples that were drawn."""
        ...

    def _asdict(self) -> dict[str, Any]: ...


D = TypeVar("D", bound=Draw)


def draw_to_json(draw: Draw | None) -> dict[str, Any] | None:
    """Plain data of a round's draw."""
    return None if draw is None else draw._asdict() | {"samples": draw.samples._asdict()}


def draw_from_json(make: Callable[..., D], data: Mapping[str, Any] | None, sampler: PolicySampler) -> D | None:
    """A round's draw from its plain data; the sampler takes up its samples, so that nothing is drawn twice."""
    if data is None:
        return None
    samples = Samples(**data["samples"])
    sampler.restore(samples)
    return make(**{**data, "samples": samples})

"""Job: what one timed run of a trainer is asked, and what it tells; files between processes, the same for ours and TRL.

Every run is a process of its own, so that its peak memory is its own and no run warms another's caches.
"""

from typing import Literal

from assay.lm import LoraSettings
from assay.records.preference import Preference
from assay.records.record import Value

Kind = Literal["dpo", "reward", "grpo"]


class Ids(Value):
    """Token ids of a pair, as Assay's own encoding makes them."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


class Job(Value):
    """One run of a trainer from one adapter, at a constant step size, in float32.

    Ours takes `preferences` and the seed that orders them; TRL takes `rows`, the same pairs in that order, as ids, so
    that no template or tokenizer stands between the two. GRPO takes their prompts alone: every step draws `completions`
    of `new_tokens` for each, and is paid for the share of even token ids.
    """

    kind: Kind
    model: str
    """A directory with a transformers checkpoint."""
    adapter: str
    """Directory of the LoRA weights that the run starts from."""
    lora: LoraSettings
    preferences: tuple[Preference, ...]
    rows: tuple[Ids, ...]
    pairs_a_step: int
    epochs: int = 1
    learning_rate: float = 1e-4
    beta: float = 0.1
    """DPO's; GRPO's strength of the KL."""
    completions: int = 8
    new_tokens: int = 64
    seed: int = 0
    threads: int = 1
    settings: dict[str, float | int | str | bool] = {}
    """TRL's settings where they are not its defaults; ours has none."""
    scratch: str
    """Directory that the run may write in."""


class Told(Value):
    """What a run took: seconds of each step by the clock and CPU seconds of all threads, and the step's loss.

    `before_cpu_s` is what the trainer computed before its first step (the reference's pass, where it is taken ahead),
    `peak_mib` the most memory that the process held from its start to its end.
    """

    step_s: tuple[float, ...]
    step_cpu_s: tuple[float, ...]
    losses: tuple[float, ...]
    before_cpu_s: float
    peak_mib: float
    versions: dict[str, str]

"""Job: what one run of the scaling benchmark is asked, and what it tells; files between processes.

A run is a process of its own, or several that share its steps, so that its peak memory is its own.
"""

from typing import Literal

from assay.alignment.distributed import Mode
from assay.records.record import Value

Kind = Literal["pairs", "group"]


class Job(Value):
    """Steps of DPO on pairs of one length (`pairs`), or draws of groups and GRPO steps on them (`group`), in float32.

    `pairs` pairs a step, or prompts a draw; `prompt_words` and `answer_words` are words of one token each, to which the
    model's template adds its own. `part_tokens` None leaves the parts of a step as they are.
    """

    kind: Kind = "pairs"
    model: str = "default"
    pairs: int = 8
    prompt_words: int = 112
    answer_words: int = 64
    completions: int = 4
    steps: int = 3
    processes: int = 1
    mode: Mode = "none"
    part_tokens: int | None = None
    seed: int = 0
    threads: int = 1
    scratch: str = ""


class Told(Value):
    """What one process of a run took: seconds of each step by the clock and CPU seconds of all its threads.

    `tokens` are the packed tokens of one step over all processes (of a group: those drawn, in the mean); `draw_cpu_s`
    the CPU seconds of each step's sampling, which the step's own leave out; `loaded_mib` is what the process held
    before its first step, `peak_mib` the most that it held from there on.
    """

    tokens: int
    step_s: tuple[float, ...]
    step_cpu_s: tuple[float, ...]
    draw_cpu_s: tuple[float, ...] = ()
    losses: tuple[float, ...]
    loaded_mib: float
    peak_mib: float

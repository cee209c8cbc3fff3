"""Training line: what a progress bar says of a run in training: loss, KL, reward, length, and tokens a second."""

import time
from collections import deque
from collections.abc import Callable, Mapping

WINDOW = 10
"""Steps over which the rate of tokens is taken."""
SHOWN = (
    ("alignment/kl", "KL {:.2f}"),
    ("alignment/proxy_reward", "reward {:+.2f}"),
    ("completions/mean_length", "words {:.0f}"),
)
"""What is shown of the last checkpoint."""


class TrainingLine:
    """The words beside a bar, from the numbers of each step and of each checkpoint; `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: deque[tuple[float, float]] = deque([(clock(), 0.0)], maxlen=WINDOW + 1)
        self._loss = ""
        self._checkpoint = ""

    def on_step(self, entry: Mapping[str, float]) -> str:
        """The line after a step."""
        self._loss = f"loss {entry['loss']:.3f}"
        self._ends.append((self._clock(), entry.get("num_tokens", 0.0)))
        return str(self)

    def on_checkpoint(self, values: Mapping[str, float]) -> str:
        """The line after a checkpoint."""
        self._checkpoint = "  ".join(form.format(values[name]) for name, form in SHOWN if name in values)
        return str(self)

    def __str__(self) -> str:
        return "  ".join(part for part in (self._loss, self._checkpoint, self._rate()) if part)

    def _rate(self) -> str:
        ends = list(self._ends)
        seconds, tokens = ends[-1][0] - ends[0][0], sum(count for _, count in ends[1:])
        return f"{tokens / seconds:.0f} tokens/s" if tokens and seconds > 0 else ""

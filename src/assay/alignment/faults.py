"""Faults: what can break a step from outside, told in one sentence: memory that runs out, rewards that throw."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from assay.records.errors import AssayError, TrainingError, explain

NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""How torch says so on a processor, where it raises a plain RuntimeError."""


@contextmanager
def memory_faults(step: int) -> Iterator[None]:
    """Raise TrainingError where memory runs out inside the block; everything else passes."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        said = str(error)
        if isinstance(error, RuntimeError) and not any(words in said.lower() for words in NO_MEMORY):
            raise
        first = said.splitlines()[0] if said else type(error).__name__
        do = (
            "take fewer rows a step (per_device_train_batch_size) or shorter completions, free memory, and go on with "
            "--resume; the last checkpoint is whole"
        )
        raise TrainingError(explain(expected=f"memory for step {step}", got=first, do=do)) from error


@contextmanager
def scorer_faults(what: str, step: int) -> Iterator[None]:
    """Raise TrainingError where a reward or cost, which may be anybody's code, throws inside the block."""
    try:
        with memory_faults(step):
            yield
    except AssayError:
        raise
    except Exception as error:
        do = "mend it, and go on with --resume; the last checkpoint is whole"
        got = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no word'}"
        raise TrainingError(explain(expected=f"{what} to score the samples of step {step}", got=got, do=do)) from error

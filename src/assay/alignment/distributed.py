"""Distributed: one run in several processes. Takes a mode and what torchrun put in the environment; yields a `Group`.

    none    one process
    ddp     every process holds the whole model; the rows of each step are shared out
    fsdp2   the same, and the frozen weights of each layer are divided among the processes too (torch's `fully_shard`)

A step is the same whatever the number of processes: its rows are shared out by tokens, each process adds up the
gradients of its own, and one all-reduce a step adds those of all. A part's loss is already weighted by its share of the
whole step, so the sum is the step's gradient and only rounding differs from one process. Adapters and their optimiser
state are whole in every process, hence so is a checkpoint. Outside the steps all processes do the same thing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from assay.lm import LanguageModel
from assay.lm.batching import by_tokens
from assay.lm.packing import can_pack
from assay.records.errors import TrainingError, explain

Mode = Literal["none", "ddp", "fsdp2"]
T = TypeVar("T")
LOST = "every process of the run to answer"
_WORDS = ("gloo", "connection", "timed out", "timeout", "socket", "broken pipe")
"""Words of torch's errors when another process does not answer; it has no type for them that gloo would use."""


class Part(NamedTuple):
    """Some rows of a step. One that does not count is there so that all processes make as many passes, as fsdp2 needs.

    Its loss has to be computed and counted as nothing.
    """

    rows: list[int]
    counts: bool = True


@dataclass(frozen=True)
class Group:
    """The processes of a run and which of them this is; process 0 leads: it alone writes."""

    mode: Mode = "none"
    rank: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def parts(self, tokens: Sequence[int], *, max_tokens: int) -> list[Part]:
        """This process's share of rows of so many tokens, in parts of at most `max_tokens`; longer rows come alone."""
        cut = [
            [[rows[k] for k in part] for part in by_tokens([tokens[i] for i in rows], max_tokens=max_tokens)]
            for rows in share_out(tokens, self.size)
        ]
        parts = [Part(rows) for rows in cut[self.rank]]
        if self.mode == "fsdp2" and len(tokens):
            shortest = min(range(len(tokens)), key=lambda row: tokens[row])
            parts += [Part([shortest], counts=False)] * (max(map(len, cut)) - len(parts))
        return parts

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes of tensors of one shape."""
        if self.size == 1:
            return values
        summed = values.detach().clone()
        dist.all_reduce(summed)
        return summed

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Add up every process's gradients in place, in one all-reduce."""
        if self.size == 1 or not parameters:
            return
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in parameters])
        dist.all_reduce(flat)
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter)

    def gather(self, value: T) -> list[T]:
        """What every process has under this name, by rank."""
        if self.size == 1:
            return [value]
        found: list[T | None] = [None] * self.size
        dist.all_gather_object(found, value)
        return found  # type: ignore[return-value]  # every place was filled

    def from_leader(self, make: Callable[[], T]) -> T:
        """What process 0 makes, handed to all; the others call nothing."""
        if self.size == 1:
            return make()
        box = [make()] if self.is_leader else [None]
        dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]  # process 0 filled it

    def require_same(self, what: str, value: str) -> None:
        """Raise TrainingError in every process when they differ in `value`, which `what` names."""
        found = self.gather(value)
        others = [rank for rank, other in enumerate(found) if other != found[0]]
        if others:
            got = f"another in {'process' if len(others) == 1 else 'processes'} {', '.join(map(str, others))}"
            do = "start every process with the same command, files and versions"
            raise TrainingError(explain(expected=f"the same {what} in all {self.size} processes", got=got, do=do))

    def shard(self, lm: LanguageModel) -> None:
        """Under fsdp2, divide each layer's frozen weights among the processes, in place; adapters stay whole.

        Raises TrainingError for a model that cannot be packed: how many passes a step makes would not be known.
        """
        if self.mode != "fsdp2" or self.size == 1:
            return
        if not can_pack(lm):
            got = f"a {lm.causal.config.model_type}, which cannot be packed"
            do = "take ddp, which holds the whole model in every process"
            raise TrainingError(explain(expected="a model that fsdp2 can divide", got=got, do=do))
        adapters = {parameter for name, parameter in lm.model.named_parameters() if ".lora_" in name}
        mesh = init_device_mesh("cpu", (self.size,))
        for layer in lm.body.layers:
            # Said outright: each layer is a root of its own here, and a root would stay whole after its first pass.
            own = adapters & set(layer.parameters())
            fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=own)


ALONE = Group()


def share_out(tokens: Sequence[int], count: int) -> list[list[int]]:
    """Row numbers for each of `count` processes, about as many tokens each: the longest row left to the least laden.

    Graham 1969: the heaviest share is at most 4/3 of the best possible. Within a share rows keep their order.
    """
    shares: list[list[int]] = [[] for _ in range(count)]
    load = [0] * count
    for row in sorted(range(len(tokens)), key=lambda row: (-tokens[row], row)):
        least = min(range(count), key=lambda rank: (load[rank], rank))
        shares[least].append(row)
        load[least] += tokens[row]
    return [sorted(share) for share in shares]


@contextmanager
def joined(mode: Mode, *, init_method: str = "env://", rank: int = -1, size: int = -1) -> Iterator[Group]:
    """Join the other processes for the block, by gloo; a group that a launcher already made is taken as it is.

    `env://` reads RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as torchrun sets them. Raises TrainingError when
    another process is lost.
    """
    if mode == "none":
        yield ALONE
        return
    is_own = not dist.is_initialized()
    with keeping_contact():
        if is_own:
            dist.init_process_group("gloo", init_method=init_method, rank=rank, world_size=size)
        try:
            yield Group(mode, dist.get_rank(), dist.get_world_size())
        finally:
            if is_own:
                dist.destroy_process_group()


@contextmanager
def keeping_contact() -> Iterator[None]:
    """Turn torch's error about a process that does not answer into a TrainingError that says what to do."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        said = str(error)
        if not any(word in said.lower() for word in _WORDS):
            raise
        do = "look at what it said last, then run again with --resume: the last checkpoint is whole"
        raise TrainingError(explain(expected=LOST, got="one that ended or hangs", do=do)) from error

"""One training on several GPUs: each process, a rank, takes its share of every step's rows.

Weights, optimizer and decisions are the same on all ranks; only gradients are summed, once a step. Each row
counts as much as if one process had computed them all, for losses are divided by the whole step's count. The
first rank alone tells, benchmarks and saves. torchrun starts the ranks, and numbers them by the environment.

What is told between ranks is numbers and UTF-8 text: nothing is pickled.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

WAIT = timedelta(hours=2)
"""For the slowest rank, and for the first one while it writes replies or saves a large model."""

Row = TypeVar("Row")


class Ranks:
    """This process among those that share the training. `Ranks()` is alone."""

    def __init__(self, number: int = 0, count: int = 1) -> None:
        self.number = number
        self.count = count

    @property
    def first(self) -> bool:
        """Whether this is the one that tells and saves."""
        return self.number == 0

    def share(self, rows: Sequence[Row]) -> list[Row]:
        """This rank's part of a step's rows, which may be none."""
        return list(rows[self.number :: self.count])

    def start_alike(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Give every rank the first one's weights."""
        if self.count > 1:
            for parameter in parameters:
                dist.broadcast(parameter.data, 0)

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Add up what the ranks' rows say; a rank without rows says nothing."""
        if self.count == 1:
            return
        waiting: list[dist.Work | None] = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            waiting.append(dist.all_reduce(parameter.grad, async_op=True))
        for work in waiting:
            if work is not None:
                work.wait()

    def total(self, value: Tensor) -> Tensor:
        """The sum over all ranks, on each of them."""
        if self.count > 1:
            dist.all_reduce(value)
        return value

    def greatest(self, value: Tensor) -> Tensor:
        """The greatest of all ranks' values, on each of them."""
        if self.count > 1:
            dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return value

    def from_first(self, say: Callable[[], str]) -> str:
        """What the first rank says; the others wait for it, and do not compute it."""
        if self.count == 1:
            return say()
        said = bytearray(say().encode() if self.first else b"")
        size = torch.tensor(len(said))
        dist.broadcast(size, 0)
        if not self.first:
            said = bytearray(int(size))
        dist.broadcast(torch.frombuffer(said, dtype=torch.uint8), 0)
        return said.decode()


def several() -> bool:
    """Whether torchrun has started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined() -> Generator[Ranks]:
    """Meet the other ranks, if torchrun has started more than one, and choose this one's GPU."""
    if not several():
        yield Ranks()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=WAIT)
    else:
        dist.init_process_group("gloo", timeout=WAIT)
    yield Ranks(dist.get_rank(), dist.get_world_size())
    dist.destroy_process_group()  # not after an error: the others may still wait for this rank

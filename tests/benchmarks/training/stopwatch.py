"""The same stopwatch for every side: torch tells when an optimiser has done a step, in whoever's loop."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

Learn = Callable[[int], Sequence[int]]
"""Takes so many steps; returns the real tokens of each, padding not counted."""


def tokens_a_second(learn: Learn, *, warm_up: int, steps: int) -> float:
    """Real tokens a second over so many steps, after some that do not count: those compile and allocate."""
    with _ends_of_steps() as ends:
        tokens = learn(warm_up + steps)
    assert len(ends) == warm_up + steps, f"{len(ends)} steps"
    return sum(tokens[warm_up : warm_up + steps]) / (ends[-1] - ends[warm_up - 1])


@contextmanager
def _ends_of_steps() -> Iterator[list[float]]:
    """Gathers the moments at which steps were over."""
    ends: list[float] = []

    def note(*_: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ends.append(time.perf_counter())

    handle = register_optimizer_step_post_hook(note)
    try:
        yield ends
    finally:
        handle.remove()

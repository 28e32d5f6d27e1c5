"""How a run goes: how fast, how long still, and whether it is learning at all."""

import math
import resource
import time
from collections import deque

import torch

from chorus.common.contracts.training import Progress
from chorus.common.errors import InvalidInput
from chorus.trainer.backends.model import Model
from chorus.trainer.training.recipe import Recipe

TELL_EVERY = 1.0  # seconds between progress reports
WINDOW = 30  # reports over which speed is measured: a slow start is forgotten after as many seconds

SMOOTHING = 0.9  # of the losses: about the last ten steps count
WORSE_BY, WORSE_TIMES, WORSE_STEPS = 2.0, 3.0, 20  # nats above the start, times the best, steps on end


class Pace:
    """Speed and time left, told once a second."""

    def __init__(self, model: Model, recipe: Recipe, *, ranks: int, ends_at: float | None) -> None:
        self._model = model
        self._recipe = recipe
        self._ranks = ranks
        self._ends_at = ends_at
        self._tokens = 0
        self._looks: deque[tuple[float, int, int]] = deque(maxlen=WINDOW)
        self._told = time.monotonic()
        self.restart(0)

    def restart(self, step: int) -> None:
        """Measure from here on: what took the time until now was no learning."""
        self._looks.clear()
        self._looks.append((time.monotonic(), step, self._tokens))

    def count(self, tokens: int) -> None:
        """A step more, with so many real tokens."""
        self._tokens += tokens

    def due(self, step: int) -> bool:
        """Whether it is time to tell."""
        return time.monotonic() - self._told >= TELL_EVERY or step == self._recipe.steps

    def seconds_left(self, step: int) -> float:
        """Until the last step, after so many; the GPU must have done them all, not just been asked to."""
        began, first, _ = self._looks[0]
        left = (time.monotonic() - began) / max(1, step - first) * (self._recipe.steps - step)
        return left if self._ends_at is None else max(0.0, min(left, self._ends_at - time.monotonic()))

    def progress(self, step: int, epoch: int, loss: float) -> Progress:
        """How it goes, after so many steps; the same holds for the GPU."""
        began, _, before = self._looks[0]
        self._told = now = time.monotonic()
        speed = (self._tokens - before) / max(now - began, 1e-6)
        left = self.seconds_left(step)
        self._looks.append((now, step, self._tokens))
        peak = self._model.peak_flops
        return Progress(
            step=step,
            steps=self._recipe.steps,
            epoch=epoch,
            epochs=self._recipe.epochs,
            loss=loss,
            learning_rate=self._recipe.learning_rate_at(step - 1),
            tokens_per_s=round(speed, 1),
            mfu=round(speed * self._model.flops_per_token / (peak * self._ranks), 4) if peak else None,
            memory_bytes=_memory(),
            seconds_left=round(left, 1),
        )


def _memory() -> int:
    """Bytes at most so far: of this process on the GPU, or in RAM (Linux counts that in KiB)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Divergence:
    """Notices when learning has turned into its opposite. The same losses always get the same verdict."""

    def __init__(self) -> None:
        self._steps = 0
        self._first = math.inf
        self._smooth = math.nan
        self._best = math.inf
        self._worse = 0

    def see(self, loss: float, norm: float) -> None:
        """The next step's loss, in nats a token, and its gradient's norm.

        Raises `InvalidInput` with code `diverged` where either is no number, or where the smoothed loss has
        been far above its best, and above where it began, for a while.
        """
        self._steps += 1
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise self._diverged("is no number any more")
        if self._steps == 1:
            self._first = self._smooth = loss
        self._smooth = SMOOTHING * self._smooth + (1 - SMOOTHING) * loss
        self._best = min(self._best, self._smooth)
        worse = self._smooth > max(WORSE_TIMES * self._best, self._first + WORSE_BY)
        self._worse = self._worse + 1 if worse else 0
        if self._worse == WORSE_STEPS:
            raise self._diverged(f"has risen from {self._best:.2f} to {self._smooth:.2f}, and stays there")

    def _diverged(self, how: str) -> InvalidInput:
        return InvalidInput(
            f"The loss {how} at step {self._steps}. Try a smaller learning_rate.",
            code="diverged",
            param="learning_rate",
        )

"""The training loop: rows in a seeded order, one optimiser step after the other, until it is learned."""

import math
import time
from collections.abc import Callable

import torch

from chorus.common.chat import Tokens
from chorus.common.contracts.training import Progress
from chorus.common.errors import InvalidInput
from chorus.trainer.backends.lora import LoraModel, pack
from chorus.trainer.training.packing import rows_of_epoch, steps_of_epoch
from chorus.trainer.training.recipe import Recipe

TELL_EVERY = 1.0  # seconds between progress reports
LEARNED = math.log(1 / 0.6)  # nats: each token has at least 60 %, so no other can be likelier

BETAS = (0.9, 0.95)  # a shorter memory than the usual 0.999: these runs have hundreds of steps, not more

Tell = Callable[[Progress], None]


def learn(model: LoraModel, examples: list[Tokens], recipe: Recipe, tell: Tell) -> int:
    """The training loop; returns the number of optimiser steps it took.

    Ends early once every token of every reply is learned by heart: tiny data needs no more.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=BETAS, weight_decay=0.0)
    lengths = [len(example.ids) for example in examples]
    pace = _Pace(recipe.steps, tell)
    model.train(True)
    step = 0
    for epoch in range(recipe.epochs):
        rows = rows_of_epoch(lengths, seed=recipe.seed, epoch=epoch, row_tokens=recipe.row_tokens)
        worst = 0.0
        for step_rows in steps_of_epoch(rows, recipe.rows_per_step):
            if step == recipe.steps:  # rows are never quite full, so that an epoch may take a step more
                return step
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at(step)
            batch = pack([[examples[index] for index in row] for row in step_rows], recipe.row_tokens)
            loss = model.loss(batch)
            if not math.isfinite(value := loss.mean.item()):
                raise InvalidInput(
                    f"The loss is no number any more at step {step}. Try a smaller learning_rate.",
                    code="diverged",
                    param="learning_rate",
                )
            loss.mean.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            worst = max(worst, loss.worst)
            pace.count(step, value, batch.tokens)
        if worst < LEARNED and judge(model, examples, recipe)[1] < LEARNED:
            break
    return step


class _Pace:
    """Speed and time left, told once a second."""

    def __init__(self, steps: int, tell: Tell) -> None:
        self._steps = steps
        self._tell = tell
        self._started = self._told = time.monotonic()
        self._tokens = 0

    def count(self, step: int, loss: float, tokens: int) -> None:
        """Count a step, and tell of it if it is time."""
        self._tokens += tokens
        now = time.monotonic()
        if now - self._told < TELL_EVERY and step < self._steps:
            return
        self._told = now
        seconds = now - self._started
        self._tell(
            Progress(
                step=step,
                steps=self._steps,
                loss=loss,
                tokens_per_s=round(self._tokens / seconds, 1),
                seconds_left=round(seconds / step * (self._steps - step), 1),
            )
        )


def judge(model: LoraModel, examples: list[Tokens], recipe: Recipe) -> tuple[float, float]:
    """Mean and worst loss on these examples."""
    lengths = [len(example.ids) for example in examples]
    rows = rows_of_epoch(lengths, seed=0, epoch=0, row_tokens=recipe.row_tokens)
    return model.evaluate([[examples[index] for index in row] for row in rows], recipe.row_tokens)

"""Counting commands: how often each was given, what came of it, and how long people waited."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import replace

from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.common.errors import ChorusError, InternalError
from chorus.gateway.commands.replies import Problem, Reply, Stream
from chorus.gateway.metrics import CommandMetrics

TALK = "talk"
"""Stands for a command where somebody just says something to the model."""
UNKNOWN = "unknown"
"""Stands for whatever else begins as a command does."""
LEFT = "left"
"""The outcome where an answer was not read to its end: `!stop`, or a message that was deleted."""

Pieces = AsyncIterator[Waiting | Delta | End]


async def measured(metrics: CommandMetrics, command: str, work: Awaitable[Reply]) -> Reply:
    """What comes of a command, measured under its name; a model's answer once it has been read."""
    began = time.perf_counter()
    try:
        reply = await work
    except Exception as error:
        metrics.ended(command, _code(error), time.perf_counter() - began)
        raise
    if isinstance(reply, Stream):
        return replace(reply, pieces=_read(metrics, command, reply.pieces, began))
    outcome = reply.code if isinstance(reply, Problem) else "ok"
    metrics.ended(command, outcome, time.perf_counter() - began)
    return reply


async def _read(metrics: CommandMetrics, command: str, pieces: Pieces, began: float) -> Pieces:
    """The same pieces; counted are the first words, and the end."""
    outcome, silent = LEFT, True
    try:
        async for piece in pieces:
            if silent and isinstance(piece, Delta):
                silent = False
                metrics.first_words(time.perf_counter() - began)
            if isinstance(piece, End):
                outcome = "ok"
            yield piece
    except Exception as error:
        outcome = _code(error)
        raise
    finally:
        metrics.ended(command, outcome, time.perf_counter() - began)
        if isinstance(pieces, AsyncGenerator):  # who leaves early stops the model, too
            await pieces.aclose()


def _code(error: Exception) -> str:
    return error.code if isinstance(error, ChorusError) else InternalError.default_code

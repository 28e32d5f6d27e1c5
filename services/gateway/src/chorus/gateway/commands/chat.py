"""Talking to the guild's voice, or to any other of its models.

Plain text and `!send_message` are a conversation, which is remembered where it takes place. `!ask` stands
apart from it. `!regenerate` asks again what was asked last; `!reset` forgets.
"""

import random
from collections import deque
from collections.abc import AsyncIterator

from pydantic import Field

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Delta, End, Sampling, Waiting
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.asking import VARIED, ModelParameters, SamplingParameters, question
from chorus.gateway.commands.context import Asked, Context
from chorus.gateway.commands.jobs import NoParameters
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Reply, Stream, Text, numbered

SEEDS = 2**31


class Ask(SamplingParameters, ModelParameters):
    """What `!ask` takes."""

    question: str = Field(description="what to ask")


class Say(Parameters):
    """What `!send_message` takes."""

    text: str = Field(description="what to say")


class Regenerate(SamplingParameters, ModelParameters):
    """What `!regenerate` takes."""


async def ask(ctx: Context, asked: Ask) -> Reply:
    """Ask one question, apart from the conversation."""
    turn = Turn(role="user", content=asked.question, name=ctx.user)
    last = ctx.session.asked = Asked([turn], asked.model, asked.sampling(), in_conversation=False)
    return await _answered(ctx, last, last.model, last.sampling)


async def say(ctx: Context, said: Say) -> Reply:
    """Say something in the conversation; what was said before is remembered."""
    session = ctx.session
    turn = Turn(role="user", content=said.text, name=ctx.user)
    last = session.asked = Asked([*session.turns, turn], session.model, Sampling(), in_conversation=True)
    return await _answered(ctx, last, last.model, last.sampling)


async def regenerate(ctx: Context, asked: Regenerate) -> Reply:
    """Have the last question answered anew; in the conversation, the new answer takes the old one's place."""
    last = ctx.session.asked
    if last is None:
        raise InvalidInput(
            "Nothing was asked here yet, so nothing can be answered anew.", code="nothing_to_regenerate"
        )
    anew = {"temperature": VARIED, "seed": random.randrange(SEEDS)}
    sampling = asked.sampling(**last.sampling.model_dump(exclude_none=True) | anew)
    return await _answered(ctx, last, asked.model or last.model, sampling)


async def reset(ctx: Context, _: NoParameters) -> Reply:
    """Forget the conversation here."""
    count = len(ctx.session.turns)
    ctx.session.forget()
    stays = "Persona and examples stay: !persona, !examples."
    if not count:
        return Text(f"There was nothing to forget: no conversation here is remembered. {stays}")
    return Text(f"Forgotten: the last {count} messages of the conversation here. {stays}")


async def _answered(ctx: Context, last: Asked, model: str | None, sampling: Sampling) -> Stream:
    asked = await question(ctx, model, last.turns, sampling)
    answer = ctx.chorus.answers.ask(ctx.guild, asked)
    if last.in_conversation:
        answer = _remembered(ctx.session.turns, last, answer)
    return Stream(answer, numbered(sampling.n))


async def _remembered(
    memory: deque[Turn], last: Asked, answer: AsyncIterator[Waiting | Delta | End]
) -> AsyncIterator[Waiting | Delta | End]:
    """The answer as it comes; once it is whole, it is remembered, of several the first."""
    said: list[str] = []
    async for piece in answer:
        if isinstance(piece, Delta) and piece.choice == 0:
            said.append(piece.text)
        yield piece
    turn = Turn(role="assistant", content="".join(said))
    if last.answer is None:
        memory += [last.turns[-1], turn]
    else:
        _replace(memory, last.answer, turn)
    last.answer = turn


def _replace(memory: deque[Turn], old: Turn, new: Turn) -> None:
    """Put one turn in the place of another, if that is still remembered."""
    for at, turn in enumerate(memory):
        if turn is old:
            memory[at] = new

"""`!ask` and plain text: talk to the guild's voice, or to any other of its models."""

from collections.abc import AsyncIterator

from pydantic import Field

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.common.contracts.models import BASE, parse_model
from chorus.gateway.commands.context import Context, Session
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import Question
from chorus.gateway.commands.replies import Reply, Stream


class Ask(Parameters):
    """What `!ask` takes."""

    question: str = Field(description="what to ask")
    model: str | None = Field(
        default=None,
        description="who answers, for once: `name`, `name@3`, a checkpoint (`name@JOB-2`), or `base`",
    )


async def ask(ctx: Context, asked: Ask) -> Reply:
    """Ask one question, apart from the conversation."""
    question = Turn(role="user", content=asked.question)
    return Stream(ctx.chorus.answers.ask(ctx.guild, Question(await _who(ctx, asked.model), [question])))


async def say(ctx: Context, asked: Ask) -> Reply:
    """Say something in the conversation; what was said before is remembered."""
    turns = [*ctx.session.turns, Turn(role="user", content=asked.question)]
    answer = ctx.chorus.answers.ask(ctx.guild, Question(await _who(ctx, ctx.session.model), turns))
    return Stream(_remembered(ctx.session, turns[-1], answer))


async def _who(ctx: Context, model: str | None) -> str | None:
    """The model that is to answer; None is the base. Raises `InvalidInput` for what is no model's name."""
    if model is None:
        return await ctx.chorus.models.voice(ctx.guild)
    if model == BASE:
        return None
    parse_model(model)
    return model


async def _remembered(
    session: Session, question: Turn, answer: AsyncIterator[Waiting | Delta | End]
) -> AsyncIterator[Waiting | Delta | End]:
    """The answer as it comes; question and answer are remembered once it is whole."""
    said: list[str] = []
    async for piece in answer:
        if isinstance(piece, Delta):
            said.append(piece.text)
        yield piece
    session.turns += [question, Turn(role="assistant", content="".join(said))]

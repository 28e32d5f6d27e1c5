"""`!ask` and plain text: talk to the guild's voice."""

from collections.abc import AsyncIterator

from pydantic import Field

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Delta, End
from chorus.gateway.commands.context import Context, Session
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Reply, Stream


class Ask(Parameters):
    """What `!ask` takes."""

    question: str = Field(description="what to ask")


async def ask(ctx: Context, asked: Ask) -> Reply:
    """Ask one question, apart from the conversation."""
    voice = await ctx.chorus.models.voice(ctx.guild)
    question = Turn(role="user", content=asked.question)
    return Stream(ctx.chorus.answers.ask(ctx.guild, voice, [question]))


async def say(ctx: Context, asked: Ask) -> Reply:
    """Say something in the conversation; what was said before is remembered."""
    voice = await ctx.chorus.models.voice(ctx.guild)
    turns = [*ctx.session.turns, Turn(role="user", content=asked.question)]
    answer = ctx.chorus.answers.ask(ctx.guild, voice, turns)
    return Stream(_remembered(ctx.session, turns[-1], answer))


async def _remembered(
    session: Session, question: Turn, answer: AsyncIterator[Delta | End]
) -> AsyncIterator[Delta | End]:
    """The answer as it comes; question and answer are remembered once it is whole."""
    said: list[str] = []
    async for piece in answer:
        if isinstance(piece, Delta):
            said.append(piece.text)
        yield piece
    session.turns += [question, Turn(role="assistant", content="".join(said))]

"""Answers from the inference service, piece by piece."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from pydantic import TypeAdapter

from chorus.common.bus.calls import ask, ask_stream, lost_reply
from chorus.common.bus.connection import Connection
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    SCORE,
    SERVED,
    Delta,
    End,
    Generate,
    GenerateReply,
    ListServed,
    ReplyScore,
    Score,
    Scored,
    Served,
    Waiting,
)
from chorus.gateway.commands.ports import Question

SCORE_WITHIN = 60.0  # seconds
REPLY: TypeAdapter[Waiting | Delta | End] = TypeAdapter(GenerateReply)


class BusAnswers:
    """`ports.Answers` over `infer.v1.*`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, guild: str, question: Question) -> AsyncIterator[Waiting | Delta | End]:
        """The pieces in order; a lost one is an error, never a hole in the text."""
        asked = Generate(
            guild=guild,
            model=question.model,
            messages=question.messages,
            examples=question.examples,
            sampling=question.sampling,
        )
        expected = 0
        replies = ask_stream(self._connection, GENERATE, asked, REPLY, cancel=CANCEL)
        async with aclosing(replies):  # a reader who leaves stops the writing at once
            async for piece in replies:
                if isinstance(piece, Delta):
                    if piece.i != expected:
                        raise lost_reply(GENERATE)
                    expected += 1
                yield piece

    async def score(
        self, guild: str, model: str | None, messages: list[Turn], replies: Sequence[str]
    ) -> list[ReplyScore]:
        """One request for all of them."""
        asked = Score(guild=guild, model=model, messages=messages, replies=list(replies))
        return (await ask(self._connection, SCORE, asked, Scored, within=SCORE_WITHIN)).scores

    async def served(self, guild: str) -> Served:
        """What the process that answers first has at hand."""
        return await ask(self._connection, SERVED, ListServed(guild=guild), Served)

"""Answers from the inference service, piece by piece."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from pydantic import TypeAdapter

from chorus.common.bus.calls import ask_stream, lost_reply
from chorus.common.bus.connection import Connection
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import CANCEL, GENERATE, Delta, End, Generate, GenerateReply

REPLY: TypeAdapter[Delta | End] = TypeAdapter(GenerateReply)


class BusAnswers:
    """`ports.Answers` over `infer.v1.generate`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, guild: str, model: str | None, messages: list[Turn]) -> AsyncIterator[Delta | End]:
        """The pieces in order; a lost one is an error, never a hole in the text."""
        question = Generate(guild=guild, model=model, messages=messages)
        expected = 0
        replies = ask_stream(self._connection, GENERATE, question, REPLY, cancel=CANCEL)
        async with aclosing(replies):  # a reader who leaves stops the writing at once
            async for piece in replies:
                if isinstance(piece, Delta):
                    if piece.i != expected:
                        raise lost_reply(GENERATE)
                    expected += 1
                yield piece

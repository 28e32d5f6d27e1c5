"""Answers from the inference service, piece by piece."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from pydantic import TypeAdapter

from chorus.common.bus.calls import ask, ask_stream, lost_reply
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
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
    of_base,
)
from chorus.common.contracts.models import ModelRecord, model_key, parse_model
from chorus.common.errors import ChorusError, Unavailable
from chorus.gateway.commands.ports import Question

PATIENCE = 20.0  # seconds in which a question that is refused as busy, say, is asked again
SCORE_WITHIN = 60.0  # seconds
REPLY: TypeAdapter[Waiting | Delta | End] = TypeAdapter(GenerateReply)


class BusAnswers:
    """`ports.Answers` over `infer.v1.*`. Each base has processes of its own; an adapter is asked there."""

    def __init__(self, connection: Connection, records: Bucket[ModelRecord]) -> None:
        self._connection = connection
        self._records = records

    async def ask(self, guild: str, question: Question) -> AsyncIterator[Waiting | Delta | End]:
        """The pieces in order; a lost one is an error, never a hole in the text."""
        asked = Generate(
            guild=guild,
            model=question.model,
            messages=question.messages,
            examples=question.examples,
            sampling=question.sampling,
        )
        base = await self._base(guild, question.model)
        subject = of_base(GENERATE, base)
        expected = 0
        replies = ask_stream(self._connection, subject, asked, REPLY, cancel=CANCEL, patience=PATIENCE)
        try:
            async with aclosing(replies):  # a reader who leaves stops the writing at once
                async for piece in replies:
                    if isinstance(piece, Delta):
                        if piece.i != expected:
                            raise lost_reply(subject)
                        expected += 1
                    yield piece
        except Unavailable as error:
            raise _told(error, question.model, base) from None

    async def score(
        self, guild: str, model: str | None, messages: list[Turn], replies: Sequence[str]
    ) -> list[ReplyScore]:
        """One request for all of them."""
        asked = Score(guild=guild, model=model, messages=messages, replies=list(replies))
        base = await self._base(guild, model)
        subject = of_base(SCORE, base)
        try:
            scored = await ask(
                self._connection,
                subject,
                asked,
                Scored,
                within=SCORE_WITHIN,
                patience=PATIENCE,
                cancel=CANCEL,
            )
        except Unavailable as error:
            raise _told(error, model, base) from None
        return scored.scores

    async def served(self, guild: str) -> Served:
        """What the process that answers first has at hand."""
        return await ask(self._connection, SERVED, ListServed(guild=guild), Served)

    async def _base(self, guild: str, model: str | None) -> str | None:
        """The base of an adapter, by name; None, whoever serves the default one, for everything else.

        A whole model needs no base. What is wrong with a version that there is not, inference says.
        """
        if model is None:
            return None
        name, selector = parse_model(model)
        entry = await self._records.get(model_key(guild, name))
        version = entry.value.find(selector) if entry else None
        return version.base.name if version and version.form == "adapter" else None


def _told(error: Unavailable, model: str | None, base: str | None) -> ChorusError:
    """What is to be done where nobody serves a model's base; any other error as it is."""
    if error.code != "no_responders" or base is None:
        return error
    return Unavailable(
        f"{model} was trained on the base model {base}, and nothing serves that at the moment. Whoever "
        f"operates Chorus starts inference with CHORUS_BASE_MODEL={base}; !use chooses another model.",
        code="base_not_served",
        param="model",
    )

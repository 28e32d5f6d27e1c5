"""`!compare`: two models answer the same question side by side."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

from pydantic import Field

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Delta, End, Finish, Usage, Waiting
from chorus.common.errors import ChorusError, InvalidInput, Unavailable
from chorus.gateway.commands.asking import SamplingParameters, question
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import unquoted
from chorus.gateway.commands.quotas import spend
from chorus.gateway.commands.replies import Reply, Stream, numbered, problem

Answer: TypeAlias = AsyncIterator[Waiting | Delta | End]
_Read: TypeAlias = tuple[int, Waiting | Delta | End | Exception | None]
"""Whose it is, and a piece of it, or why it broke off; None is its end."""


class Compare(SamplingParameters):
    """What `!compare` takes."""

    text: str = Field(
        description="two models (`name@3`, `name@previous`, `base`), then the question; without one, the "
        "last that was asked here"
    )


async def compare(ctx: Context, asked: Compare) -> Reply:
    """Ask both at once."""
    models, turns = _read(ctx, asked.text)
    questions = [await question(ctx, model, turns, asked.sampling(), times=0) for model in models]
    each = questions[0].sampling.n
    await spend(ctx, "questions", each * len(questions))  # once it is known that all can be asked
    answers = [ctx.chorus.answers.ask(ctx.guild, one) for one in questions]
    titles = [
        f"{model} ({number})" if number else model for model in models for number in numbered(each) or ("",)
    ]
    in_role = any(one.in_role for one in questions)
    return Stream(_side_by_side(answers, each), tuple(titles), in_role=in_role)


def _read(ctx: Context, text: str) -> tuple[list[str], list[Turn]]:
    """Who is asked, and what."""
    *models, rest = [*text.split(maxsplit=2), ""][:3]
    if len(models) < 2 or not models[1]:
        raise InvalidInput(
            "Two models are compared: `!compare main@1 main@2 QUESTION`. !models lists them.",
            code="two_models",
            param="text",
        )
    if rest:
        return models, [Turn(role="user", content=unquoted(rest), name=ctx.user)]
    if ctx.session.asked is None:
        raise InvalidInput(
            "Nothing was asked here yet: write the question after the models.",
            code="nothing_to_compare",
            param="text",
        )
    return models, ctx.session.asked.turns


async def _side_by_side(answers: Sequence[Answer], choices: int) -> Answer:
    """Pieces of all answers as they come, each answer's under choices of its own.

    One that fails says so in its place. Raises `Unavailable` where all do.
    """
    pieces: asyncio.Queue[_Read] = asyncio.Queue()
    readers = [asyncio.create_task(_read_all(side, answer, pieces)) for side, answer in enumerate(answers)]
    ends: list[End] = []
    open_sides = len(answers)
    try:
        while open_sides:
            side, piece = await pieces.get()
            match piece:
                case None:
                    open_sides -= 1
                case Delta():
                    yield piece.model_copy(update={"choice": side * choices + piece.choice})
                case Waiting():
                    yield piece
                case End():
                    ends.append(piece)
                case ChorusError():
                    yield Delta(i=0, text=problem(piece).line, choice=side * choices)
                case Exception():
                    raise piece
    finally:
        for reader in readers:  # who leaves early stops them, too
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    if not ends:
        raise Unavailable("Neither of them answered.", code="nobody_answered")
    yield _together(ends)


async def _read_all(side: int, answer: Answer, pieces: asyncio.Queue[_Read]) -> None:
    try:
        async for piece in answer:
            pieces.put_nowait((side, piece))
    except Exception as error:  # whoever takes it from the queue tells it, or raises it
        pieces.put_nowait((side, error))
    finally:
        pieces.put_nowait((side, None))


def _together(ends: Sequence[End]) -> End:
    reasons: list[Finish] = [reason for end in ends for reason in end.finish_reasons or [end.finish_reason]]
    return End(
        model=" and ".join(end.model for end in ends),
        finish_reason="length" if "length" in reasons else "stop",
        finish_reasons=reasons,
        usage=Usage(
            prompt_tokens=sum(end.usage.prompt_tokens for end in ends),
            completion_tokens=sum(end.usage.completion_tokens for end in ends),
        ),
        dropped_messages=max(end.dropped_messages for end in ends),
        dropped_examples=max(end.dropped_examples for end in ends),
    )

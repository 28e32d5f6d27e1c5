"""`!qa`: an answer of the place's own data where the question was asked there before, else of the model.

The data is what a bare `!train` learns, or else the newest dataset. It says which of both it was.
"""

import asyncio
import difflib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from pydantic import Field

from chorus.common.contracts.datasets import Dataset, Example, Turn
from chorus.common.contracts.generation import Delta, End, Sampling, Waiting
from chorus.common.contracts.wire import MIB
from chorus.gateway.commands.answering import answered
from chorus.gateway.commands.asking import question
from chorus.gateway.commands.context import Asked, Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Reply, Text

NEAR = 0.8
"""Share of letters in common, in their order, from which on it is the same question (`difflib`)."""
LARGEST = 8 * MIB  # bytes of a dataset that is searched
MOST = 5000  # questions that are searched: some tenths of a second
LONGEST = 300  # characters of a question that is compared


class Qa(Parameters):
    """What `!qa` takes."""

    question: str = Field(description="what to ask")


@dataclass(frozen=True)
class Pair:
    """A question of the data, and how it was answered there."""

    asked: str
    answer: str


async def qa(ctx: Context, asked: Qa) -> Reply:
    """Answer from the data, or ask the voice."""
    dataset = await _dataset(ctx)
    if dataset is not None:
        data = await ctx.chorus.objects.download(dataset.examples).read()
        if pair := await asyncio.to_thread(nearest, asked.question, data):
            return Text(f"{pair.answer}\n(from the dataset {dataset.id})")
    turn = Turn(role="user", content=asked.question, name=ctx.user)
    last = ctx.session.asked = Asked([turn], None, Sampling(), in_conversation=False)
    answer = answered(ctx, last, await question(ctx, None, last.turns, last.sampling))
    return replace(answer, pieces=_signed(answer.pieces))


def nearest(question: str, data: bytes) -> Pair | None:
    """The pair whose question is most like this one, if one is near; `data` is a line of JSON an example."""
    wanted = _plain(question)
    matcher = difflib.SequenceMatcher(b=wanted, autojunk=False)
    best, found = NEAR, None
    for pair in islice(_pairs(data), MOST):
        matcher.set_seq1(_plain(pair.asked))
        # The first two are quick, and never below the third.
        if matcher.real_quick_ratio() >= best and matcher.quick_ratio() >= best:
            ratio = matcher.ratio()
            if ratio > best or (found is None and ratio == best):
                best, found = ratio, pair
    return found


def _pairs(data: bytes) -> Iterable[Pair]:
    for line in data.splitlines():
        example = Example.model_validate_json(line)
        if example.label:
            yield from _exchanges(example.messages)


def _exchanges(turns: Sequence[Turn]) -> Iterable[Pair]:
    for before, after in pairwise(turns):
        if (before.role, after.role) == ("user", "assistant"):
            yield Pair(before.content, after.content)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())[:LONGEST].rstrip("?!. ")


async def _dataset(ctx: Context) -> Dataset | None:
    """The selected one, or the newest of what is wanted; none that is too large to be searched at once."""
    listing = await ctx.chorus.datasets.list(ctx.guild)
    wanted = [one for one in listing.datasets if one.label and one.examples.size <= LARGEST]
    selected = next((one for one in wanted if one.id == listing.selected), None)
    return selected or max(wanted, key=lambda one: one.created_at, default=None)


async def _signed(
    pieces: AsyncIterator[Waiting | Delta | End],
) -> AsyncIterator[Waiting | Delta | End]:
    """The answer, and below it who gave it."""
    count = 0
    async for piece in pieces:
        if isinstance(piece, Delta):
            count += 1
        elif isinstance(piece, End):
            yield Delta(i=count, text=f"\n(from {piece.model})")
        yield piece

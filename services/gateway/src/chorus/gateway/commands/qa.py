"""`!qa`: an answer of the place's own data where the question was asked there before, else of the model.

The data is what a bare `!train` learns, or else the newest dataset. It says which of both it was. What was
said in channels, and not handed over in a file, is quoted to those alone who may see datasets (`!preview`):
others could not read it all where it was said.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from pydantic import Field

from chorus.common.contracts.datasets import Dataset, Turn
from chorus.common.contracts.generation import Delta, End, Sampling, Waiting
from chorus.common.contracts.wire import MIB
from chorus.gateway.commands.answering import answered
from chorus.gateway.commands.asking import question
from chorus.gateway.commands.context import Asked, Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.quotas import spend
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.rights import may

LARGEST = 8 * MIB  # bytes of a dataset that is searched


class Qa(Parameters):
    """What `!qa` takes."""

    question: str = Field(description="what to ask")


async def qa(ctx: Context, asked: Qa) -> Reply:
    """Answer from the data, or ask the voice. Either is a question of the person's quota."""
    await spend(ctx, "questions")
    dataset = await _dataset(ctx)
    if dataset is not None:
        read = ctx.chorus.objects.download(dataset.examples).read
        pair = await ctx.chorus.searches.find(ctx.guild, dataset.id, read, asked.question)
        if pair is not None:
            return Text(f"{pair.answer}\n(from the dataset {dataset.id})", quoted=pair.answer)
    turn = Turn(role="user", content=asked.question, name=ctx.user)
    last = Asked([turn], None, Sampling(n=1), in_conversation=False)
    made = await question(ctx, None, last.turns, last.sampling, times=0)
    ctx.session.asked = last
    answer = answered(ctx, last, made)
    return replace(answer, pieces=_signed(answer.pieces))


async def _dataset(ctx: Context) -> Dataset | None:
    """The selected one, or the newest of what is wanted; none that is too large to be searched at once."""
    listing = await ctx.chorus.datasets.list(ctx.guild)
    all_of_it = await may(ctx, "train")
    wanted = [
        one
        for one in listing.datasets
        if one.label and one.examples.size <= LARGEST and (all_of_it or one.basis.way == "uploaded")
    ]
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

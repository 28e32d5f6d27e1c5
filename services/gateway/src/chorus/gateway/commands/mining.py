"""`!mine`: what people who opted in have said in this server's channels, as a dataset.

Only where the operator has Discord's permission. What others say is counted, and not kept. What was read
once is not read again: each dataset remembers how far each channel was read (`contracts.mining`).
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from pydantic import Field, PositiveInt

from chorus.common.contracts.datasets import Basis, Building, BuildOptions, Dataset
from chorus.common.contracts.names import Name
from chorus.common.errors import NotFound, NotPermitted
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.history import Harvest, History
from chorus.gateway.commands.options import BuildParameters, TrainingParameters
from chorus.gateway.commands.ports import NewDataset
from chorus.gateway.commands.reading import Reading, chosen
from chorus.gateway.commands.replies import Moment, Problem, Progress, Reply, Text
from chorus.gateway.commands.sources import build_options
from chorus.gateway.commands.telling import ended_in_words, of_build, summary
from chorus.gateway.commands.training import Order, learned
from chorus.gateway.commands.trust import basis

MINED = "mined"
"""What a dataset of it is called, where nothing else is said."""

ONLY_THERE = "Only a server on Discord has channels to read. Everywhere else, hand over a file: `!import`."
RULE_21 = (
    "Channels are not read here. Discord's Developer Policy (rule 21) forbids training on messages that come "
    "through its API, unless Discord permits it; an operator who has that permission sets "
    "CHORUS_TRAIN_ON_MESSAGES=permitted. All others hand over an export or a data package: `!import` with "
    "the file attached."
)
NOBODY = (
    "There is nothing to learn from: nobody who has written there has opted in. "
    "Each person opts in with `!privacy optin`; then mine again, with `anew=True`."
)


class Gathering(BuildParameters):
    """What commands take that read channels."""

    channel: str | None = Field(
        default=None, description="`#name` or id, or several with commas; otherwise all of them"
    )
    since: date | None = Field(default=None, description="the first day, such as 2026-01-31")
    limit: PositiveInt | None = Field(default=None, description="messages to read at most, this time")
    anew: bool = Field(default=False, description="whether to read again what was read before")


class Learning(TrainingParameters, Gathering):
    """What commands take that read channels and train on what was said there."""

    base: str | None = Field(default=None, description="the base model to learn on, as the operator calls it")


class Mine(Gathering):
    """What `!mine` takes."""

    name: Name = Field(default=MINED, description="the dataset's name")


@dataclass(frozen=True)
class Wanted:
    """The dataset that is to be made of what was read."""

    name: str
    options: BuildOptions
    basis: Basis


async def mine(ctx: Context, asked: Mine) -> Reply:
    """Read channels, keep what may be kept, and make a dataset of it and of all that was kept before."""
    if ctx.history is None:
        raise NotFound(ONLY_THERE, code="no_history")
    wanted = Wanted(asked.name, await build_options(ctx, asked), await by_permission(ctx))
    steps = gathered(ctx, asked, ctx.history, wanted)
    return Progress("", ended_in_words(_told(steps)))


async def by_permission(ctx: Context) -> Basis:
    """By what right channels are read here. Raises `NotPermitted` where Discord has not permitted it."""
    if ctx.trust.mode != "permitted":
        raise NotPermitted(RULE_21, code="mining_not_permitted")
    return await basis(ctx, "mined")


async def _told(steps: AsyncIterator[Moment | Dataset]) -> AsyncIterator[Moment]:
    async for step in steps:
        if isinstance(step, Dataset):
            yield Moment(outcome=Text(f"{summary(step)}\nTrain on it: !train data={step.name}"))
        else:
            yield step


async def gathered(
    ctx: Context, asked: Gathering, history: History, wanted: Wanted
) -> AsyncIterator[Moment | Dataset]:
    """Read what is new, and make a dataset of all that was kept: how far that is, at last the dataset.

    Where nothing was kept, that is the outcome, and there is no dataset.
    """
    yield Moment(stage="listing channels")
    channels = chosen(await history.channels(), asked.channel)
    since = datetime.combine(asked.since, time(), UTC) if asked.since else None
    harvest = await ctx.chorus.harvests.open(ctx.guild, wanted.name, since=since, anew=asked.anew)
    reading = Reading(ctx, harvest, asked.limit)
    async with aclosing(reading.read(history, channels)) as moments:
        async for moment in moments:
            yield moment
    yield Moment(note=reading.told(channels))
    if harvest.sources:
        async for step in _imported(ctx, harvest, wanted):
            yield step
    else:
        yield Moment(outcome=Problem("nothing_mined", NOBODY))


async def learned_from(
    ctx: Context, asked: Learning, history: History, wanted: Wanted, model: str
) -> AsyncGenerator[Moment, None]:
    """The reading, then the training of this model on what was kept, moment by moment."""
    async for step in gathered(ctx, asked, history, wanted):
        if not isinstance(step, Dataset):
            yield step
            continue
        yield Moment(note=summary(step))
        async for moment in learned(ctx, asked, Order(model, asked.base, None), [step]):
            yield moment


async def _imported(ctx: Context, harvest: Harvest, wanted: Wanted) -> AsyncIterator[Moment | Dataset]:
    new = NewDataset(
        name=wanted.name,
        files=harvest.sources,
        positive=True,
        contributor=ctx.user,
        basis=wanted.basis,
        options=wanted.options,
    )
    async for step in ctx.chorus.datasets.add(ctx.guild, new):
        yield of_build(step) if isinstance(step, Building) else step

"""`!train`: from words, files and datasets to a model that has learned them."""

import re
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from pydantic import Field, field_validator

from chorus.common.contracts.datasets import Building, Dataset
from chorus.common.contracts.names import NAME, job_id, slug
from chorus.common.contracts.training import Parent
from chorus.common.errors import ChorusError, InvalidInput, in_short
from chorus.gateway.commands.bases import known_base
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.figures import estimated
from chorus.gateway.commands.options import TrainingParameters
from chorus.gateway.commands.parsing import together
from chorus.gateway.commands.quotas import spending
from chorus.gateway.commands.replies import Moment, Problem, Progress, Reply, Text
from chorus.gateway.commands.sources import (
    Handed,
    Steps,
    from_data,
    from_files,
    from_selected,
    from_words,
    uploads,
)
from chorus.gateway.commands.telling import course, ended_in_words, of_build, summary
from chorus.gateway.commands.trust import basis

DEFAULT_MODEL = "main"

T = TypeVar("T")


class Sources(Handed):
    """What `!train` learns from, all of it together."""

    text: str | None = Field(default=None, description="words to learn")
    text_file: str | None = Field(default=None, description="one more file to learn from: plain text, say")
    conversation_file: str | None = Field(default=None, description="one more: questions and answers, say")
    data: str | None = Field(
        default=None, description="datasets, or files that were uploaded before, parted by commas"
    )


class Train(TrainingParameters, Sources):
    """What `!train` takes."""

    by_position: ClassVar[str | None] = "positive"

    model: str | None = Field(
        default=None, description="the model that gets a new version; `main`, where none is named"
    )
    base: str | None = Field(default=None, description="the base model to learn on, as the operator calls it")
    start: str | None = Field(
        default=None, description="the version to go on from: `main@2`, or a checkpoint's name"
    )
    replay: bool = Field(
        default=True, description="with `start`: learn again what that version learned from, so that it stays"
    )

    @field_validator("model")
    @classmethod
    def _names_a_model(cls, value: str | None) -> str | None:
        if value is None or known_base(value) or re.fullmatch(NAME, value):
            return value
        raise ValueError(
            f"names are of a to z, 0 to 9 and hyphens, as in `{slug(value)}`; a base is named by `base=`"
        )


@dataclass(frozen=True)
class Order:
    """What is to be made of the data."""

    model: str
    base: str | None
    parent: Parent | None
    replayed: tuple[str, ...] = ()
    """Datasets that the parent learned from, to be learned again: what is not, is soon forgotten."""


async def train(ctx: Context, asked: Train) -> Reply:
    """Turn what was handed over into datasets, queue a training on them, and watch both."""
    wrong: list[ChorusError] = []
    order = await _tried(_order(ctx, asked), wrong)
    sources = [await _tried(source, wrong) for source in _sources(ctx, asked)]
    if wrong or order is None:
        raise together(wrong)
    return Progress("", ended_in_words(_trained(ctx, asked, order, [source for source in sources if source])))


async def _tried(work: Awaitable[T], wrong: list[ChorusError]) -> T | None:
    """What comes of it, or None: everything that is wrong is told at once."""
    try:
        return await work
    except ChorusError as error:
        wrong.append(error)
        return None


async def _order(ctx: Context, asked: Train) -> Order:
    meant = known_base(asked.model or "")  # as other trainers use that word
    if asked.base and meant:
        raise InvalidInput(
            f"`model={in_short(asked.model or '')}` means a base, and `base=` is given, too: one is enough.",
            code="two_bases",
            param="base",
        )
    base, model = asked.base or meant, None if meant else asked.model
    if asked.start is None:
        return Order(model or DEFAULT_MODEL, base, None)
    version = await ctx.chorus.models.find(ctx.guild, asked.start)
    name = asked.start.partition("@")[0]
    parent = Parent(model=f"{name}@{version.tag}", manifest=version.manifest)
    return Order(model or name, base, parent, tuple(version.dataset.split(", ")) if asked.replay else ())


def _sources(ctx: Context, asked: Train) -> list[Awaitable[Steps]]:
    """Words, files and datasets, all that there are of them; without any, what was selected."""
    attached = ctx.files.attached()
    named = [name for part in (asked.data or "").split(",") if (name := part.strip())]
    given = (asked.file, asked.text_file, asked.conversation_file, *(n for n in named if n in attached))
    files = list(dict.fromkeys(name for name in given if name))
    data = [name for name in dict.fromkeys(named) if name not in files]
    has_files, has_words = bool(files or attached), asked.text is not None
    told = "positive" in asked.model_fields_set and not has_files and not has_words
    label = asked.positive if told else None

    sources: list[Awaitable[Steps]] = []
    if asked.text is not None:  # the name is the files', where there are some
        words = asked.model_copy(update={"name": None}) if has_files else asked
        sources.append(from_words(ctx, words, asked.text))
    if has_files:
        sources.append(_from_files(ctx, asked, files))
    sources += [from_data(ctx, asked, name, label) for name in data]
    return sources or [from_selected(ctx, asked, label)]


async def _from_files(ctx: Context, asked: Train, files: list[str]) -> Steps:
    return await from_files(ctx, asked, await uploads(ctx, *files))


async def _trained(
    ctx: Context, asked: Train, order: Order, sources: Sequence[Steps]
) -> AsyncIterator[Moment]:
    """The imports, then the job, moment by moment."""
    made: dict[str, Dataset] = {}
    yield Moment(stage="reading")  # at once: who waits for the trainer's turn sees that we are at it
    for steps in sources:
        async for step in steps:
            if isinstance(step, Building):
                yield of_build(step)
            elif step.id not in made:
                made[step.id] = step
                yield Moment(note=summary(step))
    if again := await _replayed(ctx, order, made):
        made |= again
        told = f"{' and '.join(again)}, which {order.parent.model if order.parent else ''} learned from"
        yield Moment(note=f"Learned again beside it: {told}. `replay=no` leaves it out.")
    data = list(made.values())
    if not any(dataset.card.positive for dataset in data):
        yield Moment(outcome=_only_unwanted(asked, data))
        return
    async for moment in learned(ctx, asked, order, data):
        yield moment


async def _replayed(ctx: Context, order: Order, made: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """What the parent learned from, as far as it is still there and may be learned."""
    if not order.replayed:
        return {}
    listing = await ctx.chorus.datasets.list(ctx.guild)
    there = {dataset.id: dataset for dataset in listing.datasets if dataset.id not in made}
    again = {name: there[name] for name in order.replayed if name in there}
    for dataset in again.values():
        await basis(ctx, dataset.basis.way)
    return again


def _only_unwanted(asked: Train, data: Sequence[Dataset]) -> Text | Problem:
    """What becomes of data without a reply to give."""
    why = "a model learns what not to say only beside what to say."
    if not asked.positive:
        return Text(f"Kept as words not to be said. Nothing is trained on them alone: {why}")
    held = " and ".join(dataset.id for dataset in data)
    told = (
        f"In {held} there are only replies that are not wanted, and nothing is trained on them alone: {why}"
    )
    return Problem("only_unwanted", told)


async def learned(
    ctx: Context, asked: TrainingParameters, order: Order, data: Sequence[Dataset]
) -> AsyncIterator[Moment]:
    """Queue a training on this data, and watch it."""
    # Examples may be as long as they were built: what is cut off here would not be learned.
    longest = max(dataset.options.max_tokens for dataset in data)
    yield Moment(stage="queueing", queues=job_id(ctx.guild, ctx.key))
    async with spending(ctx, "trainings"):
        record = await ctx.chorus.jobs.submit(
            data,
            order.model,
            asked.hyperparameters(max_tokens=longest),
            base=order.base,
            parent=order.parent,
            submitted_by=ctx.user,
            key=ctx.key,
        )
    job = record.job.job
    takes = f"\nIt takes {estimated(record.estimate)}." if record.estimate else ""
    yield Moment(note=f"Model training started. Job ID: {job}{takes}", job=job)
    async for moment in course(ctx.chorus, ctx.guild, job):
        yield moment

"""`!import` and `!build`: datasets without a training."""

from collections.abc import AsyncIterator

from pydantic import Field

from chorus.common.contracts.datasets import Building
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.catalogue import find, named
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.options import BuildParameters
from chorus.gateway.commands.replies import Button, Moment, Progress, Reply, Text
from chorus.gateway.commands.sources import Handed, Steps, from_files, uploads
from chorus.gateway.commands.telling import ended_in_words, of_build, summary


class Import(Handed):
    """What `!import` takes."""

    files: tuple[str, ...] = Field(default=(), description="files to learn from")


class Build(BuildParameters):
    """What `!build` takes."""

    dataset: str = Field(description="`name`, or `name@3`")


async def import_files(ctx: Context, asked: Import) -> Reply:
    """Make a dataset of files, and tell what is in it."""
    named_files = (*([asked.file] if asked.file else []), *asked.files)
    files = await uploads(ctx, *named_files)
    if not files:
        raise InvalidInput(
            "Which file? `!import file=export.json`, or attach it.", code="nothing_to_import", param="file"
        )
    return Progress("", ended_in_words(imported(await from_files(ctx, asked, files))))


async def build(ctx: Context, asked: Build) -> Reply:
    """Build a dataset anew: the options that are given change, the others stay."""
    name = await named(ctx, asked.dataset)
    old = find(await ctx.chorus.datasets.list(ctx.guild), name)
    if not asked.is_choosy:
        raise InvalidInput(
            f"What is to be different? `!build {old.id} gap_minutes=30`, say; `!help options` lists all.",
            code="nothing_to_change",
        )
    steps = ctx.chorus.datasets.rebuild(ctx.guild, old.id, asked.options(old.options))
    return Progress("", ended_in_words(imported(steps)))


async def imported(steps: Steps) -> AsyncIterator[Moment]:
    """How far a dataset is, and at last what is in it."""
    async for step in steps:
        if isinstance(step, Building):
            yield of_build(step)
        else:
            learned = f"data={step.name}" if step.card.positive else f"data={step.name},NAME with what to say"
            more = f"\nMore: !dataset {step.name}, !preview {step.name}. Train on it: !train {learned}"
            on_it = (Button("Train on it", f"!train data={step.name}"),) if step.card.positive else ()
            yield Moment(outcome=Text(summary(step) + more, on_it))

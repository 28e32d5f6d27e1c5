"""`!datasets`, `!dataset`, `!preview`, `!select_dataset`, `!archive`, `!getfile`, `!delete_dataset`."""

import asyncio
from pathlib import PurePath
from typing import ClassVar

from pydantic import Field

from chorus.common.contracts.datasets import Dataset
from chorus.common.errors import ChorusError, InvalidInput, NotFound, in_short
from chorus.gateway.commands.card import card_of
from chorus.gateway.commands.catalogue import filenames, find, find_source, named
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import NoParameters, Parameters
from chorus.gateway.commands.phrases import counted, in_a_row, minute
from chorus.gateway.commands.replies import Card, File, Reply, Samples, Text
from chorus.gateway.commands.telling import summary


class OneDataset(Parameters):
    """What commands take that are about one dataset."""

    dataset: str = Field(description="`name` (its newest version), or `name@3`")


class Preview(OneDataset):
    """What `!preview` takes."""

    count: int = Field(default=3, ge=1, le=20, description="how many examples")


class Select(OneDataset):
    """What `!select_dataset` takes."""

    by_position: ClassVar[str | None] = "positive"

    positive: bool = Field(default=True, description="whether these are replies to give, or not to give")


class Archive(OneDataset):
    """What `!archive` takes."""

    to: str | None = Field(
        default=None, description="name of the ZIP; without one it is called by its dataset"
    )


class GetFile(Parameters):
    """What `!getfile` takes."""

    file: str = Field(description="name of an uploaded file, or of a dataset")
    to: str | None = Field(default=None, description="name of the file that you get")


class Delete(OneDataset):
    """What `!delete_dataset` takes."""

    sure: bool = Field(default=False, description="`True`, once you know what would go")


async def datasets(ctx: Context, _: NoParameters) -> Reply:
    """List the guild's datasets, newest versions first."""
    listing = await ctx.chorus.datasets.list(ctx.guild)
    if not listing.datasets:
        return Text("No datasets yet. Make one with !import or !train.")
    rows = [_row(dataset, selected=dataset.id == listing.selected) for dataset in listing.datasets]
    columns = ("", "dataset", "examples", "tokens", "made", "note")
    return Card("Datasets", columns, rows, "→ is what a bare !train learns. More: !dataset NAME")


async def show(ctx: Context, asked: OneDataset) -> Reply:
    """Say all that is known of a dataset."""
    name = await named(ctx, asked.dataset)
    dataset = find(await ctx.chorus.datasets.list(ctx.guild), name)
    return await asyncio.to_thread(card_of, dataset)  # its picture takes 10 ms


async def preview(ctx: Context, asked: Preview) -> Reply:
    """Show a few examples as a model will see them."""
    name = await named(ctx, asked.dataset)
    shown = await ctx.chorus.datasets.preview(ctx.guild, name, asked.count)
    return Samples(shown.dataset.id, shown.samples, "What stands in «…» is learned.")


async def select(ctx: Context, asked: Select) -> Reply:
    """Make a dataset what a bare `!train` learns."""
    name = await named(ctx, asked.dataset)
    selected = await ctx.chorus.datasets.select(ctx.guild, name, positive=asked.positive)
    told = summary(selected.dataset).removeprefix("Dataset ")
    learned = (
        "A bare !train learns it from now on."
        if selected.dataset.card.positive
        else "It holds replies that are not wanted; a model learns those only beside what is."
    )
    return Text(f"Dataset selected and archived. Dataset: {told}\n{learned}")


async def archive(ctx: Context, asked: Archive) -> Reply:
    """Hand a dataset over as a ZIP."""
    packed = await ctx.chorus.datasets.archive(ctx.guild, await named(ctx, asked.dataset))
    download = ctx.chorus.objects.download(packed.archive)
    return File(asked.to or packed.filename, download, f"Files in {packed.dataset.id} have been archived.")


async def getfile(ctx: Context, asked: GetFile) -> Reply:
    """Hand over a file that was uploaded, or a dataset's examples. Nothing else can be named."""
    listing = await ctx.chorus.datasets.list(ctx.guild)
    name = asked.file.strip().strip("`")
    if found := find_source(listing, name):
        dataset, source = found
        ref, filename = source.file, PurePath(source.filename).name
    else:
        try:
            dataset = find(listing, name)
        except ChorusError:
            known = in_a_row(filenames(listing)) or "none yet"
            raise NotFound(
                f"File not found: {in_short(name)}. Files here: {known}.", code="file_not_found", param="file"
            ) from None
        ref, filename = dataset.examples, f"{dataset.name}-{dataset.version}.jsonl"
    return File(asked.to or filename, ctx.chorus.objects.download(ref), "Here is the file you requested:")


async def delete(ctx: Context, asked: Delete) -> Reply:
    """Delete a dataset with all its versions; what would go is told first."""
    name = await named(ctx, asked.dataset)
    listing = await ctx.chorus.datasets.list(ctx.guild)
    versions = [dataset for dataset in listing.datasets if dataset.name == name]
    if not versions:
        whole = find(listing, name)  # a version, or nothing
        raise InvalidInput(
            f"Versions are deleted together: `!delete_dataset {whole.name}`.",
            code="one_version",
            param="dataset",
        )
    if not asked.sure:
        files = in_a_row(sorted({source.filename for dataset in versions for source in dataset.sources}))
        return Text(
            f"This deletes {name} with all its versions (the newest is {versions[0].id}), their archives, "
            f"and the files that they came from: {files}. Models that learned them stay. "
            f"There is no way back. To do it: !delete_dataset {name} sure=True"
        )
    gone = await ctx.chorus.datasets.delete(ctx.guild, name)
    return Text(
        f"{name} is deleted: {counted(gone.versions, 'version')}, {counted(gone.objects, 'stored object')}."
    )


def _row(dataset: Dataset, *, selected: bool) -> tuple[str, ...]:
    note = "" if dataset.label else "not to be said"
    card = dataset.card
    arrow, made = "→" if selected else "", minute(dataset.created_at)
    return (arrow, dataset.id, f"{card.examples:,}", f"{card.tokens:,}", made, note)

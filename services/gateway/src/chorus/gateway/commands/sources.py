"""What is to be learned: typed words, files, an earlier upload, a dataset; and how it becomes a dataset."""

from collections.abc import AsyncIterator, Sequence
from pathlib import PurePath

from pydantic import Field

from chorus.common.contracts.datasets import Building, BuildOptions, Dataset, Way
from chorus.common.contracts.names import Name, slug
from chorus.common.errors import InvalidInput, NotFound
from chorus.gateway.commands.catalogue import find, find_source, named
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.options import BuildParameters
from chorus.gateway.commands.ports import NewDataset, Upload
from chorus.gateway.commands.rights import settings_of
from chorus.gateway.commands.trust import basis

TYPED = "typed"
FILES = 100  # at once, as the contract has it

Steps = AsyncIterator[Building | Dataset]
"""How far a dataset is, and at last the dataset."""


class Handed(BuildParameters):
    """What commands take that make a dataset."""

    file: str | None = Field(default=None, description="a file to learn from, or a ZIP of several")
    name: Name | None = Field(default=None, description="the dataset's name; otherwise the file's")
    positive: bool = Field(default=True, description="whether these are replies to give, or not to give")


async def build_options(ctx: Context, asked: BuildParameters) -> BuildOptions:
    """The options that were given; speakers keep their names also where the guild has chosen that."""
    named = (await settings_of(ctx)).names
    return asked.options(BuildOptions(real_names=True) if named else None)


async def uploads(ctx: Context, *names: str) -> list[Upload]:
    """The files of these names, or all that came with the command."""
    return [await ctx.files.read(name) for name in names or ctx.files.attached()]


async def from_files(ctx: Context, asked: Handed, files: Sequence[Upload], way: Way = "uploaded") -> Steps:
    """A dataset of files that were handed over just now."""
    if len(files) > FILES:
        raise InvalidInput(
            f"At most {FILES} files are taken at once. Put them into a ZIP.",
            code="too_many_files",
            param="file",
        )
    new = NewDataset(
        name=asked.name or _name_of(files[0].name),
        files=files,
        positive=asked.positive,
        contributor=ctx.user,
        basis=await basis(ctx, way),
        options=await build_options(ctx, asked),
    )
    return ctx.chorus.datasets.add(ctx.guild, new)


async def from_words(ctx: Context, asked: Handed, text: str) -> Steps:
    """A dataset of words that were typed."""
    if not text.strip():
        raise InvalidInput("There are no words between the quotes.", code="nothing_to_train_on", param="text")
    return await from_files(ctx, asked, [Upload(f"{TYPED}.txt", text.encode())], "submitted")


async def from_data(ctx: Context, asked: Handed, text: str, label: bool | None = None) -> Steps:
    """A dataset that is there, by its name, or one of an uploaded file, by the file's name.

    Options that are given have it built anew. `label` says whether these are replies to give, if somebody
    said so.
    """
    name = await named(ctx, text)
    listing = await ctx.chorus.datasets.list(ctx.guild)
    try:
        dataset = find(listing, name)
    except NotFound:
        if (found := find_source(listing, name)) is None:
            raise
    else:
        return await from_dataset(ctx, asked, dataset, label)
    dataset, source = found
    await basis(ctx, dataset.basis.way)
    new = NewDataset(
        name=asked.name or _name_of(source.filename),
        files=[source],
        positive=dataset.label if label is None else label,
        contributor=dataset.contributor,
        basis=dataset.basis,
        options=await build_options(ctx, asked),
    )
    return ctx.chorus.datasets.add(ctx.guild, new)


async def from_selected(ctx: Context, asked: Handed, label: bool | None = None) -> Steps:
    """The dataset that was selected. Raises `InvalidInput` where none is."""
    listing = await ctx.chorus.datasets.list(ctx.guild)
    if listing.selected is None:
        raise InvalidInput(
            'Give words to learn, a file or a dataset: `!train "some words"`, `!train file=examples.json`, '
            "`!train data=club`. `!select_dataset club` chooses what a bare `!train` uses.",
            code="nothing_to_train_on",
        )
    return await from_dataset(ctx, asked, find(listing, listing.selected), label)


async def from_dataset(ctx: Context, asked: Handed, dataset: Dataset, label: bool | None) -> Steps:
    """The dataset as it is, or built anew where options were given.

    It was made by right; whether it is learned is for what the operator allows today.
    """
    await basis(ctx, dataset.basis.way)
    if label is not None and label != dataset.label:
        raise InvalidInput(
            f"{dataset.id} was built otherwise. `!select_dataset {dataset.id} positive={label}` "
            "builds it anew so.",
            code="built_otherwise",
            param="positive",
        )
    if asked.is_choosy:
        return ctx.chorus.datasets.rebuild(ctx.guild, dataset.id, asked.options(dataset.options))
    return _as_it_is(dataset)


async def _as_it_is(dataset: Dataset) -> Steps:
    yield dataset


def _name_of(filename: str) -> str:
    return slug(PurePath(filename).stem or filename)

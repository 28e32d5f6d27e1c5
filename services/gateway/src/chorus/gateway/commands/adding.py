"""More examples in a dataset of what was approved: one more version, with all that was in it before.

Two people may add at once. A version is made only if the one that it goes on from is still the newest;
otherwise what came meanwhile is read, and it is made anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chorus.common.contracts.datasets import Basis, Building, BuildOptions, Dataset, Example
from chorus.common.errors import Conflict, InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.ports import NewDataset, Upload
from chorus.gateway.commands.sources import Steps
from chorus.gateway.commands.trust import basis

FEEDBACK = "feedback"
TRIES = 5  # versions that others make first
AGAIN = Building(stage="somebody else approved something meanwhile: once more, with theirs")


@dataclass(frozen=True)
class Addition:
    """What is to be added, and to what."""

    name: str
    examples: Sequence[Example]
    basis: Basis
    old: Dataset | None
    """The newest version; None where there is none yet."""


async def addition(ctx: Context, name: str, examples: Sequence[Example], *, typed: bool) -> Addition:
    """These examples, for the dataset of this name. `typed`: words in them came by messages.

    Raises `InvalidInput` where the name is taken by other data, `NotPermitted` where nobody may learn this.
    """
    trust = replace(ctx.trust, via="message" if typed else "form")  # however the approval comes
    by_right = await basis(replace(ctx, trust=trust), "submitted")
    return Addition(name, examples, by_right, await _newest(ctx, name))


async def added(ctx: Context, new: Addition) -> Steps:
    """How far the version is, and at last the version. Raises what is wrong with it."""
    for left in reversed(range(TRIES)):
        try:
            async for step in ctx.chorus.datasets.add(ctx.guild, await _whole(ctx, new)):
                yield step
        except Conflict as error:
            if error.code != "changed_meanwhile" or not left:
                raise
            yield AGAIN
            new = replace(new, old=await _newest(ctx, new.name))
        else:
            return


async def _newest(ctx: Context, name: str) -> Dataset | None:
    listing = await ctx.chorus.datasets.list(ctx.guild)
    versions = [dataset for dataset in listing.datasets if dataset.name == name]
    newest = max(versions, key=lambda dataset: dataset.version, default=None)
    if newest is not None and newest.basis.way != "submitted":
        raise InvalidInput(
            f"{name} is a dataset of other data. Give another name: `name={FEEDBACK}`.",
            code="name_taken",
            param="name",
        )
    return newest


async def _whole(ctx: Context, new: Addition) -> NewDataset:
    """All that is to be in the version."""
    before = await ctx.chorus.objects.download(new.old.examples).read() if new.old else b""
    lines = "".join(f"{example.model_dump_json(exclude_none=True)}\n" for example in new.examples)
    return NewDataset(
        name=new.name,
        files=[Upload(f"{new.name}.jsonl", before + lines.encode())],
        positive=True,
        contributor=ctx.user,
        basis=new.basis,
        options=BuildOptions(),
        after=new.old.version if new.old else 0,
    )

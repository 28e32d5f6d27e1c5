"""Finding what a person means among a guild's datasets: by name, by version, by an uploaded file's name.

A path of the host is never a name here: who gives one learns which names there are. Versions that were
withdrawn are in no listing.
"""

import re

from chorus.common.contracts.datasets import Dataset, Source
from chorus.common.contracts.datasets import Datasets as Listing
from chorus.common.contracts.names import NAME
from chorus.common.errors import InvalidInput, NotFound, in_short
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.phrases import in_a_row


async def named(ctx: Context, text: str) -> str:
    """The dataset's name as it was meant. Raises `InvalidInput` for a path, with the names there are."""
    name = text.strip().strip("`").strip()
    if _is_path(name):
        listing = await ctx.chorus.datasets.list(ctx.guild)
        raise InvalidInput(
            f"Paths on the server cannot be named here. {_known(listing)}",
            code="server_path",
            param="dataset",
        )
    return name


def find(listing: Listing, name: str) -> Dataset:
    """The newest version of this name, or the one it says. Raises `NotFound`, with what there is."""
    match = re.fullmatch(rf"({NAME})(?:@([0-9]{{1,6}}))?", name)
    versions = [dataset for dataset in listing.datasets if match and dataset.name == match[1]]
    if not match or not versions:
        raise NotFound(
            f"There is no dataset {in_short(name)}. {_known(listing)}",
            code="unknown_dataset",
            param="dataset",
        )
    if match[2] is None:
        return versions[0]
    found = next((dataset for dataset in versions if dataset.version == int(match[2])), None)
    if found is None:
        shown = ", ".join(str(dataset.version) for dataset in versions)
        raise NotFound(
            f"{match[1]} has no version {match[2]}; it has {shown}.", code="unknown_version", param="dataset"
        )
    return found


def find_source(listing: Listing, filename: str) -> tuple[Dataset, Source] | None:
    """The uploaded file of this name, from the newest dataset that was made of one, and that dataset."""
    newest_first = sorted(listing.datasets, key=lambda dataset: dataset.created_at, reverse=True)
    return next(
        (
            (dataset, source)
            for dataset in newest_first
            for source in dataset.sources
            if source.filename.casefold() == filename.casefold()
        ),
        None,
    )


def filenames(listing: Listing) -> list[str]:
    """Names of all files that datasets were made of."""
    return sorted({source.filename for dataset in listing.datasets for source in dataset.sources})


def _known(listing: Listing) -> str:
    names = sorted({dataset.name for dataset in listing.datasets})
    return f"Datasets: {in_a_row(names)}." if names else "There are none yet: `!import` makes one."


def _is_path(text: str) -> bool:
    return text.startswith(("/", "~", ".")) or "/" in text or "\\" in text

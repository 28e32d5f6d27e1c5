"""`chorus preprocess -d ID`: the first of selfchatbot's three steps, on its folders and its variables.

    $selfChatBot_raw/Dataset_1_Harbour/parameters.json, DiscordChatExporter/*.txt
        → the dataset `harbour`, as `!import` makes it
        → $selfChatBot_preprocessed/Dataset_1_Harbour/examples.jsonl, card, …: what `!archive` hands over

Then `chorus train --data harbour`, in place of `selfChatBot_train -d 1`.
"""

import asyncio
import os
import re
import tempfile
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from chorus.common.contracts.datasets import Building, BuildOptions, Dataset
from chorus.common.contracts.names import slug
from chorus.common.errors import Conflict, InvalidInput, NotFound
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.ports import NewDataset, Upload
from chorus.gateway.commands.replies import Moment, Progress, Reply, Text
from chorus.gateway.commands.telling import ended_in_words, of_build, summary
from chorus.gateway.commands.trust import basis

PREPROCESS = "preprocess"
RAW, PREPROCESSED = "selfChatBot_raw", "selfChatBot_preprocessed"
USAGE = f"Say which dataset: `chorus {PREPROCESS} -d 1` reads ${RAW}/Dataset_1_…"


async def preprocess(ctx: Context, words: Sequence[str]) -> Reply:
    """Import a folder, and write what became of it beside it."""
    folder = _folder(os.environ, _id(words))
    target = _variable(os.environ, PREPROCESSED) / folder.name
    if target.exists():
        raise Conflict(
            f"{target} exists, and nothing is overwritten. Move it away to have it made again.",
            code="file_exists",
        )
    return Progress("", ended_in_words(_preprocessed(ctx, folder, target)))


def _id(words: Sequence[str]) -> str:
    """`-d 1`, `-d=1`, `--dataset 1`."""
    match = re.fullmatch(r"(?:-d|--dataset)[ =]?([0-9]{1,9})", " ".join(words))
    if match is None:
        raise InvalidInput(USAGE, code="missing_parameter", param="d")
    return match[1]


def _variable(environment: Mapping[str, str], name: str) -> Path:
    """The folder that a variable names."""
    value = environment.get(name, "")
    if not value or not Path(value).is_dir():
        what = f"is {value}, which is no folder" if value else "is not set"
        raise InvalidInput(
            f"The variable {name} {what}. selfchatbot's folders are named by {RAW} (what was exported) and "
            f"{PREPROCESSED} (what it becomes): `export {name}=…`",
            code="missing_variable",
            param=name,
        )
    return Path(value)


def _folder(environment: Mapping[str, str], number: str) -> Path:
    """`Dataset_<number>_<name>` among the raw ones."""
    raw = _variable(environment, RAW)
    found = sorted(path for path in raw.glob(f"Dataset_{number}_*") if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found or sorted(raw.glob("Dataset_*"))) or "none"
        what = "more than one folder" if found else "no folder"
        raise NotFound(
            f"{raw} has {what} Dataset_{number}_…; there is {names}.", code="unknown_folder", param="d"
        )
    return found[0]


async def _preprocessed(ctx: Context, folder: Path, target: Path) -> AsyncIterator[Moment]:
    dataset: Dataset | None = None
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / f"{folder.name}.zip"
        yield Moment(stage=f"packing {folder.name}")
        await asyncio.to_thread(_pack, folder, packed)
        new = NewDataset(
            name=slug(folder.name.split("_", 2)[2]),
            files=[Upload(packed.name, packed)],
            positive=True,
            contributor=ctx.user,
            basis=await basis(ctx, "uploaded"),
            options=BuildOptions(),
        )
        async for step in ctx.chorus.datasets.add(ctx.guild, new):
            if isinstance(step, Building):
                yield of_build(step)
            else:
                dataset = step
        assert dataset is not None  # the last step, or an error
        archive = Path(scratch) / "archive.zip"
        packed_up = await ctx.chorus.datasets.archive(ctx.guild, dataset.id)
        await ctx.chorus.objects.download(packed_up.archive).save(archive)
        await asyncio.to_thread(_unpack, archive, target)
    yield Moment(
        outcome=Text(f"{summary(dataset)}\n✓ {target}\nTrain on it: chorus train --data {dataset.name}")
    )


def _pack(folder: Path, path: Path) -> None:
    """The folder with its name; what is a link is left out, for it may lead anywhere."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink():
                archive.write(file, Path(folder.name) / file.relative_to(folder))


def _unpack(path: Path, target: Path) -> None:
    target.mkdir()
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target)

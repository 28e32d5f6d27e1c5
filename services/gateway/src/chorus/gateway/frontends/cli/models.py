"""`chorus models export | merge | push`: models out of Chorus, into a folder or onto the Hugging Face hub.

    chorus models                                     what `!models` lists
    chorus models export main@3 --to my-model         as it is: an adapter, or a whole model
    chorus models merge main@3 --to my-model          an adapter merged into its base: a whole model
    chorus models push main@3 me/my-model [--public]

Each goes with its model card and its losses. Sample replies stay: they are what people wrote.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from pydantic import Field

from chorus.common.contracts.merging import Merging
from chorus.common.errors import Conflict, InternalError, InvalidInput
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import ModelFiles
from chorus.gateway.commands.replies import Moment, Progress, Reply, Text
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.frontends.cli import hub

MODELS = "models"


class ToFolder(Parameters):
    """What `chorus models export` and `merge` take."""

    model: str = Field(description="`name`, `name@3`, `name@previous`")
    to: str = Field(description="a new folder")


class ToHub(Parameters):
    """What `chorus models push` takes."""

    what: tuple[str, ...] = Field(description="the model, then the repository")
    public: bool = Field(default=False, description="whether everybody may see it")


async def export(ctx: Context, model: str, folder: Path) -> ModelFiles:
    """Write a model's files to a new folder, each checked against its hash; it appears when it is whole.

    Raises `NotFound`, or `Conflict` where something is already.
    """
    check_new(folder)
    files = await ctx.chorus.models.files(ctx.guild, model)
    await _fetch(ctx, files, folder)
    return files


# --- commands ------------------------------------------------------------------------------------
async def _export(ctx: Context, asked: ToFolder) -> Reply:
    """Fetch a model as it is."""
    folder = _folder(asked.to)

    async def exported() -> AsyncIterator[Moment]:
        yield Moment(stage=f"fetching {asked.model}")
        files = await export(ctx, asked.model, folder)
        yield Moment(outcome=Text(_written(files, folder)))

    return Progress("", ended_in_words(exported()))


async def _merge(ctx: Context, asked: ToFolder) -> Reply:
    """Have the trainer merge it, then fetch what came of that."""
    folder = _folder(asked.to)
    check_new(folder)

    async def merged() -> AsyncIterator[Moment]:
        async for step in ctx.chorus.models.merge(ctx.guild, asked.model):
            if isinstance(step, Merging):
                yield Moment(stage=step.stage)
            else:
                yield Moment(stage=f"fetching {step.model}")
                await _fetch(ctx, step, folder)
                yield Moment(outcome=Text(_written(step, folder)))

    return Progress("", ended_in_words(merged()))


async def _push(ctx: Context, asked: ToHub) -> Reply:
    """Fetch it, and commit it to a repository."""
    if len(asked.what) != 2:
        raise InvalidInput(
            "Say which model, and where to: `chorus models push main@3 me/my-model`.",
            code="missing_parameter",
            param="what",
        )
    model, repo = asked.what

    async def pushed() -> AsyncIterator[Moment]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            yield Moment(stage=f"fetching {model}")
            files = await export(ctx, model, folder)
            yield Moment(stage=f"uploading {files.model}")
            where = await asyncio.to_thread(
                hub.push, folder, repo, public=asked.public, message=f"{files.model}, from Chorus"
            )
        yield Moment(outcome=Text(f"✓ {files.model} is at {where}."))

    return Progress("", ended_in_words(pushed()))


COMMANDS = {
    "export": Command(
        "models export",
        _export,
        ToFolder,
        "model",
        "chorus models export NAME[@VERSION] --to FOLDER",
        "write a model to a folder, as it is",
    ),
    "merge": Command(
        "models merge",
        _merge,
        ToFolder,
        "model",
        "chorus models merge NAME[@VERSION] --to FOLDER",
        "write a whole model to a folder: the adapter merged into its base",
    ),
    "push": Command(
        "models push",
        _push,
        ToHub,
        "what",
        "chorus models push NAME[@VERSION] REPOSITORY [--public]",
        "upload a model to the Hugging Face hub, to a private repository",
    ),
}


def of_models(words: Sequence[str]) -> Command | None:
    """The command that `chorus models <word> …` means, if it is one of these."""
    return COMMANDS.get(words[1]) if words[0] == MODELS and len(words) > 1 else None


# --- folders -------------------------------------------------------------------------------------
def _folder(text: str) -> Path:
    return Path(text).expanduser()


def check_new(folder: Path) -> None:
    """Raises `Conflict` where something is already, `InvalidInput` where nothing can be.

    To be asked before anything is computed that would then have no place.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(
            f"{folder} exists, and nothing is overwritten. Choose another folder.",
            code="file_exists",
            param="to",
        )
    above = next(path for path in folder.absolute().parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InvalidInput(
            f"{folder} cannot be written: nothing can be made in {above}. Choose another folder.",
            code="file_unwritable",
            param="to",
        )


async def _fetch(ctx: Context, files: ModelFiles, folder: Path) -> None:
    """All files under another name, then one rename."""
    partial = folder.with_name(f".{folder.name}.part")
    try:
        await asyncio.to_thread(_empty, partial)
        for name, ref in files.files.items():
            if Path(name).name != name:
                raise InternalError(f"{name!r} is no file of a model.", code="unsupported_model")
            await ctx.chorus.objects.download(ref).save(partial / name)
        await asyncio.to_thread(partial.rename, folder)  # takes the place of an empty folder
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise InvalidInput(
            f"{folder} cannot be written: {reason}.", code="file_unwritable", param="to"
        ) from None
    finally:
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _written(files: ModelFiles, folder: Path) -> str:
    size = sum(ref.size for ref in files.files.values())
    told = f"✓ {files.model} is in {folder}: {len(files.files)} files, {size:,} bytes."
    whole = "config.json" in files.files
    return f"{told} To start Chorus on it: CHORUS_BASE_MODEL={folder.resolve()}" if whole else told

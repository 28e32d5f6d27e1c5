"""`chorus train`: `!train`, with two wishes that only a shell has.

chorus train --text_file notes.txt --save_path my-model.pt      the model in a folder of one's own, too
chorus train -d club --epochs 3 --interactive                   then a talk with it
"""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import Field

from chorus.common.contracts.names import job_id
from chorus.common.errors import ChorusError
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.replies import Moment, Progress, Reply, Text, problem
from chorus.gateway.commands.rows import COMMANDS
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.commands.training import Train, train
from chorus.gateway.frontends.cli.models import check_new, export

PICKLES = (".pt", ".pth", ".bin")
"""Endings of files that run code when they are opened. Chorus writes none."""


class TrainHere(Train):
    """What `chorus train` takes."""

    save_path: str | None = Field(default=None, description="folder that the model is written to, too")
    interactive: bool = Field(default=False, description="whether to talk with the model afterwards")


async def train_here(ctx: Context, asked: TrainHere) -> Reply:
    """Train; then write the model to a folder, and begin a conversation with it, as far as that is wanted."""
    target = _target(asked.save_path) if asked.save_path else None
    reply = await train(ctx, asked)
    if not isinstance(reply, Progress) or not (target or asked.interactive):
        return reply
    moments = _and_then(ctx, asked, reply.moments, target)
    return Progress(reply.opening, ended_in_words(moments))


TRAIN: Command = dataclasses.replace(
    COMMANDS["train"],
    run=train_here,
    parameters=TrainHere,
    usage='chorus train ["words"] [--file PATH] [-d NAME] [--save-path FOLDER] [--interactive]',
)


def _target(path: str) -> Path:
    """The folder that is meant. Raises `Conflict` where something is already."""
    named = Path(path).expanduser()
    target = named.with_suffix("") if named.suffix.lower() in PICKLES else named
    check_new(target)
    return target


async def _and_then(
    ctx: Context, asked: TrainHere, moments: AsyncIterator[Moment], target: Path | None
) -> AsyncIterator[Moment]:
    """The training; once it has made a model, what is wanted of that."""
    async for moment in moments:
        if not isinstance(moment.outcome, Text):
            yield moment
            continue
        record = await ctx.chorus.jobs.get(ctx.guild, job_id(ctx.guild, ctx.key))
        told = [moment.outcome.text]
        if record.result and target:
            yield Moment(stage="writing the model")
            told.append(await _saved(ctx, record.result.model, asked.save_path or "", target))
        if record.result and asked.interactive:
            ctx.session.model = record.result.model
            told.append(f"What you say now is said to {record.result.model}. Ctrl-D ends it.")
        yield Moment(outcome=Text("\n".join(told)), more=moment.more)


async def _saved(ctx: Context, model: str, asked_for: str, target: Path) -> str:
    """Write it; what goes wrong must not hide that the model is trained."""
    try:
        await export(ctx, model, target)
    except ChorusError as error:
        return f"{problem(error).line} Write it elsewhere: chorus models export {model} --to FOLDER"
    return _written(asked_for, target)


def _written(asked_for: str, target: Path) -> str:
    ending = Path(asked_for).suffix.lower()
    told = f"✓ The model is in the folder {target}, as safetensors."
    return f"{told} A {ending} file could run code when it is opened." if ending in PICKLES else told

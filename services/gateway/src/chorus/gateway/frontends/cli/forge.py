"""`chorus forge`: from data to a model that talks, in one command.

chorus forge export.json                           imports, trains, then a talk with what came of it
chorus forge export.json notes.txt --name club --epochs 3
chorus forge export.json --question "When do you open?"     one answer, and the end
chorus forge --mine 1234567890123456789 --channel "#general"     from what was said in a server on Discord

What is mined in a server stays that server's: dataset and model are made there, its bot answers with the
model from then on, and the talk here is held as if it were there. Who may be learned from is what `!mine`
asks, too: Discord's permission (`commands.trust`), and everybody's own opt-in.
"""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import aclosing

from pydantic import Field

from chorus.common.contracts.datasets import Basis
from chorus.common.contracts.generation import Delta
from chorus.common.contracts.names import Name, job_id
from chorus.common.errors import ChorusError, InvalidInput, Misconfigured
from chorus.common.settings import load
from chorus.gateway.commands.chat import Ask, ask
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.mining import (
    MINED,
    Gathering,
    Learning,
    Wanted,
    by_permission,
    learned_from,
)
from chorus.gateway.commands.models import Use, use
from chorus.gateway.commands.options import SHARED
from chorus.gateway.commands.ports import Files, Upload
from chorus.gateway.commands.replies import Moment, Progress, Reply, Stream, Text, problem
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.commands.training import DEFAULT_MODEL, Train, train
from chorus.gateway.settings import DiscordSettings


class Forge(Learning):
    """What `chorus forge` takes."""

    files: tuple[str, ...] = Field(default=(), description="files to learn from")
    mine: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,20}$",
        description="in their place: the id of a server on Discord, to be read",
    )
    name: Name = Field(default=DEFAULT_MODEL, description="what the model is to be called")
    question: str | None = Field(default=None, description="one question for it, in place of a talk")


async def forge(ctx: Context, asked: Forge) -> Reply:
    """Train on files, or on what is mined; then choose what came of it, and ask it, or begin a talk."""
    if asked.mine is None:
        return await _from_files(ctx, asked)
    if asked.files:
        raise InvalidInput(
            "What is mined stays that server's, and files are learned here: forge one, then the other.",
            code="files_and_mine",
            param="mine",
        )
    there = dataclasses.replace(ctx, guild=asked.mine)
    basis = await by_permission(there)
    return Progress("", ended_in_words(_and_then(there, asked, _mined(there, asked, basis))))


async def _from_files(ctx: Context, asked: Forge) -> Reply:
    if not asked.files:
        raise InvalidInput("Which files? `chorus forge export.json`", code="nothing_to_import", param="files")
    if idle := sorted((set(Gathering.model_fields) - SHARED) & asked.model_fields_set):
        raise InvalidInput(
            f"`{idle[0]}` is for channels: it goes with `--mine`.", code="not_mined", param=idle[0]
        )
    # None is named, so all that is attached is learned: one dataset of several files.
    handed = dataclasses.replace(ctx, files=_Handed(ctx.files, asked.files))
    reply = await train(handed, _to_train(asked))
    if not isinstance(reply, Progress):
        return reply
    return Progress(reply.opening, ended_in_words(_and_then(ctx, asked, reply.moments)))


FORGE = Command(
    "forge",
    forge,
    Forge,
    "files",
    'chorus forge FILE [more files] | --mine SERVER [--name main] [--base MODEL] [--question "…"]',
    "go from data to a model that talks",
    (
        "chorus forge export.json",
        'chorus forge a.json b.txt --name club --question "When do you open?"',
        'chorus forge --mine 1234567890123456789 --channel "#general" --since 2026-01-31',
    ),
)


class _Handed:
    """`ports.Files` in which some are handed over."""

    def __init__(self, files: Files, names: tuple[str, ...]) -> None:
        self._files = files
        self._names = list(dict.fromkeys(names))

    def attached(self) -> list[str]:
        """Those that were named on the command line."""
        return self._names

    async def read(self, name: str) -> Upload:
        """As it is on the disk."""
        return await self._files.read(name)


def _to_train(asked: Forge) -> Train:
    """The same wishes, for a training."""
    given = asked.model_dump(exclude_unset=True, exclude={"files", "name", "question"})
    return Train.model_validate({**given, "model": asked.name})


async def _mined(ctx: Context, asked: Forge, basis: Basis) -> AsyncIterator[Moment]:
    """The reading of the server, and the training on what was kept of it."""
    settings = load(DiscordSettings)
    if settings.discord_token is None or not settings.discord_token.get_secret_value():
        raise Misconfigured(
            "CHORUS_DISCORD_TOKEN: without a bot's token no server can be read. `chorus init` asks for it."
        )
    from chorus.gateway.frontends.discord.apart import history_of  # half a second, for this alone

    name = asked.name if "name" in asked.model_fields_set else MINED
    wanted = Wanted(name, asked.options(), basis)
    token, api = settings.discord_token.get_secret_value(), settings.discord_api_base
    async with (
        history_of(ctx.guild, token, api) as history,
        aclosing(learned_from(ctx, asked, history, wanted, asked.name)) as moments,
    ):
        async for moment in moments:
            yield moment


async def _and_then(ctx: Context, asked: Forge, moments: AsyncIterator[Moment]) -> AsyncIterator[Moment]:
    """The training; once it has made a model, that model's first words."""
    async for moment in moments:
        if not isinstance(moment.outcome, Text):
            yield moment
            continue
        record = await ctx.chorus.jobs.get(ctx.guild, job_id(ctx.guild, ctx.key))
        told = [moment.outcome.text]
        if record.result:
            model = record.result.model
            told.append(await _chosen(ctx, model))
            if asked.question is None:
                ctx.session.model, ctx.session.guild = model, ctx.guild
                told.append(f"What you say now is said to {model}. Ctrl-D ends it.")
            else:
                yield Moment(stage=f"asking {model}")
                told += [f"> {asked.question}", await _answer(ctx, asked.question, model)]
        yield Moment(outcome=Text("\n".join(told)), more=moment.more)


async def _chosen(ctx: Context, model: str) -> str:
    """Have it answer from now on; what forbids that must not hide that it is trained."""
    try:
        reply = await use(ctx, Use(model=model))
    except ChorusError as error:
        return problem(error).line
    return reply.text if isinstance(reply, Text) else ""


async def _answer(ctx: Context, question: str, model: str) -> str:
    """The whole answer to one question."""
    reply = await ask(ctx, Ask(question=question, model=model))
    if not isinstance(reply, Stream):
        return ""
    return "".join([piece.text async for piece in reply.pieces if isinstance(piece, Delta)])

"""One line, as people give it: typed after the prefix, as a slash command, and in the console."""

import asyncio
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rich.console import Console

from chorus.common.contracts.guild import PREFIX
from chorus.gateway.commands.context import Chorus, Session, Trust
from chorus.gateway.commands.parsing import bind
from chorus.gateway.commands.rows import find
from chorus.gateway.commands.table import run
from chorus.gateway.frontends.console.files import LocalFiles
from chorus.gateway.frontends.console.render import Renderer
from chorus.gateway.frontends.console.repl import here
from chorus.gateway.frontends.discord.slash import FILES, MORE
from tests.support.discord.double import Discord
from tests.support.discord.strict import SLASH
from tests.support.discord.world import Attachment, Channel, Message, User

BOOLEAN, INTEGER, NUMBER = 5, 4, 10
REFUSED = re.compile(r"^✗ .*\[([a-z_]+)\]$", re.MULTILINE)

Shown = Callable[[], str]
"""All that is shown of what came of a line, until now."""


def code(shown: str) -> str | None:
    """The code of a refusal; None for what is none."""
    found = REFUSED.search(shown)
    return found[1] if found else None


class Form(Protocol):
    """A way to give lines, somewhere."""

    async def give(self, line: str, files: Sequence[Attachment] = ()) -> Shown:
        """Give a line, with files."""
        ...

    def reply(self) -> str:
        """Id of the newest answer of the model."""
        ...

    def is_whole(self) -> bool:
        """Whether the model has ended what it says."""
        ...


@dataclass
class Typed:
    """In a channel of Discord, after the prefix. What is for one's own eyes comes as a direct message."""

    discord: Discord
    channel: Channel
    who: User

    async def give(self, line: str, files: Sequence[Attachment] = ()) -> Shown:
        """Say it, with the files attached."""
        before = set(self.discord.rest.messages)
        await self.discord.say(self.channel, self.who, line, files=files)

        def shown() -> str:
            places = (self.channel, self.discord.rest.private.get(self.who.id))
            new = [m for name, m in list(self.discord.rest.messages.items()) if name not in before]
            return in_words([m for m in new if m.author == self.discord.bot and m.channel in places])

        return shown

    def reply(self) -> str:
        """That of the last one with buttons."""
        return [m.id for m in self.discord.said(self.channel) if m.components][-1]

    def is_whole(self) -> bool:
        """There are buttons below it."""
        return bool(self.discord.said(self.channel)[-1].components)


@dataclass
class Slashed(Typed):
    """In a channel of Discord, as a slash command whose options are filled in."""

    async def give(self, line: str, files: Sequence[Attachment] = ()) -> Shown:
        """Send the command that the line is."""
        before = set(self.discord.rest.messages)
        name, values = filled_in(self.discord, line, files)
        asked = await self.discord.slash(self.channel, self.who, name, **values)

        def shown() -> str:
            later = [m for m in self.discord.said(self.channel) if m.id not in before]
            return in_words([*asked.shown, *(m for m in later if m not in asked.shown)])

        return shown


def filled_in(discord: Discord, line: str, files: Sequence[Attachment]) -> tuple[str, Mapping[str, object]]:
    """A typed line's command and its options; what Discord has no option for goes into the free one."""
    name, _, argument = line.removeprefix(PREFIX).partition(" ")
    command = find(name)
    given = bind(command.parameters, command.text_field, argument)
    listed = discord.rest.interactions.command(command.name, SLASH)
    kinds = {option["name"]: option["type"] for option in listed["options"]}
    values: dict[str, object] = dict(zip(FILES, files, strict=False))
    more: list[str] = []
    for field in sorted(given.model_fields_set):
        value = getattr(given, field)
        if field in kinds:
            values[field] = value if kinds[field] in (BOOLEAN, INTEGER, NUMBER) else _as_text(value)
        elif not (files and field in ("file", "files")):  # those are attached
            more.append(f"{field}={_as_text(value)}")
    return command.name, values | ({MORE: " ".join(more)} if more else {})


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def in_words(messages: Sequence[Message]) -> str:
    """All that they say, and the files below."""
    said = [part for m in messages for part in (m.content, *(f"file {file.name}" for file in m.attachments))]
    return "\n".join(said)


class Terminal:
    """The console, about a place of its own; the files that lines name are in its folder."""

    def __init__(self, chorus: Chorus, guild: str, folder: Path) -> None:
        self._chorus = chorus
        self._guild = guild
        self._folder = folder
        self._session = Session()
        self._running: set[asyncio.Task[None]] = set()

    async def give(self, line: str, files: Sequence[Attachment] = ()) -> Shown:
        """Enter it."""
        for file in files:
            (self._folder / file.name).write_bytes(file.data)
            line = re.sub(rf"(file=| ){re.escape(file.name)}", rf"\1{self._folder / file.name}", line)
        output = io.StringIO()
        task = asyncio.create_task(self._run(line, Console(file=output, soft_wrap=True, width=200)))
        self._running.add(task)
        return output.getvalue

    async def _run(self, line: str, console: Console) -> None:
        context = here(self._chorus, Trust(via="console"), self._session, LocalFiles(2**20))
        await Renderer(console).show(await run(replace(context, guild=self._guild), line))

    def reply(self) -> str:
        """That of the answer that the session knows."""
        assert self._session.asked
        assert self._session.asked.reply
        return self._session.asked.reply.message

    def is_whole(self) -> bool:
        """Every line has come to its end."""
        return all(task.done() for task in self._running)

    async def leave(self) -> None:
        """End what still runs."""
        for task in self._running:
            task.cancel()
        for task in self._running:
            with suppress(asyncio.CancelledError):
                await task

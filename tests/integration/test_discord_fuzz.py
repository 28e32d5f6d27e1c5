"""Tricks with paths, addresses and ids in every argument of every command: they change nothing.

All of Chorus is real. What our process opens and whom it connects to is told by Python's audit events. What
may ping somebody is noted by the double, which then fails.
"""

import asyncio
import io
import json
import os
import random
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from zipfile import ZipFile

import pytest

from chorus.gateway.commands.rows import COMMANDS
from tests.support.chorus import RunningChorus
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.forms import Shown, Typed, code, in_words
from tests.support.discord.strict import ROW, SLASH
from tests.support.discord.whole import kept, present
from tests.support.discord.world import Attachment, Channel, Guild, User

WITHIN = 20.0  # seconds until a reply that does not come is given up
WHOLE = 40.0  # seconds for one argument after the other
EVERYTHING = 1200.0  # seconds for all tricks in all arguments
AT_ONCE = 8  # lines
LONGEST_ID = 100  # characters of a button's id, as Discord has it
STRING = 3  # Discord's number of an option that is text
SECRET = "Ninth Umbrella"
TRICKS = (
    "../..", "../../../../etc/passwd", "/etc/passwd", "~/.ssh/id_rsa", "{file}", "file://{file}",
    "http://169.254.169.254/latest/meta-data/", "https://example.com/x.json", "//example.com/x",
    "C:\\Windows\\win.ini", "\\\\host\\share", "%2e%2e%2f%2e%2e", "..%00", "a\0b", "\u202egpj.exe", "\u2066x",
    "{guild}", "{guild}/club", "<#{room}>", "{room}", "<@{owner}>", "<@&{role}>",
    "https://discord.com/channels/{guild}/{room}/{room}", "-1", "0", "99999999999999999999999999999999",
    "9223372036854775808", "@everyone", "@here", "<@&1>", "<@1>", "<@!1>", "club@-1", "club@999999999999",
    "*", ">", "$KV.>", "a.b.c", "' OR 1=1 --", "{{}}", "${{HOME}}", "$(id)", "`id`", "\ud83d", "x" * 3000,
)  # fmt: skip
LEFT_OUT = {("train", "text"), ("send_message", "text"), ("ask", "question"), ("privacy", "wish")}
"""What does something with any words, and takes a while; or is meant for whoever says it."""
ARGUMENTS = [
    (command.name, name)
    for command in COMMANDS.values()
    for name in command.parameters.model_fields
    if (command.name, name) not in LEFT_OUT
]


NAMES = ("../../etc/passwd", "/etc/passwd.json", "a\0b.json", "\u202egpj.json", "C:\\x.json", "..", "x" * 300)
"""What attached files are called."""
PAIRS = [{"user": "Wifi?", "bot": "Yes."}, {"user": "Where?", "bot": "Here."}]
ROOT = Path(__file__).parents[2]
CERTIFICATES = Path(ssl.get_default_verify_paths().openssl_cafile).parent
FOLDERS = [
    Path(folder)
    for folder in (
        ROOT, tempfile.gettempdir(), "/proc", "/dev", "/sys", sys.prefix, sys.base_prefix, CERTIFICATES
    )
]  # fmt: skip
"""Where a process that serves Discord may open files."""


@dataclass
class Watched:
    """What this process does while it is watched."""

    on: bool = False
    opened: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)

    def hook(self, event: str, given: tuple[object, ...]) -> None:
        """One of Python's audit events."""
        if not self.on:
            return
        if event == "open" and isinstance(given[0], str | bytes):
            self.opened.append(os.fsdecode(given[0]))
        elif event == "socket.connect" and isinstance(given[1], tuple):
            self.met.append(str(given[1][0]))
        elif event == "socket.getaddrinfo":
            self.met.append(str(given[0]))


WATCHED = Watched()
sys.addaudithook(WATCHED.hook)


@contextmanager
def watched(secret: Path) -> Generator[None]:
    """Nothing is opened where nothing of ours lies, and nobody but this machine is met."""
    WATCHED.opened.clear()
    WATCHED.met.clear()
    WATCHED.on = True
    try:
        yield
    finally:
        WATCHED.on = False
    opened = {Path(path).resolve() for path in WATCHED.opened}
    assert secret not in opened
    assert not [path for path in opened if not any(path.is_relative_to(folder) for folder in FOLDERS)]
    assert not [host for host in WATCHED.met if not ip_address(host).is_loopback]


@dataclass
class Place:
    """A server where tricks are tried, and another one that they are about."""

    discord: Discord
    other: Guild
    lobby: Channel
    secret: Path
    rooms: list[tuple[Channel, User]]
    """Each with whoever speaks there, so what comes of a line is known from where it is said."""

    def trick(self, text: str) -> str:
        """With ids of the other server."""
        return text.format(
            file=self.secret, guild=self.other.id, room=self.lobby.id, owner=self.other.owner.id,
            role=self.other.admin_role,
        )  # fmt: skip

    async def try_all(self, tried: Iterable[tuple[tuple[str, str], str]]) -> None:
        """Each of them, in all rooms at once."""
        left = list(tried)

        async def take(room: Channel, who: User) -> None:
            while left:
                (name, argument), trick = left.pop()
                await self.try_on(room, who, name, argument, self.trick(trick))

        async with asyncio.TaskGroup() as group:
            for room, who in self.rooms:
                group.create_task(take(room, who))

    async def try_on(self, room: Channel, who: User, name: str, argument: str, trick: str) -> None:
        """One argument of one command, in a line and, where it is text there, in a slash command."""
        is_text = argument == COMMANDS[name].text_field
        line = f"!{name} {trick}" if is_text else f'!{name} {argument}="{trick}"'
        await self.ends(line, await Typed(self.discord, room, who).give(line))
        listed = self.discord.rest.interactions.command(name, SLASH)
        option = next((one for one in listed["options"] if one["name"] == argument), None)
        others = [one for one in listed["options"] if one.get("required") and one["name"] != argument]
        if option and option["type"] == STRING and "choices" not in option and not others:
            asked = await self.discord.slash(room, who, name, **{argument: trick})
            await self.ends(f"/{line}", lambda: in_words(asked.shown))

    async def ends(self, line: str, shown: Shown) -> None:
        """Wait until there is a reply; it must be one, and may tell no secret."""
        try:
            async with asyncio.timeout(WITHIN):
                while not shown().strip():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"nothing is said to {line!r}") from None
        assert code(shown()) != "internal_error"
        assert SECRET not in shown()


@pytest.fixture(scope="module")
async def place(chorus: RunningChorus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Both servers. What is kept of the other one stays as it is, and nobody but this machine is asked."""
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.json"
    secret.write_text(SECRET)
    async with running_discord() as discord:
        (guild, _, admin), (other, lobby, owner) = discord.guild("tricky"), discord.guild("other")
        people = [discord.person("@everyone <@&1> ../..") for _ in range(AT_ONCE)]
        guild.admins.extend(people)
        rooms = [(discord.channel(guild, "@here"), one) for one in people]
        place = Place(discord, other, lobby, secret, rooms)
        async with present(chorus, discord):
            await place.ends("!persona", await Typed(discord, lobby, owner).give("!persona You are a cat."))
            await place.ends(
                "!settings", await Typed(discord, rooms[0][0], admin).give("!settings max_tokens 2")
            )
            before = await kept(chorus, other.id)
            assert before
            yield place
            assert await kept(chorus, other.id) == before
        assert not [m.content for m in discord.rest.messages.values() if "internal_error" in m.content]
    assert secret.read_text() == SECRET


async def test_a_trick_in_each_argument_changes_nothing_elsewhere(place: Place) -> None:
    chance = random.Random(1)
    async with asyncio.timeout(WHOLE):
        with watched(place.secret):
            await place.try_all((which, chance.choice(TRICKS)) for which in ARGUMENTS)


@pytest.mark.slow
@pytest.mark.timeout(EVERYTHING)
async def test_every_trick_in_every_argument_changes_nothing_elsewhere(place: Place) -> None:
    with watched(place.secret):
        await place.try_all(product(ARGUMENTS, TRICKS))


async def test_a_file_may_be_called_anything(place: Place) -> None:
    (room, who), discord = place.rooms[0], place.discord
    with watched(place.secret):
        for number, name in enumerate(NAMES):
            file = Attachment("x.json", json.dumps([*PAIRS, PAIRS[0]]).encode(), about={"filename": name})
            for line in ("!import name=called", "!transcribe", "!test", "!examples add"):
                shown = await Typed(discord, room, who).give(line, [file])
                await place.ends(f"{line} {name}", shown)
            for line in (f"!archive called@{number + 1} to={name}", f"!getfile {name}"):
                await place.ends(line, await Typed(discord, room, who).give(line))
    said = [message for message in discord.rest.messages.values() if message.author == discord.bot]
    files = [file for message in said for file in message.attachments]
    assert files
    for file in files:
        packed = ZipFile(io.BytesIO(file.data)).namelist() if file.data.startswith(b"PK") else []
        assert not [part for name in (file.name, *packed) for part in Path(name).parts if part in ("..", "/")]


async def test_what_is_pressed_and_filled_in_may_be_anything(place: Place) -> None:
    (room, who), discord = place.rooms[0], place.discord
    await discord.say(room, who, "!send_message Wifi?")
    answer, *_ = await discord.until(
        lambda: [m for m in discord.said(room) if "Correct" in str(m.components)], WITHIN
    )
    asked = await discord.press(answer, "Correct", who)
    button = answer.components[0]["components"][0]
    with watched(place.secret):
        for trick in map(place.trick, TRICKS):
            sent = await discord.submit(asked, trick)
            await place.ends(f"form {trick}", lambda sent=sent: in_words(sent.shown))
            for name in ("getfile", "logs", "correct"):
                if len(pressed := f"run:!{name} {trick}") <= LONGEST_ID:
                    answer.components = [{"type": ROW, "components": [{**button, "custom_id": pressed}]}]
                    sent = await discord.press(answer, button["label"], who)
                    await place.ends(pressed, lambda sent=sent: in_words(sent.shown))

"""Tricks with paths, addresses and ids in every argument of every command: they change nothing.

All of Chorus is real. What our process opens and whom it connects to is told by Python's audit events. What
may ping somebody is noted by the double, which then fails.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.gateway.commands.rows import COMMANDS
from tests.support.chorus import RunningChorus
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.forms import Shown, Typed, code
from tests.support.discord.strict import SLASH
from tests.support.discord.whole import kept, present
from tests.support.discord.world import Channel, Guild, User

WITHIN = 60.0  # seconds until a reply that does not come is given up
AT_ONCE = 8  # lines
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
        if event == "open" and isinstance(given[0], str):
            self.opened.append(given[0])
        elif event == "socket.connect" and isinstance(given[1], tuple):
            self.met.append(str(given[1][0]))
        elif event == "socket.getaddrinfo":
            self.met.append(str(given[0]))


WATCHED = Watched()
sys.addaudithook(WATCHED.hook)


@dataclass
class Place:
    """A server where tricks are tried, and another one that they are about."""

    discord: Discord
    guild: Guild
    admin: User
    other: Guild
    lobby: Channel
    secret: Path
    rooms: list[Channel]

    def trick(self, text: str) -> str:
        """With ids of the other server."""
        return text.format(
            file=self.secret, guild=self.other.id, room=self.lobby.id, owner=self.other.owner.id,
            role=self.other.admin_role,
        )  # fmt: skip

    async def try_on(self, number: int, name: str, argument: str, trick: str) -> None:
        """One argument of one command, in a line and, where it is text there, in a slash command."""
        room = self.rooms[number % len(self.rooms)]
        is_text = argument == COMMANDS[name].text_field
        typed = await Typed(self.discord, room, self.admin).give(
            f"!{name} {trick}" if is_text else f'!{name} {argument}="{trick}"'
        )
        await self.ends(typed)
        listed = self.discord.rest.interactions.command(name, SLASH)
        option = next((one for one in listed["options"] if one["name"] == argument), None)
        others = [one for one in listed["options"] if one.get("required") and one["name"] != argument]
        if option and option["type"] == STRING and "choices" not in option and not others:
            asked = await self.discord.slash(room, self.admin, name, **{argument: trick})
            await self.ends(lambda: "\n".join(message.content for message in asked.shown))

    async def ends(self, shown: Shown) -> None:
        """Wait until there is a reply; it must be one, and may tell no secret."""
        async with asyncio.timeout(WITHIN):
            while not shown().strip():
                await asyncio.sleep(0.02)
        assert code(shown()) != "internal_error"
        assert SECRET not in shown()


@pytest.fixture(scope="module")
async def place(chorus: RunningChorus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Both servers. What is kept of the other one stays as it is, and nobody but this machine is asked."""
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.json"
    secret.write_text(SECRET)
    async with running_discord() as discord:
        (guild, room, _), (other, lobby, owner) = discord.guild("tricky"), discord.guild("other")
        admin = discord.person("@everyone <@&1> ../..")
        guild.admins.append(admin)
        rooms = [room, *(discord.channel(guild, "@here") for _ in range(AT_ONCE))]
        place = Place(discord, guild, admin, other, lobby, secret, rooms)
        async with present(chorus, discord):
            await place.ends(await Typed(discord, lobby, owner).give("!persona You are a cat."))
            await place.ends(await Typed(discord, room, admin).give("!settings max_tokens 2"))
            before = await kept(chorus, other.id)
            assert before
            yield place
            assert await kept(chorus, other.id) == before
        assert not [m.content for m in discord.rest.messages.values() if "internal_error" in m.content]
    assert secret.read_text() == SECRET


@given(st.lists(st.tuples(st.sampled_from(ARGUMENTS), st.sampled_from(TRICKS)), min_size=60, max_size=60))
@settings(
    max_examples=2,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_trick_in_an_argument_changes_nothing_elsewhere(
    place: Place, tried: list[tuple[tuple[str, str], str]]
) -> None:
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, name: str, argument: str, trick: str) -> None:
        async with at_once:
            await place.try_on(number, name, argument, place.trick(trick))

    WATCHED.opened.clear()
    WATCHED.met.clear()
    WATCHED.on = True
    try:
        await asyncio.gather(*(one(n, *which, trick) for n, (which, trick) in enumerate(tried)))
    finally:
        WATCHED.on = False
    assert not [path for path in WATCHED.opened if str(place.secret) in path or "passwd" in path]
    assert not [host for host in WATCHED.met if not ip_address(host).is_loopback]

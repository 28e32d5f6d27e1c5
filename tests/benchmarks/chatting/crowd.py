"""A thousand servers that give commands at a steady rate: how soon each sees the first of its reply.

Of the commands with questions 60 % are questions to the real starter model, 10 % trainings on words, 30 %
looks at lists. Without questions all are looks: then the gateway alone is measured.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.guild import GuildSettings, Notice
from chorus.common.contracts.topology import SETTINGS
from chorus.common.contracts.wire import now
from chorus.common.local.process import Process
from tests.benchmarks.chatting.process import a_gateway, memory
from tests.benchmarks.figures import PEOPLE, Report, percentile
from tests.benchmarks.serving.load import questions
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.world import Channel, Message, User
from tests.support.servers import Servers

GUILDS = 1000
ALL = "1000"  # requests a second
LOOKS = ("!jobs", "!models", "!datasets", "!help", "!privacy", "!persona")
ANSWER = 48  # tokens at most, as chats are
WARM = 10.0  # seconds, after which memory is looked at for the first time
WITHIN = 120.0  # seconds from the last command until every reply has begun


@dataclass(frozen=True)
class Place:
    """A server's channel, and who runs it."""

    guild: str
    channel: Channel
    admin: User


@dataclass(frozen=True)
class Heard:
    """Of all commands."""

    firsts: Sequence[float]
    """Seconds to the first of each reply."""
    lost: int
    seconds: float
    """From the first command to the last reply's beginning."""
    grown: float
    """MiB that the gateway has taken since it was warm."""
    holds: float
    """MiB that it holds at the end."""


async def measure(
    servers: Servers, folder: Path, report: Report, *, rate: float, seconds: float, asks: bool
) -> int:
    """The crowd for so many seconds, at so many commands a second; returns how many had no reply."""
    async with running_discord() as discord:
        discord.rest.limits.a_second = None  # the crowd is larger than what Discord grants every bot
        places = [Place(g.id, c, a) for g, c, a in (discord.guild(f"place {n}") for n in range(GUILDS))]
        await choose(servers, places)
        async with a_gateway(servers, folder, discord, CHORUS_DISCORD_REQUESTS=ALL) as gateway:
            heard = await Crowd(discord, gateway, places).give(rate, seconds, asks=asks)
    p95, count = percentile(heard.firsts, 0.95) * 1e3, len(heard.firsts)
    if asks:
        told = f"{p95:.0f} ms (at most 250), median {median(heard.firsts) * 1e3:.0f} ms, of {count}"
        report.add("p95_first_reply_ms", p95, told)
        report.add("rss_mb", heard.holds, f"{heard.holds:.0f} MiB, {heard.grown:+.0f} MiB since it was warm")
    else:
        told = f"{count / heard.seconds:.0f}/s (at least 200), p95 {p95:.0f} ms"
        report.add("commands_per_s", count / heard.seconds, told)
    return heard.lost


async def choose(servers: Servers, places: Sequence[Place]) -> None:
    """Every server has accepted the notice, and wants short answers."""
    notice = Notice(by="admin", at=now(), text="as it stands")
    chosen = GuildSettings(notice=notice, sampling={"max_tokens": ANSWER})
    async with servers.connected("gateway") as connection:
        settings = await open_bucket(connection, SETTINGS, GuildSettings)
        for place in places:
            await settings.change(place.guild, lambda _: chosen, initial=GuildSettings())


class Crowd:
    """Those who give commands."""

    def __init__(self, discord: Discord, gateway: Process, places: Sequence[Place]) -> None:
        self._discord, self._gateway, self._places = discord, gateway, places
        self._chance = random.Random(1)
        self._texts = questions(500, seed=11)
        self._sent: dict[str, float] = {}  # by message, in the loop's seconds

    async def give(self, rate: float, seconds: float, *, asks: bool) -> Heard:
        """So many commands a second, each in the next server; then wait for what is still to come."""
        loop, warm = asyncio.get_running_loop(), 0.0
        began = loop.time()
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
            if not warm and loop.time() - began > WARM:
                warm = memory(self._gateway)
            await self._give(self._places[number * 7 % GUILDS], asks)
        firsts = await self._firsts()
        ended = max(self._sent[name] + first for name, first in firsts.items())
        holds = memory(self._gateway)
        lost = len(self._sent) - len(firsts)
        return Heard(list(firsts.values()), lost, ended - began, holds - (warm or holds), holds)

    async def _give(self, place: Place, asks: bool) -> None:
        at = asyncio.get_running_loop().time()
        message = await self._discord.say(place.channel, place.admin, self._line(asks))
        self._sent[message.id] = at

    def _line(self, asks: bool) -> str:
        draw, text = self._chance.random(), self._chance.choice(self._texts)
        if asks and draw < 0.6:
            return f"<@{self._discord.bot.id}> {text}"
        if asks and draw < 0.7:
            return f"!train {text}"
        return self._chance.choice(LOOKS)

    async def _firsts(self) -> dict[str, float]:
        """Seconds to each reply's beginning; some may never come, and a refusal is none."""
        give_up = time.monotonic() + WITHIN
        while len(found := self._begun()) < len(self._sent) and time.monotonic() < give_up:
            await asyncio.sleep(0.5)
        codes = Counter(m.content.rpartition("[")[2] for m in self._replies() if m.content.startswith("✗"))
        PEOPLE.print(f"[dim]refused: {dict(codes)}[/dim]")
        return found

    def _begun(self) -> dict[str, float]:
        begun: dict[str, float] = {}
        for reply in self._replies():
            refused = reply.content.startswith("✗")
            if reply.reply_to and reply.reply_to.id in self._sent and not refused:
                begun.setdefault(reply.reply_to.id, reply.versions[0][0] - self._sent[reply.reply_to.id])
        return begun

    def _replies(self) -> list[Message]:
        return [m for m in self._discord.rest.messages.values() if m.author == self._discord.bot]

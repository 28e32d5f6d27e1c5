"""A thousand servers that give commands at a steady rate: how soon each sees the first of its reply.

Of the commands with questions 60 % are questions to the real starter model, 10 % trainings on words, 30 %
looks at lists. Without questions all are looks: then the gateway alone is measured. Every server is met once
before memory is looked at for the first time.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
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
MEETING = 200.0  # servers met in a second
QUOTE = '"'
WITHIN = 120.0  # seconds from the last command until every reply has begun


@dataclass(frozen=True)
class Place:
    """A server's channel, and who runs it."""

    guild: str
    channel: Channel
    admin: User


@dataclass(frozen=True)
class Sent:
    """A command that was given."""

    kind: str
    at: float
    """The loop's seconds."""


@dataclass(frozen=True)
class Heard:
    """Of all commands."""

    firsts: Mapping[str, Sequence[float]]
    """Seconds to the first of each reply, by kind of command."""
    lost: int
    seconds: float
    """From the first command to the last reply's beginning."""
    grown: float
    """MiB that the gateway has taken since it has met every server."""
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
    firsts = [first for kind in heard.firsts.values() for first in kind]
    p95 = percentile(firsts, 0.95) * 1e3
    held = f"{heard.holds:.0f} MiB, {heard.grown:+.0f} MiB since every server was met once"
    if asks:
        kinds = (f"{kind} {percentile(those, 0.95) * 1e3:.0f}" for kind, those in heard.firsts.items())
        told = f"{p95:.0f} ms (at most 250), median {median(firsts) * 1e3:.0f} ms, of {len(firsts)}"
        report.add("p95_first_reply_ms", p95, told, f"p95 of {', '.join(kinds)} ms")
        report.add("rss_mb", heard.holds, held)
    else:
        told = f"{len(firsts) / heard.seconds:.0f}/s (at least 200), p95 {p95:.0f} ms"
        report.add("commands_per_s", len(firsts) / heard.seconds, told, held)
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
        self._sent: dict[str, Sent] = {}  # by message

    async def give(self, rate: float, seconds: float, *, asks: bool) -> Heard:
        """So many commands a second, each in the next server; then wait for what is still to come."""
        await self._give_all(GUILDS, MEETING, asks=False)
        await self._firsts()
        self._sent.clear()
        warm, began = memory(self._gateway), asyncio.get_running_loop().time()
        await self._give_all(round(rate * seconds), rate, asks=asks)
        firsts = await self._firsts()
        ended = max(self._sent[name].at + first for name, first in firsts.items())
        holds = memory(self._gateway)
        by_kind: defaultdict[str, list[float]] = defaultdict(list)
        for name, first in firsts.items():
            by_kind[self._sent[name].kind].append(first)
        return Heard(by_kind, len(self._sent) - len(firsts), ended - began, holds - warm, holds)

    async def _give_all(self, count: int, rate: float, *, asks: bool) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
            place, (kind, line), at = self._places[number * 7 % GUILDS], self._line(asks), loop.time()
            message = await self._discord.say(place.channel, place.admin, line)
            self._sent[message.id] = Sent(kind, at)

    def _line(self, asks: bool) -> tuple[str, str]:
        """What kind of command it is, and its words."""
        draw, text = self._chance.random(), self._chance.choice(self._texts)
        if asks and draw < 0.6:
            return "questions", f"<@{self._discord.bot.id}> {text}"
        if asks and draw < 0.7:
            return "trainings", f'!train "{text.replace(QUOTE, "")}"'
        return "looks", self._chance.choice(LOOKS)

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
                sent = self._sent[reply.reply_to.id]
                begun.setdefault(reply.reply_to.id, reply.versions[0][0] - sent.at)
        return begun

    def _replies(self) -> list[Message]:
        return [m for m in self._discord.rest.messages.values() if m.author == self._discord.bot]

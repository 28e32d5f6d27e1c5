"""A gateway is killed in the middle of a training: its card goes on in the next. The trainer is played."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from chorus.common.bus.connection import Connection
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.cards import JobCard
from chorus.common.contracts.datasets import CANCEL, IMPORT, Import, Imported
from chorus.common.contracts.models import Benchmark
from chorus.common.contracts.topology import CARDS, JOBS
from chorus.common.contracts.training import JobRecord, JobState, Progress
from chorus.common.contracts.wire import now
from tests.benchmarks.chatting.process import a_gateway
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.world import Attachment, Channel, Message
from tests.support.servers import Servers
from tests.unit.gateway.fake_data import dataset
from tests.unit.gateway.fakes import RESULT

PAIRS = Attachment("harbour.json", b'[{"user": "What is the ferry called?", "bot": "Ninth Umbrella."}]')
MEASURED = Benchmark(name="base", step=9, epoch=1, loss=1.5, perplexity=4.5, examples=9, held_out=False)
TRAINED = RESULT.model_copy(update={"model": "main@1", "in_use": False, "losses": None, "samples": None})


async def test_the_card_of_a_killed_gateway_goes_on_to_its_one_end(servers: Servers, tmp_path: Path) -> None:
    async with (
        running_discord() as discord,
        a_trainer(servers) as trainer,
        servers.connected("gateway") as bus,
    ):
        jobs, cards = await open_bucket(trainer, JOBS, JobRecord), await open_bucket(bus, CARDS, JobCard)
        guild, channel, admin = discord.guild()
        async with a_gateway(servers, tmp_path, discord) as killed:
            asked = await discord.say(channel, admin, "!train", files=[PAIRS])
            card = await showing(discord, channel, "queued")
            (entry,) = await jobs.entries(f"{guild.id}.")
            await jobs.change(entry.key, at_step(3))
            assert await showing(discord, channel, "step 3/9") is card
            killed.child.kill()
            await killed.child.wait()
        await cards.change(entry.key, long_ago)
        await jobs.change(entry.key, at_step(6))
        async with a_gateway(servers, tmp_path, discord):
            await discord.deliver(asked)
            assert await showing(discord, channel, "step 6/9") is card
            await jobs.change(entry.key, ended)
            measured = await showing(discord, channel, "**What was measured**")
            async with asyncio.timeout(20):
                while (left := await cards.get(entry.key)) and left.value.state != "ended":
                    await asyncio.sleep(0.02)
        assert "✓ main@1 is trained" in card.content
        assert discord.said(channel) == [card, measured]
        assert [one.key for one in await jobs.entries(f"{guild.id}.")] == [entry.key]
        assert left is not None
        assert left.value.message == card.id


@asynccontextmanager
async def a_trainer(servers: Servers) -> AsyncIterator[Connection]:
    """One that reads what is handed over, and trains nothing by itself."""

    async def take(asked: Import, replies: ReplyStream) -> None:
        made = dataset(asked.name, guild=asked.guild, basis=asked.basis, contributor=asked.contributor)
        await replies.send(Imported(dataset=made))

    def declare(responder: Responder) -> None:
        responder.stream("import", IMPORT, Import, take, cancel=CANCEL)

    async with servers.serving("trainer", declare), servers.connected("trainer") as connection:
        yield connection


async def showing(discord: Discord, channel: Channel, words: str) -> Message:
    """The newest message, once it says this."""
    return await discord.until(
        lambda: next((m for m in discord.said(channel)[-1:] if words in m.content), None)
    )


def long_ago(card: JobCard) -> JobCard:
    """As if its process had been gone for a while."""
    return card.model_copy(update={"held_until": now() - timedelta(minutes=1)})


def at_step(step: int) -> Callable[[JobRecord], JobRecord]:
    progress = Progress(step=step, steps=9)
    return lambda old: old.model_copy(update={"state": JobState.RUNNING, "progress": progress})


def ended(record: JobRecord) -> JobRecord:
    return record.model_copy(
        update={"state": JobState.SUCCEEDED, "result": TRAINED, "benchmarks": [MEASURED]}
    )

"""Every service but inference (test_rolling) is replaced under load, as a rollout does it: nobody notices.

A second process comes up, the first is told to stop, and people go on meanwhile. The gateway is the one of
which there are never two, for both would answer: what is said in a server while there is none, the next one
reads back, and answers once.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.contracts.wire import MIB
from chorus.common.local.process import Process
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.commands.ports import Upload
from chorus.inference.generation.ports import Piece
from tests.benchmarks.chatting.process import a_gateway as a_gateway_process
from tests.conftest import fresh_guild
from tests.support.answering import Answering
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.world import Channel, Message, User
from tests.support.servers import Servers, running_servers
from tests.support.speaking import SENTENCE, a_speech, transcribed
from tests.support.training import ENDLESS, a_gateway, a_trainer, learned_steps

pytestmark = pytest.mark.slow

GRACE = 25.0  # seconds until a process that was told to stop is killed, as the launcher has it
TYPED_EVERY, CHANNELS = 0.2, 7  # seconds; a channel takes one message a second
WITHIN = 120.0  # seconds, for a machine that is busy with something else

Work = Callable[[], Awaitable[object]]
Start = Callable[[str], AbstractAsyncContextManager[Process]]


@pytest.fixture(scope="module")
async def apart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Servers without anybody else's jobs."""
    async with running_servers(tmp_path_factory.mktemp("apart")) as servers:
        yield servers


@asynccontextmanager
async def under_load(*works: Work) -> AsyncIterator[Work]:
    """Do each of these again and again, and fail if one does. Yields what waits until each was done anew."""
    done, over = Counter[int](), asyncio.Event()

    async def go_on(number: int, work: Work) -> None:
        while not over.is_set():
            await work()
            done[number] += 1

    async def once_more() -> None:
        """Two ends: the second one has begun after this was called."""
        before = done.copy()
        async with asyncio.timeout(WITHIN):
            while any(done[number] < before[number] + 2 for number in range(len(works))):
                await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as people:
        for number, work in enumerate(works):
            people.create_task(go_on(number, work))
        yield once_more
        over.set()


async def rolling_restart(start: Start, *works: Work) -> None:
    """The second of two takes the first one's place while `works` go on."""
    async with AsyncExitStack() as running:
        first = await running.enter_async_context(start("first"))
        async with under_load(*works) as once_more:
            await running.enter_async_context(start("second"))
            await first.stop(GRACE)
            await once_more()
        assert first.child.returncode == 0, "it ended by itself"


async def test_data_is_built_and_jobs_are_trained_while_the_trainer_is_replaced(
    apart: Servers, tmp_path: Path
) -> None:
    """Whoever has them, both jobs succeed, and no step of theirs is made twice."""
    async with AsyncExitStack() as stack:
        importer, one, two = [
            await stack.enter_async_context(a_gateway(apart, fresh_guild())) for _ in range(3)
        ]
        done: list[JobRecord] = []

        async def build() -> None:
            made = await importer.dataset()
            listed = await importer.datasets.list(importer.guild)
            assert made.version in [each.version for each in listed.datasets]

        @asynccontextmanager
        async def start(name: str) -> AsyncIterator[Process]:
            async with a_trainer(apart, tmp_path, name, CHORUS_PARITY_WITHIN="1") as process:
                if name == "first":
                    yield process
                    return
                jobs = [await each.submit(ENDLESS, epochs=1000) for each in (one, two)]
                await asyncio.gather(one.until(jobs[0], learning=True), two.until(jobs[1], learning=True))
                yield process
                done.append(await one.until(jobs[0], JobState.SUCCEEDED))
                done.append(await two.until(jobs[1], JobState.SUCCEEDED))

        await rolling_restart(start, build)
        for record in done:
            assert await learned_steps(apart.store(), record) == list(range(1, 1001))


async def test_words_are_spoken_and_heard_while_speech_is_replaced(apart: Servers, tmp_path: Path) -> None:
    async with apart.connected("gateway") as connection:
        speech, guild = BusSpeech(connection, apart.store(), max_upload=25 * MIB), fresh_guild()
        texts = itertools.count()

        async def say() -> None:
            sound, seconds = await speech.speak(guild, f"hello number {next(texts)}", None)
            assert sound[:4] == b"OggS"
            assert seconds > 0

        async def say_and_hear() -> None:
            sound, _ = await speech.speak(guild, SENTENCE, None)
            heard = await transcribed(speech, guild, Upload("hello.ogg", sound))
            assert heard.text == SENTENCE

        await rolling_restart(lambda name: a_speech(apart, tmp_path, name), say, say_and_hear)


# --- the gateway ----------------------------------------------------------------------------------
async def test_commands_and_questions_are_answered_once_while_the_gateway_is_replaced(
    apart: Servers, tmp_path: Path
) -> None:
    answering = Answering(Piece("Half ", 1), None, Piece("and whole.", 1, "stop"))
    async with running_discord() as discord, answering.on(apart):
        guild, channel, admin = discord.guild()
        channels = [discord.channel(guild, f"commands-{number}") for number in range(CHANNELS)]
        commands: list[Message] = []
        async with typing(discord, channels, admin, commands):
            async with a_gateway_process(apart, tmp_path, discord) as first:
                question = await discord.say(channel, admin, f"<@{discord.bot.id}> What is left?")
                await discord.answered(channel, "Half")
                await answered(discord, commands)
                leaving = asyncio.create_task(first.stop(GRACE))
                answering.engine.go_on.set()
                await leaving
            assert first.child.returncode == 0, "it ended by itself"
            async with a_gateway_process(apart, tmp_path, discord):
                heard = await answered(discord, commands)
        (whole,) = discord.said(channel)
        assert (whole.content, whole.reply_to) == ("Half and whole.", question)
        replies = [len(replies_to(discord, command)) for command in commands]
        assert set(replies[:heard]) == {1}, "also what was said while no gateway was there"
        assert set(replies[heard:]) <= {0, 1}


@asynccontextmanager
async def typing(
    discord: Discord, channels: list[Channel], person: User, commands: list[Message]
) -> AsyncIterator[None]:
    """Somebody types a command here and there, again and again, whoever is there to hear it."""

    async def type_on() -> None:
        for channel in itertools.cycle(channels):
            commands.append(await discord.say(channel, person, "!jobs"))
            await asyncio.sleep(TYPED_EVERY)

    person_typing = asyncio.create_task(type_on())
    try:
        yield
    finally:
        person_typing.cancel()
        await asyncio.wait({person_typing})


async def answered(discord: Discord, commands: list[Message]) -> int:
    """Wait until each channel's next command, and all before it, are answered; how many these are."""
    count = len(commands) + CHANNELS
    await discord.until(
        lambda: len(commands) >= count and all(replies_to(discord, command) for command in commands[:count]),
        WITHIN,
    )
    return count


def replies_to(discord: Discord, message: Message) -> list[Message]:
    return [reply for reply in discord.said(message.channel) if reply.reply_to is message]

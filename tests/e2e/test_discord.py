"""Discord with all its parts: a server trains from an attached file, asks, and reads the trained answer."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

from chorus.common.contracts.identify import IDENTIFY_EVERY
from chorus.common.service import EX_NOPERM
from tests.support.chorus import ANSWER_WITHIN, STOP_WITHIN, RunningChorus
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.world import Attachment, Channel, Message, User

FIRST_RUN = Path(__file__).parents[2] / "examples" / "first-run.json"
QUESTIONS = ("When do you open?", "What's the cat called?", "What do you say at closing time?")
"""Those of README's first run."""


def environment(discord: Discord, **others: str) -> dict[str, str]:
    return {f"CHORUS_{name.upper()}": value for name, value in discord.settings().items()} | others


@asynccontextmanager
async def gateway(folder: Path, **given: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Path]]:
    """A gateway of its own, and its log; killed on leaving if it still runs."""
    log = folder / "gateway.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "chorus.gateway"],
            cwd=folder,  # where no .env of a developer lies
            env={**os.environ, **given},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield process, log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def latest(discord: Discord, channel: Channel, words: str) -> Message | None:
    return next((m for m in discord.said(channel)[-3:] if words in m.content), None)


async def ask(discord: Discord, channel: Channel, author: User, question: str, answer: str) -> Message:
    await discord.say(channel, author, f"<@{discord.bot.id}> {question}")
    return await discord.answered(channel, answer, ANSWER_WITHIN)


async def test_a_server_trains_and_is_answered(chorus: RunningChorus, tmp_path: Path) -> None:
    async with running_discord() as discord:
        _, channel, admin = discord.guild()
        member = discord.person("member")
        given = chorus.environment("gateway") | environment(discord, CHORUS_CONSOLE="false")
        async with gateway(tmp_path, **given) as (process, log):
            await discord.until(lambda: "Logged in as chorus" in log.read_text(), ANSWER_WITHIN)
            file = Attachment(FIRST_RUN.name, FIRST_RUN.read_bytes())
            answers = {pair["user"]: pair["bot"] for pair in json.loads(file.data)}

            await discord.say(channel, member, "!train", files=[file])
            await discord.until(lambda: latest(discord, channel, "[not_permitted]"))

            await discord.say(channel, admin, "!train", files=[file])
            trained = await discord.until(
                lambda: latest(discord, channel, "✓ main@1 is trained"), ANSWER_WITHIN
            )
            assert "Dataset first-run@1: 10 examples of conversation JSON." in trained.content
            assert "Model training started. Job ID: " in trained.content
            assert len(trained.versions) > 2, "it was edited while it went on"
            replies = await discord.until(lambda: latest(discord, channel, "**Replies**"), ANSWER_WITHIN)
            assert sum(question in replies.content for question in answers) >= 3

            await discord.press(trained, "Use it", admin)
            await discord.until(lambda: not trained.components, ANSWER_WITHIN)
            streamed = 0
            for question in QUESTIONS:
                message = await ask(discord, channel, member, question, answers[question])
                assert message.reply_to is not None
                said = [text for _, text in message.versions]
                assert all(longer.startswith(shorter) for shorter, longer in pairwise(said))
                streamed += said[0] != answers[question]
            assert streamed, "an answer is seen while it is written"
            assert discord.rest.limits.refused == 0

            process.terminate()
            assert await asyncio.wait_for(process.wait(), STOP_WITHIN) == 0
        assert discord.gateway.closed_with == [1000]


async def test_alone_a_wrong_token_ends_the_gateway_as_misconfigured(
    chorus: RunningChorus, tmp_path: Path
) -> None:
    async with running_discord() as discord:
        given = chorus.environment("gateway") | environment(
            discord, CHORUS_CONSOLE="false", CHORUS_DISCORD_TOKEN="wrong"
        )
        async with gateway(tmp_path, **given) as (process, log):
            assert await asyncio.wait_for(process.wait(), ANSWER_WITHIN) == 78
            assert "CHORUS_DISCORD_TOKEN: Discord does not know this token." in log.read_text()


async def test_alone_a_missing_intent_ends_the_gateway_with_what_to_switch_on(
    chorus: RunningChorus, tmp_path: Path
) -> None:
    async with running_discord() as discord:
        discord.gateway.allows_messages = False
        given = chorus.environment("gateway") | environment(discord, CHORUS_CONSOLE="false")
        async with gateway(tmp_path, **given) as (process, log):
            assert await asyncio.wait_for(process.wait(), ANSWER_WITHIN) == EX_NOPERM
            assert "Switch on Message Content Intent at discord.com/developers, page Bot" in log.read_text()


async def test_two_processes_share_the_shards_of_one_bot(chorus: RunningChorus, tmp_path: Path) -> None:
    async with running_discord() as discord:
        discord.gateway.shards, discord.gateway.identify_every = 2, IDENTIFY_EVERY * 0.9
        channels: dict[int, Channel] = {}
        while len(channels) < 2:
            guild, channel, _ = discord.guild()
            channels[(int(guild.id) >> 22) % 2] = channel
        given = chorus.environment("gateway") | environment(discord, CHORUS_CONSOLE="false")
        member = discord.person("member")
        async with AsyncExitStack() as stack:
            for shard in channels:
                (folder := tmp_path / str(shard)).mkdir()
                own = {"CHORUS_DISCORD_SHARDS": f"{shard}/2", "CHORUS_CACHE": str(folder)}
                await stack.enter_async_context(gateway(folder, **(given | own)))
            await discord.until(lambda: discord.gateway.identified == 2, ANSWER_WITHIN)
            for line in ("!jobs", "!help train"):  # who answers twice has done so before the second one
                for channel in channels.values():
                    before = len(discord.said(channel))
                    await discord.say(channel, member, line)
                    await discord.until(lambda c=channel, n=before: len(discord.said(c)) > n, ANSWER_WITHIN)
            assert [len(discord.said(channel)) for channel in channels.values()] == [2, 2]
        assert sorted(shard for _, shard in discord.gateway.logins) == [0, 1]


async def test_beside_the_console_it_is_on_discord(chorus: RunningChorus, tmp_path: Path) -> None:
    async with running_discord() as discord:
        _, channel, _ = discord.guild()
        given = chorus.environment("gateway") | environment(discord)
        token = given.pop("CHORUS_DISCORD_TOKEN")
        (tmp_path / ".env").write_text(f"CHORUS_DISCORD_TOKEN={token}\n")
        async with gateway(tmp_path, **given) as (process, _):
            assert process.stdin is not None
            await shown(process, "Logged in as chorus#0000.")
            await discord.say(channel, discord.person("member"), "!jobs")
            await discord.answered(channel, "No jobs yet. Start one with !train.")
            process.stdin.write(b"!help train\n")
            await shown(process, "teach the model something new")
            process.stdin.close()
            assert await asyncio.wait_for(process.wait(), STOP_WITHIN) == 0
        assert discord.gateway.closed_with == [1000]


async def test_beside_the_console_a_wrong_token_is_one_sentence(
    chorus: RunningChorus, tmp_path: Path
) -> None:
    async with running_discord() as discord:
        given = chorus.environment("gateway") | environment(discord, CHORUS_DISCORD_TOKEN="wrong")
        async with gateway(tmp_path, **given) as (process, log):
            assert process.stdin is not None
            await shown(process, "✗ CHORUS_DISCORD_TOKEN: Discord does not know this token.")
            assert "not on Discord" in log.read_text()
            process.stdin.write(b"!help train\n")
            await shown(process, "teach the model something new")
            process.stdin.close()
            assert await asyncio.wait_for(process.wait(), STOP_WITHIN) == 0


async def shown(process: asyncio.subprocess.Process, words: str) -> None:
    """Wait until the console shows these words."""
    assert process.stdout is not None
    async with asyncio.timeout(ANSWER_WITHIN):
        while words not in (line := (await process.stdout.readline()).decode()):
            assert line, "the console has ended"

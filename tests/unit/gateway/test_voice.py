"""`!join` and the like, and what is said where people talk: the commands alone."""

from dataclasses import replace

import pytest

from chorus.common.contracts.guild import ChannelSettings
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.replies import Audio, Problem, Stream, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fakes import World


class FakeCalls:
    def __init__(self, *, reached: bool = True) -> None:
        self.reached = reached
        self.said: list[bytes] = []
        self.answered: list[bytes] = []
        self.where: str | None = None

    async def join(self) -> str:
        self.where = "quay"
        return self.where

    async def leave(self) -> str | None:
        left, self.where = self.where, None
        return left

    async def say(self, audio: bytes) -> bool:
        self.said.append(audio)
        return True

    async def answer(self, audio: bytes) -> bool:
        self.answered.append(audio)
        return self.reached

    async def skip(self) -> bool:
        return self.reached

    async def stop(self) -> bool:
        return self.reached


async def context(calls: FakeCalls) -> Context:
    """In a channel where answers are spoken."""
    world = World()
    spoken = {"7": ChannelSettings(voice_replies=True)}
    await world.guilds.change("1", lambda old: old.model_copy(update={"channels": spoken}))
    return replace(world.context(guild="1", channel="7"), calls=calls)


@pytest.mark.parametrize("line", ["!join", "!leave", "!skip", "!stop"])
async def test_in_the_console_there_is_no_voice_channel(line: str) -> None:
    reply = await run(World().context(), line)
    assert isinstance(reply, Problem)
    assert reply.code == "no_voice"


async def test_it_says_where_it_is() -> None:
    ctx = await context(FakeCalls())
    for line, told in (("!join", "Joined quay."), ("!leave", "I have left quay."), ("!leave", "I am in no")):
        reply = await run(ctx, line)
        assert isinstance(reply, Text)
        assert reply.text.startswith(told)


@pytest.mark.parametrize(
    ("reached", "skip", "stop"),
    [(True, "Skipped.", "I am silent."), (False, "I am saying nothing.", "I am saying nothing.")],
)
async def test_it_says_whether_anything_was_being_said(reached: bool, skip: str, stop: str) -> None:
    ctx = await context(FakeCalls(reached=reached))
    assert (await run(ctx, "!skip"), await run(ctx, "!stop")) == (Text(skip), Text(stop))


async def test_what_is_said_is_heard_there_too() -> None:
    calls = FakeCalls()
    assert isinstance(await run(await context(calls), "!say hello"), Audio)
    assert calls.said == [b"hello"]


@pytest.mark.parametrize("reached", [True, False])
async def test_an_answer_is_heard_there_or_else_handed_over(reached: bool) -> None:
    calls = FakeCalls(reached=reached)
    stream = await run(await context(calls), "hello")
    assert isinstance(stream, Stream)
    assert [piece async for piece in stream.pieces]
    assert stream.aloud
    assert (await stream.aloud() is None) == reached
    assert calls.answered == [b"Hello."]

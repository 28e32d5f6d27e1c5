"""`!join` and the like, and what is said where people talk: the commands alone."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from chorus.common.contracts.guild import ChannelSettings
from chorus.common.errors import InvalidInput, Unavailable
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Audio, Problem, Stream, Text
from chorus.gateway.commands.table import run
from chorus.gateway.commands.voice import NOWHERE
from tests.unit.gateway.fakes import World


class FakeCalls:
    def __init__(self, *, reached: bool = True, elsewhere: bool = False, busy: bool = False) -> None:
        self.reached, self.elsewhere, self.busy = reached, elsewhere, busy
        self.said: list[bytes] = []
        self.answered: list[bytes] = []
        self.where: str | None = None

    def are_elsewhere(self) -> bool:
        return self.elsewhere

    async def join(self) -> str:
        self.where = "quay"
        return self.where

    async def leave(self) -> str | None:
        left, self.where = self.where, None
        return left

    async def say(self, audio: bytes) -> bool:
        if self.busy:
            raise Unavailable("16 things wait. Wait for them, or `!stop` me.", code="voice_busy")
        self.said.append(audio)
        return True

    async def play(self, name: str, recording: bytes) -> bool:
        self.said.append(recording)
        return self.reached

    async def answer(self, parts: AsyncIterator[bytes]) -> bool:
        self.answered += [part async for part in parts]
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


@pytest.mark.parametrize("line", ["!join", "!leave", "!skip", "!stop", "!sound hello.ogg"])
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


async def test_who_wants_to_be_heard_there_is_told_why_not_and_what_to_do() -> None:
    calls = FakeCalls()
    reply = await run(await context(calls), "!join listen=yes")
    assert isinstance(reply, Problem)
    assert reply.code == "no_listening"
    assert "discord-ext-voice-recv" in reply.message
    assert "send me a voice message" in reply.message
    assert calls.where is None


async def test_a_recording_is_played_there() -> None:
    world = World()
    world.files.files["gull.mp3"] = Upload("gull.mp3", b"ID3")
    calls = FakeCalls()
    reply = await run(replace(world.context(), calls=calls), "!sound file=gull.mp3")
    assert reply == Text("gull.mp3 is heard in the voice channel. `!skip` ends it.")
    assert calls.said == [b"ID3"]
    calls.reached = False
    assert await run(replace(world.context(), calls=calls), "!sound gull.mp3") == Text(NOWHERE)


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


async def test_what_finds_no_room_there_is_handed_over_all_the_same() -> None:
    reply = await run(await context(FakeCalls(busy=True)), "!say hello")
    assert isinstance(reply, Audio)
    assert reply.data == b"hello"
    assert reply.note == "✗ 16 things wait. Wait for them, or `!stop` me. [voice_busy]"


@pytest.mark.parametrize("line", ["!skip", "!stop", "!leave", "!sound a.ogg", "!say hello"])
async def test_what_is_heard_is_for_those_who_are_there_or_manage_the_server(line: str) -> None:
    calls = FakeCalls(elsewhere=True)
    calls.where = "quay"
    ctx = await context(calls)
    ctx.files.files["a.ogg"] = Upload("a.ogg", b"OggS")  # type: ignore[attr-defined]
    reply = await run(replace(ctx, admin=False), line)
    if line == "!say hello":
        assert isinstance(reply, Audio), "which is not heard there"
    else:
        assert isinstance(reply, Problem)
        assert reply.code == "not_in_that_voice"
    assert (calls.said, calls.where) == ([], "quay")
    assert not isinstance(await run(ctx, line), Problem)
    assert (calls.said, calls.where) != ([], "quay") or line in ("!skip", "!stop")


@pytest.mark.parametrize("reached", [True, False])
async def test_an_answer_is_heard_there_or_else_handed_over(reached: bool) -> None:
    calls = FakeCalls(reached=reached)
    stream = await run(await context(calls), "hello")
    assert isinstance(stream, Stream)
    assert [piece async for piece in stream.pieces]
    assert stream.aloud
    assert (await stream.aloud() is None) == reached
    assert calls.answered == [b"Hello."]


async def test_an_answer_is_said_as_far_as_it_may_be() -> None:
    ctx = await context(FakeCalls(reached=False))
    stream = await run(replace(ctx, calls=None), "hello")
    assert isinstance(stream, Stream)
    assert [piece async for piece in stream.pieces]
    assert stream.aloud
    assert await stream.aloud()
    assert ctx.chorus.speech.cut == [True]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("code", "is_told"), [("nothing_to_say", False), ("nobody_speaks", True)])
@pytest.mark.parametrize("in_a_call", [True, False])
async def test_of_an_answer_that_has_nothing_to_say_nothing_is_told(
    code: str, is_told: bool, in_a_call: bool
) -> None:
    ctx = await context(FakeCalls())
    ctx.chorus.speech.mute = InvalidInput("It cannot be said.", code=code)  # type: ignore[attr-defined]
    stream = await run(ctx if in_a_call else replace(ctx, calls=None), "hello")
    assert isinstance(stream, Stream)
    assert [piece async for piece in stream.pieces]
    assert stream.aloud
    with pytest.raises(InvalidInput) if is_told else nullcontext():
        assert await stream.aloud() is None

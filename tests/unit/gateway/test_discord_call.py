"""What is said in one voice channel: what cannot be said is passed over, and nothing is left behind of it."""

import asyncio
from collections.abc import Callable
from unittest.mock import Mock

import discord
import pytest

from chorus.gateway.frontends.discord.call import Call
from chorus.gateway.frontends.discord.sounds import Growing

After = Callable[[Exception | None], None]


class Player:
    """In place of discord.py's: plays nothing, and fails as it is told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[discord.AudioSource] = asyncio.Queue()
        self.fails: Exception | None = None
        """With the next one."""

    def play(self, sound: discord.AudioSource, after: After) -> None:
        error, self.fails = self.fails, None
        if error:
            raise error
        self.begun.put_nowait(sound)


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
async def call(player: Player, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr(Call, "create_connection_state", Mock())
    made = Call(Mock(), Mock(), asyncio.Lock())
    monkeypatch.setattr(made, "play", player.play)
    return made


@pytest.mark.parametrize("error", [discord.ClientException("Not connected to voice."), OSError("no memory")])
async def test_what_cannot_be_said_is_cleaned_up_and_what_waits_is_said(
    call: Call, player: Player, error: Exception
) -> None:
    player.fails = error
    first, second = Growing(), Growing()
    call.say(first)
    call.say(second)
    assert await asyncio.wait_for(player.begun.get(), 5) is second
    assert (first.over, second.over) == (True, False)


async def test_nothing_that_goes_wrong_makes_it_mute_for_good(call: Call, player: Player) -> None:
    player.fails = RuntimeError("can't start new thread")
    call.say(Growing())
    async with asyncio.timeout(5):
        while call.talks:
            await asyncio.sleep(0)
        call.say(last := Growing())
        assert await player.begun.get() is last


async def test_what_waits_when_all_is_ended_is_told_that_it_is_over(call: Call, player: Player) -> None:
    waits = Growing()
    call.say(Growing())
    await player.begun.get()
    call.say(waits)
    call.stop()
    assert waits.over

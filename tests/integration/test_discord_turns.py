"""On Discord, people are told that answers have to wait, where they talk to the bot."""

from collections.abc import AsyncIterator

import pytest

from chorus.gateway.frontends.discord import rooms
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place

AWAY = "A training has the GPU until 21:40 UTC. Questions are answered again after that."
BACK = "Questions are answered again in a moment."


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def test_one_room_of_each_server_hears_that_answers_wait_and_that_they_are_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, silent = place.discord.channel(None), place.discord.channel(place.guild)
    async with place.present() as front:
        for channel in (silent, place.channel, private):  # the server's last one is `place.channel`
            await place.discord.say(channel, place.admin, "!jobs")
            await place.discord.answered(channel, "No jobs yet. Start one with !train.")
        await front.tell(AWAY, back=False)
        monkeypatch.setattr(rooms, "LIVELY", 0.0)  # an hour has passed
        await front.tell(BACK, back=True)
        for channel in (place.channel, private):
            assert [m.content for m in place.discord.said(channel)][1:] == [AWAY, BACK]
        assert len(place.discord.said(silent)) == 1
        await front.tell("Nobody is there.", back=False)
    assert not any("Nobody" in m.content for m in place.discord.said(place.channel))

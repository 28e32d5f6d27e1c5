"""What is spoken, as Discord's voice messages, by a real discord.py against a double at the wire."""

from collections.abc import AsyncIterator

import pytest

from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Message
from tests.support.sounds import tone

HIGH = tone(880, 0.5)


class Tone:
    """Speech that says nothing but a tone."""

    async def speak(
        self, guild: str, text: str, language: str | None, voice: str | None, *, cut: bool = False
    ) -> tuple[bytes, float]:
        return HIGH, 0.5


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        place = Place(discord)
        place.world.speech = Tone()  # type: ignore[assignment]
        yield place


async def spoken(place: Place) -> tuple[Message, Message]:
    """What somebody typed, and what came of it."""
    asked = await place.ask("!say hello to=hello.ogg")
    (answer,) = await place.discord.until(lambda: place.discord.said(place.channel))
    return asked, answer


async def test_what_is_said_is_a_voice_message_in_reply(place: Place) -> None:
    async with place.present():
        asked, answer = await spoken(place)
    assert (answer.is_voice, answer.content, answer.reply_to) == (True, "", asked)
    assert [(file.name, file.data) for file in answer.attachments] == [("hello.ogg", HIGH)]
    assert answer.attachments[0].about["duration_secs"] == 0.5


async def test_a_slash_command_is_answered_by_one_too(place: Place) -> None:
    async with place.present():
        asked = await place.discord.slash(place.channel, place.member, "say", text="hello")
        answer = await place.discord.shown(asked)
    assert answer.is_voice
    assert answer.attachments[0].data == HIGH


@pytest.mark.parametrize("takes_voice_messages", [True, False])
async def test_where_the_message_that_asked_cannot_be_read_it_comes_without_a_reference(
    place: Place, takes_voice_messages: bool
) -> None:
    place.discord.rest.cannot_read_history = True
    place.discord.rest.takes_voice_messages = takes_voice_messages
    async with place.present():
        _, answer = await spoken(place)
    assert (answer.is_voice, answer.reply_to) == (takes_voice_messages, None)
    assert answer.attachments[0].data == HIGH, "whole, though it was sent twice"


async def test_where_voice_messages_are_not_allowed_it_is_a_file(place: Place) -> None:
    place.discord.rest.takes_voice_messages = False
    async with place.present():
        _, answer = await spoken(place)
    assert not answer.is_voice
    assert [(file.name, file.data) for file in answer.attachments] == [("hello.ogg", HIGH)]

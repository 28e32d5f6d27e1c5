"""Voice messages that come in, by a real discord.py against a double at the wire; speech is real, too."""

from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.guild import ChannelSettings, GuildSettings
from chorus.common.contracts.storage import FILES
from chorus.common.contracts.wire import MIB
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.frontends.discord.voice_message import waveform
from chorus.speech.backends import audio
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Attachment, Message
from tests.support.servers import Servers
from tests.support.speaking import SENTENCE, a_speech


@pytest.fixture(scope="module")
async def speech(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusSpeech]:
    async with (
        a_speech(servers, tmp_path_factory.mktemp("speech")),
        servers.connected("gateway") as connection,
    ):
        yield BusSpeech(connection, servers.store(), max_upload=25 * MIB)


@pytest.fixture(scope="module")
async def said(speech: BusSpeech) -> Attachment:
    """The sentence, as a person's phone would send it."""
    data, seconds = await speech.speak("local", SENTENCE, None)
    about = {"duration_secs": seconds, "waveform": waveform(data)}
    return Attachment("voice-message.ogg", data, about=about, content_type="audio/ogg")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


def choose(place: Place, **chosen: bool) -> None:
    """What holds in the channel."""
    place.world.guilds.others = GuildSettings(channels={place.channel.id: ChannelSettings(**chosen)})


async def first_answer(place: Place) -> Message:
    return (await place.discord.until(lambda: place.discord.said(place.channel)))[0]


async def test_a_voice_message_is_written_down_answered_and_answered_aloud(
    place: Place, servers: Servers, speech: BusSpeech, said: Attachment
) -> None:
    place.world.speech = speech  # type: ignore[assignment]
    choose(place, listen=True, voice_replies=True)
    place.told.tell("We are ready to go.", None)
    async with place.present():
        asked = await place.ask("", files=[said])
        spoken = await place.discord.until(
            lambda: [m for m in place.discord.said(place.channel) if m.is_voice]
        )
    ((guild, _, turns),) = place.told.asked
    assert (guild, turns[-1].content) == (place.guild.id, SENTENCE)
    answer = place.discord.said(place.channel)[0]
    heard, text = answer.content.split("\n")
    assert heard.startswith(f"-# 🎙 {SENTENCE} (heard by ")
    assert (text, answer.reply_to) == ("We are ready to go.", asked)
    sound = audio.read(spoken[0].attachments[0].data, "x", rate=16_000, max_seconds=20)
    assert sound.seconds == pytest.approx(spoken[0].attachments[0].about["duration_secs"], abs=0.1)
    assert not await servers.store().list(FILES, f"{place.guild.id}/"), "deleted once heard, and once said"


async def test_to_be_answered_one_speaks_to_us(place: Place, said: Attachment) -> None:
    private = place.discord.channel(None)
    place.told.tell("One.", None, "Two.", None, "Three.", None)
    async with place.present():
        await place.ask("", files=[said])  # to nobody
        await place.ask(place.mention("And this?"), files=[said])
        ours = await place.discord.answered(place.channel, "-# 🎙 words (heard by fake)\nOne.")
        await place.ask("", files=[said], reply_to=ours)
        await place.discord.answered(place.channel, "-# 🎙 words (heard by fake)\nTwo.")
        await place.discord.say(private, place.member, "", files=[said])
        await place.discord.answered(private, "-# 🎙 words (heard by fake)\nThree.")
    last = [turns[-1].content for _, _, turns in place.told.asked]
    assert last == ["And this?\nwords", "words", "words"]
    assert [guild for guild, _ in place.world.speech.heard][-1] == f"dm-{place.member.id}"


async def test_each_of_several_recordings_of_one_name_is_heard_once(place: Place, said: Attachment) -> None:
    other = Attachment(said.name, b"OggS", content_type="audio/ogg")
    place.told.tell("Aye.", None)
    async with place.present():
        await place.ask(place.mention(""), files=[said, other])
        await first_answer(place)
    assert [upload.data for _, upload in place.world.speech.heard] == [said.data, b"OggS"]  # type: ignore[union-attr]


async def test_where_a_channel_does_not_hear_nothing_is_heard(place: Place, said: Attachment) -> None:
    choose(place, hear=False)
    place.told.tell("Aye.", None)
    async with place.present():
        await place.ask(place.mention("And this?"), files=[said])
        ours = await place.discord.answered(place.channel, "Aye.")
        await place.ask("", files=[said], reply_to=ours)
        await place.ask("!jobs")
        await place.discord.answered(place.channel, "No jobs yet. Start one with !train.")
    assert not place.world.speech.heard
    assert len(place.told.asked) == 1


async def test_transcribe_takes_the_message_that_it_replies_to(place: Place, said: Attachment) -> None:
    async with place.present():
        spoken = await place.ask("", files=[said])
        await place.ask("!transcribe", reply_to=spoken)
        await place.discord.answered(place.channel, "Heard by fake (en-us):\nwords")
        await place.ask("!transcribe", files=[said])
        await place.discord.until(lambda: len(place.discord.said(place.channel)) == 2)
    assert [upload.data for _, upload in place.world.speech.heard] == [said.data] * 2  # type: ignore[union-attr]


async def test_of_a_long_recording_what_is_heard_so_far_is_shown(
    place: Place, said: Attachment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chorus.gateway.commands.speech.SOON", -1.0)
    place.world.speech.listening.clear()
    async with place.present():
        await place.ask("!transcribe", files=[said])
        await place.discord.answered(place.channel, "wor · so far, heard by fake")
        place.world.speech.listening.set()
        await place.discord.answered(place.channel, "Heard by fake (en-us):\nwords")
    assert len(place.discord.said(place.channel)) == 1


async def test_what_is_no_recording_is_told(place: Place, speech: BusSpeech) -> None:
    place.world.speech = speech  # type: ignore[assignment]
    async with place.present():
        await place.ask(place.mention(""), files=[Attachment("voice-message.ogg", b"#EXTM3U\n")])
        answer = await first_answer(place)
    assert answer.content.startswith("✗ voice-message.ogg is no recording that can be read.")
    assert answer.content.endswith("[unreadable_audio]")
    assert not place.told.asked

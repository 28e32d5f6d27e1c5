"""Voice channels, by a real discord.py with its encryption against a double at the wire."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise
from statistics import median

import pytest

from chorus.common.contracts.guild import ChannelSettings
from chorus.gateway.frontends.discord import voice
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.voice import without_tls
from tests.support.discord.world import STAGE, VOICE, Attachment, Channel, Guild, User
from tests.support.sounds import packets, tone
from tests.unit.speech import recordings
from tests.unit.speech.files import encoded

HIGH, LOW, LONG = tone(880), tone(220), tone(440, 4.0)
FLAC = encoded(recordings.tone(0.3), "flac", "flac")
SOUNDS = {"high": (HIGH, 0.3), "low": (LOW, 0.3), "long": (LONG, 4.0), "Hello.": (HIGH, 0.3)}


class Tones:
    """Speech that says nothing but tones."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        """Cleared, a text is spoken to its first sentence."""
        self.goes_on.set()
        self.in_parts: list[str] = []
        """Texts that were to be heard while they were being spoken."""

    async def speak(
        self, guild: str, text: str, language: str | None, voice: str | None, *, cut: bool = False
    ) -> tuple[bytes, float]:
        return SOUNDS[text]

    async def speaking(
        self, guild: str, text: str, language: str | None, voice: str | None
    ) -> AsyncGenerator[bytes]:
        self.in_parts.append(text)
        for sentence in text.split(", "):
            yield SOUNDS[sentence][0]
            await self.goes_on.wait()


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    without_tls(monkeypatch)
    async with running_discord() as discord:
        place = Place(discord)
        place.world.speech = Tones()  # type: ignore[assignment]
        yield place


@pytest.fixture
async def quay(place: Place) -> Channel:
    """A voice channel with a member in it."""
    channel = place.discord.channel(place.guild, "quay", VOICE)
    await place.discord.voice.enter(channel, place.member)
    return channel


async def told(place: Place, command: str, author: User | None = None, **options: object) -> str:
    """What comes of a slash command."""
    asked = await place.discord.slash(place.channel, author or place.member, command, **options)
    return (await place.discord.shown(asked)).content


async def joined(place: Place, channel: Channel) -> None:
    assert (await told(place, "join")).startswith(f"Joined {channel.name}.")
    assert is_in(place, channel)


def is_in(place: Place, channel: Channel) -> bool:
    assert channel.guild
    return place.discord.voice.there(channel.guild, place.discord.bot) == channel.id


async def gone(place: Place, guild: Guild | None = None) -> None:
    there = place.discord.voice.there
    await place.discord.until(lambda: there(guild or place.guild, place.discord.bot) is None)


async def heard(place: Place, *sounds: bytes, guild: Guild | None = None) -> None:
    """Wait until exactly this was heard."""
    whole = [packet for sound in sounds for packet in packets(sound)]
    line = place.discord.voice.line(guild or place.guild)
    await place.discord.until(lambda: len(line.sound) >= len(whole))
    assert line.sound == whole


async def test_what_is_said_is_heard_in_turn_one_packet_in_20_ms(place: Place, quay: Channel) -> None:
    async with place.present(discord_intents="minimal"):
        await joined(place, quay)
        await told(place, "say", text="high")
        await told(place, "say", text="low")
        await heard(place, HIGH, LOW)
        came = [at for at, _ in place.discord.voice.line(place.guild).heard][: len(packets(HIGH))]
        assert median(b - a for a, b in pairwise(came)) == pytest.approx(0.02, abs=0.005)
        assert is_in(place, quay), "it was asked to stay"
        assert await told(place, "leave") == "I have left quay."
    await gone(place)


async def test_two_servers_at_once_are_not_mixed_up(place: Place, quay: Channel) -> None:
    other, channel, _ = place.discord.guild("island")
    cove = place.discord.channel(other, "cove", VOICE)
    await place.discord.voice.enter(cove, place.member)
    async with place.present():
        await joined(place, quay)
        await place.discord.say(channel, place.member, "!join")
        await place.discord.until(lambda: is_in(place, cove))
        await told(place, "say", text="high")
        await place.discord.say(channel, place.member, "!say low")
        await heard(place, HIGH)
        await heard(place, LOW, guild=other)


async def test_skip_goes_on_with_what_waits_and_stop_drops_it(place: Place, quay: Channel) -> None:
    async with place.present():
        await joined(place, quay)
        line = place.discord.voice.line(place.guild)
        assert (await told(place, "skip")).startswith("I am saying nothing.")
        await told(place, "say", text="long")
        await told(place, "say", text="low")
        await place.discord.until(lambda: line.sound)
        assert (await told(place, "skip")).startswith("Skipped.")
        await place.discord.until(lambda: line.sound[-len(packets(LOW)) :] == packets(LOW))
        assert len(line.sound) < len(packets(LONG))
        await told(place, "say", text="long")
        await told(place, "say", text="low")
        before = len(line.sound)
        await place.discord.until(lambda: len(line.sound) > before)
        assert (await told(place, "stop")).startswith("I am silent.")
        await told(place, "say", text="high")
        await place.discord.until(lambda: line.sound[-len(packets(HIGH)) :] == packets(HIGH))
        assert packets(LOW)[-1] not in line.sound[before:]


async def test_the_line_of_what_waits_is_bounded(
    place: Place, quay: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chorus.gateway.frontends.discord.call.MOST_WAITING", 1)
    async with place.present():
        await joined(place, quay)
        await told(place, "say", text="long")
        await place.discord.until(lambda: place.discord.voice.line(place.guild).sound)
        await told(place, "say", text="low")
        asked = await place.discord.slash(place.channel, place.member, "say", text="high")
        shown = await place.discord.shown(asked)
        assert shown.content.startswith("✗ 1 things wait to be said")
        assert shown.attachments[0].data == HIGH


async def answers_are_spoken(place: Place) -> None:
    spoken = {place.channel.id: ChannelSettings(voice_replies=True)}
    await place.world.guilds.change(place.guild.id, lambda old: old.model_copy(update={"channels": spoken}))


async def test_an_answer_is_spoken_where_the_asker_talks_and_then_it_goes(
    place: Place, quay: Channel
) -> None:
    await answers_are_spoken(place)
    async with place.present():
        place.told.tell("Hello.", None, "Hello.", None)
        await place.ask(place.mention("hi?"))
        await place.discord.until(lambda: is_in(place, quay))
        await gone(place)
        await heard(place, HIGH)
        outside = place.discord.person("outside")
        await place.ask(place.mention("hi?"), outside)
        spoken = await place.discord.until(lambda: place.discord.said(place.channel)[-1].attachments)
        assert spoken[0].data == HIGH
        assert place.discord.said(place.channel)[-1].is_voice
    assert len(place.discord.voice.lines) == 1


async def test_of_an_answer_the_first_sentence_is_heard_while_the_others_are_spoken(
    place: Place, quay: Channel
) -> None:
    await answers_are_spoken(place)
    tones = Tones()
    tones.goes_on.clear()
    place.world.speech = tones  # type: ignore[assignment]
    async with place.present():
        place.told.tell("high, low", None)
        await place.ask(place.mention("hi?"))
        await place.discord.until(lambda: place.discord.voice.lines)
        await heard(place, HIGH)
        assert is_in(place, quay), "there is more to come"
        tones.goes_on.set()
        await gone(place)
        await heard(place, HIGH, LOW)


async def test_for_a_channel_where_it_may_not_speak_nothing_is_spoken_in_vain(
    place: Place, quay: Channel
) -> None:
    await answers_are_spoken(place)
    tones = place.world.speech = Tones()  # type: ignore[assignment]
    quay.closed_to.add(place.discord.bot.id)
    async with place.present():
        place.told.tell("Hello.", None)
        await place.ask(place.mention("hi?"))
        await place.discord.until(lambda: any(m.is_voice for m in place.discord.said(place.channel)))
    assert not tones.in_parts


async def test_a_recording_is_played_and_one_that_needs_more_is_told(
    place: Place, quay: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chorus.gateway.frontends.discord.sounds.shutil.which", lambda _: None)
    gull, song = Attachment("gull.ogg", HIGH), Attachment("song.flac", FLAC)
    async with place.present():
        assert (await told(place, "sound", attachment=gull)).startswith("I am in no voice channel.")
        await joined(place, quay)
        assert (await told(place, "sound", attachment=gull)).startswith("gull.ogg is heard")
        await heard(place, HIGH)
        assert (await told(place, "sound", attachment=song)).endswith("[ffmpeg_missing]")


async def test_who_wants_to_be_heard_there_is_told_why_not(place: Place, quay: Channel) -> None:
    async with place.present():
        assert (await told(place, "join", listen=True)).endswith("[no_listening]")
        assert not place.discord.voice.lines


async def test_an_answer_does_not_call_it_away_from_others(place: Place, quay: Channel) -> None:
    await answers_are_spoken(place)
    pier = place.discord.channel(place.guild, "pier", VOICE)
    await place.discord.voice.enter(pier, place.admin)
    async with place.present():
        await joined(place, quay)
        place.told.tell("Hello.", None)
        await place.ask(place.mention("hi?"), place.admin)
        await place.discord.until(lambda: any(m.is_voice for m in place.discord.said(place.channel)))
        assert is_in(place, quay)
        assert not place.discord.voice.line(place.guild).sound


async def test_it_goes_when_it_is_left_alone(place: Place, quay: Channel) -> None:
    other_bot = place.discord.person("other", bot=True)
    async with place.present():
        await place.discord.voice.enter(quay, other_bot)
        await joined(place, quay)
        await told(place, "say", text="long")
        await place.discord.until(lambda: place.discord.voice.line(place.guild).sound)
        await place.discord.voice.exit(place.guild, place.member)
        await gone(place)
        assert (await told(place, "leave")).startswith("I am in no voice channel.")


async def test_who_throws_it_out_is_obeyed_and_what_waited_is_dropped(place: Place, quay: Channel) -> None:
    async with place.present():
        await joined(place, quay)
        first = place.discord.voice.line(place.guild)
        await told(place, "say", text="long")
        await told(place, "say", text="high")
        await place.discord.until(lambda: first.sound)
        await place.discord.voice.exit(place.guild, place.discord.bot)
        assert (await told(place, "leave")).startswith("I am in no voice channel.")
        await joined(place, quay)
        await told(place, "say", text="low")
        await heard(place, LOW)
    assert len(place.discord.voice.lines) == 2


async def test_who_moves_it_is_obeyed_and_who_calls_it_is_followed(place: Place, quay: Channel) -> None:
    pier = place.discord.channel(place.guild, "pier", VOICE)
    await place.discord.voice.enter(pier, place.admin)
    async with place.present():
        await joined(place, quay)
        await place.discord.voice.enter(pier, place.discord.bot)
        await told(place, "say", place.admin, text="high")
        await heard(place, HIGH)
        assert is_in(place, pier)
        await joined(place, quay)
        await told(place, "say", text="low")
        await heard(place, LOW)


async def test_where_it_cannot_come_it_says_why(
    place: Place, quay: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, closed = (place.discord.channel(place.guild, name, VOICE) for name in ("full", "closed"))
    stage = place.discord.channel(place.guild, "stage", STAGE)
    full.user_limit = 1
    closed.closed_to.add(place.discord.bot.id)
    enter = place.discord.voice.enter
    private = place.discord.channel(None)
    monkeypatch.setattr(voice, "CONNECT_WITHIN", 0.2)
    async with place.present():
        await enter(full, place.member)
        assert (await told(place, "join")).startswith("✗ full is full. Make room for one more")
        await enter(closed, place.member)
        assert (await told(place, "join")).startswith("✗ I lack *View Channel*")
        await enter(stage, place.member)
        assert (await told(place, "join")).startswith("✗ stage is a stage")
        assert (await told(place, "join", place.admin)).startswith("✗ You are not in a voice channel.")
        await enter(quay, place.member)
        place.discord.voice.away = True
        assert (await told(place, "join")).startswith("✗ Discord's voice server does not answer me.")
        await place.discord.say(private, place.member, "!join")
        await place.discord.until(lambda: place.discord.said(private))
        assert "There is no voice channel here" in place.discord.said(private)[-1].content
        place.discord.voice.away = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(voice, "has_dave", False)
            assert (await told(place, "join")).endswith("[voice_missing]")
        await joined(place, quay)


async def test_a_start_after_a_crash_leaves_no_ghost(place: Place, quay: Channel) -> None:
    place.guild.voices[place.discord.bot.id] = {
        **place.guild.voices[place.member.id],
        "user_id": place.discord.bot.id,
    }
    async with place.present():
        await gone(place)
        await joined(place, quay)
    await asyncio.wait_for(gone(place), 5)

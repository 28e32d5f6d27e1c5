"""The Discord front-end with the real discord.py, against a double at the wire; Chorus is played."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from chorus.common.errors import Misconfigured
from chorus.gateway.commands.ports import Upload
from chorus.gateway.frontends.discord.frontend import Discord as FrontEnd
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Attachment

EVERY = 1.2  # seconds, as it ships


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def test_it_logs_in_says_so_and_leaves_cleanly(place: Place) -> None:
    with capture_logs() as logs:
        async with place.present():
            assert place.announced == [f"Logged in as {place.discord.bot.name}#0000."]
        await place.discord.until(lambda: place.discord.gateway.closed_with)
    assert place.discord.gateway.closed_with == [1000]
    assert [line["event"] for line in logs] == [f"Logged in as {place.discord.bot.name}#0000"]


async def test_a_wrong_token_is_told_in_one_sentence(place: Place) -> None:
    front = FrontEnd(place.world.chorus, place.settings(), place.announced.append)
    with pytest.raises(Misconfigured, match=r"^CHORUS_DISCORD_TOKEN: Discord does not know this token\. "):
        await front.stay("wrong")
    assert place.announced == []
    assert not place.discord.gateway.identified


async def test_a_missing_intent_is_told_with_its_cure(place: Place) -> None:
    place.discord.gateway.allows_messages = False
    front = FrontEnd(place.world.chorus, place.settings(), place.announced.append)
    with pytest.raises(Misconfigured, match="Switch on Message Content Intent"):
        await front.stay(place.discord.token)


async def test_commands_are_answered_beneath_the_message(place: Place) -> None:
    async with place.present():
        asked = await place.ask("!jobs")
        answer = await place.discord.answered(place.channel, "No jobs yet. Start one with !train.")
    assert answer.reply_to is asked


async def test_a_training_with_an_attached_file_is_one_live_message(place: Place) -> None:
    async with place.present():
        asked = await place.ask("!train epochs=3", place.admin, files=[Attachment("my_data.json", b"[1]")])
        (job,) = (await place.discord.until(lambda: place.world.jobs.records)).values()
        message = await place.discord.until(
            lambda: next((m for m in place.discord.said(place.channel) if "✓" in m.content), None)
        )
    ((guild, new),) = place.world.datasets.added
    assert (guild, new.contributor, new.name) == (place.guild.id, place.admin.id, "my-data")
    assert new.files == [Upload("my_data.json", b"[1]")]
    assert place.discord.said(place.channel) == [message]
    assert f"Job ID: {job.job.job}" in message.content
    assert message.content.splitlines()[-1].startswith("✓ main@1 is trained")
    assert message.reply_to is asked


async def test_a_file_that_claims_less_than_it_is_is_not_read_to_its_end(place: Place) -> None:
    liar = Attachment("data.json", b"x" * 5000, claimed=10)
    async with place.present(max_upload=1024):
        await place.ask("!train file=data.json", place.admin, files=[liar])
        await place.discord.until(lambda: place.discord.said(place.channel))
    (answer,) = place.discord.said(place.channel)
    assert answer.content.endswith("[too_large]")
    assert not place.world.datasets.added


async def test_the_same_message_twice_is_one_job_and_one_answer(place: Place) -> None:
    async with place.present():
        asked = await place.ask('!train "words"', place.admin)
        await place.discord.deliver(asked)
        await place.discord.until(lambda: any("✓" in m.content for m in place.discord.said(place.channel)))
        await place.ask("!jobs")
        await place.discord.until(lambda: len(place.discord.said(place.channel)) > 1)
    assert len(place.discord.said(place.channel)) == 2
    assert len(place.world.jobs.records) == len(place.world.datasets.added) == 1


@pytest.mark.parametrize("line", ['!train "words"', "!use base", "!cancel aaaaaaaaaa"])
async def test_members_ask_and_admins_train(place: Place, line: str) -> None:
    async with place.present():
        await place.ask(line)
        (refused,) = await place.discord.until(lambda: place.discord.said(place.channel))
        assert refused.content.startswith(f"✗ {line.split()[0]} is for those who ")
        assert refused.content.endswith(" [not_permitted]")
        await place.ask(line, place.admin)
        await place.discord.until(lambda: len(place.discord.said(place.channel)) > 1)
    assert "not_permitted" not in place.discord.said(place.channel)[-1].content
    assert len(place.world.datasets.added) == ("train" in line)


async def test_in_private_everybody_trains_for_themselves(place: Place) -> None:
    private = place.discord.channel(None)
    async with place.present():
        await place.discord.say(private, place.member, '!train "words"')
        await place.discord.until(lambda: place.world.datasets.added)
    assert place.world.datasets.added[0][0] == f"dm-{place.member.id}"


async def test_an_answer_is_streamed_at_a_pace_without_a_429(place: Place) -> None:
    async with place.present():
        await place.ask(place.mention("how are you?"))
        await place.discord.until(lambda: place.discord.rest.typed)
        assert not place.discord.said(place.channel), "until there are words, it is typing"
        words = [f"word{number} " for number in range(200)]
        for word in words:
            place.told.tell(word)
            await asyncio.sleep(0.02)
        place.told.tell(None)
        ended_at = asyncio.get_running_loop().time()
        message = await place.discord.answered(place.channel, "".join(words).strip())
    times = [at for at, _ in message.versions]
    assert times[-1] - ended_at <= 1.5
    assert all(later - earlier >= EVERY * 0.99 for earlier, later in itertools.pairwise(times))
    assert message.versions[0][1] == "word0"
    assert len(times) >= 4
    assert place.discord.rest.limits.refused == 0
    assert place.told.asked[0][0] == place.guild.id


async def test_a_long_answer_goes_on_in_messages_with_whole_code_blocks(place: Place) -> None:
    code = "\n".join(f"line_{number} = {number}" for number in range(300))
    async with place.present():
        await place.ask(place.mention("code?"))
        place.told.tell("Look:\n```py\n", code, "\n```\nDone.", None)
        await place.discord.until(lambda: place.discord.said(place.channel)[-1:] and _ends(place, "Done."))
    said = place.discord.said(place.channel)
    assert len(said) == 3
    assert all(len(m.content) <= 2000 and m.content.count("```") == 2 for m in said)
    assert "\n".join(line for m in said for line in m.content.splitlines() if "=" in line) == code
    assert said[0].reply_to is not None
    assert said[1].reply_to is None


def _ends(place: Place, words: str) -> bool:
    return place.discord.said(place.channel)[-1].content.endswith(words)


async def test_nobody_is_pinged_whatever_the_model_writes(place: Place) -> None:
    async with place.present():
        await place.ask(place.mention("shout"))
        place.told.tell(f"@everyone <@{place.member.id}> hello", None)
        await place.discord.answered(place.channel, f"@everyone <@{place.member.id}> hello")


async def test_a_channel_has_a_conversation_and_another_has_its_own(place: Place) -> None:
    other = place.discord.channel(place.guild)
    place.told.tell("one", None, "two", None, "three", None)
    async with place.present():
        await place.ask(place.mention("first"))
        answer = await place.discord.answered(place.channel, "one")
        await place.ask("second", reply_to=answer)
        await place.discord.answered(place.channel, "two")
        await place.discord.say(other, place.member, place.mention("elsewhere"))
        await place.discord.answered(other, "three")
    asked = [[turn.content for turn in turns] for _, _, turns in place.told.asked]
    assert asked == [["first"], ["first", "one", "second"], ["elsewhere"]]


async def test_a_channel_may_have_a_persona_and_people_are_told_apart(place: Place) -> None:
    other = place.discord.channel(place.guild)
    thread = place.discord.thread(place.channel, "talk")
    place.told.tell("one", None, "two", None, "three", None, "four", None)
    async with place.present():
        await place.ask('!persona here=yes "You are a cat."', place.admin)
        await place.discord.until(lambda: place.discord.said(place.channel))
        await place.ask(place.mention("first"))
        await place.discord.answered(place.channel, "-# AI\none\n-# base")
        await place.ask(place.mention("second"), place.admin)
        await place.discord.answered(place.channel, "-# AI\ntwo\n-# base")
        await place.discord.say(other, place.member, place.mention("elsewhere"))
        await place.discord.answered(other, "three")
        await place.discord.say(thread, place.member, place.mention("aside"))
        await place.discord.answered(thread, "-# AI\nfour\n-# base")
    first, second, elsewhere, aside = [
        [(turn.role, turn.name, turn.content) for turn in turns] for _, _, turns in place.told.asked
    ]
    cat = ("system", None, "You are a cat.")
    assert first == [cat, ("user", None, "first")]
    assert second == [cat, ("user", "u1", "first"), ("assistant", None, "one"), ("user", "u2", "second")]
    assert elsewhere == [("user", None, "elsewhere")]
    assert aside == [cat, ("user", None, "aside")], "a thread has its channel's persona, and its own talk"


async def test_what_is_not_meant_for_it_is_passed_over(place: Place) -> None:
    robot = place.discord.person("robot", bot=True)
    async with place.present():
        theirs = await place.ask("just talking")
        await place.ask("!play a song")
        await place.ask("!jobs", robot)
        await place.ask("!jobs", webhook=True)
        await place.ask("to each other", reply_to=theirs)
        await place.discord.say(place.discord.channel(None), robot, "hello")
        await place.ask("!jobs")  # by now, all before it has been heard
        await place.discord.answered(place.channel, "No jobs yet. Start one with !train.")
    assert len([m for m in place.discord.rest.messages.values() if m.author == place.discord.bot]) == 1
    assert not place.told.asked


async def test_where_it_may_not_write_one_line_in_the_log_says_so(place: Place) -> None:
    with capture_logs() as logs:
        async with place.present():
            place.discord.rest.silenced.add(place.channel.id)
            await place.ask("!jobs")
            await place.ask("!jobs")
            other = place.discord.channel(place.guild)
            await place.discord.say(other, place.member, "!jobs")
            await place.discord.answered(other, "No jobs yet. Start one with !train.")
            place.discord.rest.silenced.clear()
            await place.ask("!jobs")
            await place.discord.answered(place.channel, "No jobs yet. Start one with !train.")
    refusals = [line for line in logs if line["log_level"] != "info"]
    assert [line["event"] for line in refusals] == ["Discord does not let us speak in this channel"]


async def test_an_answer_that_somebody_deletes_is_not_written_on(place: Place) -> None:
    with capture_logs() as logs:
        async with place.present():
            await place.ask(place.mention("a story?"))
            place.told.tell("Once ")
            message = await place.discord.answered(place.channel, "Once")
            place.discord.delete(message)
            place.told.tell("upon ")
            await place.discord.until(lambda: place.told.left)
            await place.ask("!jobs")
            await place.discord.answered(place.channel, "No jobs yet. Start one with !train.")
    assert [line["event"] for line in logs if "Logged" not in line["event"]] == [
        "message is gone; its reply was left"
    ]


async def test_without_the_right_to_read_back_it_speaks_without_replying(place: Place) -> None:
    place.discord.rest.cannot_read_history = True
    async with place.present():
        await place.ask("!jobs")
        answer = await place.discord.answered(place.channel, "No jobs yet. Start one with !train.")
    assert answer.reply_to is None


async def test_a_broken_connection_is_resumed_and_nothing_is_missed(place: Place) -> None:
    async with place.present():
        await place.discord.gateway.cut()
        await place.ask("!jobs")
        await place.discord.answered(place.channel, "No jobs yet. Start one with !train.")
    assert (place.discord.gateway.identified, place.discord.gateway.resumed) == (1, 1)
    assert len(place.announced) == 1


async def test_when_discord_is_away_at_first_it_comes_when_it_is_back(place: Place) -> None:
    place.discord.gateway.away = True
    with capture_logs() as logs:
        front = FrontEnd(place.world.chorus, place.settings(), place.announced.append)
        task = asyncio.create_task(front.stay(place.discord.token))
        await place.discord.until(lambda: [log for log in logs if log["event"] == "Discord is out of reach"])
        assert front.trouble() == "not connected"
        place.discord.gateway.away = False
        await place.discord.until(lambda: front.trouble() is None)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert [told.split(".")[0] for told in place.announced] == [
        "Discord is out of reach",
        "Logged in as chorus#0000",
    ]


async def test_a_stop_lets_an_answer_end(place: Place) -> None:
    async with place.present(grace=5.0):
        await place.ask(place.mention("a story?"))
        place.told.tell("Once ")
        await place.discord.answered(place.channel, "Once")
        asyncio.get_running_loop().call_later(0.3, place.told.tell, "more.", None)
    (message,) = place.discord.said(place.channel)
    assert message.content == "Once more."
    assert place.told.left == 1


async def test_a_stop_waits_no_longer_than_the_grace(place: Place) -> None:
    async with place.present():
        await place.ask(place.mention("a story?"))
        place.told.tell("Once ")
        await place.discord.answered(place.channel, "Once")
        started = time.monotonic()
    assert time.monotonic() - started < 3
    assert place.told.left == 1
    await place.discord.until(lambda: place.discord.gateway.closed_with == [1000])


async def test_audio_is_attached(place: Place) -> None:
    """Until a command speaks, the renderer is shown what it will get."""
    from chorus.gateway.commands.replies import Audio
    from chorus.gateway.frontends.discord import talk

    async def speak(*_: object) -> Audio:
        return Audio("said.ogg", b"OggS", 1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(talk, "run", speak)
        async with place.present():
            await place.ask("!jobs")
            (message,) = await place.discord.until(lambda: place.discord.said(place.channel))
    assert [(file.name, file.data) for file in message.attachments] == [("said.ogg", b"OggS")]

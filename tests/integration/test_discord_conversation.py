"""Conversations on Discord: what the model is told of what was said, also by a bot that has just come."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from chorus.common.contracts.guild import ChannelSettings, GuildSettings
from chorus.gateway.frontends.discord import memory
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Attachment, Channel, Message, User

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def answered(place: Place, question: Message, answer: str) -> Message:
    """The bot's answer to a question, once it says all of this."""
    place.told.tell(answer, None)
    return await place.discord.until(
        lambda: next(
            (m for m in place.discord.said(question.channel) if m.reply_to is question and m.components), None
        )
    )


def told(place: Place) -> list[tuple[str | None, str]]:
    """What the model was told last: who said what, itself as `bot`."""
    _, _, turns = place.told.asked[-1]
    return [("bot" if turn.role == "assistant" else turn.name, turn.content) for turn in turns]


def said_before(
    place: Place, channel: Channel, author: User, text: str, to: Message | None = None
) -> Message:
    """What was said while the bot was not there, too long ago to be answered."""
    return place.discord.once(channel, author, text, reply_to=to, at=LONG_AGO)


async def test_a_reply_goes_on_with_its_chain_however_old_and_whoever_else_talks(place: Place) -> None:
    async with place.present():
        first = await answered(place, await place.ask(place.mention("first")), "one")
        second = await answered(place, await place.ask("second", reply_to=first), "two")
        await answered(place, await place.ask("third", place.admin, reply_to=second), "three")
        assert told(place) == [
            ("u1", "first"),
            ("bot", "one"),
            ("u1", "second"),
            ("bot", "two"),
            ("u2", "third"),
        ]
        await answered(place, await place.ask("otherwise", reply_to=first), "four")
        assert told(place) == [(None, "first"), ("bot", "one"), (None, "otherwise")], "it branches"
    assert place.discord.rest.history.looked_back == [], "all of it was remembered"


async def test_a_bot_that_has_just_come_goes_on_with_a_chain(place: Place) -> None:
    """What is asked of Discord is asked once."""
    here, bot = place.channel, place.discord.bot
    first = said_before(place, here, place.member, place.mention("first"))
    one = said_before(place, here, bot, "one\n-# AI · main@1", first)
    aside = said_before(place, here, place.admin, "an aside")
    second = said_before(place, here, place.admin, "second", one)
    two = said_before(place, here, bot, "two", second)
    async with place.present():
        third = await answered(place, await place.ask("third", reply_to=two), "three")
        assert told(place) == [
            ("u1", "first"),
            ("bot", "one"),
            ("u2", "second"),
            ("bot", "two"),
            ("u1", "third"),
        ]
        await answered(place, await place.ask("fourth", reply_to=third), "four")
        assert place.discord.rest.history.looked_back == ["general"]
        await answered(place, await place.ask(place.mention("and that?"), reply_to=aside), "five")
        assert told(place) == [("u1", "an aside"), ("u2", "and that?")], "a mention that replies to a person"


async def test_a_chain_ends_where_a_message_is_gone_and_where_we_may_not_read(place: Place) -> None:
    here, bot = place.channel, place.discord.bot
    lost = said_before(place, here, place.member, "lost")
    one = said_before(place, here, bot, "one", lost)
    place.discord.delete(lost)
    async with place.present():
        await answered(place, await place.ask("second", reply_to=one), "two")
        assert told(place) == [("bot", "one"), (None, "second")]
    place.discord.rest.history.closed.add(here.id)
    async with place.present():
        await answered(place, await place.ask("third", reply_to=one), "three")
    assert told(place) == [("bot", "one"), (None, "third")]


async def test_an_answer_in_several_messages_is_one_turn_whichever_is_replied_to(place: Place) -> None:
    here, bot = place.channel, place.discord.bot
    question = said_before(place, here, place.member, place.mention("tell"))
    parts = ["a" * 1990, "b" * 1990, "c"]
    messages = [
        said_before(place, here, bot, part, None if number else question) for number, part in enumerate(parts)
    ]
    for message in messages:
        async with place.present():
            await answered(place, await place.ask("go on", reply_to=message), "well")
        assert [text for _, text in told(place)] == ["tell", "\n".join(parts), "go on"]


async def test_a_chain_is_no_longer_than_it_may_be(place: Place) -> None:
    here, bot = place.channel, place.discord.bot
    last: Message | None = None
    for number in range(30):
        last = said_before(place, here, bot if number % 2 else place.member, f"{number} " + "x" * 600, last)
    async with place.present():
        await answered(place, await place.ask("now", reply_to=last), "yes")
        *before, _ = told(place)
        assert sum(len(text) for _, text in before) == 8000
        assert before[-1][1].startswith("29 ")


async def test_a_thread_is_a_conversation_with_its_starter_message_first(place: Place) -> None:
    starter = said_before(place, place.channel, place.admin, "Where shall we eat?")
    thread = place.discord.thread(place.channel, "food")
    place.discord.rest.channels.pop(thread.id)
    thread.id = starter.id  # as Discord has it
    place.discord.rest.channels[thread.id] = thread
    said_before(place, thread, place.member, "At the quay?")
    said_before(place, thread, place.member, "!jobs")
    async with place.present():
        question = await place.discord.say(thread, place.admin, place.mention("What do you say?"))
        await answered(place, question, "Fish.")
        assert told(place) == [
            ("u1", "Where shall we eat?"), ("u2", "At the quay?"), ("u1", "What do you say?"),
        ]  # fmt: skip
        await place.discord.say(thread, place.member, "I have no money.")
        await answered(place, await place.discord.say(thread, place.member, place.mention("So?")), "Bread.")
    assert told(place)[3:] == [("bot", "Fish."), ("u2", "I have no money."), ("u2", "So?")]


async def test_direct_messages_go_on_after_a_restart_and_not_beyond_a_reset(place: Place) -> None:
    private = place.discord.channel(None)

    async def say(text: str, answer: str) -> None:
        await answered(place, await place.discord.say(private, place.member, text), answer)

    async with place.present():
        await say("first", "one")
        await place.discord.say(private, place.member, "!jobs")
    async with place.present():
        await say("second", "two")
        assert told(place) == [(None, "first"), ("bot", "one"), (None, "second")]
        await place.discord.say(private, place.member, "!reset")
        await place.discord.until(lambda: place.discord.said(private)[-1].content.startswith("Forgotten: "))
        await say("third", "three")
        assert told(place) == [(None, "third")]
    async with place.present():
        await say("fourth", "four")
    assert told(place) == [(None, "third"), ("bot", "three"), (None, "fourth")]


async def test_a_reset_holds_for_chains_too(place: Place) -> None:
    async with place.present():
        one = await answered(place, await place.ask(place.mention("first")), "one")
        await place.ask("!reset")
        await place.discord.until(
            lambda: place.discord.said(place.channel)[-1].content.startswith("Forgotten")
        )
        await answered(place, await place.ask("second", reply_to=one), "two")
        assert told(place) == [(None, "second")]
    async with place.present():
        await answered(place, await place.ask("third", reply_to=one), "three")
    assert told(place) == [(None, "third")]


async def test_a_mention_goes_on_for_a_while_and_then_begins_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place.present():
        await answered(place, await place.ask(place.mention("first")), "one")
        await answered(place, await place.ask(place.mention("second")), "two")
        assert len(told(place)) == 3
        monkeypatch.setattr(memory, "A_WHILE", 0.0)
        await answered(place, await place.ask(f"<@&{place.guild.bot_role}> third"), "three")
    assert told(place) == [(None, "third")]


async def test_where_it_listens_all_is_heard_under_the_servers_own_prefix(place: Place) -> None:
    chosen = GuildSettings(prefix="?", channels={place.channel.id: ChannelSettings(listen=True)})
    place.world.guilds.others = chosen
    async with place.present():
        hello = await place.ask("hello")
        await answered(place, hello, "one")
        await place.ask("not to you", reply_to=hello)
        await place.ask("?jobs")
        await place.discord.until(lambda: "No jobs yet" in place.discord.said(place.channel)[-1].content)
        await answered(place, await place.ask("and I?", place.admin), "two")
    assert told(place) == [("u1", "hello"), ("bot", "one"), ("u1", "not to you"), ("u2", "and I?")]


async def test_text_files_are_read_with_the_words(place: Place) -> None:
    files = [
        Attachment("notes.md", b"# Quay\nopens at seven"),
        Attachment("photo.png", b"\x89PNG"),
        Attachment("long.py", "ä".encode() * 9000),
        Attachment("false.txt", b"\xff\xfe\x00"),
    ]
    async with place.present():
        one = await answered(place, await place.ask(place.mention("what is it?"), files=files), "one")
        ((_, question),) = told(place)
        assert question.startswith("what is it?\n\nAttached notes.md:\n```\n# Quay\nopens at seven\n```\n\n")
        assert "Attached long.py, its first 16 KiB:\n```\n" + "ä" * 8192 + "\n```" in question
        assert question.endswith("\n\nAttached, but not read: photo.png, false.txt.")
        await answered(place, await place.ask("and?", reply_to=one), "two")
        assert told(place)[0] == (None, question)
    place.discord.rest.files |= {file.path: file for file in files}
    async with place.present():
        await answered(place, await place.ask("and?", reply_to=one), "three")
    assert told(place)[0][1].startswith("what is it?\n\nAttached notes.md:\n```\n# Quay"), "it is read again"


async def test_a_model_is_told_names_for_mentions_and_no_id(place: Place) -> None:
    here, bot, ada = place.channel, place.discord.bot, place.discord.person('Ada  "x=1" @everyone')
    stranger, emoji = "123456789012345678", "<a:wave:223456789012345678>"
    earlier = said_before(place, here, place.member, place.mention(f"Is <@{ada.id}> there?"))
    one = said_before(place, here, bot, "one", earlier)
    async with place.present():
        words = f"<@{ada.id}> <@!{stranger}> <#{here.id}> <@&{place.guild.admin_role}> <@&{stranger}> {emoji}"
        two = await answered(place, await place.ask(words, reply_to=one), "two")
        assert told(place) == [
            (None, "Is @Ada x 1 everyone there?"),
            ("bot", "one"),
            (None, "@Ada x 1 everyone @somebody #general @admins @a role :wave:"),
        ]
        await answered(place, await place.ask(f"!ask n=1 Who is <@{ada.id}>?", reply_to=two), "three")
    assert told(place) == [(None, "Who is @Ada x 1 everyone?")]


async def test_what_is_said_by_a_slash_command_is_part_of_the_conversation(place: Place) -> None:
    async with place.present():
        one = await answered(place, await place.ask(place.mention("first")), "one")
        place.told.tell("two", None)
        asked = await place.discord.slash(place.channel, place.member, "send_message", text="second")
        two = await place.discord.shown(asked)
        await place.discord.until(lambda: two.components)
        assert told(place) == [(None, "first"), ("bot", "one"), (None, "second")]
        await answered(place, await place.ask("third", reply_to=two), "three")
        assert told(place)[2:] == [(None, "second"), ("bot", "two"), (None, "third")]
        await answered(place, await place.ask("otherwise", reply_to=one), "four")
    assert told(place) == [(None, "first"), ("bot", "one"), (None, "otherwise")]


async def test_files_are_read_with_a_question_in_every_form(place: Place) -> None:
    file = Attachment("notes.md", b"opens at seven")
    read = "\n\nAttached notes.md:\n```\nopens at seven\n```"
    async with place.present():
        await answered(place, await place.ask("!ask When?", files=[file]), "one")
        assert told(place) == [(None, f"When?{read}")]
        await answered(place, await place.ask('!send_message "And?"', files=[file]), "two")
        assert told(place) == [(None, f"And?{read}")]
        place.told.tell("three", None)
        await place.discord.shown(
            await place.discord.slash(
                place.channel, place.member, "ask", question="By slash?", attachment=file
            )
        )
    assert told(place) == [(None, f"By slash?{read}")]


async def test_names_and_answers_ping_nobody(place: Place) -> None:
    """The double notes any message that could."""
    trickster = place.discord.person("@everyone")
    async with place.present():
        answer = f"@here <@{place.member.id}> <@&{place.guild.admin_role}> ||@everyone||"
        shown = await answered(place, await place.ask(place.mention("shout"), trickster), answer)
        assert shown.content == answer
        await place.ask(f"!job @everyone <@{place.member.id}>", trickster)
        await place.discord.until(lambda: len(place.discord.said(place.channel)) > 1)
    assert place.discord.wrong == []

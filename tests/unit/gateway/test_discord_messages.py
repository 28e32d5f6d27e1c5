"""Which messages are meant for the bot, whose they are, and who may do what."""

from unittest.mock import MagicMock

import discord
import pytest

from chorus.common.contracts.datasets import Turn
from chorus.gateway.frontends.discord.messages import Ear, heard, names_of
from chorus.gateway.frontends.discord.origin import of_message, of_reaction
from chorus.gateway.frontends.discord.rooms import Rooms

ME, ROLE = 4711, 815


def message(
    content: str,
    *,
    private: bool = False,
    bot: bool = False,
    webhook: int | None = None,
    manages: bool = False,
    answers: int | None = None,
    kind: discord.MessageType = discord.MessageType.default,
    known: bool = True,
    files: int = 0,
    file: str = "map.png",
) -> discord.Message:
    """A message as discord.py hands it over."""
    made = MagicMock(spec=discord.Message)
    made.content, made.webhook_id, made.type, made.reference = content, webhook, kind, None
    made.channel = MagicMock(spec=discord.DMChannel if private else discord.TextChannel)
    made.attachments = [MagicMock(spec=discord.Attachment, filename=file, content_type=None)] * files
    role = MagicMock(spec=discord.Role, id=ROLE)
    made.guild = None if private or not known else MagicMock(spec=discord.Guild, id=900, self_role=role)
    made.author = MagicMock(spec=discord.User if private else discord.Member, id=42, bot=bot)
    if not private:
        made.author.guild_permissions = discord.Permissions(manage_guild=manages)
    if answers is not None:
        answered = MagicMock(spec=discord.Message)
        answered.author.id = answers
        made.reference = MagicMock(resolved=answered)
    return made


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (message("!jobs"), "!jobs"),
        (message('  !train "a <@4711> b"\n'), '!train "a <@4711> b"'),
        (message("!Train words"), "!Train words"),
        (message("!trian words"), "!trian words"),
        (message("<@4711> what is new?"), "what is new?"),
        (message("<@!4711>, hello"), ", hello"),
        (message("what do you say, <@4711>"), "what do you say,"),
        (message("<@4711> !jobs"), "!jobs"),
        (message("<@&815> what is new?"), "what is new?"),
        (message("<@4711>", files=1), ""),
        (message("<@4711>"), "!help"),
        (message("and then?", answers=ME, kind=discord.MessageType.reply), "and then?"),
        (message("what is new?", private=True), "what is new?"),
        (message("!nothing", private=True), "!nothing"),
        (message("", private=True), "!help"),
        (message("", private=True, files=1), ""),
    ],
)
def test_what_is_meant_for_us(given: discord.Message, line: str) -> None:
    assert heard(given, Ear(ME)) == line


@pytest.mark.parametrize(
    "given",
    [
        message("hello all"),
        message("<@99> hello"),
        message("<@&99> hello"),
        message("!play a song"),
        message("!"),
        message("! surprise"),
        message("!!!"),
        message(""),
        message("and then?", answers=99),
        message("", answers=ME),
        message("!play a song", answers=ME),
        message("!jobs", bot=True),
        message("<@4711> hi", bot=True),
        message("!jobs", webhook=5),
        message("hi", private=True, bot=True),
        message("<@4711>", kind=discord.MessageType.pins_add),
        message("<@4711> hi", known=False),
    ],
)
def test_what_is_not(given: discord.Message) -> None:
    assert heard(given, Ear(ME)) is None


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (message("?jobs"), "!jobs"),
        (message("!jobs"), None),
        (message("?play a song"), None),
        (message("<@4711> ?jobs"), "!jobs"),
        (message("<@4711> !jobs"), "!jobs"),
        (message("?jobs", private=True), "!jobs"),
    ],
)
def test_a_server_may_have_another_prefix(given: discord.Message, line: str | None) -> None:
    assert heard(given, Ear(ME, prefix="?")) == line


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (message("what is new?"), "what is new?"),
        (message("!play a song"), None),
        (message("", files=1), ""),
        (message(""), None),
        (message("to you", answers=ME), "to you"),
        (message("to each other", answers=99), None),
        (message("hello", bot=True), None),
        (message("hello", webhook=5), None),
    ],
)
def test_where_it_listens_all_is_meant_for_it_but_what_answers_others(
    given: discord.Message, line: str | None
) -> None:
    assert heard(given, Ear(ME, listens=True)) == line


@pytest.mark.parametrize("hears", [True, False])
def test_a_recording_in_reply_to_us_says_something_where_it_is_heard(hears: bool) -> None:
    spoken = message("", answers=ME, kind=discord.MessageType.reply, files=1, file="voice-message.ogg")
    assert heard(spoken, Ear(ME, hears=hears)) == ("" if hears else None)
    assert heard(message("", answers=ME, files=1), Ear(ME, hears=hears)) is None, "a picture says nothing"
    assert heard(message("", files=1, file="voice-message.ogg"), Ear(ME, hears=hears)) is None


def test_a_deleted_message_that_is_replied_to_is_nobodys() -> None:
    given = message("and then?")
    given.reference = MagicMock(resolved=MagicMock(spec=discord.DeletedReferencedMessage))
    assert heard(given, Ear(ME)) is None


def test_tenants() -> None:
    assert of_message(message("hi")).guild == "900"
    assert of_message(message("hi", private=True)).guild == "dm-42"


@pytest.mark.parametrize(
    ("given", "may"),
    [
        (message("x"), False),
        (message("x", manages=True), True),
        (message("x", private=True), True),
    ],
)
def test_who_runs_the_place(given: discord.Message, may: bool) -> None:
    assert of_message(given).admin is may


def test_in_a_thread_the_settings_of_its_channel_count() -> None:
    given = message("x")
    given.channel = MagicMock(spec=discord.Thread, id=8, parent_id=7)
    thumb = MagicMock(spec=discord.RawReactionActionEvent, guild_id=900, channel_id=8, message_id=1)
    for origin in (of_message(given), of_reaction(thumb, given.author, given.channel)):
        assert (origin.guild, origin.room, origin.channel) == ("900", 8, "7")


def test_whoever_has_no_standing_in_a_server_runs_nothing() -> None:
    given = message("x")
    given.author = MagicMock(spec=discord.User)  # left, or unknown to us
    assert not of_message(given).admin


def test_a_person_is_known_by_their_account_not_by_what_they_call_themselves() -> None:
    member = MagicMock(spec=discord.Member, global_name="Marit B.", nick="Captain")
    member.name = "marit"
    assert names_of(member) == ("marit",)


def test_the_channel_that_is_silent_longest_is_forgotten() -> None:
    rooms = Rooms(1.0, most=2)
    first, second = rooms.of(1, "100"), rooms.of(2, "100")
    assert rooms.of(1, "100") is first
    rooms.of(3, "100")
    assert rooms.of(1, "100") is first
    assert rooms.of(2, "100") is not second


def test_all_conversations_of_a_server_are_forgotten_and_no_others() -> None:
    rooms = Rooms(1.0)
    places = [rooms.of(1, "100"), rooms.of(2, "100"), rooms.of(3, "200"), rooms.of(4, "dm-7")]
    for room in places:
        room.session.turns.append(Turn(role="user", content="words"))
    rooms.forget("100")
    assert [len(room.session.turns) for room in places] == [0, 0, 1, 1]

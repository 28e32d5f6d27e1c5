"""Lines that bots' parsers have read wrongly: cut off, refused, or run by somebody who may not."""

from collections.abc import AsyncIterator, Sequence

import pytest

from chorus.gateway.commands.ports import NewDataset, Upload
from tests.support.discord.double import running_discord
from tests.support.discord.forms import code
from tests.support.discord.place import Place
from tests.support.discord.world import Attachment, Message, User

FILE = Attachment("data.json", b"[]")
RECORD = '{"prompt": "Where is it?"}'


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def reply(
    place: Place, line: str, who: User | None = None, files: Sequence[Attachment] = ()
) -> Message:
    """The first that is said to it."""
    before = len(place.discord.said(place.channel))
    await place.ask(line, who or place.admin, files=files)
    said = await place.discord.until(lambda: place.discord.said(place.channel)[before:])
    return said[0]


def learned(place: Place) -> tuple[list[bytes], bool]:
    """What the newest dataset is of, and whether these are replies to give."""
    _, new = place.world.datasets.added[-1]
    assert isinstance(new, NewDataset)
    return [_bytes(file) for file in new.files], new.positive


def _bytes(file: Upload) -> bytes:
    assert isinstance(file.data, bytes)
    return file.data


@pytest.mark.parametrize(
    ("line", "words", "positive"),
    [
        ('!train "hello world" positive=False', "hello world", False),
        ("!train “smart quotes” Positive=false epochs=3", "smart quotes", False),
        ("!train hello world positive=False", "hello world", False),
        ("!train x = y positive=False", "x = y", False),
        ('!TRAIN "case does not matter"', "case does not matter", True),
    ],
)
async def test_nothing_of_what_is_typed_is_dropped(
    place: Place, line: str, words: str, positive: bool
) -> None:
    async with place.present():
        await place.ask(line, place.admin)
        await place.discord.until(lambda: place.world.datasets.added)
    assert learned(place) == ([words.encode()], positive)


async def test_an_attachment_is_learned_and_so_are_words_beside_it(place: Place) -> None:
    async with place.present():
        await place.ask("!train", place.admin, files=[FILE])
        await place.discord.until(lambda: len(place.world.datasets.added) == 1)
        assert learned(place) == ([FILE.data], True)
        await place.ask('!train "t" positive=no', place.admin, files=[FILE])
        await place.discord.until(lambda: len(place.world.datasets.added) == 3)
    added = [new for _, new in place.world.datasets.added[1:]]
    assert {(_bytes(new.files[0]), new.positive) for new in added} == {(b"t", False), (FILE.data, False)}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ('!train "x" epochs=1001', "invalid_parameter"),
        ('!train "x" positive=maybe', "invalid_parameter"),
        ('!train "unclosed', "unclosed_quotes"),
        ("!test {nonsense", "invalid_test_data"),
        ("!correct 1234567890123456789 better text", "unknown_reply"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_learned(place: Place, line: str, refused: str) -> None:
    async with place.present():
        message = await reply(place, line)
    assert code(message.content) == refused
    assert not place.world.datasets.added


@pytest.mark.parametrize("line", [f"!test {RECORD}", f"!test ```json\n{RECORD}\n```", f"!test '{RECORD}'"])
async def test_json_is_read_with_its_quotes_and_spaces(place: Place, line: str) -> None:
    place.told.tell("x y", None)
    async with place.present():
        message = await reply(place, line)
        await place.discord.until(lambda: "Test complete. Predictions: x y" in message.content)


async def test_a_command_for_some_is_refused_to_others_as_a_line_and_as_a_slash_command(place: Place) -> None:
    async with place.present():
        typed = await reply(place, "!use base", place.member)
        slashed = await place.discord.slash(place.channel, place.member, "use", model="base")
        assert code(typed.content) == code((await place.discord.shown(slashed)).content) == "not_permitted"


async def test_a_line_that_is_meant_for_another_bot_is_not_answered(place: Place) -> None:
    async with place.present():
        await place.ask("!foo bar", place.member)
        await reply(place, "!hi", place.member)
    assert [message.content for message in place.discord.said(place.channel)] == ["HI!"]

"""Answers that grow on Discord: the first words at once, then the newest at a pace, at last all of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack

import pytest

from chorus.common.contracts.generation import Delta, End, Usage, Waiting
from chorus.common.errors import Unavailable
from chorus.gateway.commands.replies import (
    Button,
    Stream,
)
from chorus.gateway.frontends.discord.place import Buttons
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.streaming import Live, Newest, Pace
from tests.unit.gateway.fake_place import EVERY, FakePlace, FakePosted, a_pace, renderer


@pytest.fixture
def place() -> FakePlace:
    return FakePlace()


async def pieces(texts: Iterable[str], reason: str = "stop", dropped: int = 0) -> AsyncIterator[Delta | End]:
    for i, text in enumerate(texts):
        await asyncio.sleep(0.002)
        yield Delta(i=i, text=text)
    usage = Usage(prompt_tokens=1, completion_tokens=1)
    yield End.model_validate(
        {"model": "m", "finish_reason": reason, "usage": usage, "dropped_messages": dropped}
    )


async def test_the_latest_wins_and_edits_keep_their_distance(place: FakePlace) -> None:
    words = [f"word{number} " for number in range(100)]
    await renderer(place).show(Stream(pieces(words)))
    (posted,) = place.posted
    assert posted.text == "".join(words).strip()
    assert posted.versions[0][1] == "word0", "the first words are shown at once"
    times = [at for at, _ in posted.versions]
    assert all(later - earlier >= EVERY * 0.98 for earlier, later in itertools.pairwise(times))
    assert 3 <= len(times) < 20, "what comes meanwhile is shown together"


async def test_two_answers_in_one_channel_share_its_pace(place: FakePlace) -> None:
    pace = a_pace()
    shows = [Renderer(place, pace).show(Stream(pieces(["a "] * 60))) for _ in range(2)]
    await asyncio.gather(*shows)
    edits = sorted(at for posted in place.posted for at, _ in posted.versions[1:-1])
    assert all(later - earlier >= EVERY * 0.98 for earlier, later in itertools.pairwise(edits))
    for posted in place.posted:
        times = [at for at, _ in posted.versions]
        assert all(later - earlier >= EVERY * 0.98 for earlier, later in itertools.pairwise(times))
    assert all(text == ("a " * 60).strip() for text in place.texts)


async def test_the_end_of_a_text_waits_for_no_other_text(place: FakePlace) -> None:
    pace = a_pace()
    ends = asyncio.Event()

    async def text() -> AsyncIterator[Delta | End]:
        yield Delta(i=0, text="Hel")
        await ends.wait()
        yield Delta(i=1, text="lo.")

    shown = asyncio.create_task(Renderer(place, pace).show(Stream(text())))
    async with asyncio.timeout(5):
        while not place.posted:
            await asyncio.sleep(0)
    others = [asyncio.create_task(pace.turn()) for _ in range(20)]
    ended_at = asyncio.get_running_loop().time()
    ends.set()
    await shown
    assert place.posted[0].versions[-1][0] - ended_at < EVERY * 4
    assert place.texts == ["Hello."]
    for other in others:
        other.cancel()


async def test_the_more_texts_grow_the_slower_each_is_edited_and_each_has_an_edit_for_its_end() -> None:
    pace = Pace(0.0)
    pace.edited(5, 4, EVERY * 5)

    async def next_turn(texts: int) -> float:
        with ExitStack() as stack:
            for _ in range(texts):
                stack.enter_context(pace.grows())
            begun = asyncio.get_running_loop().time()
            await pace.turn()
        return asyncio.get_running_loop().time() - begun

    await next_turn(1)
    assert (
        EVERY * 1.2
        <= await next_turn(1)
        < EVERY * 2.4
        <= await next_turn(3)
        < EVERY * 4.8
        <= await next_turn(4)
    )
    waiting = asyncio.create_task(next_turn(5))
    await asyncio.wait([waiting], timeout=EVERY * 6)
    assert not waiting.done(), "all five edits are kept for the ends"
    waiting.cancel()


async def test_a_turn_comes_sooner_once_other_texts_have_ended() -> None:
    pace = a_pace()
    with ExitStack() as others:
        for _ in range(4):
            others.enter_context(pace.grows())
        with pace.grows():
            waiting = asyncio.create_task(pace.turn())
            await asyncio.sleep(0)
            pace.edited(5, 4, EVERY)
            others.close()
            async with asyncio.timeout(5):
                await waiting


async def test_what_somebody_else_has_edited_is_counted() -> None:
    pace = Pace(0.0)
    pace.edited(5, 4, EVERY * 5)
    pace.edited(5, 0, EVERY * 5)
    begun = asyncio.get_running_loop().time()
    await pace.turn()
    assert asyncio.get_running_loop().time() - begun >= EVERY * 4.8


async def test_an_answer_that_is_longer_than_three_messages_is_a_file_below_them(place: FakePlace) -> None:
    words = [f"{number:04}" for number in range(1500)]
    place.largest_file = 10_000
    await renderer(place).show(Stream(pieces([" ".join(words)])))
    shown = " ".join(place.texts[:3]).split()
    assert len(shown) > 1000
    assert shown == words[: len(shown)]
    assert place.texts[3:] == ["-# The answer is longer than three messages. All of it is in this file."]
    assert place.files == [("answer.md", " ".join(words).encode())]


async def test_a_long_answer_goes_on_in_further_messages(place: FakePlace) -> None:
    words = [f"{number:04} " for number in range(1000)]
    await renderer(place, 0.01).show(Stream(pieces(words)))
    assert len(place.posted) == 3
    assert " ".join(place.texts).split() == [word.strip() for word in words]
    assert all(len(text) <= 2000 for posted in place.posted for _, text in posted.versions)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (pieces(["Hi."], "length"), "Hi.\n-# Cut off: the answer reached its length limit."),
        (pieces(["Hi."], dropped=3), "Hi.\n-# 3 older messages did not fit the model's memory."),
        (pieces([" ", "\n"]), "-# The model gave an empty answer."),
    ],
)
async def test_what_else_is_to_be_known_is_told_below(
    place: FakePlace, answer: AsyncIterator[Delta | End], shown: str
) -> None:
    await renderer(place).show(Stream(answer))
    assert place.texts == [shown]


@pytest.mark.parametrize(("in_role", "shown"), [(False, "I am Ada."), (True, "-# AI\nI am Ada.\n-# main@1")])
async def test_who_speaks_as_somebody_is_labelled_as_a_machine(
    place: FakePlace, in_role: bool, shown: str
) -> None:
    async def answer() -> AsyncIterator[Delta | End]:
        yield Delta(i=0, text="I am Ada.")
        yield End(model="main@1", finish_reason="stop", usage=Usage(prompt_tokens=1, completion_tokens=1))

    again = Button("Regenerate", "!regenerate reply=@")
    await renderer(place).show(Stream(answer(), buttons=(again,), in_role=in_role))
    assert place.texts == [shown]
    assert place.posted[0].versions[0][1].startswith("-# AI\n") is in_role, "from its first piece"
    assert place.posted[0].buttons == (again,), "they come with the last edit"
    assert len(place.posted[0].versions) <= 2


@pytest.mark.parametrize(("model", "told"), [("starter", "\n-# Untrained."), ("main@1", ""), ("gpt2", "")])
async def test_the_toy_says_below_its_answer_what_it_is(place: FakePlace, model: str, told: str) -> None:
    async def answer() -> AsyncIterator[Delta | End]:
        yield Delta(i=0, text="Ahoy.")
        yield End(model=model, finish_reason="stop", usage=Usage(prompt_tokens=1, completion_tokens=1))

    await renderer(place).show(Stream(answer(), if_a_toy="Untrained."))
    assert place.texts == [f"Ahoy.{told}"]


async def broken(error: Exception) -> AsyncIterator[Delta | End]:
    yield Delta(i=0, text="Half of ")
    yield Delta(i=1, text="it")
    raise error


QUEUED = Waiting(code="queued", text="3 ahead of you")


async def after_a_while(*given: Waiting | Delta | Unavailable) -> AsyncIterator[Waiting | Delta | End]:
    """These pieces, each seen for a moment, then an end, or an error."""
    for piece in given:
        if isinstance(piece, Unavailable):
            raise piece
        yield piece
        await asyncio.sleep(EVERY * 1.5)
    usage = Usage(prompt_tokens=1, completion_tokens=1)
    yield End(model="m", finish_reason="stop", usage=usage, dropped_examples=2)


async def test_why_one_waits_is_a_message_that_becomes_the_answer(place: FakePlace) -> None:
    await renderer(place).show(Stream(after_a_while(QUEUED, Delta(i=0, text="Hello."), QUEUED)))
    (posted,) = place.posted
    assert [text for _, text in posted.versions] == [
        "-# 3 ahead of you",
        "Hello.",
        "Hello.\n-# 2 examples did not fit the model's memory.",
    ]


async def test_who_waited_in_vain_is_told_in_the_same_message(place: FakePlace) -> None:
    busy = Unavailable("Busy, 37 ahead.", code="busy", retry_after=4.2)
    await renderer(place).show(Stream(after_a_while(QUEUED, busy)))
    assert place.texts == ["✗ Busy, 37 ahead. Try again in 5 s. [busy]"]


async def test_several_answers_grow_below_their_titles(place: FakePlace) -> None:
    grown = after_a_while(Delta(i=0, text="```py\nx = 1", choice=1), Delta(i=1, text="Hello."))
    await renderer(place).show(Stream(grown, ("main@1", "main@2")))
    (posted,) = place.posted
    code = "```py\nx = 1\n```"
    assert posted.versions[0][1] == f"**main@1**\n…\n**main@2**\n{code}"
    assert (
        posted.text
        == f"**main@1**\nHello.\n**main@2**\n{code}\n-# 2 examples did not fit the model's memory."
    )


async def test_an_answer_that_breaks_off_is_shown_with_its_reason(place: FakePlace) -> None:
    await renderer(place).show(Stream(broken(Unavailable("Nobody answers."))))
    assert place.texts == ["Half of it", "✗ Nobody answers. [unavailable]"]


async def test_a_fault_of_ours_shows_no_insides(place: FakePlace) -> None:
    await renderer(place).show(Stream(broken(ZeroDivisionError("secret"))))
    assert place.texts[-1].endswith("[internal_error]")
    assert "secret" not in str(place.texts)


async def test_who_leaves_stops_the_source() -> None:
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            for number in range(10**9):
                yield number
                await asyncio.sleep(0)
        finally:
            stopped.set()

    async with Newest(endless()) as newest:
        assert await newest.changed()
        newest.take()
    assert stopped.is_set()


async def test_a_message_that_cannot_be_edited_stops_the_source(place: FakePlace) -> None:
    class Gone(Exception):
        pass

    async def edit(self: FakePosted, text: str, buttons: Buttons = ()) -> None:
        raise Gone

    stopped = asyncio.Event()

    async def texts() -> AsyncIterator[str]:
        try:
            for number in range(10**6):
                yield str(number)
                await asyncio.sleep(0.001)
        finally:
            stopped.set()

    FakePosted.edit, whole = edit, FakePosted.edit  # type: ignore[method-assign]
    try:
        with pytest.raises(Gone):
            await Live(place, a_pace()).follow(texts())
    finally:
        FakePosted.edit = whole  # type: ignore[method-assign]
    assert stopped.is_set()

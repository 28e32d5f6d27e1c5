"""Answers on Discord to their end: several in one channel, one that is cut off, one that is very long."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

from chorus.common.contracts.generation import Delta, End, Usage
from chorus.gateway.commands.ports import Question
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Message
from tests.unit.gateway.fakes import FakeAnswers

TOGETHER, WORDS, PACE = 5, 90, 20.0  # answers; words of each; a second
SOON = 1.5  # seconds from an answer's end until all of it is shown
APART = 1.2  # seconds between edits of one message


class Writer:
    """Models that write at a pace; `ended` has when each was done, by its question (the loop's seconds)."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}

    async def ask(self, guild: str, question: Question) -> AsyncIterator[Delta | End]:
        loop = asyncio.get_running_loop()
        name, began = question.messages[-1].content, loop.time()
        for number in range(WORDS):
            await asyncio.sleep(max(0.0, began + number / PACE - loop.time()))
            yield Delta(i=number, text=f"{name} " if number < WORDS - 1 else "end")
        self.ended[name] = loop.time()
        usage = Usage(prompt_tokens=1, completion_tokens=1)
        yield End(model="base", finish_reason="stop", usage=usage)


async def test_five_answers_in_one_channel_that_end_together_are_whole_soon() -> None:
    async with running_discord() as discord:
        place, writer = Place(discord), Writer()
        place.world.answers = writer  # type: ignore[assignment]
        async with place.present():
            for number in range(TOGETHER):
                await place.ask(place.mention(f"q{number}"))
            answers = await discord.until(
                lambda: (
                    len(whole := [m for m in discord.said(place.channel) if m.components]) == TOGETHER
                    and whole
                )
            )
        for answer in answers:
            name = answer.content.split()[0]
            whole_at = next(at for at, text in answer.versions if text.endswith("end"))
            assert whole_at - writer.ended[name] <= SOON
            gaps = [later - earlier for (earlier, _), (later, _) in pairwise(answer.versions)]
            assert min(gaps) >= APART
        assert discord.rest.limits.refused == 0


async def test_an_answer_that_was_cut_off_goes_on_below_it_at_a_press() -> None:
    async with running_discord() as discord:
        place = Place(discord)
        answers = place.world.answers = taught()
        answers.cut_off, answers.says = True, {None: "We open"}
        async with place.present():
            await place.ask(place.mention("When?"))
            first = await with_button(place, "Continue")
            assert first.content == "We open\n-# Cut off: the answer reached its length limit."
            answers.cut_off, answers.says = False, {None: " at eight."}
            await discord.press(first, "Continue", place.member)
            second = await discord.until(lambda: next(iter(discord.said(place.channel)[1:]), None))
            await discord.until(lambda: second.components)
            assert (second.content.strip(), second.reply_to) == ("at eight.", first)
            assert "Continue" not in labels(second), "it has come to its end"
            assert [turn.content for turn in answers.asked[-1][2]][:2] == ["When?", "We open"]
            await place.ask("Sure?", reply_to=second)
            await discord.until(lambda: len(answers.asked) == 3)
    assert [turn.content for turn in answers.asked[-1][2]] == ["When?", "We open at eight.", "Sure?"]


async def test_what_is_longer_than_three_messages_is_handed_over_as_a_file() -> None:
    async with running_discord() as discord:
        place, words = Place(discord), " ".join(f"{number:05}" for number in range(1200))
        place.world.answers = taught()
        place.world.answers.says = {None: words}
        async with place.present():
            await place.ask(place.mention("All of it?"))
            await discord.until(lambda: len(discord.said(place.channel)) == 4)
        *pieces, file = discord.said(place.channel)
    assert words.startswith(" ".join(piece.content for piece in pieces))
    assert [(one.name, one.data.decode()) for one in file.attachments] == [("answer.md", words)]


def taught() -> FakeAnswers:
    """Not the starter, below whose first answer it is said that it knows nothing yet."""
    answers = FakeAnswers()
    answers.base = "harbour"
    return answers


def labels(message: Message) -> list[str]:
    return [button["label"] for row in message.components for button in row["components"]]


async def with_button(place: Place, label: str) -> Message:
    """The bot's message that has this button, once it has."""
    return await place.discord.until(
        lambda: next((m for m in place.discord.said(place.channel) if label in labels(m)), None)
    )

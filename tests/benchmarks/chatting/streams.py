"""A hundred answers at once in twenty channels: how often they are edited, and when each is whole.

They begin within three seconds, and are of different lengths: Discord takes 50 requests a second of a bot,
and a hundred that begin or end at one moment would measure that. After three seconds all of them grow.

What writes them stands in the place of inference on the bus: it writes at a known pace, and notes when it
has ended, which no real engine tells.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path
from statistics import median

from chorus.inference.generation.ports import Piece, Work
from tests.benchmarks.chatting.process import a_gateway
from tests.benchmarks.figures import Report
from tests.support.answering import Answering, Engine
from tests.support.discord.double import Discord, running_discord
from tests.support.discord.world import Message
from tests.support.servers import Servers

CHANNELS, IN_EACH = 20, 5
BEGIN_WITHIN = 3.0  # seconds
TOKENS = range(200, 300)  # of an answer
PACE = 65.0  # tokens a second
WORDS = ("harbour ", "lantern ", "rope ", "tide ", "gull ")
WITHIN = 120.0  # seconds


class Writer(Engine):
    """Writes at a steady pace; `ended` says when each question's answer was whole (the loop's seconds)."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: dict[str, float] = {}

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        began, question = time.perf_counter(), work.turns[-1].content
        words = answer_to(question)
        for number, word in enumerate(words, start=1):
            await asyncio.sleep(max(0.0, began + number / PACE - time.perf_counter()))
            yield Piece(word, 1, "stop" if number == len(words) else None)
        self.ended[question] = asyncio.get_running_loop().time()


def answer_to(question: str) -> list[str]:
    """Word by word; its length follows from the number in the question."""
    number = int(re.sub(r"\D", "", question))
    return [WORDS[at % len(WORDS)] for at in range(TOKENS[number * 37 % len(TOKENS)])]


def text_of(question: str) -> str:
    """The whole answer, as it is shown at last."""
    return "".join(answer_to(question)).strip()


async def measure(servers: Servers, folder: Path, report: Report) -> int:
    """Edits' gaps and the lag of the last one; returns how many answers failed, or were refused."""
    answering, writer = Answering(at_once=CHANNELS * IN_EACH * 2, guild_waiting=64), Writer()
    answering.voices.engine = writer
    async with running_discord() as discord, answering.on(servers):
        places = [discord.guild(f"harbour {number}") for number in range(CHANNELS)]
        async with a_gateway(servers, folder, discord):
            asked: dict[str, Message] = {}
            for number in range(CHANNELS * IN_EACH):
                _, channel, admin = places[number % CHANNELS]
                question = f"What is in locker {number}?"
                asked[question] = await discord.say(channel, admin, f"<@{discord.bot.id}> {question}")
                await asyncio.sleep(BEGIN_WITHIN / (CHANNELS * IN_EACH))
            answers = await whole_ones(discord, asked)
        gaps = [
            later - earlier
            for answer in answers.values()
            for (earlier, _), (later, _) in pairwise(answer.versions)
        ]
        lags = [whole_at(answer) - writer.ended[question] for question, answer in answers.items()]
    missing = len(asked) - len(answers)
    told = f"{min(gaps):.2f} s (at least 1.2), median {median(gaps):.2f} s, of {len(gaps)} edits"
    report.add("min_edit_gap_s", min(gaps), told, f"{discord.rest.limits.refused} refused by Discord (none)")
    told = f"{max(lags):.2f} s at most (1.5), median {median(lags):.2f} s, {len(answers)} answers at once"
    report.add("lag_after_end_s", max(lags), told)
    return missing + discord.rest.limits.refused


async def whole_ones(discord: Discord, asked: dict[str, Message]) -> dict[str, Message]:
    """Each question's answer, once it says all; those that never do are left out."""
    questions = {message.id: question for question, message in asked.items()}

    def whole() -> dict[str, Message]:
        return {
            questions[m.reply_to.id]: m
            for m in discord.rest.messages.values()
            if m.author == discord.bot and m.reply_to and m.content == text_of(questions[m.reply_to.id])
        }

    give_up = time.monotonic() + WITHIN
    while len(found := whole()) < len(asked) and time.monotonic() < give_up:
        await asyncio.sleep(0.2)
    return found


def whole_at(answer: Message) -> float:
    """When it first said all that it says now (the loop's seconds)."""
    return next(at for at, content in answer.versions if content == answer.content)

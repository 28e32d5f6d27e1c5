"""A hundred answers at once in twenty channels: how often they are edited, and when each is whole.

What writes them stands in the place of inference on the bus: it writes at a known pace, and notes when it
has ended, which no real engine tells.
"""

import asyncio
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
TOKENS, PACE = 300, 65.0  # of an answer; a second
WORDS = ("harbour ", "lantern ", "rope ", "tide ", "gull ")
WITHIN = 120.0  # seconds


class Writer(Engine):
    """Writes at a steady pace; `ended` says when each question's answer was whole (the loop's seconds)."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: dict[str, float] = {}

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        began, loop = time.perf_counter(), asyncio.get_running_loop()
        for number in range(TOKENS):
            await asyncio.sleep(max(0.0, began + number / PACE - time.perf_counter()))
            last = number == TOKENS - 1
            yield Piece(WORDS[number % len(WORDS)], 1, "stop" if last else None)
        self.ended[question_of(work)] = loop.time()


TEXT = "".join(WORDS[number % len(WORDS)] for number in range(TOKENS)).strip()


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
            answers = await whole_ones(discord, asked)
        gaps = [
            later - earlier
            for answer in answers.values()
            for (earlier, _), (later, _) in pairwise(answer.versions)
        ]
        lags = [last_change(answer, TEXT) - writer.ended[question] for question, answer in answers.items()]
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
            if m.author == discord.bot and m.reply_to and m.content == TEXT
        }

    give_up = time.monotonic() + WITHIN
    while len(found := whole()) < len(asked) and time.monotonic() < give_up:
        await asyncio.sleep(0.2)
    return found


def last_change(answer: Message, text: str) -> float:
    """When it first said the whole text (the loop's seconds)."""
    return next(at for at, content in answer.versions if content == text)


def question_of(work: Work) -> str:
    """What was asked."""
    return work.turns[-1].content

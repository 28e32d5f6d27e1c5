"""Questions over the bus, and a stop-watch at the client: from its sending to what it receives."""

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pydoc_data.topics import topics

from pydantic import TypeAdapter

from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import CANCEL, GENERATE, Delta, End, Generate, GenerateReply, Sampling
from chorus.common.contracts.names import LOCAL
from chorus.common.errors import ChorusError

REPLIES: TypeAdapter[GenerateReply] = TypeAdapter(GenerateReply)
WORDS = 20  # of a question: about 50 tokens of the starter's, with the template's


@dataclass(frozen=True)
class Question:
    """One request; its reply has exactly `tokens` tokens."""

    text: str
    tokens: int
    model: str | None = None
    guild: str = LOCAL

    def turns(self) -> list[Turn]:
        """As a chat."""
        return [Turn(role="user", content=self.text)]

    def request(self) -> Generate:
        """As it is sent."""
        sampling = Sampling(temperature=0, max_tokens=self.tokens)
        return Generate(guild=self.guild, model=self.model, messages=self.turns(), sampling=sampling)


@dataclass(frozen=True)
class Heard:
    """What came back: seconds from the sending, or the code of what went wrong."""

    question: Question
    sent: float
    """By `time.perf_counter`."""
    whole: float
    """Seconds until the reply's end, or until it failed."""
    first: float | None = None
    """Seconds until the first piece of text."""
    text: str = ""
    tokens: int = 0
    model: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Round:
    """What a number of questions came to; of ours and of a peer."""

    tokens: int
    seconds: float
    firsts: Sequence[float]

    @property
    def tokens_per_s(self) -> float:
        """Of all replies together."""
        return self.tokens / self.seconds


async def hear(connection: Connection, question: Question, *, patience: float = 0.0) -> Heard:
    """Ask, and take in the reply; refusals are waited out as told, up to `patience` seconds."""
    sent = time.perf_counter()
    first, text, end, error = None, "", None, None
    replies = ask_stream(connection, GENERATE, question.request(), REPLIES, cancel=CANCEL, patience=patience)
    try:
        async for reply in replies:
            if isinstance(reply, Delta):
                first = first or time.perf_counter() - sent
                text += reply.text
            elif isinstance(reply, End):
                end = reply
    except ChorusError as raised:
        error = raised.code
    whole = time.perf_counter() - sent
    if end is None:
        return Heard(question, sent, whole, first, text, error=error or "no_end")
    return Heard(question, sent, whole, first, text, end.usage.completion_tokens, end.model, error)


async def closed_loop(
    connection: Connection, questions: Iterable[Question], *, at_once: int, patience: float = 0.0
) -> list[Heard]:
    """So many clients, each asking its next question when it has heard the reply to the last."""
    waiting, heard = iter(questions), list[Heard]()

    async def client() -> None:
        for question in waiting:
            heard.append(await hear(connection, question, patience=patience))

    async with asyncio.TaskGroup() as clients:
        for _ in range(at_once):
            clients.create_task(client())
    return heard


def summed_up(heard: Sequence[Heard]) -> Round:
    """A round in figures. A reply that failed would make all of them wrong, and so ends the benchmark."""
    errors = {answer.error for answer in heard if answer.error}
    assert not errors, f"{errors} in a round that is measured"
    began = min(answer.sent for answer in heard)
    ended = max(answer.sent + answer.whole for answer in heard)
    firsts = [answer.first for answer in heard if answer.first is not None]
    return Round(sum(answer.tokens for answer in heard), ended - began, firsts)


def questions(count: int, *, seed: int, words: int = WORDS) -> list[str]:
    """Texts that differ: stretches of Python's documentation."""
    text = " ".join(topics.values()).split()
    chance = random.Random(seed)
    starts = chance.sample(range(len(text) - words), count)
    return [" ".join(text[start : start + words]) for start in starts]


def zipf(names: Sequence[str], count: int, *, seed: int) -> list[str]:
    """So many draws, in which the k-th name comes up with a weight of 1/k."""
    weights = [1 / rank for rank in range(1, len(names) + 1)]
    return random.Random(seed).choices(names, weights, k=count)


def longest_gap(heard: Sequence[Heard]) -> float:
    """Seconds between the ends of two replies, at most."""
    ends = sorted(answer.sent + answer.whole for answer in heard)
    return max((later - earlier for earlier, later in pairwise(ends)), default=0.0)

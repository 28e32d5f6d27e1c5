"""What inference answers on the bus: a conversation in, a stream of text out; and how likely replies are.

Each request goes the same way: a place in the line or a refusal, the model made ready, its turn, and then
the engine. Whoever leaves, by word or by dying, is cancelled here, and gives back whatever it held.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import count
from typing import ParamSpec, TypeVar

import structlog

from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    SCORE,
    SERVED,
    Delta,
    End,
    Finish,
    Generate,
    ListServed,
    Score,
    Scored,
    Served,
    Usage,
    of_base,
)
from chorus.common.errors import Cancelled, ChorusError, TimedOut
from chorus.inference.generation.admission import Admission
from chorus.inference.generation.pacing import Pacing
from chorus.inference.generation.ports import Tell, Work, unheard
from chorus.inference.generation.prompt import Prompt, compose
from chorus.inference.generation.scoring import lessons, score
from chorus.inference.generation.voices import Voice, Voices
from chorus.inference.metrics import InferenceMetrics

LONG = 2000  # characters of a conversation, about 1.5 ms; a thread for less would cost more than it spares
PER_TURN = 150  # characters that take as long as laying out one message

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

log = structlog.get_logger()


class GenerationHandlers:
    """`infer.v1.*`."""

    def __init__(
        self,
        voices: Voices,
        admission: Admission,
        metrics: InferenceMetrics,
        served: Callable[[str | None], Served],
    ) -> None:
        """`served` lists what is at hand, of one guild or of all."""
        self._voices = voices
        self._admission = admission
        self._metrics = metrics
        self._served = served
        self._pacing = Pacing()
        self._works = count(1)

    def register(self, responder: Responder, base: str, *, default: bool) -> None:
        """Answer for the base model of this name; as the default one, also who names none."""
        for name in (None, base) if default else (base,):
            responder.stream("generate", of_base(GENERATE, name), Generate, self.generate, cancel=CANCEL)
            responder.answer("score", of_base(SCORE, name), Score, self.score, cancel=CANCEL)
        responder.answer("models", SERVED, ListServed, self.models)

    async def generate(self, asked: Generate, replies: ReplyStream) -> None:
        """Answer, piece by piece. What the asker has to wait for is told meanwhile."""
        arrived = time.perf_counter()
        async with self._counted(), _in_time(asked.within):
            async with self._turn(asked.guild, asked.model, replies.send) as voice:
                prompt = await _laid_out(
                    [*asked.examples, *asked.messages],
                    compose,
                    voice.served.tokenizer,
                    asked.messages,
                    asked.examples,
                    window=voice.engine.window,
                    reserve=asked.sampling.max_tokens,
                    remembers=voice.remembers,
                )
                end = await self._write(asked, voice, prompt, replies, arrived)
            await replies.send(end)

    async def score(self, asked: Score) -> Scored:
        """The likelihood of each reply, one after the other: a request has one slot of the engine."""
        async with self._counted(), self._turn(asked.guild, asked.model, unheard) as voice:
            prompt, made = await _laid_out(
                [
                    *asked.messages * len(asked.replies),
                    *(Turn(role="assistant", content=r) for r in asked.replies),
                ],
                lessons,
                voice.served.tokenizer,
                asked.messages,
                asked.replies,
                window=voice.engine.window,
                remembers=voice.remembers,
            )
            scores = [await score(voice.engine, lesson, voice.adapter) for lesson in made]
        return Scored(model=voice.name, scores=scores, dropped_messages=prompt.dropped_messages)

    async def models(self, asked: ListServed) -> Served:
        """What is at hand."""
        return self._served(asked.guild)

    @asynccontextmanager
    async def _turn(self, guild: str, model: str | None, tell: Tell) -> AsyncGenerator[Voice]:
        """The voice, ready, with a slot of its engine."""
        with self._admission.place(guild) as place:
            await self._voices.ready(guild, model, tell)
            async with place.turn(tell), self._voices.speaking(guild, model) as voice:
                yield voice

    async def _write(
        self, asked: Generate, voice: Voice, prompt: Prompt, replies: ReplyStream, arrived: float
    ) -> End:
        """Pass on what the engine writes; what is to be said at the end."""
        sent = written = 0
        reasons: list[Finish] = ["stop"] * asked.sampling.n
        work = Work(
            f"answer-{next(self._works)}",
            prompt.tokens,
            prompt.turns,
            asked.sampling,
            voice.adapter,
            asked.guild,
            tell=replies.send,
        )
        async with aclosing(self._pacing.gathered(voice.engine.generate(work))) as pieces:  # leaving stops it
            async for piece in pieces:
                written += piece.tokens
                self._metrics.wrote(asked.guild, piece.tokens)
                if piece.finish_reason:
                    reasons[piece.choice] = piece.finish_reason
                if piece.text:
                    if not sent:
                        self._metrics.first(time.perf_counter() - arrived)
                    await replies.send(Delta(i=sent, text=piece.text, choice=piece.choice))
                    sent += 1
        return End(
            model=voice.name,
            finish_reason=reasons[0],
            finish_reasons=reasons if asked.sampling.n > 1 else [],
            usage=Usage(prompt_tokens=len(prompt.tokens), completion_tokens=written),
            dropped_messages=prompt.dropped_messages,
            dropped_examples=prompt.dropped_examples,
        )

    @asynccontextmanager
    async def _counted(self) -> AsyncGenerator[None]:
        """Count what is refused; that somebody left is no refusal."""
        try:
            yield
        except ChorusError as error:
            if not isinstance(error, Cancelled):
                self._metrics.refused(error.code)
            raise


@asynccontextmanager
async def _in_time(seconds: float | None) -> AsyncGenerator[None]:
    """Break the work off after so long, if a time is set."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimedOut(
            f"The reply was not whole within {seconds:g} s. Allow it more time, or fewer tokens.",
            code="deadline_passed",
        ) from None


async def _laid_out(
    turns: Sequence[Turn],
    lay_out: Callable[Arguments, Result],
    *arguments: Arguments.args,
    **options: Arguments.kwargs,
) -> Result:
    """`lay_out(…)`, in a thread where `turns`, which it works on, are so long that others would notice."""
    if sum(PER_TURN + len(turn.content) for turn in turns) < LONG:
        return lay_out(*arguments, **options)
    return await asyncio.to_thread(lay_out, *arguments, **options)

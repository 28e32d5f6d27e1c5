"""`!test`: many questions at once, each with the answer that was hoped for, and how many came right.

It tests the voice as people hear it: under the persona and after the examples of the place, but greedily, so
that the same test says the same. What was wrong or failed is kept for `!errors`, where words may be learned
from at all (`commands.trust`): one can go on with `!train`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from pydantic import Field

from chorus.common.contracts.datasets import Turn, Way
from chorus.common.contracts.feedback import Prediction
from chorus.common.contracts.generation import Delta, End
from chorus.common.contracts.models import BASE
from chorus.common.contracts.wire import MIB
from chorus.common.errors import ChorusError, InvalidInput, TooLarge
from chorus.gateway.commands.asking import ModelParameters, SamplingParameters, question
from chorus.gateway.commands.cases import FORMAT, MOST, SHAPE, Case, cases_of
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.keeping import kept
from chorus.gateway.commands.ports import Question, Upload
from chorus.gateway.commands.replies import Moment, Problem, Progress, Reply, Text
from chorus.gateway.commands.telling import ended_in_words
from chorus.gateway.commands.verdict import Verdict, in_words, table

AT_ONCE = 8  # questions: a test shall not take all that its guild may have waiting
MAX_TOKENS = 256
LARGEST = 8 * MIB  # bytes of a file of records


class Trial(SamplingParameters, ModelParameters):
    """What `!test` takes."""

    records: str | None = Field(default=None, description="records as JSON: questions, and what is expected")
    test_data: str | None = Field(default=None, description="the records, by name")
    file: str | None = Field(default=None, description="a file of records: JSON, or JSON lines")
    bare: bool = Field(default=False, description="whether to leave out persona and examples of this place")


async def test(ctx: Context, asked: Trial) -> Reply:
    """Ask all of them, some at a time, and say what came of it."""
    cases, way = await _cases(ctx, asked)
    sampling = asked.sampling(temperature=0.0, max_tokens=MAX_TOKENS).model_copy(update={"n": 1})
    like = await question(ctx, asked.model, [_turn(cases[0])], sampling, times=len(cases))
    if asked.bare:
        like = replace(like, messages=like.messages[-1:], examples=[])
    return Progress("", ended_in_words(_tested(ctx, cases, like, way)))


async def _cases(ctx: Context, asked: Trial) -> tuple[list[Case], Way]:
    """All records that were given, and how they came: typed, or in files."""
    typed = [text for text in (asked.records, asked.test_data) if text]
    names = [asked.file] if asked.file else ctx.files.attached()
    texts = typed + [await _text(await ctx.files.read(name)) for name in names]
    if not texts:
        raise InvalidInput(
            f"Which records? `!test {SHAPE}`, or a file of them: `!test file=records.json`.",
            code="nothing_to_test",
            param="test_data",
        )
    cases = [case for text in texts for case in cases_of(text)]
    if len(cases) > MOST:
        raise TooLarge(
            f"At most {MOST} records are tested at once, and these are {len(cases):,}. Split them.",
            code="too_many_records",
            param="test_data",
        )
    return cases, "submitted" if typed else "uploaded"


async def _text(upload: Upload) -> str:
    if upload.size > LARGEST:
        raise TooLarge(
            f"{upload.name} has {upload.size / MIB:.1f} MiB; at most {LARGEST // MIB} MiB of records are "
            "taken. Split it.",
            param="file",
        )
    data = await upload.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{FORMAT} {upload.name} is not UTF-8 text (byte 0x{data[error.start]:02x} at {error.start:,}).",
            code="invalid_test_data",
            param="file",
        ) from None


async def _tested(ctx: Context, cases: Sequence[Case], like: Question, way: Way) -> AsyncIterator[Moment]:
    """How far it is; at last the verdict."""
    examiner = Examiner(ctx, like)
    tasks = [asyncio.create_task(examiner.ask(case)) for case in cases]
    try:
        yield _so_far(0, len(tasks))
        for done, finished in enumerate(asyncio.as_completed(tasks), 1):
            await finished
            yield _so_far(done, len(tasks))
        predictions = [task.result() for task in tasks]
    finally:  # who leaves frees the engine
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    verdict = Verdict(examiner.model or like.model or BASE, predictions, like.in_role)
    if not verdict.answered:
        code, _, why = (verdict.predictions[0].error or "").partition(": ")
        yield Moment(outcome=Problem(code, f"Failed to get predictions. {why}"))
        return
    notes = [note for note in (examiner.unscored, await kept(ctx, verdict, way)) if note]
    yield Moment(outcome=Text("\n".join([*in_words(verdict), *notes])), more=(table(verdict),))


def _so_far(done: int, total: int) -> Moment:
    return Moment(stage="asking", done=done, total=total, figures=(f"{done} of {total}",))


def _turn(case: Case) -> Turn:
    return Turn(role="user", content=case.question)


class Examiner:
    """Asks one model question after question, some at a time."""

    def __init__(self, ctx: Context, like: Question) -> None:
        self._ctx = ctx
        self._like = like
        self._room = asyncio.Semaphore(AT_ONCE)
        self._failures: list[ChorusError] = []
        self.model: str | None = None
        """Who answered, once somebody has."""
        self.unscored: str | None = None
        """Why it is not known how likely it finds what was expected, or not of all."""

    async def ask(self, case: Case) -> Prediction:
        """What comes of one question; that it failed, too.

        Where the first ones have all failed, nobody waits for the others to: they fail as the last one did.
        """
        async with self._room:
            asked = replace(self._like, messages=[*self._like.messages[:-1], _turn(case)])
            try:
                answer = await self._answer(asked)
            except ChorusError as error:
                self._failures.append(error)
                why = f"{error.code}: {error.message}"
                return Prediction(input=case.question, expected=case.expected, error=why)
            logprob = None if case.expected is None else await self._likelihood(asked, case.expected)
        return Prediction(input=case.question, prediction=answer, expected=case.expected, logprob=logprob)

    async def _answer(self, asked: Question) -> str:
        if self.model is None and len(self._failures) >= AT_ONCE:
            raise self._failures[-1]
        said: list[str] = []
        async for piece in self._ctx.chorus.answers.ask(self._ctx.guild, asked):
            if isinstance(piece, Delta):
                said.append(piece.text)
            elif isinstance(piece, End):
                self.model = piece.model
        return "".join(said).strip()

    async def _likelihood(self, asked: Question, expected: str) -> float | None:
        """Nats a token of an answer, read after just what the question was read after; None if unknown.

        Predictions stand without, for some engines only write. After the first failure it is not asked for
        any more, so that no test waits for what does not come.
        """
        if self.unscored:
            return None
        system = [turn for turn in asked.messages if turn.role == "system"]
        messages = [*system, *asked.examples, *(turn for turn in asked.messages if turn.role != "system")]
        answers = self._ctx.chorus.answers
        try:
            (score,) = await answers.score(self._ctx.guild, asked.model, messages, [expected])
        except ChorusError as error:
            self.unscored = f"How likely it finds what was expected is not known: {error.message}"
            return None
        return score.logprob / score.tokens

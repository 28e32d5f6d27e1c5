"""A request's way from the bus to the engine and back, beside an engine that writes what it is told to."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import BaseModel

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import (
    GENERATE,
    SCORE,
    SERVED,
    Delta,
    End,
    Generate,
    ListServed,
    Sampling,
    Score,
    of_base,
)
from chorus.common.errors import Cancelled, NotFound, TimedOut, Unavailable
from chorus.inference import handlers as handlers_module
from chorus.inference.generation.ports import Piece
from tests.support.answering import TOKENIZER, Answering


class Replies:
    """What goes back to whoever asked."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, piece: BaseModel) -> None:
        self.sent.append(piece)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.sent if isinstance(piece, Delta))


class Service(Answering):
    """One that is asked here, without a bus."""

    async def ask(self, **asked: Any) -> list[Any]:
        replies: Any = Replies()
        await self.handlers.generate(question(**asked), replies)
        sent: list[Any] = replies.sent
        return sent

    def asking(self, **asked: Any) -> tuple[Replies, asyncio.Task[None]]:
        replies: Any = Replies()
        return replies, asyncio.create_task(self.handlers.generate(question(**asked), replies))


def question(text: str = "hello", **asked: Any) -> Generate:
    return Generate(messages=[Turn(role="user", content=text)], **asked)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


HELLO = (Piece("Hel", 1), Piece("lo", 1), Piece("", 1, "stop"))


async def test_an_answer_is_passed_on_and_summed_up() -> None:
    service = Service(*HELLO)
    *pieces, end = await service.ask(model="cat")
    assert [(piece.i, piece.text) for piece in pieces] == [(0, "Hel"), (1, "lo")]
    assert (end.model, end.finish_reason, end.finish_reasons) == ("cat", "stop", [])
    work = service.engine.works[0]
    assert end.usage.prompt_tokens == len(work.prompt)
    assert end.usage.completion_tokens == 3
    assert service.is_at_rest()


async def test_the_engine_reads_examples_persona_and_question_in_order() -> None:
    service = Service(*HELLO)
    examples = [Turn(role="user", content="Who?"), Turn(role="assistant", content="Me.")]
    persona = Turn(role="system", content="Be brief.")
    asked = Generate(messages=[persona, Turn(role="user", content="hi")], examples=examples)
    replies: Any = Replies()
    await service.handlers.generate(asked, replies)
    assert service.engine.works[0].turns == [persona, *examples, asked.messages[1]]
    read = TOKENIZER.decode(service.engine.works[0].prompt)
    assert read.index("brief") < read.index("Who?") < read.index("Me.") < read.index("hi")


async def test_what_did_not_fit_is_told() -> None:
    service = Service(*HELLO)
    examples = [Turn(role="user", content="Who? " * 60), Turn(role="assistant", content="Me.")]
    long = [Turn(role="user", content="word " * 60), Turn(role="assistant", content="ok")]
    asked = Generate(messages=[*long, Turn(role="user", content="hi")], examples=examples)
    replies: Any = Replies()
    await service.handlers.generate(asked, replies)
    end: End = replies.sent[-1]
    assert (end.dropped_messages, end.dropped_examples) == (2, 1)


async def test_several_answers_are_told_apart() -> None:
    service = Service(
        Piece("a", 1), Piece("x", 1, choice=1), Piece("b", 1, "length"), Piece("y", 1, "stop", choice=1)
    )
    *pieces, end = await service.ask(sampling=Sampling(n=2))
    assert [piece.i for piece in pieces] == list(range(len(pieces)))
    said = ["".join(piece.text for piece in pieces if piece.choice == choice) for choice in (0, 1)]
    assert said == ["ab", "xy"]
    assert (end.finish_reason, end.finish_reasons) == ("length", ["length", "stop"])
    assert end.usage.completion_tokens == 4


async def test_what_takes_long_is_told_before_the_answer() -> None:
    service = Service(*HELLO)
    waiting, *_ = await service.ask(model="cold")
    assert waiting.code == "loading"


async def test_who_waits_in_line_is_told_and_answered_later() -> None:
    service = Service(None, *HELLO, at_once=1)
    _, first = service.asking()
    await until(lambda: service.engine.at_work)
    replies, second = service.asking()
    await until(lambda: replies.sent)
    assert (replies.sent[0].code, replies.sent[0].text) == ("queued", "next in line")
    service.engine.go_on.set()
    await asyncio.gather(first, second)
    assert replies.text == "Hello"


async def test_one_more_than_may_wait_is_refused_at_once() -> None:
    service = Service(None, at_once=1, guild_waiting=1)
    tasks = [service.asking()[1] for _ in range(2)]
    await until(lambda: service.admission.waiting)
    with pytest.raises(Unavailable) as error:
        await service.ask()
    assert error.value.code == "busy"
    assert error.value.retry_after
    assert "1 ahead" in error.value.message
    assert service.sample("refusals_total", code="busy") == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert service.is_at_rest()


async def test_what_is_wrong_with_the_model_is_told_and_takes_no_slot() -> None:
    service = Service(*HELLO)
    with pytest.raises(NotFound):
        await service.ask(model="nobody")
    assert service.sample("refusals_total", code="unknown_model") == 1
    assert service.is_at_rest()


@pytest.mark.parametrize("where", ["in line", "before the first piece", "in the middle"])
async def test_a_reply_that_takes_longer_than_it_may_is_broken_off(where: str) -> None:
    service = Service(*(HELLO[:1] if where == "in the middle" else ()), None, at_once=1)
    others = [service.asking()[1]] if where == "in line" else []
    await until(lambda: service.engine.at_work == len(others))
    with pytest.raises(TimedOut) as error:
        await service.ask(within=0.05)
    assert error.value.code == "deadline_passed"
    assert "0.05 s" in error.value.message
    assert service.engine.at_work == len(others), "the engine's work was aborted"
    assert service.sample("refusals_total", code="deadline_passed") == 1
    service.engine.go_on.set()
    await asyncio.gather(*others)


async def test_a_time_out_of_something_else_is_not_taken_for_the_deadline() -> None:
    service = Service(*HELLO)

    async def lost(*_: object) -> None:
        raise TimeoutError

    service.voices.ready = lost  # type: ignore[method-assign]
    with pytest.raises(TimeoutError) as error:
        await service.ask(within=5)
    assert not isinstance(error.value, TimedOut)


async def test_who_leaves_gives_all_back() -> None:
    service = Service(HELLO[0], None)
    replies, task = service.asking(model="cat")
    await until(lambda: replies.text)
    assert not service.is_at_rest()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert service.is_at_rest()


async def test_a_reader_who_is_gone_is_no_refusal() -> None:
    service = Service(*HELLO)
    replies: Any = Replies()

    async def gone(_: BaseModel) -> None:
        raise Cancelled("The reader went away.", code="reader_gone")

    replies.send = gone
    with pytest.raises(Cancelled):
        await service.handlers.generate(question(), replies)
    assert service.sample("refusals_total", code="reader_gone") == 0
    assert service.is_at_rest()


async def test_tokens_are_counted_by_kind_of_guild() -> None:
    service = Service(*HELLO)
    for guild in ("local", "123456789", "dm-42", "987654321"):
        await service.ask(guild=guild)
    kinds = ("local", "dm", "guild")
    assert [service.sample("generated_tokens_total", guild_class=kind) for kind in kinds] == [3, 3, 6]
    assert service.sample("time_to_first_token_seconds_count") == 4


async def test_the_time_to_the_first_token_counts_from_arrival() -> None:
    service = Service(None, *HELLO)
    _, task = service.asking()
    await until(lambda: service.engine.at_work)
    await asyncio.sleep(0.03)
    service.engine.go_on.set()
    await task
    assert service.sample("time_to_first_token_seconds_sum") >= 0.03


async def test_replies_are_scored_in_their_order() -> None:
    service = Service()
    asked = Score(messages=[Turn(role="user", content="hi")], replies=["yes", "no, thank you", ""])
    scored = await service.handlers.score(asked)
    assert scored.model == "base"
    counts = [len(TOKENIZER.encode(reply, add_special_tokens=False)) + 1 for reply in asked.replies]
    assert [score.tokens for score in scored.scores] == counts
    assert [score.logprob for score in scored.scores] == [-0.5 * count for count in counts]
    assert service.is_at_rest()


async def test_scoring_stands_in_line_like_everybody() -> None:
    service = Service(None, *HELLO, at_once=1)
    _, writing = service.asking()
    await until(lambda: service.engine.at_work)
    asked = Score(messages=[Turn(role="user", content="hi")], replies=["yes"])
    scoring = asyncio.create_task(service.handlers.score(asked))
    await until(lambda: service.admission.waiting)
    service.engine.go_on.set()
    await asyncio.gather(writing, scoring)


async def test_what_is_at_hand_is_listed_for_who_asks() -> None:
    assert (await Service().handlers.models(ListServed(guild="1"))).instance == "asked for 1"


@pytest.mark.parametrize("text", ["hi", "word " * 20])
async def test_long_conversations_are_laid_out_beside_the_loop(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers_module, "LONG", 200)
    in_threads = 0
    to_thread = asyncio.to_thread

    def counted(*call: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        nonlocal in_threads
        in_threads += 1
        return to_thread(*call, **options)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    service = Service(*HELLO)
    await service.ask(text=text)
    assert in_threads == (len(text) > 2)


class Endpoints:
    """A responder that only takes down what it is to serve."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.cancelled: set[str] = set()

    def stream(self, name: str, subject: str, *_: object, cancel: str | None = None) -> None:
        self.subjects.append(subject)
        if cancel:
            self.cancelled.add(subject)

    answer = stream


@pytest.mark.parametrize("default", [True, False])
def test_a_base_answers_under_its_name_and_the_default_one_also_without(default: bool) -> None:
    endpoints: Any = Endpoints()
    Service().handlers.register(endpoints, "starter", default=default)
    named = {of_base(GENERATE, "starter"), of_base(SCORE, "starter"), SERVED}
    assert set(endpoints.subjects) == named | ({GENERATE, SCORE} if default else set())
    assert endpoints.cancelled == set(endpoints.subjects) - {SERVED}, "whoever left is not worked for"

"""The verdict on what inference answers, in all the ways in which it can answer, or not."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Delta, End, Generate, Usage
from chorus.common.contracts.models import Manifest, Parity, Probe
from chorus.common.errors import InternalError, InvalidInput, NotFound, TimedOut, Unavailable
from chorus.trainer.training import parity
from tests.unit.trainer.made import AT, SHA256, made

Answers = Callable[[Generate], AsyncGenerator[Delta | End]]


def probe(reply: str, *, whole: bool = False, turns: int = 1) -> Probe:
    return Probe(
        messages=[Turn(role="user", content="Hello!")] * turns,
        prompt_sha256=SHA256,
        reply_chars=len(reply),
        reply_sha256=hashlib.sha256(reply.encode()).hexdigest() if reply else None,
        whole=whole,
    )


def saying(*texts: str, finish_reason: str = "stop") -> Answers:
    """Each question is answered by the next text, in two pieces."""
    waiting = list(texts)

    async def answers(_: Generate) -> AsyncGenerator[Delta | End]:
        text = waiting.pop(0)
        yield Delta(i=0, text=text[:2])
        yield Delta(i=1, text=text[2:])
        usage = Usage(prompt_tokens=9, completion_tokens=2)
        yield End.model_validate({"model": "main@3", "finish_reason": finish_reason, "usage": usage})

    return answers


def failing(error: Exception) -> Answers:
    async def answers(_: Generate) -> AsyncGenerator[Delta | End]:
        raise error
        yield

    return answers


async def verdict(
    monkeypatch: pytest.MonkeyPatch,
    answers: Answers,
    *probes: Probe,
    remembers: int | None = None,
    within: float = 5.0,
    asked: list[str] | None = None,
    **changes: Any,
) -> Parity:
    def ask_stream(*words: Any, **_: Any) -> AsyncGenerator[Delta | End]:
        question: Generate = words[2]
        if asked is not None:
            asked.append(words[1])
        assert question.model == "main@3"
        assert question.sampling.temperature == 0
        return answers(question)

    monkeypatch.setattr(parity, "ask_stream", ask_stream)
    facts = {**made(**changes).model_dump(), "probes": list(probes)}
    more = {"guild": "1", "name": "main", "files": [], "datasets": ["club@3"], "contributors": []}
    manifest = Manifest.model_validate({**facts, **more, "job": "a" * 10, "created_at": AT})
    nobody: Any = None
    return await parity.check(nobody, manifest, 3, remembers=remembers, within=within)


async def test_the_same_words_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    told = await verdict(
        monkeypatch,
        saying("The cat, or so", "Höchste Zeit 🕰"),
        probe("The cat"),
        probe("Höchste Zeit 🕰", whole=True),
    )
    assert (told.verdict, told.reason) == ("same", "it answers 2 fixed questions as in training")


async def test_a_blank_that_only_a_context_shows_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await verdict(monkeypatch, saying(" The cat"), probe("The cat"))).verdict == "same"


@pytest.mark.parametrize(
    ("said", "expected", "whole"),
    [
        ("The dog", "The cat", False),
        ("The", "The cat", False),
        ("The cat sat", "The cat", True),
        ("words", "", True),
    ],
)
async def test_other_words_differ(
    monkeypatch: pytest.MonkeyPatch, said: str, expected: str, whole: bool
) -> None:
    told = await verdict(monkeypatch, saying(said), probe(expected, whole=whole))
    assert told.verdict == "differs"
    assert told.reason == "it answers 1 of 1 fixed question otherwise than in training"


async def test_an_answer_that_does_not_end_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = saying("The cat", finish_reason="length")
    assert (await verdict(monkeypatch, cut, probe("The cat", whole=True))).verdict == "differs"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unavailable("Nothing serves it.", code="no_responders"), "unchecked"),
        (TimedOut("No answer."), "unchecked"),
        (NotFound("Gone.", code="model_withdrawn"), "unchecked"),
        (InvalidInput("Another base.", code="wrong_base"), "unchecked"),
        (InvalidInput("No such engines.", code="whole_model"), "unchecked"),
        (InvalidInput("Other tokens.", code="wrong_tokens"), "differs"),
        (InternalError("Damaged.", code="object_corrupt"), "differs"),
    ],
)
async def test_what_cannot_be_asked_is_not_checked_and_what_is_refused_differs(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    told = await verdict(monkeypatch, failing(error), probe("The cat"))
    assert told.verdict == expected
    assert told.reason


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: Generate) -> AsyncGenerator[Delta | End]:
        await asyncio.Event().wait()
        yield Delta(i=0, text="")

    told = await verdict(monkeypatch, never, probe("The cat"), within=0.01)
    assert (told.verdict, "not answered within" in told.reason) == ("unchecked", True)


async def test_probes_that_prove_nothing_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = failing(AssertionError("nothing was to be asked"))
    assert (await verdict(monkeypatch, nobody, probe(""))).verdict == "unchecked"
    too_long = probe("The cat", turns=3)
    assert (await verdict(monkeypatch, nobody, too_long, remembers=0)).verdict == "unchecked"


@pytest.mark.parametrize(
    ("form", "subject"), [("adapter", "infer.v1.generate.starter"), ("whole", "infer.v1.generate")]
)
async def test_an_adapter_is_asked_of_its_base_and_a_whole_model_of_the_default_one(
    monkeypatch: pytest.MonkeyPatch, form: str, subject: str
) -> None:
    asked: list[str] = []
    told = await verdict(monkeypatch, saying("The cat"), probe("The cat"), asked=asked, form=form)
    assert (told.verdict, asked) == ("same", [subject])


async def test_a_whole_model_has_as_long_as_an_engine_takes_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(_: Generate) -> AsyncGenerator[Delta | End]:
        await asyncio.sleep(0.05)
        async for piece in saying("The cat")(_):
            yield piece

    assert (await verdict(monkeypatch, late, probe("The cat"), within=0.01, form="whole")).verdict == "same"

"""The gateway's side of a talk on real NATS: who is asked, what is waited out, what a guild chooses."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    SCORE,
    Delta,
    End,
    Generate,
    ReplyScore,
    Score,
    Scored,
    Usage,
    of_base,
)
from chorus.common.contracts.guild import Exchange, GuildSettings, Persona
from chorus.common.contracts.models import BaseModelId, ModelRecord, ModelVersion, model_key
from chorus.common.contracts.topology import MODELS, SETTINGS
from chorus.common.errors import ChorusError, InternalError, TooLarge, Unavailable
from chorus.gateway.backends import answers
from chorus.gateway.backends.answers import BusAnswers
from chorus.gateway.backends.guilds import BusGuilds
from chorus.gateway.commands.ports import Question
from tests.support.servers import Servers
from tests.unit.gateway.fake_data import AT, ref

HARBOUR = "owner/Harbour-7B"
TURNS = [Turn(role="user", content="hi")]


class Inference:
    """Two processes in one: of the default base, and of another. It says which of them was asked."""

    def __init__(self) -> None:
        self.refusals: deque[ChorusError] = deque()
        self.numbers: tuple[int, int] = (0, 1)
        self.asked: list[Generate] = []

    def stream(self, name: str) -> Any:
        async def generate(asked: Generate, replies: ReplyStream) -> None:
            self.asked.append(asked)
            if self.refusals:
                raise self.refusals.popleft()
            for number, text in zip(self.numbers, ("I am ", name), strict=True):
                await replies.send(Delta(i=number, text=text))
            usage = Usage(prompt_tokens=1, completion_tokens=1)
            await replies.send(End(model=name, finish_reason="stop", usage=usage))

        return generate

    async def score(self, asked: Score) -> Scored:
        return Scored(model=HARBOUR, scores=[ReplyScore(logprob=-1.0, tokens=1)] * len(asked.replies))


@pytest.fixture
async def inference(servers: Servers) -> AsyncIterator[Inference]:
    made = Inference()

    def declare(responder: Responder) -> None:
        responder.stream("generate", GENERATE, Generate, made.stream("starter"), cancel=CANCEL)
        harbour = of_base(GENERATE, HARBOUR)
        responder.stream("generate_harbour", harbour, Generate, made.stream(HARBOUR), cancel=CANCEL)
        responder.answer("score_harbour", of_base(SCORE, HARBOUR), Score, made.score)

    async with servers.serving("inference", declare):
        yield made


def version(number: int, base: str, **others: object) -> ModelVersion:
    fields: dict[str, object] = {
        "version": number, "manifest": ref(f"main-{number}"), "dataset": "club@1", "job": "k7f3m2qxab",
        "base": BaseModelId(name=base, fingerprint="0" * 64), "created_at": AT,
    }  # fmt: skip
    return ModelVersion.model_validate({**fields, **others})


@pytest.fixture
async def bus(servers: Servers, guild: str) -> AsyncIterator[BusAnswers]:
    """A guild with a version on each base, a whole model, and one on a base that nobody serves."""
    versions = [
        version(1, "starter"), version(2, HARBOUR), version(3, "gpt2", form="whole"), version(4, "lost")
    ]  # fmt: skip
    record = ModelRecord(guild=guild, name="main", versions=versions, aliases={"prod": 2})
    async with servers.connected("trainer") as trainer, servers.connected("gateway") as gateway:
        await (await open_bucket(trainer, MODELS, ModelRecord)).create(model_key(guild, "main"), record)
        yield BusAnswers(gateway, await open_bucket(gateway, MODELS, ModelRecord))


async def said(bus: BusAnswers, guild: str, model: str | None) -> str:
    pieces = bus.ask(guild, Question(model, TURNS))
    return "".join([piece.text async for piece in pieces if isinstance(piece, Delta)])


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (None, "starter"), ("main", HARBOUR), ("main@2", HARBOUR), ("main@3", "starter"),
        ("main@9", "starter"), ("other", "starter"),
    ],
)  # fmt: skip
async def test_an_adapter_is_asked_where_its_base_is_served(
    bus: BusAnswers, inference: Inference, guild: str, model: str | None, asked: str
) -> None:
    assert await said(bus, guild, model) == f"I am {asked}"
    assert (inference.asked[-1].guild, inference.asked[-1].model) == (guild, model)


async def test_how_likely_replies_are_is_asked_there_too(
    bus: BusAnswers, inference: Inference, guild: str
) -> None:
    assert [one.logprob for one in await bus.score(guild, "main", TURNS, ["a", "b"])] == [-1.0, -1.0]


async def test_where_nobody_serves_a_base_it_is_named_with_what_the_operator_does(
    bus: BusAnswers, inference: Inference, guild: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PATIENCE", 0.0)
    for work in (said(bus, guild, "main@4"), bus.score(guild, "main@4", TURNS, ["a"])):
        with pytest.raises(Unavailable) as refused:
            await work
        assert refused.value.code == "base_not_served"
        assert "CHORUS_BASE_MODEL=lost" in refused.value.message


async def test_who_is_told_to_come_back_does(bus: BusAnswers, inference: Inference, guild: str) -> None:
    inference.refusals += [Unavailable("Busy, 3 ahead.", code="busy", retry_after=0.1)] * 2
    assert await said(bus, guild, None) == "I am starter"
    assert len(inference.asked) == 3


async def test_who_is_told_to_come_back_much_later_is_told(
    bus: BusAnswers, inference: Inference, guild: str
) -> None:
    inference.refusals.append(Unavailable("A training has the GPU.", code="engine_asleep", retry_after=1800))
    with pytest.raises(Unavailable) as refused:
        await said(bus, guild, None)
    assert (refused.value.code, refused.value.retry_after) == ("engine_asleep", 1800)


async def test_a_lost_piece_is_no_hole_in_the_text(bus: BusAnswers, inference: Inference, guild: str) -> None:
    inference.numbers = (0, 2)
    with pytest.raises(InternalError) as lost:
        await said(bus, guild, None)
    assert lost.value.code == "reply_lost"


async def test_choices_of_two_people_at_once_are_both_kept(servers: Servers, guild: str) -> None:
    async with servers.connected("gateway") as connection:
        guilds = BusGuilds(await open_bucket(connection, SETTINGS, GuildSettings))

        cat = Persona(text="You are a cat.", by="42")

        def shown(number: int) -> Exchange:
            return Exchange(user=f"q{number}", bot="a", by="42")

        await asyncio.gather(
            *(
                guilds.change(
                    guild, lambda old, n=n: old.model_copy(update={"examples": [*old.examples, shown(n)]})
                )
                for n in range(2)
            ),
            guilds.change(guild, lambda old: old.model_copy(update={"persona": cat})),
        )
        kept = await guilds.settings(guild)
        assert (len(kept.examples), kept.persona) == (2, cat)
        long = Persona(text="é" * 4000, by="42")
        with pytest.raises(TooLarge):
            await guilds.change(
                guild,
                lambda old: old.model_copy(update={"personas": {str(c): long for c in range(70)}}),
            )
        assert await guilds.settings(guild) == kept

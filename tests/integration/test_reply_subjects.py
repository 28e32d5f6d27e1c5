"""An answer goes to an inbox: whoever names another place for it gets none, and nothing is done for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import pytest
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter

from chorus.common.bus import headers as h
from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.bus.discovery import Identity
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.contracts.datasets import DELETE
from chorus.common.contracts.generation import CANCEL, GENERATE, SCORE, SERVED
from chorus.common.contracts.permissions import DISCOVERY, QUEUE_GROUP
from chorus.common.contracts.topology import SETTINGS, TRAIN
from chorus.common.contracts.wire import Wire, encode
from chorus.common.operations import snapshots
from chorus.common.operations.access import jetstream
from chorus.common.telemetry.metrics import RequestMetrics
from tests.support.servers import Servers

ELSEWHERE = (
    "$JS.API.STREAM.DELETE.KV_quotas",
    "$JS.API.STREAM.PURGE.KV_quotas",
    "$KV.quotas.a.b",
    "train.job.local",
    "changed.models.local.a",
    "_INBOXES.gateway.a",
    "_INBOX",
)
"""Not `$JS.ACK.…`, which nats-server itself lets nobody name but its consumers."""

WITHIN = 20.0  # seconds


class Question(Wire):
    text: str = ""


class Answer(Wire):
    text: str = ""


@asynccontextmanager
async def serving(servers: Servers, user: str, asked: list[Question]) -> AsyncIterator[Connection]:
    """Endpoints of every kind, which note what they are asked; gives the service's connection."""

    async def answer(question: Question) -> Answer:
        asked.append(question)
        return Answer()

    async def stream(question: Question, replies: ReplyStream) -> None:
        asked.append(question)
        await replies.send(Answer())

    async with servers.connected(user) as connection:
        metrics = RequestMetrics(CollectorRegistry())
        identity = Identity(user, "abc", "1.0.0", "For tests")
        responder = Responder(connection, identity, metrics, slots=4, backlog=100, grace=5.0)
        if user == "inference":
            responder.answer("models", SERVED, Question, answer)
            responder.answer("score", SCORE, Question, answer, cancel=CANCEL)
            responder.stream("generate", GENERATE, Question, stream, cancel=CANCEL)
        else:
            responder.answer("delete", DELETE, Question, answer)
        async with responder:
            yield connection


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_a_service_answers_to_inboxes_only(servers: Servers, elsewhere: str) -> None:
    """Neither its answers, nor its errors, nor what it tells of itself, nor the question who still reads."""
    asked: list[Question] = []
    async with (
        serving(servers, "inference", asked) as service,
        servers.connected("operator") as operator,
        asyncio.timeout(WITHIN),
    ):
        before = service.stats["out_msgs"]
        for subject in (SERVED, SCORE, GENERATE, *(s.replace(">", "inference") for s in DISCOVERY)):
            for body in (b"not JSON", encode(Question(text="for somebody else"))):
                for headers in (None, {h.REQUEST_ID: f"{subject}-{len(body)}", h.CREDIT: "1"}):
                    await operator.publish(subject, body, elsewhere, headers)
        await ask(operator, SERVED, Question(text="to my inbox"), Answer)
        assert [question.text for question in asked] == ["to my inbox"]
        assert service.stats["out_msgs"] == before + 1


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_credit_goes_to_inboxes_only(servers: Servers, elsewhere: str) -> None:
    async with (
        servers.connected("inference") as rogue,
        servers.connected("gateway") as gateway,
        asyncio.timeout(WITHIN),
    ):

        async def answer(message: Msg) -> None:
            await rogue.publish(message.reply, encode(Answer(text="one")), reply=elsewhere)
            await rogue.publish(message.reply)

        await rogue.listen(GENERATE, queue=QUEUE_GROUP, cb=answer)
        before = gateway.stats["out_msgs"]
        replies = ask_stream(gateway, GENERATE, Question(), TypeAdapter(Answer), cancel=CANCEL)
        assert [piece.text async for piece in replies] == ["one"]
        assert gateway.stats["out_msgs"] == before + 1  # the question


async def test_what_a_consumer_delivers_is_no_request(servers: Servers, guild: str) -> None:
    asked: list[Question] = []
    async with (
        serving(servers, "trainer", asked) as service,
        servers.connected("gateway") as gateway,
        servers.connected("operator") as operator,
        asyncio.timeout(WITHIN),
    ):
        heard, said = service.stats["in_msgs"], service.stats["out_msgs"]
        await gateway.jetstream().publish(f"$KV.{SETTINGS}.{guild}", encode(Question(text="planted")))
        config = {
            "deliver_subject": DELETE,
            "deliver_group": QUEUE_GROUP,
            "ack_policy": "none",
            "filter_subject": f"$KV.{SETTINGS}.{guild}",
        }
        asked_for = {"stream_name": f"KV_{SETTINGS}", "config": config}
        made = await jetstream(operator, f"CONSUMER.CREATE.KV_{SETTINGS}", asked_for)
        while service.stats["in_msgs"] == heard:
            await asyncio.sleep(0.01)
        await ask(gateway, DELETE, Question(text="asked"), Answer)
        await jetstream(operator, f"CONSUMER.DELETE.KV_{SETTINGS}.{made['name']}")
        assert [question.text for question in asked] == ["asked"]
        assert service.stats["out_msgs"] == said + 1


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_a_snapshots_pieces_are_acknowledged_to_jetstream_only(
    servers: Servers, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets a piece into the operator's inbox does not choose what is published for it."""
    async with (
        servers.connected("inference") as rogue,
        servers.connected("operator") as operator,
        asyncio.timeout(WITHIN),
    ):

        async def piece(message: Msg) -> None:
            await rogue.publish(message.reply, b"piece", reply=elsewhere)
            await rogue.publish(message.reply)

        async def begin(connection: Connection, _: str, asked: dict[str, Any], **__: float) -> dict[str, Any]:
            await connection.publish(SERVED, reply=asked["deliver_subject"])
            return {"state": {}}

        monkeypatch.setattr(snapshots, "jetstream", begin)
        await rogue.listen(SERVED, queue=QUEUE_GROUP, cb=piece)
        before, copy = operator.stats["out_msgs"], BytesIO()
        await snapshots.copy_out(operator, TRAIN, copy)
        assert copy.getvalue() == b"piece"
        assert operator.stats["out_msgs"] == before + 1

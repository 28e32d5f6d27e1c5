"""A trace goes over the bus: with questions of both kinds, and with a job through the queue."""

import asyncio

from pydantic import BaseModel, TypeAdapter

from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.jobs import Delivery, Done, JobWorker, Outcome
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.contracts.datasets import CANCEL, IMPORT, LIST
from chorus.common.contracts.topology import TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.wire import Request, Wire
from chorus.common.telemetry.tracing import carried, span, trace_id
from tests.support.servers import Servers


class Question(Request):
    guild: str


class Answer(Wire):
    trace: str | None


async def test_a_question_takes_its_trace_along(servers: Servers, guild: str) -> None:
    async def answer(asked: Question) -> BaseModel:
        return Answer(trace=trace_id())

    async def stream(asked: Question, replies: ReplyStream) -> None:
        await replies.send(Answer(trace=trace_id()))

    def declare(responder: Responder) -> None:
        responder.answer("list", LIST, Question, answer)
        responder.stream("import", IMPORT, Question, stream, cancel=CANCEL)

    async with servers.serving("trainer", declare), servers.connected("gateway") as gateway:
        question = Question(guild=guild)
        with span("command"):
            here = trace_id()
            assert (await ask(gateway, LIST, question, Answer)).trace == here
            streamed = ask_stream(gateway, IMPORT, question, TypeAdapter(Answer), cancel=CANCEL)
            assert [reply.trace async for reply in streamed] == [here]
        alone = (await ask(gateway, LIST, question, Answer)).trace
        assert alone not in (None, here), "who asks without a trace begins one"


async def test_a_job_goes_on_with_the_trace_of_who_gave_it(servers: Servers, guild: str) -> None:
    seen: asyncio.Queue[str | None] = asyncio.Queue()

    async def handle(delivery: Delivery) -> Outcome:
        seen.put_nowait(trace_id())
        return Done()

    async with servers.connected("trainer") as trainer, servers.connected("gateway") as gateway:
        with span("command"):
            here = trace_id()
            await gateway.jetstream().publish(f"train.job.{guild}", b"{}", headers=carried())
        worker = JobWorker(
            *(trainer, TRAIN, TRAINER_CONSUMER, handle),
            slots=1,
            ack_wait=10.0,
            grace=1.0,
            on_failed=print,
        )
        async with worker, asyncio.timeout(20):
            while await seen.get() != here:
                pass

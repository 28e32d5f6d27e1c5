"""The responder: many requests at a time, honest discovery, a real drain, and no secrets in errors."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from chorus.common.bus import headers as h
from chorus.common.bus import replies as replies_module
from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.bus.discovery import Identity
from chorus.common.bus.responder import Responder
from chorus.common.contracts.datasets import IMPORT
from chorus.common.contracts.generation import CANCEL, SCORE
from chorus.common.contracts.wire import Request, Wire
from chorus.common.errors import ChorusError, InternalError, InvalidInput, NotFound, TimedOut, Unavailable
from chorus.common.telemetry.metrics import RequestMetrics
from tests.support.servers import Servers


class Question(Request):
    text: str


class Answer(Wire):
    text: str


Handle = Callable[[Question], Awaitable[BaseModel]]


@asynccontextmanager
async def serving(
    servers: Servers,
    handle: Handle,
    *,
    slots: int = 4,
    backlog: int = 100,
    grace: float = 5.0,
    long: bool = False,
) -> AsyncIterator[Connection]:
    """A service that answers with `handle`, on a subject that users may use; gives a client's connection.

    With `long` it is `SCORE`, whose work ends with whoever asked.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(servers.connected("inference" if long else "trainer"))
        client = await stack.enter_async_context(servers.connected("gateway"))
        identity = Identity("echo", "abc123", "1.2.3", "For tests")
        metrics = RequestMetrics(CollectorRegistry())
        responder = Responder(server, identity, metrics, slots=slots, backlog=backlog, grace=grace)
        if long:
            responder.answer("score", SCORE, Question, handle, cancel=CANCEL)
        else:
            responder.answer("echo", IMPORT, Question, handle)
        await stack.enter_async_context(responder)
        yield client


async def echo(question: Question) -> Answer:
    return Answer(text=question.text)


async def test_a_question_is_answered(servers: Servers) -> None:
    async with serving(servers, echo) as client:
        assert (await ask(client, IMPORT, Question(text="hé 🌊"), Answer)).text == "hé 🌊"


async def test_an_error_that_quotes_too_much_is_sent_all_the_same(servers: Servers) -> None:
    async def complain(question: Question) -> Answer:
        raise InvalidInput(f"What is {question.text}?", param=question.text)

    async with serving(servers, complain) as client:
        with pytest.raises(InvalidInput) as refused:
            await ask(client, IMPORT, Question(text="x" * 400_000), Answer)
    assert refused.value.message.startswith("What is xxx")
    assert len(refused.value.message) < 2000


async def test_requests_are_served_side_by_side(servers: Servers) -> None:
    both_in = asyncio.Barrier(4)

    async def meet(question: Question) -> Answer:
        await both_in.wait()
        return Answer(text=question.text)

    async with serving(servers, meet) as client:
        async with asyncio.timeout(5):
            await asyncio.gather(*(ask(client, IMPORT, Question(text=str(i)), Answer) for i in range(4)))


async def test_one_more_than_fits_is_told_busy(servers: Servers) -> None:
    go = asyncio.Event()

    async def wait(question: Question) -> Answer:
        await go.wait()
        return Answer(text=question.text)

    async with serving(servers, wait, slots=1, backlog=1) as client:
        asked = [asyncio.create_task(ask(client, IMPORT, Question(text=str(i)), Answer)) for i in range(3)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(Unavailable) as refused:
            done.pop().result()
        assert refused.value.code == "busy"
        assert refused.value.retryable
        go.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, Answer) for answer in answers) == 2


@pytest.mark.parametrize(
    "error",
    [NotFound("No such thing.", param="text"), InvalidInput("Bad.", code="very_bad"), TimedOut("Late.")],
)
async def test_an_error_arrives_as_it_was_raised(servers: Servers, error: ChorusError) -> None:
    async def fail(_: Question) -> Answer:
        raise error

    async with serving(servers, fail) as client:
        with pytest.raises(type(error)) as raised:
            await ask(client, IMPORT, Question(text=""), Answer)
        told = raised.value
        assert (told.message, told.code, told.param) == (error.message, error.code, error.param)


async def test_a_fault_of_ours_tells_no_insides(servers: Servers) -> None:
    async def fail(_: Question) -> Answer:
        raise KeyError("postgres://user:secret@host")

    async with serving(servers, fail) as client, servers.connected("operator") as operator:
        with pytest.raises(InternalError) as raised:
            await ask(client, IMPORT, Question(text=""), Answer)
        assert "secret" not in raised.value.message
        reply = await operator.request("$SRV.STATS.echo")
        assert b"secret" not in reply.data


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", "not_json", "not JSON"),
        (b"hello", "not_json", "not JSON"),
        (b"\xff\xfe", "not_json", "not JSON"),
        (b"[]", "invalid_message", "does not fit"),
        (b"{}", "invalid_message", "`text`"),
        (b'{"text": 1}', "invalid_message", "`text`"),
        (b'{"text": "a", "txet": "b"}', "invalid_message", "`txet`"),
        (b'{"v": 2, "text": "a"}', "invalid_message", "`v`"),
    ],
)
async def test_a_handwritten_request_is_told_what_is_wrong(
    servers: Servers, body: bytes, code: str, words: str
) -> None:
    async with serving(servers, echo) as client:
        reply = await client.request(IMPORT, body)
        assert reply.headers is not None
        assert reply.headers[h.ERROR_STATUS] == "400"
        assert reply.headers[h.ERROR_CODE] == code
        assert words in reply.headers[h.ERROR]
        assert reply.data == b""


async def test_reply_headers_do_not_echo_the_requests(servers: Servers) -> None:
    async with serving(servers, echo) as client:
        reply = await client.request(IMPORT, b'{"text":"a"}', headers={"Authorization": "secret"})
        assert "Authorization" not in (reply.headers or {})


async def test_a_stop_answers_all_that_was_asked(servers: Servers) -> None:
    async def slow(question: Question) -> Answer:
        await asyncio.sleep(0.05)
        return Answer(text=question.text)

    async with servers.connected("gateway") as client:
        async with serving(servers, slow, slots=2) as _:
            asked = [
                asyncio.create_task(ask(client, IMPORT, Question(text=str(i)), Answer)) for i in range(20)
            ]
            await asyncio.sleep(0.1)  # the requests are on their way, most of them still wait
        answers = await asyncio.gather(*asked)
    assert [answer.text for answer in answers] == [str(i) for i in range(20)]


async def test_what_outlasts_the_grace_is_told_so(servers: Servers) -> None:
    begun = asyncio.Event()

    async def forever(_: Question) -> Answer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with servers.connected("gateway") as client:
        async with serving(servers, forever, grace=0.1):
            asked = asyncio.create_task(ask(client, IMPORT, Question(text=""), Answer))
            await begun.wait()
        with pytest.raises(Unavailable) as told:
            await asked
    assert told.value.code == "shutting_down"


async def test_a_request_past_its_deadline_is_not_begun(servers: Servers) -> None:
    async with serving(servers, echo) as client:
        past = str(int(time.time() * 1000) - 1)
        reply = await client.request(IMPORT, b'{"text":"a"}', headers={h.DEADLINE: past})
        assert reply.headers is not None
        assert reply.headers[h.ERROR_CODE] == "deadline_passed"


async def test_one_id_is_for_one_request_at_a_time(servers: Servers) -> None:
    go = asyncio.Event()

    async def wait(question: Question) -> Answer:
        await go.wait()
        return Answer(text=question.text)

    async with serving(servers, wait) as client:
        one, two = [
            asyncio.create_task(
                client.request(IMPORT, b'{"text":"a"}', timeout=5, headers={h.REQUEST_ID: "same"})
            )
            for _ in range(2)
        ]
        refused = await two
        assert refused.headers is not None
        assert refused.headers[h.ERROR_CODE] == "request_id_in_use"
        assert refused.headers[h.ERROR_STATUS] == "409"
        go.set()
        assert b'"a"' in (await one).data
        again = await client.request(IMPORT, b'{"text":"b"}', headers={h.REQUEST_ID: "same"})
        assert b'"b"' in again.data


# --- long work for one answer --------------------------------------------------------------------
class Endless:
    """Work without an end; notes that it was broken off."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, _: Question) -> Answer:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError


async def test_long_work_is_answered_like_any_other(servers: Servers) -> None:
    async def picky(question: Question) -> Answer:
        if not question.text:
            raise InvalidInput("Nothing?", code="very_bad")
        return await echo(question)

    async with serving(servers, picky, long=True) as client:
        assert (await ask(client, SCORE, Question(text="a"), Answer, cancel=CANCEL)).text == "a"
        assert (await ask(client, SCORE, Question(text="a"), Answer)).text == "a"
        with pytest.raises(InvalidInput, match=r"Nothing\?"):
            await ask(client, SCORE, Question(text=""), Answer, cancel=CANCEL)
    async with servers.connected("gateway") as client:
        with pytest.raises(Unavailable) as error:
            await ask(client, SCORE, Question(text="a"), Answer, cancel=CANCEL)
    assert error.value.code == "no_responders"


async def test_long_work_ends_when_its_asker_leaves(servers: Servers) -> None:
    work = Endless()
    async with serving(servers, work, long=True) as client:
        asked = asyncio.create_task(ask(client, SCORE, Question(text="a"), Answer, cancel=CANCEL))
        await work.begun.wait()
        asked.cancel()
        async with asyncio.timeout(5):
            await work.ended.wait()


async def test_long_work_ends_when_its_asker_was_killed(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies_module, "LOOK_EVERY", 0.05)
    work = Endless()
    async with serving(servers, work, long=True) as client:
        await client.publish(SCORE, b'{"text":"a"}', client.new_inbox(), {h.CREDIT: "1"})
        async with asyncio.timeout(5):
            await work.ended.wait()


async def test_long_work_ends_at_its_deadline(servers: Servers) -> None:
    work = Endless()
    async with serving(servers, work, long=True) as client:
        soon = str(int(time.time() * 1000) + 300)
        reply = await client.request(SCORE, b'{"text":"a"}', timeout=5, headers={h.DEADLINE: soon})
        assert reply.headers is not None
        assert reply.headers[h.ERROR_CODE] == "deadline_passed"
        assert work.ended.is_set()


async def test_any_adr32_client_finds_it(servers: Servers) -> None:
    """Read with nats-py's own micro client, field by field."""
    async with serving(servers, echo) as client, servers.connected("operator") as operator:
        await ask(client, IMPORT, Question(text="a"), Answer)
        for subject in ("$SRV.PING", "$SRV.PING.echo", "$SRV.PING.echo.abc123"):
            ping = ServicePing.from_dict(json.loads((await operator.request(subject)).data))
            assert (ping.name, ping.id, ping.version) == ("echo", "abc123", "1.2.3")
            assert ping.type == "io.nats.micro.v1.ping_response"
        info = ServiceInfo.from_dict(json.loads((await operator.request("$SRV.INFO.echo")).data))
        assert info.type == "io.nats.micro.v1.info_response"
        assert info.description == "For tests"
        assert [(e.name, e.subject, e.queue_group) for e in info.endpoints] == [("echo", IMPORT, "q")]
        assert json.loads(info.endpoints[0].metadata["request_schema"])["required"] == ["text"]
        stats = ServiceStats.from_dict(json.loads((await operator.request("$SRV.STATS.echo")).data))
        assert stats.type == "io.nats.micro.v1.stats_response"
        assert stats.endpoints[0].num_requests == 1
        assert stats.endpoints[0].num_errors == 0
        assert stats.endpoints[0].average_processing_time > 0

"""The bus beside bare nats-py: request and reply, streamed pieces, from submit to the worker's start.

Ours with all that ships: users, permissions, checks, metrics. The peer with none of it, on a nats-server of
its own. Each side has two connections in this one process; rounds alternate.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import TypeAdapter

from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import Delivery, Done, JobWorker, Outcome
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.datasets import IMPORT, Turn
from chorus.common.contracts.generation import CANCEL, GENERATE, Delta, End, Generate, GenerateReply, Usage
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.topology import JOBS, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.training import JobRecord
from chorus.common.contracts.wire import Request, Wire
from chorus.common.local.servers import HOST, binary, free_ports
from chorus.gateway.backends.jobs import BusJobs
from tests.benchmarks.figures import Report, paired_ratio, percentile
from tests.support.servers import Servers, running_servers
from tests.unit.gateway.fake_data import dataset

ROUNDS, REQUESTS = 7, 300
STREAM_ROUNDS, PIECES = 5, 3000
SUBMITS = 30


class Question(Request):
    """About as much as a short question."""

    text: str


class Answer(Wire):
    """As much again."""

    text: str


async def measure() -> Report:
    """All three, on one throw-away server."""
    report = Report("bus")
    with tempfile.TemporaryDirectory() as folder:
        async with running_servers(Path(folder)) as servers:
            await round_trips(servers, report)
            await streams(servers, report)
            await submits(servers, report)
    return report


# --- request and reply ---------------------------------------------------------------------------
async def round_trips(servers: Servers, report: Report) -> None:
    """Handler included: a question checked against its model, an answer made from one."""

    async def echo(question: Question) -> Answer:
        return Answer(text=question.text)

    body = json.dumps({"text": "a" * 200}).encode()
    question = Question(text="a" * 200)
    ours, peers = [], []
    async with (
        serving(servers, lambda responder: responder.answer("echo", IMPORT, Question, echo)) as client,
        bare() as (server, peer),
    ):
        await server.subscribe("bare.echo", queue="q", cb=bare_echo)
        await server.flush()
        for _ in range(ROUNDS):
            ours.append(await timed(lambda: ask(client, IMPORT, question, Answer)))
            peers.append(await timed(lambda: peer.request("bare.echo", body)))
    p50 = [percentile(times, 0.5) for times in ours]
    peer_p50 = [percentile(times, 0.5) for times in peers]
    ratio = paired_ratio(p50, peer_p50)
    beside = f"bare nats-py {median(peer_p50) * 1e3:.2f} ms"
    report.add("rtt_p50_ms", median(p50) * 1e3, f"{median(p50) * 1e3:.2f} ms", beside)
    report.add("rtt_p50_ratio", ratio, f"{ratio:.2f} × (at most 2)", beside)
    p99 = median(percentile(times, 0.99) for times in ours)
    peer_p99 = median(percentile(times, 0.99) for times in peers)
    report.add("rtt_p99_ms", p99 * 1e3, f"{p99 * 1e3:.2f} ms", f"bare nats-py {peer_p99 * 1e3:.2f} ms")


async def bare_echo(message: Msg) -> None:
    """What a handler does at least: read JSON, write JSON."""
    await message.respond(json.dumps({"text": json.loads(message.data)["text"]}).encode())


async def timed(call: Callable[[], Awaitable[object]]) -> list[float]:
    """Seconds of each of `REQUESTS` calls, one after the other."""
    times: list[float] = []
    for _ in range(REQUESTS):
        started = time.perf_counter()
        await call()
        times.append(time.perf_counter() - started)
    return times


# --- streams -------------------------------------------------------------------------------------
async def streams(servers: Servers, report: Report) -> None:
    """Pieces of an answer a second, with credit, beside bare publishes of the same bytes."""
    replies = TypeAdapter[Delta | End](GenerateReply)

    async def write(_: Generate, stream: ReplyStream) -> None:
        for number in range(PIECES):
            await stream.send(Delta(i=number, text=" word"))
        usage = Usage(prompt_tokens=1, completion_tokens=PIECES)
        await stream.send(End(model="none", finish_reason="stop", usage=usage))

    question = Generate(messages=[Turn(role="user", content="Go on.")])
    async with serving(
        servers,
        lambda responder: responder.stream("generate", GENERATE, Generate, write, cancel=CANCEL),
        server_user="inference",
    ) as client:

        async def read() -> None:
            got = [piece async for piece in ask_stream(client, GENERATE, question, replies, cancel=CANCEL)]
            assert len(got) == PIECES + 1

        async with bare() as (server, peer):
            await read()
            ours, peers = [], []
            for _ in range(STREAM_ROUNDS):
                ours.append(await seconds(read))
                peers.append(await seconds(lambda: bare_stream(server, peer)))
    speed, peer_speed = PIECES / median(ours), PIECES / median(peers)
    beside = f"bare nats-py {peer_speed:,.0f}/s"
    report.add("stream_tokens_per_s", speed, f"{speed:,.0f} pieces/s", beside)
    report.add(
        "stream_ratio", paired_ratio(ours, peers), f"{paired_ratio(ours, peers):.2f} × the time", beside
    )


async def bare_stream(server: Client, peer: Client) -> None:
    """The same pieces published as they are, and parsed as JSON at the other end."""
    inbox = peer.new_inbox()
    subscription = await peer.subscribe(inbox)
    await peer.flush()
    body = Delta(i=1, text=" word").model_dump_json().encode()

    async def write() -> None:
        for _ in range(PIECES):
            await server.publish(inbox, body)
        await server.flush()

    writing = asyncio.create_task(write())
    for _ in range(PIECES):
        json.loads((await subscription.next_msg()).data)
    await writing
    await subscription.unsubscribe()


async def seconds(work: Callable[[], Awaitable[None]]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


# --- jobs ----------------------------------------------------------------------------------------
async def submits(servers: Servers, report: Report) -> None:
    """From `submit` (entry and message) to the worker's first line, beside a bare publish and fetch."""
    started: asyncio.Queue[float] = asyncio.Queue()

    async def handle(_: Delivery) -> Outcome:
        started.put_nowait(time.perf_counter())
        return Done()

    ours, peers = [], []
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(servers.connected("gateway"))
        server = await stack.enter_async_context(servers.connected("trainer"))
        jobs = BusJobs(client, await open_bucket(client, JOBS, JobRecord))
        worker = JobWorker(
            server, TRAIN, TRAINER_CONSUMER, handle, slots=1, ack_wait=60, grace=5, on_failed=print
        )
        async with worker:
            for number in range(SUBMITS):
                before = time.perf_counter()
                data = [dataset(guild=str(number))]
                await jobs.submit(data, "main", Hyperparameters(), submitted_by="1", key=str(number))
                ours.append(await started.get() - before)
        js, fetcher = client.jetstream(), server.jetstream()
        subscription = await fetcher.pull_subscribe_bind(TRAINER_CONSUMER, TRAIN)
        for number in range(SUBMITS):
            fetching = asyncio.create_task(subscription.fetch(1, timeout=5))
            await asyncio.sleep(0)
            before = time.perf_counter()
            await js.publish(f"train.job.{10**6 + number}", b"{}")
            (message,) = await fetching
            peers.append(time.perf_counter() - before)
            await message.ack_sync()
    ms, peer_ms = median(ours) * 1e3, median(peers) * 1e3
    report.add("submit_to_start_ms", ms, f"{ms:.1f} ms", f"bare publish and fetch {peer_ms:.1f} ms")


# --- both sides ----------------------------------------------------------------------------------
@asynccontextmanager
async def serving(
    servers: Servers, declare: Callable[[Responder], None], server_user: str = "trainer"
) -> AsyncIterator[Connection]:
    """A service as ours are, and a client's connection."""
    async with (
        servers.serving(server_user, declare, backlog=100),
        servers.connected("gateway") as client,
    ):
        yield client


@asynccontextmanager
async def bare() -> AsyncIterator[tuple[Client, Client]]:
    """Two connections of nats-py, as it comes, to a nats-server without users or permissions."""
    (port,) = free_ports(1)
    url = f"nats://{HOST}:{port}"
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.create_subprocess_exec(
            *[binary("nats-server"), "--addr", HOST, "--port", str(port), "--log", f"{folder}/log"]
        )
        try:
            await until_listening(port)
            first, second = await nats.connect(url), await nats.connect(url)
            yield first, second
            await first.close()
            await second.close()
        finally:
            server.terminate()
            await server.wait()


async def until_listening(port: int) -> None:
    """Wait for a server on loopback."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return

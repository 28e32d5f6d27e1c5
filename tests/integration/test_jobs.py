"""The work queue: heartbeats, redelivery, hand-back, and a queue that is full."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.js.errors import APIError

from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import Delivery, Done, HandBack, JobWorker, LeaveAlone, Outcome
from chorus.common.contracts.topology import JOBS_PER_GUILD, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.training import job_subject
from tests.conftest import fresh_guild
from tests.support.servers import ACK_WAIT, Servers


@asynccontextmanager
async def working(servers: Servers, handle, **options) -> AsyncIterator[Connection]:  # type: ignore[no-untyped-def]
    failures: list[str] = []
    async with servers.connected("trainer") as connection:
        settings = {"slots": 1, "ack_wait": ACK_WAIT, "grace": 5.0, **options}
        worker = JobWorker(connection, TRAIN, TRAINER_CONSUMER, handle, on_failed=failures.append, **settings)
        async with worker:
            yield connection
        assert not failures


async def submit(servers: Servers, guild: str, data: bytes = b"{}") -> None:
    async with servers.connected("gateway") as connection:
        await connection.jetstream().publish(job_subject(guild), data)


async def waiting(servers: Servers, guild: str) -> int:
    """Messages of the guild that are still in the queue."""
    async with servers.connected("operator") as connection:
        info = await connection.jetstream().stream_info(TRAIN, subjects_filter=job_subject(guild))
        return (info.state.subjects or {}).get(job_subject(guild), 0)


class Recorder:
    """Handles jobs as it is told, and remembers which."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.seen: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._outcomes = iter(outcomes)

    async def __call__(self, delivery: Delivery) -> Outcome:
        await self.seen.put((delivery.subject, delivery.number))
        return next(self._outcomes)

    async def next(self) -> tuple[str, int]:
        async with asyncio.timeout(15):
            return await self.seen.get()


async def test_a_done_job_leaves_the_queue(servers: Servers, guild: str) -> None:
    handle = Recorder(Done())
    async with working(servers, handle):
        await submit(servers, guild)
        assert await handle.next() == (job_subject(guild), 1)
    assert await waiting(servers, guild) == 0


async def test_a_job_handed_back_comes_again(servers: Servers, guild: str) -> None:
    handle = Recorder(HandBack(), HandBack(delay=0.2), Done())
    async with working(servers, handle):
        await submit(servers, guild)
        assert [(await handle.next())[1] for _ in range(3)] == [1, 2, 3]


async def test_a_failing_handler_gives_the_job_back(servers: Servers, guild: str) -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def handle(delivery: Delivery) -> Outcome:
        await seen.put(delivery.number)
        if delivery.number == 1:
            raise RuntimeError("a fault of ours")
        return Done()

    async with working(servers, handle):
        await submit(servers, guild)
        async with asyncio.timeout(15):
            assert [await seen.get(), await seen.get()] == [1, 2]


async def test_a_long_job_is_kept_alive(
    servers: Servers, guild: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than the server waits for a silent worker, and is delivered once."""
    seen: list[int] = []

    async def handle(delivery: Delivery) -> Outcome:
        seen.append(delivery.number)
        beats = asyncio.Semaphore(0)
        keep_alive = delivery.keep_alive

        async def beat() -> None:
            await keep_alive()
            beats.release()

        monkeypatch.setattr(delivery, "keep_alive", beat)
        for _ in range(10):  # four to each ack_wait
            await beats.acquire()
        return Done()

    async with working(servers, handle):
        await submit(servers, guild)
        async with asyncio.timeout(20):
            while await waiting(servers, guild):
                await asyncio.sleep(0.1)
    assert seen == [1]


async def test_a_dead_workers_job_comes_back(servers: Servers, guild: str) -> None:
    """A worker that says nothing any more, as after SIGKILL: its heartbeat is cut off with it."""
    async with servers.connected("trainer") as dead:
        pull = await dead.jetstream().pull_subscribe_bind(TRAINER_CONSUMER, TRAIN)
        await submit(servers, guild)
        await pull.fetch(1, timeout=5)
        await pull.unsubscribe()
    handle = Recorder(Done())
    async with working(servers, handle):
        assert await handle.next() == (job_subject(guild), 2)


async def test_a_job_that_another_has_is_left_alone(servers: Servers, guild: str) -> None:
    handle = Recorder(LeaveAlone(), Done())
    async with working(servers, handle):
        await submit(servers, guild)
        assert (await handle.next())[1] == 1
        assert await waiting(servers, guild) == 1, "nothing was acknowledged"
        assert (await handle.next())[1] == 2, "and it comes back when its time is up"


async def test_on_stop_the_handler_hands_back(servers: Servers, guild: str) -> None:
    begun = asyncio.Event()

    async def handle(delivery: Delivery) -> Outcome:
        begun.set()
        await delivery.stopping.wait()
        return HandBack()

    async with working(servers, handle):
        await submit(servers, guild)
        await begun.wait()
    again = Recorder(Done())
    async with working(servers, again):
        assert await again.next() == (job_subject(guild), 2)


async def test_many_jobs_that_wait_for_their_turn_do_not_hide_the_others(servers: Servers) -> None:
    """Seventy that are handed back for a while, and so not answered, and one behind them."""
    crowd = [fresh_guild() for _ in range(70 // JOBS_PER_GUILD + 1)]
    last = fresh_guild()
    handed_back, taken = set[int](), asyncio.Event()

    async def handle(delivery: Delivery) -> Outcome:
        if delivery.subject == job_subject(last):
            taken.set()
        if taken.is_set():
            return Done()
        handed_back.add(delivery.sequence)
        return HandBack(delay=30)

    async with servers.connected("gateway") as connection:
        js = connection.jetstream()
        for guild in crowd:
            await asyncio.gather(*(js.publish(job_subject(guild), b"{}") for _ in range(JOBS_PER_GUILD)))
        await js.publish(job_subject(last), b"{}")
    async with working(servers, handle, slots=16) as connection:
        async with asyncio.timeout(20):
            await taken.wait()
        assert len(handed_back) > 70
        for sequence in handed_back:
            await connection.jetstream().delete_msg(TRAIN, sequence)


async def test_a_guild_has_only_so_many_jobs(servers: Servers, guild: str) -> None:
    for _ in range(JOBS_PER_GUILD):
        await submit(servers, guild)
    with pytest.raises(APIError) as refused:
        await submit(servers, guild)
    assert refused.value.err_code == 10077
    handle = Recorder(*[Done()] * JOBS_PER_GUILD)
    async with working(servers, handle):
        for _ in range(JOBS_PER_GUILD):
            await handle.next()

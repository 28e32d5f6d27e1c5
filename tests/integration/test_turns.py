"""Fair order over guilds on real servers; only the training itself is a script."""

import asyncio

from chorus.common.contracts.training import JobState
from tests.conftest import fresh_guild
from tests.support.queue import Script, a_worker, in_queue, ordering
from tests.support.servers import Servers


async def test_a_guild_that_queues_three_lets_the_next_one_in_second(servers: Servers) -> None:
    a, b = fresh_guild(), fresh_guild()
    script, order = Script(), list[str]()
    async with ordering(servers) as orders:
        jobs = [await orders.submit(a) for _ in range(3)] + [await orders.submit(b)]
        async with a_worker(servers, script):
            for _ in jobs:
                job = await script.next()
                order.append(job.guild)
                script.end(job)
            for job in jobs:
                await orders.until(job, JobState.SUCCEEDED)
    assert order == [a, b, a, a]


async def test_of_two_slots_each_guild_has_one(servers: Servers) -> None:
    a, b = fresh_guild(), fresh_guild()
    script = Script()
    async with ordering(servers) as orders:
        jobs = [await orders.submit(a), await orders.submit(a), await orders.submit(b)]
        async with a_worker(servers, script, slots=2):
            begun = [await script.next(), await script.next()]
            assert {job.guild for job in begun} == {a, b}
            script.end(begun[1])
            begun.append(await script.next())
            assert [job.job for job in begun if job.guild == a] == [job.job for job in jobs[:2]]
            for job in begun:
                script.end(job)
            for job in jobs:
                await orders.until(job, JobState.SUCCEEDED)


async def test_a_paused_job_holds_no_slot_and_goes_on_when_it_is_resumed(servers: Servers) -> None:
    guild = fresh_guild()
    script = Script()
    async with ordering(servers) as orders:
        first, second = await orders.submit(guild), await orders.submit(guild)
        async with a_worker(servers, script):
            assert (await script.next()).job == first.job
            assert (await orders.jobs.pause(guild, first.job)).state is JobState.PAUSING
            assert (await script.next()).job == second.job
            assert (await orders.jobs.get(guild, first.job)).state is JobState.PAUSED
            assert len(await in_queue(servers, guild)) == 1
            await orders.jobs.resume(guild, first.job)
            script.end(second)
            again = await script.next()
            assert again.job == first.job
            script.end(again)
            ended = await orders.until(first, JobState.SUCCEEDED)
            assert (ended.published, ended.claims) == (1, 2)


async def test_a_job_that_waits_is_paused_without_a_worker_touching_it(servers: Servers) -> None:
    guild = fresh_guild()
    script = Script()
    async with ordering(servers) as orders:
        running, waiting = await orders.submit(guild), await orders.submit(guild)
        async with a_worker(servers, script):
            await script.next()
            assert (await orders.jobs.pause(guild, waiting.job)).state is JobState.PAUSED
            async with asyncio.timeout(20):
                while len(await in_queue(servers, guild)) > 1:
                    continue  # a worker withdraws the message
            script.end(running)
            await orders.until(running, JobState.SUCCEEDED)
            assert (await orders.jobs.get(guild, waiting.job)).claims == 0
            assert (await orders.jobs.cancel(guild, waiting.job)).state is JobState.CANCELLED

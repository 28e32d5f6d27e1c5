"""Quotas on a real bucket: several gateways count together."""

import asyncio

from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.quotas import Used
from chorus.common.contracts.topology import QUOTAS
from chorus.common.contracts.wire import now
from chorus.common.errors import QueueFull
from chorus.gateway.backends.quotas import BusQuotas
from chorus.gateway.commands.quotas import counted
from tests.support.servers import Servers

LIMIT = 4


async def test_several_gateways_count_together(servers: Servers, guild: str) -> None:
    async with servers.connected("gateway") as one, servers.connected("gateway") as other:
        buckets: list[Bucket[Used]] = [await open_bucket(it, QUOTAS, Used) for it in (one, other)]
        gateways = [BusQuotas(bucket) for bucket in buckets]

        async def take(number: int) -> bool:
            def with_one_more(used: Used) -> Used:
                return counted(used, "questions", 1, LIMIT, now())

            try:
                await gateways[number % 2].change(guild, "42", "questions", with_one_more)
            except QueueFull:
                return False
            return True

        taken = await asyncio.gather(*(take(number) for number in range(LIMIT + 3)))
        assert sum(taken) == LIMIT
        assert not await take(0)
        await gateways[1].change(guild, "43", "questions", lambda used: used)
        await gateways[0].change(guild, "42", "trainings", lambda _: Used(at=[now()]))

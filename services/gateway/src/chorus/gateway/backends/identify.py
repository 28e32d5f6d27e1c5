"""Several gateways of one bot, on one bus: who may identify at Discord now."""

import asyncio
import random

from chorus.common.bus.state import Bucket
from chorus.common.contracts.identify import Identifying
from chorus.common.contracts.wire import now
from chorus.common.errors import Conflict

LOOK_EVERY = 0.5  # seconds until a lane that is taken is tried again


class BusLanes:
    """Lanes in the bucket `identify`; `instance` is who we are."""

    def __init__(self, bucket: Bucket[Identifying], instance: str) -> None:
        self._bucket = bucket
        self._instance = instance

    async def enter(self, lane: int, shard: int) -> None:
        """Wait until nobody else identifies in this lane. Raises `Unavailable` where the bus is away."""
        while True:
            try:
                await self._bucket.create(str(lane), Identifying(shard=shard, by=self._instance, at=now()))
            except Conflict:
                await asyncio.sleep(LOOK_EVERY * random.uniform(0.5, 1.0))
            else:
                return

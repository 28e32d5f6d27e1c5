"""A trainer's side of a shared GPU as a process that can be killed: it asks, takes, and trains for ever.

python -m tests.support.a_trainer NAME
"""

import asyncio
import sys
from datetime import datetime
from functools import partial
from typing import cast

from chorus.common.bus.connection import connect
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.topology import LEASES
from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.settings import CommonSettings
from chorus.trainer.training.gpu import SharedGpu, served_on
from chorus.trainer.training.journal import Journal
from tests.support.gpu import AJournal
from tests.unit.trainer.made import AT, a_job


async def main(name: str) -> None:
    settings = CommonSettings()
    async with connect(
        settings.nats_url, user="trainer", nkey_file=settings.nats_nkey_file, on_closed=print
    ) as connection:
        leases = await open_bucket(connection, LEASES, Lease)
        gpu = SharedGpu(leases, name, partial(served_on, connection), worker="to be killed")

        async def attempt(stop: asyncio.Event, until: datetime | None) -> None:
            await asyncio.Event().wait()

        job = JobRecord(state=JobState.RUNNING, job=a_job(), updated_at=AT)
        await gpu.train(cast(Journal, AJournal(job)), asyncio.Event(), attempt)


asyncio.run(main(sys.argv[1]))

"""A training that somebody watches on Discord, played, and where its card is kept."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from chorus.common.bus.state import Bucket
from chorus.common.contracts.cards import CardState, JobCard
from chorus.common.contracts.datasets import Dataset
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.training import JobEvent, JobRecord, JobState, Progress
from chorus.common.contracts.wire import now
from tests.support.discord.place import Place
from tests.support.discord.world import Message
from tests.unit.gateway.fake_data import dataset
from tests.unit.gateway.fakes import FakeJobs


class PlayedJobs(FakeJobs):
    """Jobs that go on as a test says, for whoever follows them."""

    def __init__(self) -> None:
        super().__init__()
        self._stirred = asyncio.Event()
        self.queues = asyncio.Event()
        """Whether who puts a job into the queue hears that it is there."""
        self.queues.set()

    async def submit(self, data: Sequence[Dataset], *given: Any, **named: Any) -> JobRecord:
        record = await super().submit(data, *given, **named)
        await self.queues.wait()
        return record

    def goes(self, **changes: object) -> None:
        """The one job there is goes on."""
        (job,) = self.records
        self.records[job] = self.records[job].model_copy(update=changes)
        self._stirred.set()

    def steps(self, step: int) -> None:
        self.goes(state=JobState.RUNNING, progress=Progress(step=step, steps=9, loss=1.5))

    async def _set(self, guild: str, job: str, state: JobState) -> JobRecord:
        record = await super()._set(guild, job, state)
        self._stirred.set()
        return record

    async def follow(self, guild: str, job: str) -> AsyncGenerator[JobRecord | JobEvent]:
        while True:
            self._stirred.clear()
            record = await self.get(guild, job)
            yield record
            if record.state.final:
                return
            await self._stirred.wait()


@dataclass
class Watching:
    """A server of the double where a training is watched, and where its cards are kept."""

    place: Place
    jobs: PlayedJobs
    bucket: Bucket[JobCard]

    async def card(self, words: str) -> Message:
        """Wait until the newest message says this."""
        said = self.place.discord.said
        return await self.place.discord.until(
            lambda: next((m for m in said(self.place.channel)[-1:] if words in m.content), None)
        )

    async def entry(self, *states: CardState) -> JobCard:
        """The one that is kept, or soon will be, in one of these states."""
        async with asyncio.timeout(20):
            while not (entries := await self.bucket.entries()) or entries[0].value.state not in states:
                await asyncio.sleep(0.02)
        return entries[0].value

    async def old_card(self, **changes: object) -> Message:
        """A card of a training that runs, as a process left it that is gone."""
        record = await self.jobs.submit(
            [dataset(guild=self.place.guild.id)], "main", Hyperparameters(), submitted_by="42", key="k"
        )
        message = self.place.discord.once(self.place.channel, self.place.discord.bot, "▰▱ learning")
        card = JobCard(
            guild=record.job.guild, job=record.job.job, channel=self.place.channel.id, message=message.id,
            posted_at=now(), who="42", said=f"Job ID: {record.job.job}",
        )  # fmt: skip
        await self.bucket.create(card.key, card.model_copy(update=changes))
        self.jobs.steps(3)
        return message

    @property
    def said(self) -> list[Message]:
        return self.place.discord.said(self.place.channel)

"""What a job does when its data is deleted, or its guild's time is used up: on real servers, untrained."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.datasets import FORGOTTEN, DatasetRecord, dataset_key
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import ModelRecord, ModelVersion, model_key
from chorus.common.contracts.storage import MODELS
from chorus.common.contracts.topology import DATASETS, JOBS, SETTINGS
from chorus.common.contracts.topology import MODELS as MODEL_RECORDS
from chorus.common.contracts.training import Checkpoint, JobRecord, JobState
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training import materials, work
from chorus.trainer.training.gpu import Gpu, Try
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.materials import Materials
from chorus.trainer.training.report import Order, Snapshot
from chorus.trainer.training.work import Stores, Training
from tests.support.servers import Servers
from tests.unit.gateway.fake_data import dataset, ref
from tests.unit.trainer.made import a_job, made

Show = Callable[[Snapshot], Awaitable[None]]
Refusal = Callable[[], Awaitable[InvalidInput | None]]


async def nothing() -> None:
    """What happens meanwhile."""


@dataclass
class AJournal:
    """What a worker tells, without a claim."""

    record: JobRecord
    seconds: float = 0.0
    meanwhile: Callable[[], Awaitable[None]] = nothing
    labels: list[str] = field(default_factory=list)

    async def stage(self, text: str) -> None:
        pass

    async def still_ours(self) -> None:
        await self.meanwhile()

    async def shown(self, text: str, step: int) -> None:
        self.labels.append(text.rpartition("@")[2])


class Place:
    """A worker whose children only say what was ordered, and show what they are told to."""

    def __init__(self, stores: Stores, training: Training, guild: str, folder: Path) -> None:
        self.stores = stores
        self.training = training
        self.guild = guild
        self.folder = folder
        self.epochs: list[int] = []
        """That are shown while it trains."""
        self.ordered: list[Order] = []
        self.refused: InvalidInput | None = None
        """What is said after the next checkpoint."""

    def record(self, job: str = "aaaaaaaaaa", **changes: Any) -> JobRecord:
        """A running job on club@3."""
        asked = a_job(job, guild=self.guild)
        asked = asked.model_copy(update={"data": asked.data[:1]})
        first = JobRecord(state=JobState.RUNNING, job=asked, claims=1, updated_at=now())
        return first.model_copy(update=changes)

    async def run(self, journal: AJournal) -> None:
        await self.training.run(cast(Journal, journal), asyncio.Event())

    async def trained(self, show: Show) -> None:
        """What the child does."""
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            (self.folder / name).write_text(f"{name} {self.epochs}")
        for epoch in self.epochs:
            await show(Snapshot(step=epoch, epoch=epoch, folder=str(self.folder), model=made(step=epoch)))

    async def withdraw(self) -> None:
        """Somebody's words are deleted from the data."""
        gone = dataset(name="club", version=3, guild=self.guild, withdrawn=FORGOTTEN)
        await self.stores.datasets.create(dataset_key(self.guild, "club"), DatasetRecord(versions=[gone]))

    async def shown(self) -> list[ModelVersion]:
        entry = await self.stores.models.get(model_key(self.guild, "main"))
        return entry.value.checkpoints if entry else []


@pytest.fixture
async def place(
    servers: Servers, guild: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    async with servers.connected("trainer") as connection:
        stores = Stores(
            jobs=await open_bucket(connection, JOBS, JobRecord),
            datasets=await open_bucket(connection, DATASETS, DatasetRecord),
            models=await open_bucket(connection, MODEL_RECORDS, ModelRecord),
            settings=await open_bucket(connection, SETTINGS, GuildSettings),
            objects=servers.store(),
        )
        settings = TrainerSettings(guild_seconds_per_day=100)
        metrics = TrainerMetrics(CollectorRegistry())
        (tmp_path / "shown").mkdir()
        place = Place(
            stores, Training(connection, stores, metrics, settings, tmp_path), guild, tmp_path / "shown"
        )

        async def fetched(*_: object) -> Materials:
            return Materials(base="starter", examples=[], parent=None, contributors=["42"])

        class Attempt:
            def __init__(self, _journal: object, _stored: object, show: Show, refusal: Refusal, *_: object):
                self._show = show
                self._refusal = refusal

            async def run(self, order: Order, *_: object) -> None:
                place.ordered.append(order)
                try:
                    await place.trained(self._show)
                finally:
                    place.refused = await self._refusal()

        monkeypatch.setattr(materials, "fetch", fetched)
        monkeypatch.setattr(work, "Attempt", Attempt)
        yield place


# --- data that is deleted -------------------------------------------------------------------------
async def test_what_is_shown_just_after_a_deletion_is_stale_and_nothing_is_shown_later(place: Place) -> None:
    journal = AJournal(place.record(), meanwhile=place.withdraw)
    place.epochs = [1, 2]
    with pytest.raises(InvalidInput) as refused:
        await place.run(journal)
    assert refused.value.code == "dataset_withdrawn"
    assert place.refused is not None, "and with its next checkpoint, the job fails"
    assert place.refused.code == "dataset_withdrawn"
    (shown,) = await place.shown()
    assert (shown.label, shown.stale is not None) == ("aaaaaaaaaa-1", True)
    assert journal.labels == ["aaaaaaaaaa-1"]
    uploads = {found.key.rpartition("/")[0] for found in await place.stores.objects.list(MODELS, place.guild)}
    assert len(uploads) == 1, "of what is not shown, nothing is left"


# --- time that is used up -------------------------------------------------------------------------
async def worked(place: Place, seconds: float) -> None:
    """Another job of the guild has worked for so long."""
    other = place.record("bbbbbbbbbb", state=JobState.SUCCEEDED, seconds=seconds)
    await place.stores.jobs.create(other.key, other.model_copy(update={"updated_at": now()}))


async def test_a_job_has_what_is_left_of_the_guilds_day(place: Place) -> None:
    await worked(place, 60)
    await place.run(AJournal(place.record()))
    assert [order.seconds_left for order in place.ordered] == [40]
    assert place.refused is None


async def test_nothing_begins_when_the_day_is_used_up_and_what_was_learned_is_published(place: Place) -> None:
    await worked(place, 101)
    with pytest.raises(InvalidInput) as refused:
        await place.run(AJournal(place.record()))
    assert refused.value.code == "quota_used_up"
    assert "There is time again at " in refused.value.message
    assert place.ordered == []
    checkpoint = Checkpoint(step=7, manifest=ref("x"), at=now() - timedelta(minutes=1))
    await place.run(AJournal(place.record(checkpoint=checkpoint)))
    assert [order.seconds_left for order in place.ordered] == [1], "it ends at once"


# --- a GPU that is ours in turns ------------------------------------------------------------------
async def test_each_turn_begins_in_an_empty_folder_and_knows_its_end(place: Place) -> None:
    ends = [now() + timedelta(minutes=minutes) for minutes in (30, 65)]

    class Turns:
        async def train(self, _journal: object, pause: asyncio.Event, attempt: Try) -> None:
            for end in ends:
                assert await attempt(pause, end) is None
                (out,) = {Path(order.out) for order in place.ordered}
                assert not list(out.iterdir())
                (out / "half").write_text("what a child leaves that ends itself")

    place.training._gpu = cast(Gpu, Turns())
    await place.run(AJournal(place.record()))
    assert [order.until for order in place.ordered] == ends

"""A backup of real servers, everything wiped, and everything back: byte for byte, revision for revision."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from chorus.common.bus.connection import Connection
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.storage import BUCKETS, DATASETS, FILES, MODELS, ObjectRef
from chorus.common.contracts.topology import DLQ, EVENTS, KV_BUCKETS, STREAMS, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.training import JobState
from chorus.common.errors import Conflict, InvalidInput, NotFound, NotPermitted, Unavailable
from chorus.common.objects import ObjectStore, open_store
from chorus.common.operations.archive import COPIED, reading
from chorus.common.operations.backup import backup
from chorus.common.operations.restore import Restored, restore
from chorus.common.operations.snapshots import PIECE
from chorus.common.provision import ProvisionSettings, provision
from chorus.common.settings import PREFIX
from tests.support.queue import Orders, Script, a_worker, ordering
from tests.support.servers import Servers, running_servers

WINDOW = 8 * 1024 * 1024  # bytes that NATS sends of a copy before somebody answers


@dataclass
class Site:
    """A stack of its own, with the two users that may copy it."""

    servers: Servers
    operator: Connection
    provisioner: Connection
    store: ObjectStore

    async def backup(self, place: Path) -> Path:
        return (await backup(self.operator, self.store, place, lambda _: None))[0]

    async def restore(self, path: Path, *, over: bool = False) -> Restored:
        store = open_store(self.servers.settings("provisioner"))
        return await restore(self.provisioner, store, path, lambda _: None, over=over)

    async def wipe(self) -> None:
        """Nothing is left; then everything is there anew, and empty."""
        for config in (*STREAMS, *KV_BUCKETS):
            try:
                await self.provisioner.jetstream().delete_stream(str(config.name))
            except NotFoundError:
                continue
        trainer = self.servers.store()
        for bucket in BUCKETS:
            await trainer.delete(bucket, [one.key for one in await trainer.list(bucket, "")])
        await self.provision()

    async def provision(self, **otherwise: float) -> None:
        given = self.servers.stack.environment("provisioner")
        named = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
        await provision(ProvisionSettings.model_validate({**named, **otherwise}))

    async def messages(self, stream: str) -> list[tuple[Any, ...]]:
        """All that lies in a stream, whoever sent it when."""
        js, found, sequence = self.operator.jetstream(), [], 1
        while True:
            try:
                message = await js.get_msg(stream, sequence, subject=">", next=True)
            except NotFoundError:
                return found
            found.append((message.seq, message.subject, message.headers, message.data))
            sequence = (message.seq or 0) + 1

    async def objects(self) -> dict[str, str]:
        """The hash of every object, read from S3."""
        return {
            f"{bucket}/{one.key}": await self.store.read_by(
                bucket, one.key, lambda file: hashlib.sha256(file.read()).hexdigest()
            )
            for bucket in BUCKETS
            for one in await self.store.list(bucket, "")
        }


@asynccontextmanager
async def a_site(folder: Path) -> AsyncIterator[Site]:
    async with (
        running_servers(folder) as servers,
        servers.connected("operator") as operator,
        servers.connected("provisioner") as provisioner,
    ):
        yield Site(servers, operator, provisioner, open_store(servers.settings("operator")))


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with a_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
async def site(running: Site) -> Site:
    """The same servers for all tests; empty for each."""
    await running.wipe()
    return running


@pytest.fixture
async def orders(site: Site) -> AsyncIterator[Orders]:
    async with ordering(site.servers) as end:
        yield end


async def put(site: Site, bucket: str, key: str, data: bytes) -> ObjectRef:
    return await site.servers.store().put(bucket, key, data)


async def fill(site: Site, orders: Orders) -> None:
    """Jobs, a dead letter, models and datasets with their bytes, and more events than one window takes."""
    for _ in range(2):
        await orders.submit(LOCAL)
    await put(site, MODELS, "local/main/aa/model.safetensors", os.urandom(3_000_000))
    await put(site, DATASETS, "local/club/1/examples.jsonl", "Ahoj, přátelé 👋\n".encode() * 9)
    await put(site, FILES, "dm-42/empty", b"")
    async with site.servers.connected("trainer") as trainer:
        js = trainer.jetstream()
        await js.publish("dlq.train.local", b'{"job":1}', headers={"X-Dlq-Reason": "the worker was lost"})
        for bucket, value in (("models", b'{"v":1}'), ("models", b'{"v":2}'), ("consent", b"{}")):
            await js.publish(f"$KV.{bucket}.local.main", value)
        for _ in range(1 + WINDOW // 500_000):
            await js.publish("evt.trainer.local.abc.message", os.urandom(500_000))


async def test_everything_is_back_after_a_wipe(site: Site, orders: Orders, tmp_path: Path) -> None:
    await fill(site, orders)
    streams = {name: await site.messages(name) for name in COPIED}
    objects = await site.objects()
    path = await site.backup(tmp_path)
    await site.wipe()
    assert await site.objects() == {}
    assert await site.messages(TRAIN) == []
    done = await site.restore(path)
    assert done.gone == []
    assert {name: await site.messages(name) for name in COPIED} == streams
    assert len(streams[TRAIN]) == 2
    assert sum(len(message[3]) for message in streams[EVENTS]) > WINDOW > 2 * PIECE
    assert streams["KV_models"][-1][0] == 2, "a record's revision is what it was"
    assert await site.objects() == objects
    assert len(objects) == 3


async def test_a_job_that_waited_is_done_after_a_restore(site: Site, orders: Orders, tmp_path: Path) -> None:
    job = await orders.submit(LOCAL)
    path = await site.backup(tmp_path / "monday.tar")
    assert path == tmp_path / "monday.tar"
    await site.wipe()
    script = Script()
    async with a_worker(site.servers, script):  # it runs meanwhile, as services may
        await site.restore(path)
        assert (await script.next()).job == job.job
        script.end(job)
        await orders.until(job, JobState.SUCCEEDED)
    info = await site.operator.jetstream().consumer_info(TRAIN, TRAINER_CONSUMER)
    assert (info.num_pending, info.num_ack_pending) == (0, 0)


async def test_where_something_is_there_nothing_is_done_unless_it_is_said(
    site: Site, orders: Orders, tmp_path: Path
) -> None:
    before = await orders.submit(LOCAL)
    path = await site.backup(tmp_path)
    since = await orders.submit(LOCAL)
    await put(site, FILES, "local/since", b"new")
    with pytest.raises(Conflict, match=r"in files, TRAIN, KV_jobs: nothing was changed"):
        await site.restore(path)
    assert len(await site.messages(TRAIN)) == 2
    await site.restore(path, over=True)
    assert [before.job in str(message) for message in await site.messages(TRAIN)] == [True]
    with pytest.raises(NotFound):
        await orders.jobs.get(LOCAL, since.job)
    assert list(await site.objects()) == ["files/local/since"], "objects stay beside those of the backup"


async def test_a_damaged_backup_changes_nothing(site: Site, orders: Orders, tmp_path: Path) -> None:
    await put(site, MODELS, "local/main/aa/model.safetensors", b"weights" * 1000)
    path = await site.backup(tmp_path)
    data = path.read_bytes()
    await orders.submit(LOCAL)
    path.write_bytes(data.replace(b"weightsweights", b"weightsweighty", 1))
    for damage in (path.read_bytes(), data[: len(data) // 2], b""):
        path.write_bytes(damage)
        with pytest.raises(InvalidInput, match="nothing was changed"):
            await site.restore(path, over=True)
    assert len(await site.messages(TRAIN)) == 1
    assert len(await site.objects()) == 1


async def test_what_is_not_provisioned_is_told_before_anything_is_written(site: Site, tmp_path: Path) -> None:
    await put(site, MODELS, "local/main/aa/x", b"x")
    path = await site.backup(tmp_path)
    await site.wipe()
    await site.provisioner.jetstream().delete_stream(DLQ)
    with pytest.raises(Unavailable, match="chorus provision"):
        await site.restore(path)
    assert await site.objects() == {}


async def test_nothing_provisioned_is_told_by_a_backup_too(site: Site, tmp_path: Path) -> None:
    await site.provisioner.jetstream().delete_stream(DLQ)
    with pytest.raises(Unavailable, match=r"The stream DLQ is missing\. Run `chorus provision`"):
        await site.backup(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_consumers_are_those_of_this_place_and_not_those_of_the_file(
    site: Site, orders: Orders, tmp_path: Path
) -> None:
    """One that pushes sends to whom its maker likes; a queue of another kind is made anew."""
    js = site.provisioner.jetstream()
    await js.delete_consumer(TRAIN, TRAINER_CONSUMER)
    for stream, name in ((DLQ, "evil"), (TRAIN, TRAINER_CONSUMER)):
        pushing = ConsumerConfig(durable_name=name, deliver_subject="data.v1.delete", deliver_group="q")
        await js.add_consumer(stream, pushing)
    forged = await site.backup(tmp_path / "forged.tar")
    await js.delete_consumer(TRAIN, TRAINER_CONSUMER)
    await site.provision()
    await orders.submit(LOCAL)
    honest = await site.backup(tmp_path / "honest.tar")
    for path in (forged, honest):
        await site.wipe()
        await site.provision(ack_wait=33)
        await site.restore(path)
        assert await js.consumers_info(DLQ) == []
        (queue,) = await js.consumers_info(TRAIN)
        assert (queue.name, queue.config.ack_wait, queue.config.deliver_subject) == (
            TRAINER_CONSUMER,
            33,
            None,
        )
    assert queue.num_pending == 1


async def test_an_object_that_goes_while_it_is_copied_is_told_where_something_names_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, going = [await put(site, MODELS, f"local/main/{name}", name.encode()) for name in ("a", "b")]
    async with site.servers.connected("trainer") as trainer:
        record = f'{{"v":1,"versions":[{kept.model_dump_json()},{going.model_dump_json()}]}}'
        await trainer.jetstream().publish("$KV.models.local.main", record.encode())
    listed = site.store.list

    async def then_deleted(bucket: str, prefix: str) -> Any:
        found = await listed(bucket, prefix)
        await site.servers.store().delete(MODELS, [going.key])
        return found

    monkeypatch.setattr(site.store, "list", then_deleted)
    path = await site.backup(tmp_path)
    monkeypatch.undo()
    await site.wipe()
    done = await site.restore(path)
    assert done.gone == [f"models/{going.key}"]
    assert list(await site.objects()) == [f"models/{kept.key}"]


async def test_a_backup_never_writes_over_another_and_leaves_no_half_one(site: Site, tmp_path: Path) -> None:
    path = await site.backup(tmp_path)
    with pytest.raises(InvalidInput, match="is there already"):
        await site.backup(path)
    with pytest.raises(InvalidInput, match="cannot be written"):
        await site.backup(tmp_path / "no" / "where.tar")
    with reading(path) as reader:
        assert [stream.name for stream in reader.manifest.streams] == list(COPIED)
    async with site.servers.connected("gateway") as gateway:
        with pytest.raises(NotPermitted):
            await backup(gateway, site.store, tmp_path / "other.tar", lambda _: None)
    assert list(tmp_path.iterdir()) == [path]


async def test_one_that_is_broken_off_leaves_nothing(site: Site, tmp_path: Path) -> None:
    heard = asyncio.Event()
    backing = asyncio.create_task(backup(site.operator, site.store, tmp_path, lambda _: heard.set()))
    await asyncio.wait_for(heard.wait(), 10)
    assert list(tmp_path.iterdir()), "it has begun"
    backing.cancel()
    await asyncio.wait([backing])
    assert list(tmp_path.iterdir()) == []

"""The trainer, put together: the only file that names adapters.

It has two roles, in one process or in several: `datasets` answers about data and keeps it, `jobs` trains.
"""

from functools import partial
from pathlib import Path

from chorus.common.bus.connection import Connection, connect
from chorus.common.bus.discovery import Identity
from chorus.common.bus.jobs import JobWorker
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts import consent, datasets, merging, training
from chorus.common.contracts.consent import ConsentRecord, ExportPerson, Forget, SetConsent
from chorus.common.contracts.datasets import (
    Archive,
    DatasetRecord,
    DeleteDataset,
    Import,
    ListDatasets,
    Preview,
    Rebuild,
    Select,
)
from chorus.common.contracts.feedback import Opinion, ReplyRecord, TestRecord
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.merging import Merge
from chorus.common.contracts.mining import Mined
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import (
    CONSENT,
    DATASETS,
    FEEDBACK,
    JOBS,
    LEASES,
    MODELS,
    OPINIONS,
    REPLIES,
    SETTINGS,
    TRAIN,
    TRAINER_CONSUMER,
)
from chorus.common.contracts.training import CheckTraining, JobRecord, Order
from chorus.common.errors import Misconfigured
from chorus.common.objects import ObjectStore, open_store
from chorus.common.service import Service
from chorus.common.telemetry.metrics import BusMetrics, ObjectMetrics, RequestMetrics, watch_disk
from chorus.trainer.datasets.building import Builder, Limits, curators
from chorus.trainer.datasets.checkpoints import Checkpoints
from chorus.trainer.datasets.consent import Ledger
from chorus.trainer.datasets.feedback import Feedback
from chorus.trainer.datasets.forgetting import Forgetting
from chorus.trainer.datasets.keeper import Keeper
from chorus.trainer.datasets.library import Library
from chorus.trainer.datasets.mined import Harvests
from chorus.trainer.datasets.stale import Models
from chorus.trainer.handlers import CheckHandlers, ConsentHandlers, DatasetHandlers, MergeHandlers
from chorus.trainer.metrics import QueueMetrics, TrainerMetrics
from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training.checking import Offer
from chorus.trainer.training.gpu import Gpu, OwnGpu, SharedGpu, served_on
from chorus.trainer.training.lineage import Lineage
from chorus.trainer.training.merging import Merger
from chorus.trainer.training.once import OneJob
from chorus.trainer.training.orders import Orders
from chorus.trainer.training.process import learners, training_process
from chorus.trainer.training.run import JobRunner
from chorus.trainer.training.sweeper import Sweeper
from chorus.trainer.training.turns import Turns
from chorus.trainer.training.work import Stores, Training

REQUESTS_AT_ONCE, REQUESTS_WAITING = 16, 64
WARM_AFTER = 30.0  # seconds: on one machine, inference has loaded its model by then


async def build(service: Service, settings: TrainerSettings, *, once: bool = False) -> None:
    """Connect to the bus and the store, and take up the roles; with `once`, that of one job alone."""
    if once and settings.role == "datasets":
        raise Misconfigured("CHORUS_ROLE=datasets takes no jobs. Leave it away, or leave --once away.")
    connection = await service.stack.enter_async_context(
        connect(
            settings.nats_url,
            user="trainer",
            nkey_file=settings.nats_nkey_file,
            ca_file=settings.nats_ca,
            on_closed=service.fail,
            metrics=BusMetrics(service.registry),
        )
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"
    watch_disk(service.registry, settings.cache)
    store = open_store(settings, metrics=ObjectMetrics(service.registry))
    turns = await _turns(service, settings, connection)
    if settings.role != "jobs" and not once:
        await _answer_about_data(service, settings, connection, store)
    if settings.role != "datasets":
        await _take_jobs(service, settings, connection, store, turns, once=once)


async def _turns(service: Service, settings: TrainerSettings, connection: Connection) -> Turns:
    """A mirror of the queue. Each role tells of it: where workers come and go, there may be none just now."""
    metrics = QueueMetrics(service.registry, gpus=settings.gpus_per_job)
    turns = Turns(await open_bucket(connection, JOBS, JobRecord), on_ended=metrics.job_ended)
    await turns.read()
    service.background("turns", turns.run())
    metrics.watch(turns.by_state, turns.oldest_waiting)
    return turns


async def _answer_about_data(
    service: Service, settings: TrainerSettings, connection: Connection, store: ObjectStore
) -> None:
    folder = _folder(settings.cache / "datasets")
    chosen = await open_bucket(connection, SETTINGS, GuildSettings)
    versions = await open_bucket(connection, DATASETS, DatasetRecord)
    library = Library(versions, store)
    ledger = Ledger(await open_bucket(connection, CONSENT, ConsentRecord))
    limits = Limits(settings.curation_memory, settings.curation_seconds)
    curation = await service.stack.enter_async_context(curators(settings.niceness))
    service.background("curators", curation.warm(WARM_AFTER))
    builder = Builder(
        *(library, ledger, store, curation), base=settings.base_model, folder=folder, limits=limits
    )
    harvests = Harvests(await open_bucket(connection, SETTINGS, Mined), store)
    records = await open_bucket(connection, MODELS, ModelRecord)
    models = Models(records, chosen, store)
    jobs = await open_bucket(connection, JOBS, JobRecord)
    checkpoints = Checkpoints(jobs, Lineage(versions, records, chosen), store)
    feedback = Feedback(
        await open_bucket(connection, FEEDBACK, TestRecord),
        await open_bucket(connection, REPLIES, ReplyRecord),
        await open_bucket(connection, OPINIONS, Opinion),
        chosen,
    )
    forgetting = Forgetting(ledger, library, builder, harvests, models, checkpoints, feedback, chosen, store)

    responder = Responder(
        connection,
        Identity("trainer", service.id, service.version, "Datasets and training jobs"),
        RequestMetrics(service.registry),
        slots=REQUESTS_AT_ONCE,
        backlog=REQUESTS_WAITING,
        grace=settings.grace,
    )
    data = DatasetHandlers(library, builder, chosen, store, folder)
    responder.stream("import", datasets.IMPORT, Import, data.import_files, cancel=datasets.CANCEL)
    responder.stream("build", datasets.BUILD, Rebuild, data.rebuild, cancel=datasets.CANCEL)
    responder.answer("list", datasets.LIST, ListDatasets, data.list)
    responder.answer("preview", datasets.PREVIEW, Preview, data.preview)
    responder.answer("select", datasets.SELECT, Select, data.select)
    responder.answer("archive", datasets.ARCHIVE, Archive, data.archive)
    responder.answer("delete", datasets.DELETE, DeleteDataset, data.delete)
    people = ConsentHandlers(ledger, forgetting, library, feedback, store, folder)
    responder.answer("consent", consent.SET, SetConsent, people.set)
    responder.answer("forget", consent.FORGET, Forget, people.forget)
    responder.answer("export", consent.EXPORT, ExportPerson, people.export)
    merger = Merger(records, store, [settings.base_model, *settings.base_models], folder)
    responder.stream("merge", merging.MERGE, Merge, MergeHandlers(merger).merge, cancel=merging.CANCEL)
    checks = CheckHandlers(Offer.of(settings), jobs, records, store)
    responder.answer("check", training.CHECK, CheckTraining, checks.check)
    responder.answer("order", training.ORDER, Order, Orders(connection, jobs).carry_out)
    await service.stack.enter_async_context(responder)

    sweeper = Sweeper(connection, jobs, every=settings.sweep_every, ack_wait=settings.ack_wait)
    service.background("sweeper", sweeper.run())
    keeper = Keeper(ledger, forgetting, models, checkpoints, library, harvests, feedback, store)
    service.background("keeper", keeper.run())


async def _take_jobs(
    service: Service,
    settings: TrainerSettings,
    connection: Connection,
    store: ObjectStore,
    turns: Turns,
    *,
    once: bool,
) -> None:
    stores = await _stores(connection, store)
    metrics = TrainerMetrics(service.registry)
    gpu = await _gpu(service, settings, connection)
    start = partial(training_process, ranks=settings.gpus_per_job)
    if settings.gpus_per_job == 1 and not once:  # nobody comes who would need a second one
        standby = await service.stack.enter_async_context(learners(settings.niceness))
        service.background("learners", standby.warm(WARM_AFTER))
        start = standby.child
    folder = _folder(settings.cache / "training")
    work = Training(connection, stores, metrics, settings, folder, gpu, start=start)
    runner = JobRunner(
        connection, stores.jobs, work, turns, metrics, worker=service.instance, grace=settings.grace
    )
    service.stack.push_async_callback(runner.stop)
    await connection.listen(f"{training.CONTROL_SUBJECT}.*", cb=runner.on_control)
    handle, slots = runner.handle, settings.job_slots
    if once:
        one = OneJob(runner.handle, patience=settings.once_within, stop=service.stopping.set)
        handle, slots = one.handle, 1
    worker = JobWorker(
        connection,
        TRAIN,
        TRAINER_CONSUMER,
        handle,
        slots=slots,
        ack_wait=settings.ack_wait,
        grace=settings.grace,
        on_failed=service.fail,
    )
    await service.stack.enter_async_context(worker)


async def _stores(connection: Connection, store: ObjectStore) -> Stores:
    return Stores(
        jobs=await open_bucket(connection, JOBS, JobRecord),
        datasets=await open_bucket(connection, DATASETS, DatasetRecord),
        models=await open_bucket(connection, MODELS, ModelRecord),
        settings=await open_bucket(connection, SETTINGS, GuildSettings),
        objects=store,
    )


async def _gpu(service: Service, settings: TrainerSettings, connection: Connection) -> Gpu:
    if settings.shared_gpu is None:
        return OwnGpu()
    leases = await open_bucket(connection, LEASES, Lease)
    return SharedGpu(leases, settings.shared_gpu, partial(served_on, connection), worker=service.instance)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path

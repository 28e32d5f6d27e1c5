"""The trainer, put together: the only file that names adapters."""

from chorus.common.bus.connection import connect
from chorus.common.bus.discovery import Identity
from chorus.common.bus.jobs import JobWorker
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts import datasets, training
from chorus.common.contracts.datasets import DatasetRecord, ImportFile
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import DATASETS, JOBS, MODELS, SETTINGS, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.training import JobRecord
from chorus.common.objects import open_store
from chorus.common.service import Service
from chorus.common.telemetry.metrics import RequestMetrics
from chorus.trainer.handlers import DatasetHandlers
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training.run import JobRunner
from chorus.trainer.training.work import Stores, Training

IMPORTS_AT_ONCE, IMPORTS_WAITING = 2, 32


async def build(service: Service, settings: TrainerSettings) -> None:
    """Answer `data.v1.*`, and take jobs from the queue."""
    enter = service.stack.enter_async_context
    connection = await enter(
        connect(settings.nats_url, user="trainer", nkey_file=settings.nats_nkey_file, on_closed=service.fail)
    )
    service.health.checks["nats"] = lambda: None if connection.is_connected else "not connected"
    store = open_store(settings)
    stores = Stores(
        models=await open_bucket(connection, MODELS, ModelRecord),
        settings=await open_bucket(connection, SETTINGS, GuildSettings),
        objects=store,
    )

    responder = Responder(
        connection,
        Identity("trainer", service.id, service.version, "Datasets and training jobs"),
        RequestMetrics(service.registry),
        slots=IMPORTS_AT_ONCE,
        backlog=IMPORTS_WAITING,
        grace=settings.grace,
    )
    handlers = DatasetHandlers(store, await open_bucket(connection, DATASETS, DatasetRecord))
    responder.answer("import", datasets.IMPORT, ImportFile, handlers.import_file)
    await enter(responder)

    folder = settings.cache / "training"
    folder.mkdir(parents=True, exist_ok=True)
    metrics = TrainerMetrics(service.registry)
    work = Training(stores, metrics, base=settings.base_model, max_rank=settings.max_rank, folder=folder)
    jobs = await open_bucket(connection, JOBS, JobRecord)
    runner = JobRunner(connection, jobs, work, metrics, worker=service.instance)
    await connection.listen(f"{training.CONTROL_SUBJECT}.*", cb=runner.on_control)
    worker = JobWorker(
        connection,
        TRAIN,
        TRAINER_CONSUMER,
        runner.handle,
        slots=settings.job_slots,
        ack_wait=settings.ack_wait,
        grace=settings.grace,
        on_failed=service.fail,
    )
    await enter(worker)
